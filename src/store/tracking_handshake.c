// SPDX-License-Identifier: MIT
// How a session begins (tracking.h). The listener subscribes to a channel of Redis. Its number (CLIENT ID) is told to
// Redis on the reader: of what is read there after CLIENT CACHING YES (command.tracked), changes are sent to the
// listener. Both must be connections to one process of Redis, else nothing would ever be said: its run_id is compared.
#include "redis/reply_parts.h"
#include "store/tracking_inside.h"
#include <stdio.h>

#define CHANNEL "__redis__:invalidate"

static struct bytes run_id_of(const struct redis_call *call) {
    return info_value(reply_text(call->reply), "\nrun_id:");
}

// ---- On the listener

static void on_login(struct redis_call *call) {
    if (is_error(call))
        redis_drop(TRACKING_OF(call, login)->listener, call->reply->str);
    freeReplyObject(call->reply);
}

static void on_server(struct redis_call *call) {
    struct tracking *tracking = TRACKING_OF(call, server);
    struct bytes run_id = run_id_of(call);
    if (run_id.len && run_id.len < sizeof tracking->run_id)
        snprintf(tracking->run_id, sizeof tracking->run_id, "%.*s", (int)run_id.len, run_id.at);
    else if (call->reply)
        tracking_refuse(tracking, is_error(call) ? call->reply->str : "INFO names no run_id");
    freeReplyObject(call->reply);
}

static void on_client_id(struct redis_call *call) {
    struct tracking *tracking = TRACKING_OF(call, client_id);
    tracking->listener_id = reply_int(call->reply);
    if (is_error(call))
        tracking_refuse(tracking, call->reply->str);
    freeReplyObject(call->reply);
}

static void on_subscribed(struct redis_call *call) {
    struct tracking *tracking = TRACKING_OF(call, subscribe);
    if (is_error(call))
        tracking_refuse(tracking, call->reply->str);
    if (call->reply)
        redis_ready(tracking->listener);
    freeReplyObject(call->reply);
}

static void ask_listener(struct tracking *tracking, struct redis_call *call,
                         void (*on_reply)(struct redis_call *call)) {
    *call = (struct redis_call){.on_reply = on_reply};
    redis_send_early(tracking->listener, call, &tracking->store->command);
}

void tracking_on_connected(void *context) {
    struct tracking *tracking = context;
    struct store *store = tracking->store;
    tracking->refused = false;
    tracking->run_id[0] = '\0';
    if (store->address.password[0]) {
        begin_login(store);
        ask_listener(tracking, &tracking->login, on_login);
    }
    command_add_text(begin_command(store, "INFO"), "server");
    ask_listener(tracking, &tracking->server, on_server);
    command_add_text(begin_command(store, "CLIENT"), "ID");
    ask_listener(tracking, &tracking->client_id, on_client_id);
    command_add_text(begin_command(store, "SUBSCRIBE"), CHANNEL);
    ask_listener(tracking, &tracking->subscribe, on_subscribed);
}

const char *tracking_on_connecting(void *context, struct address *address) {
    struct tracking *tracking = context;
    tracking->read_by = redis_number(tracking->reader);
    if (!tracking->read_by)
        return "no node is ready";
    *address = router_node_of(tracking->store->router, 0)->address;
    return NULL;
}

// ---- On the reader

// Neither connection was made again since they were asked.
static bool is_same_pair(const struct tracking *tracking) {
    return redis_number(tracking->reader) == tracking->read_by && tracking->heard_by &&
           redis_number(tracking->listener) == tracking->heard_by;
}

// The last of the answers begins the session, if all are good. Without one of them all are asked for again.
static void take_answer(struct tracking *tracking, const struct redis_call *call) {
    if (!call->reply)
        tracking->heard_by = 0;
    if (is_error(call) && is_same_pair(tracking))
        tracking_refuse(tracking, call->reply->str);
    if (--tracking->waiting == 0 && is_same_pair(tracking) && !tracking->refused)
        tracking_begin_session(tracking);
    freeReplyObject(call->reply);
}

static void on_tracked(struct redis_call *call) {
    take_answer(TRACKING_OF(call, track), call);
}

static void on_caching(struct redis_call *call) {
    take_answer(TRACKING_OF(call, caching), call);
}

static void on_same(struct redis_call *call) {
    struct tracking *tracking = TRACKING_OF(call, same);
    if (call->outcome == OK && is_same_pair(tracking) && !bytes_eq(run_id_of(call), bytes_of(tracking->run_id)))
        tracking_refuse(tracking, "two connections reach two servers");
    take_answer(tracking, call);
}

static void ask_reader(struct tracking *tracking, struct redis_call *call, void (*on_reply)(struct redis_call *call)) {
    *call = (struct redis_call){.on_reply = on_reply};
    tracking->waiting++;
    redis_send(tracking->reader, call, &tracking->store->command);
}

void tracking_ask(struct tracking *tracking) {
    struct command *command = begin_command(tracking->store, "CLIENT");
    tracking->heard_by = redis_number(tracking->listener);
    command_add_text(command, "TRACKING");
    command_add_text(command, "ON");
    command_add_text(command, "REDIRECT");
    command_add_int(command, tracking->listener_id);
    command_add_text(command, "OPTIN");
    ask_reader(tracking, &tracking->track, on_tracked);
    command_add_text(begin_command(tracking->store, "CLIENT"), "CACHING");
    command_add_text(&tracking->store->command, "YES");
    ask_reader(tracking, &tracking->caching, on_caching);
    command_add_text(begin_command(tracking->store, "INFO"), "server");
    ask_reader(tracking, &tracking->same, on_same);
}
