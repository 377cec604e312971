// SPDX-License-Identifier: MIT
// The connection that listens for keys that have changed, and what is known by it (tracking.h).
//
// It subscribes to a channel of Redis, and its number (CLIENT ID) is told to Redis on the connection that reads: of
// what is read there after CLIENT CACHING YES (command.tracked), changes are sent here. Both must be connections to one
// process of Redis, else nothing would ever be said: its run_id is compared. If Redis refuses, or is a Cluster, states
// are read again after a second, as without it.
#include "store/tracking.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "redis/reply_parts.h"
#include "store/store_inside.h"
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define CHANNEL "__redis__:invalidate"
enum { SLOTS = 1 << 17, QUEUE_MAX = 16, RUN_ID_SIZE = 48 };
enum { LIVES_LEAST_MS = 20, LIVES_MOST_MS = 100 }; // between two questions for a sign of life
enum { UNASKED_MS = 10000 };                       // nobody wants a state: no such questions
enum { HELD_MOST_MS = 600000 };                    // then a state is read again, whatever Redis says

struct tracking {
    struct store *store;
    struct redis_connection *listener, *reader;
    uv_timer_t timer;
    int open_parts;                                     // while stopping
    struct redis_call login, server, number, subscribe; // the listener's handshake
    struct redis_call track, caching, same;             // on the reader, for a session
    struct redis_call sign, readers_sign;               // of life
    uint32_t waiting, signs;                            // answers that are due: for a session, of signs
    uint32_t read_by;           // the number of the reader's connection to whose Redis the listener has connected
    uint32_t heard_by;          // that of the listener's connection to which Redis is to send
    char run_id[RUN_ID_SIZE];   // of the listener's Redis
    int64_t id;                 // of the listener, there
    bool refused, told;         // by the Redis of this connection; it was logged
    uint32_t session, sessions; // 0: there is none; how many there were
    uint64_t asked_ms, sign_ms, proven_ms;
    void (*on_closed)(struct store *store);
    uint32_t counts[SLOTS];
};

// ---- Sessions

static bool has_session(const struct tracking *tracking) {
    return tracking && tracking->session && redis_number(tracking->reader) == tracking->read_by;
}

static void end_session(struct tracking *tracking) {
    if (!tracking->session)
        return;
    metric_add(METRIC_TRACKING_RESETS, 1);
    metric_set(METRIC_TRACKING_UP, 0);
    tracking->session = 0;
}

static void begin_session(struct tracking *tracking) {
    tracking->session = ++tracking->sessions;
    metric_set(METRIC_TRACKING_UP, 1);
}

// Says it once, and asks again when the listener has connected anew.
static void refuse(struct tracking *tracking, const char *why) {
    tracking->refused = true;
    if (!tracking->told)
        log_warn("redis: %s: states of items are read again after a second (redis_tracking)", why);
    tracking->told = true;
}

// ---- What Redis says

static uint32_t slot_of(ref_t item, enum track_kind kind) {
    return (uint32_t)(item ^ (kind == TRACK_TABLE)) % SLOTS;
}

static bool slot_of_key(struct bytes key, uint32_t *ret_slot) {
    static const char letters[] = "icsun"; // model/keys.h
    ref_t item;
    for (const char *letter = letters; *letter; letter++)
        if (key_parse(key, *letter, &item)) {
            *ret_slot = slot_of(item, *letter == 'n' ? TRACK_TABLE : TRACK_ITEM);
            return true;
        }
    return false;
}

// False: it names no key that we read.
static bool take_key(struct tracking *tracking, const redisReply *key) {
    uint32_t slot;
    if (key->type != REDIS_REPLY_STRING || !slot_of_key(reply_text(key), &slot))
        return false;
    tracking->counts[slot]++;
    return true;
}

// The keys that have changed; nil: Redis is emptied. After anything else nothing is believed of what was read before.
static void on_message(void *context, const redisReply *content) {
    struct tracking *tracking = context;
    bool known = content->type == REDIS_REPLY_ARRAY;
    for (size_t i = 0; known && i < content->elements; i++)
        known = take_key(tracking, content->element[i]);
    metric_add(METRIC_INVALIDATIONS, known ? content->elements : 0);
    if (known || !tracking->session)
        return;
    end_session(tracking);
    begin_session(tracking);
}

// ---- The listener's handshake

static struct tracking *of_call(struct redis_call *call, size_t offset) {
    return (struct tracking *)(void *)((char *)call - offset);
}
#define OF(call, member) of_call(call, offsetof(struct tracking, member))

static bool is_error(const struct redis_call *call) {
    return call->reply && call->reply->type == REDIS_REPLY_ERROR;
}

static void on_login(struct redis_call *call) {
    if (is_error(call))
        redis_drop(OF(call, login)->listener, call->reply->str);
    freeReplyObject(call->reply);
}

static void on_server(struct redis_call *call) {
    struct tracking *tracking = OF(call, server);
    struct bytes run_id = info_value(reply_text(call->reply), "\nrun_id:");
    if (run_id.len && run_id.len < sizeof tracking->run_id)
        snprintf(tracking->run_id, sizeof tracking->run_id, "%.*s", (int)run_id.len, run_id.at);
    else if (call->reply)
        refuse(tracking, is_error(call) ? call->reply->str : "INFO names no run_id");
    freeReplyObject(call->reply);
}

static void on_number(struct redis_call *call) {
    struct tracking *tracking = OF(call, number);
    tracking->id = reply_int(call->reply);
    if (is_error(call))
        refuse(tracking, call->reply->str);
    freeReplyObject(call->reply);
}

static void on_subscribed(struct redis_call *call) {
    struct tracking *tracking = OF(call, subscribe);
    if (is_error(call))
        refuse(tracking, call->reply->str);
    if (call->reply)
        redis_ready(tracking->listener);
    freeReplyObject(call->reply);
}

static void ask_early(struct tracking *tracking, struct redis_call *call, void (*on_reply)(struct redis_call *)) {
    *call = (struct redis_call){.on_reply = on_reply};
    redis_send_early(tracking->listener, call, &tracking->store->command);
}

static void on_connected(void *context) {
    struct tracking *tracking = context;
    struct store *store = tracking->store;
    tracking->refused = false;
    tracking->run_id[0] = '\0';
    if (store->address.password[0]) {
        begin_login(store);
        ask_early(tracking, &tracking->login, on_login);
    }
    command_add_text(begin_command(store, "INFO"), "server");
    ask_early(tracking, &tracking->server, on_server);
    command_add_text(begin_command(store, "CLIENT"), "ID");
    ask_early(tracking, &tracking->number, on_number);
    command_add_text(begin_command(store, "SUBSCRIBE"), CHANNEL);
    ask_early(tracking, &tracking->subscribe, on_subscribed);
}

// It listens to the Redis that is read, so it waits until that one is ready.
static const char *on_connecting(void *context, struct address *address) {
    struct tracking *tracking = context;
    tracking->read_by = redis_number(tracking->reader);
    if (!tracking->read_by)
        return "no node is ready";
    *address = router_node_of(tracking->store->router, 0)->address;
    return NULL;
}

static void on_state(void *context) {
    struct tracking *tracking = context;
    if (!redis_is_ready(tracking->listener))
        end_session(tracking);
}

// ---- What is asked on the connection that reads

static bool is_same_pair(const struct tracking *tracking) {
    return redis_number(tracking->reader) == tracking->read_by && tracking->heard_by &&
           redis_number(tracking->listener) == tracking->heard_by;
}

// The last of the answers begins the session, if all are good. One that is missing is asked for again.
static void take(struct tracking *tracking, const struct redis_call *call) {
    if (!call->reply)
        tracking->heard_by = 0;
    if (is_error(call) && is_same_pair(tracking))
        refuse(tracking, call->reply->str);
    if (--tracking->waiting == 0 && is_same_pair(tracking) && !tracking->refused)
        begin_session(tracking);
    freeReplyObject(call->reply);
}

static void on_tracked(struct redis_call *call) {
    take(OF(call, track), call);
}

static void on_caching(struct redis_call *call) {
    take(OF(call, caching), call);
}

static void on_same(struct redis_call *call) {
    struct tracking *tracking = OF(call, same);
    struct bytes run_id = info_value(reply_text(call->reply), "\nrun_id:");
    if (call->outcome == OK && is_same_pair(tracking) && !bytes_eq(run_id, bytes_of(tracking->run_id)))
        refuse(tracking, "two connections reach two servers");
    take(tracking, call);
}

static void ask_reader(struct tracking *tracking, struct redis_call *call, void (*on_reply)(struct redis_call *)) {
    *call = (struct redis_call){.on_reply = on_reply};
    redis_send(tracking->reader, call, &tracking->store->command);
}

static void ask_to_track(struct tracking *tracking) {
    struct command *command = begin_command(tracking->store, "CLIENT");
    tracking->waiting = 3;
    tracking->heard_by = redis_number(tracking->listener);
    command_add_text(command, "TRACKING");
    command_add_text(command, "ON");
    command_add_text(command, "REDIRECT");
    command_add_int(command, tracking->id);
    command_add_text(command, "OPTIN");
    ask_reader(tracking, &tracking->track, on_tracked);
    command_add_text(begin_command(tracking->store, "CLIENT"), "CACHING");
    command_add_text(&tracking->store->command, "YES");
    ask_reader(tracking, &tracking->caching, on_caching);
    command_add_text(begin_command(tracking->store, "INFO"), "server");
    ask_reader(tracking, &tracking->same, on_same);
}

// ---- Signs of life

static void note_sign(struct tracking *tracking, bool good) {
    if (!good)
        tracking->sign_ms = 0;
    if (--tracking->signs == 0 && tracking->sign_ms)
        tracking->proven_ms = tracking->sign_ms;
}

static void refuse_sign(struct tracking *tracking, const struct redis_call *call) {
    if (!is_error(call) || !redis_is_refusal(call->reply->str))
        return;
    refuse(tracking, call->reply->str);
    end_session(tracking);
}

// To one that listens the answer is an array.
static void on_sign(struct redis_call *call) {
    struct tracking *tracking = OF(call, sign);
    bool good = bytes_eq(reply_text_at(call->reply, 0), BYTES("pong"));
    refuse_sign(tracking, call);
    if (call->reply && !good && !tracking->refused)
        redis_drop(tracking->listener, "an answer that is none to PING");
    note_sign(tracking, good);
    freeReplyObject(call->reply);
}

static void on_readers_sign(struct redis_call *call) {
    struct tracking *tracking = OF(call, readers_sign);
    refuse_sign(tracking, call);
    note_sign(tracking, call->outcome == OK);
    freeReplyObject(call->reply);
}

static void ask_for_signs(struct tracking *tracking) {
    tracking->signs = 2;
    tracking->sign_ms = uv_now(tracking->store->loop);
    begin_command(tracking->store, "PING");
    ask_reader(tracking, &tracking->readers_sign, on_readers_sign);
    tracking->sign = (struct redis_call){.on_reply = on_sign};
    redis_send(tracking->listener, &tracking->sign, &tracking->store->command);
}

static void look(struct tracking *tracking) {
    uint32_t reader = redis_number(tracking->reader);
    if (reader != tracking->read_by)
        end_session(tracking);
    if (!reader || !redis_is_ready(tracking->listener))
        return;
    if (reader != tracking->read_by)
        redis_drop(tracking->listener, "left behind");
    else if (!tracking->session && !tracking->refused && !tracking->waiting)
        ask_to_track(tracking);
    else if (tracking->session && !tracking->signs && uv_now(tracking->store->loop) - tracking->asked_ms < UNASKED_MS)
        ask_for_signs(tracking);
}

// The listener is driven here, so that it costs the turns of the loop nothing.
static void on_timer(uv_timer_t *timer) {
    struct tracking *tracking = timer->data;
    redis_begin_turn(tracking->listener);
    look(tracking);
    redis_end_turn(tracking->listener);
}

// ---- Start and stop

static uint64_t time_between_signs(const struct settings *settings) {
    uint64_t ms = (uint64_t)settings->refresh_interval_ms / 10;
    return ms < LIVES_LEAST_MS ? LIVES_LEAST_MS : ms > LIVES_MOST_MS ? LIVES_MOST_MS : ms;
}

void store_track(struct store *store) {
    const struct settings *settings = store->settings;
    if (!settings->redis_tracking || !settings->refresh_interval_ms || store->cluster || !settings->cross_slot)
        return;
    struct tracking *tracking = calloc(1, sizeof *tracking);
    if (!tracking)
        return;
    tracking->store = store;
    tracking->reader = router_node_of(store->router, 0)->redis;
    struct redis_hooks hooks = {.on_connecting = on_connecting,
                                .on_connected = on_connected,
                                .on_message = on_message,
                                .on_state = on_state,
                                .context = tracking,
                                .driven = true};
    tracking->listener =
        redis_start(store->loop, &store->address, (uint32_t)settings->redis_timeout_ms, QUEUE_MAX, &hooks);
    if (!tracking->listener) {
        free(tracking);
        return;
    }
    store->tracking = tracking;
    uint64_t ms = time_between_signs(settings);
    uv_timer_init(store->loop, &tracking->timer);
    tracking->timer.data = tracking;
    uv_timer_start(&tracking->timer, on_timer, ms, ms);
}

// The store frees the memory, when the calls on the reader have ended as well.
static void on_part_closed(struct tracking *tracking) {
    if (--tracking->open_parts == 0)
        tracking->on_closed(tracking->store);
}

static void on_timer_closed(uv_handle_t *handle) {
    on_part_closed(handle->data);
}

static void on_stopped(void *context) {
    on_part_closed(context);
}

void tracking_stop(struct tracking *tracking, void (*on_closed)(struct store *store)) {
    tracking->on_closed = on_closed;
    tracking->open_parts = 2;
    uv_close((uv_handle_t *)&tracking->timer, on_timer_closed);
    redis_stop(tracking->listener, on_stopped, tracking);
}

// ---- States

struct track track_begin(const struct store *store, ref_t item, enum track_kind kind) {
    const struct tracking *tracking = store->tracking;
    if (!has_session(tracking))
        return (struct track){.session = 0};
    uint32_t slot = slot_of(item, kind);
    return (struct track){tracking->session, slot, tracking->counts[slot]};
}

uint64_t track_as_of(struct store *store, const struct track *track, uint64_t read_ms) {
    struct tracking *tracking = store->tracking;
    if (!has_session(tracking))
        return read_ms;
    tracking->asked_ms = uv_now(store->loop);
    bool holds = track->session == tracking->session && track->count == tracking->counts[track->slot] &&
                 tracking->asked_ms - read_ms < HELD_MOST_MS;
    return holds && tracking->proven_ms > read_ms ? tracking->proven_ms : read_ms;
}
