// SPDX-License-Identifier: MIT
// The handshake on a new connection has three parts. The first writes nothing: it logs in and asks for mode, role,
// time, memory policy and life. If Redis is a master outside a Cluster, the second part loads the scripts and compares
// the settings with the data. If they agree, the third part opens the logs (open.c). The connection is ready when every
// answer is right; after a wrong one it is dropped.
//
// With wait_replicas a second connection follows, for writes, and the first is ready when that one is.
//
// After that the heartbeat asks ROLE and TIME once a second. It leaves a master that has become a replica, it sets the
// service's clock, and it notices a silent Redis when nobody else asks. Every few beats it asks again for the memory
// policy and the rights. To ask one thing more, write its check and its line in handshake_start().
#include "base/clock.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "redis/misfit.h"
#include "redis/pipeline.h"
#include "store/store_inside.h"
#include <assert.h>
#include <stdio.h>

enum { LOOK_BEATS = 5 };

// ---- Checks of the answers

static const char *check_nothing(struct store_node *at, const redisReply *reply) {
    (void)at;
    (void)reply;
    return NULL;
}

static const char *check_mode(struct store_node *at, const redisReply *reply) {
    return misfit_of_mode(at->store->address.kind, reply_text(reply));
}

// In a Cluster a replica is no fault: it owns nothing, and a change of roles is a change of owners.
static const char *check_role(struct store_node *at, const redisReply *reply) {
    if (reply && reply->type == REDIS_REPLY_ERROR)
        return NULL; // is_role_of_proxy
    struct bytes role = reply_text_at(reply, 0);
    bool is_master = bytes_eq(role, BYTES("master"));
    if (at->store->cluster && is_master != at->is_master)
        router_refresh(at->store->router);
    at->is_master = is_master;
    return misfit_of_role(at->store->address.kind, role);
}

static int64_t mono_ms(void) {
    return (int64_t)(clock_mono_ns() / 1000000);
}

// Logs once when a step of the clock is doubted, and once when it is followed.
void hear_time(int64_t least_ms, int64_t most_ms) {
    static bool doubting;
    double ahead_s = (double)(least_ms + mono_ms() - clock_now_ms()) / 1000;
    enum clock_heard heard = clock_set(least_ms, most_ms);
    if (heard == CLOCK_DOUBTED && !doubting)
        log_warn("the clock of Redis differs by %.1f s: not followed unless it stays so for %d s", ahead_s,
                 CLOCK_STEP_LASTS_MS / 1000);
    if (heard == CLOCK_STEPPED)
        log_warn("the clock of Redis differs by %.1f s: followed from now on", ahead_s);
    doubting = heard == CLOCK_DOUBTED;
}

static const char *check_time(struct store_node *at, const redisReply *reply) {
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
        return "TIME has no answer";
    int64_t unix_ms = reply_int(reply->element[0]) * 1000 + reply_int(reply->element[1]) / 1000;
    int64_t least_ms = unix_ms - mono_ms(), most_ms = unix_ms + 1 - at->clock_asked_ms;
    if (at->store->cluster)
        cluster_hear_time(at, least_ms, most_ms);
    else
        hear_time(least_ms, most_ms);
    return NULL;
}

static void begin_time(struct store_node *at) {
    at->clock_asked_ms = mono_ms();
    begin_command(at->store, "TIME");
}

static void load_scripts(struct store_node *at);
static void compare_meta(struct store_node *at);
static const char *check_last(struct store_node *at, const redisReply *reply);
static void ask(struct store_node *at, const char *(*check)(struct store_node *, const redisReply *));

// The last answer of the first part. It may be an error: open.c.
static const char *check_life(struct store_node *at, const redisReply *reply) {
    bool cluster = at->store->cluster != NULL;
    if (!life_note(at, reply) && !cluster)
        return misfit_of_role(at->store->address.kind, BYTES("slave"));
    redis_extend_handshake(at->node->redis);
    load_scripts(at);
    rights_ask(at->store);
    ask(at, cluster ? check_last : rights_check);
    if (!cluster)
        compare_meta(at);
    return NULL;
}

// In a Cluster this is the last answer; cluster.c does the rest when the owners are known.
static const char *check_last(struct store_node *at, const redisReply *reply) {
    rights_check(at, reply);
    snprintf(at->life, sizeof at->life, "%s", at->life_found);
    redis_ready(at->node->redis);
    return NULL;
}

// The last answer of the handshake.
static const char *check_open(struct store_node *at, const redisReply *reply) {
    redis_extend_handshake(at->node->redis);
    if (open_next(at, reply)) {
        at->handshake_count--; // the same place again
        ask(at, check_open);
        return NULL;
    }
    at->store->generation++;
    redis_ready(at->node->redis);
    return NULL;
}

// The connection for writes: its Redis must be the one whose logs were opened, and it must take a WAIT. A replica does
// not, but nothing is written to one.
static const char *check_wait(struct store_node *at, const redisReply *reply) {
    (void)reply;
    redis_ready(redis_writes(at->node->redis));
    return NULL;
}

static const char *check_same_life(struct store_node *at, const redisReply *reply) {
    if (!life_goes_on(at, reply))
        return "Redis has been restarted or replaced meanwhile";
    if (bytes_eq(info_value(reply_text(reply), "\nrole:"), BYTES("slave")))
        return check_wait(at, reply);
    command_add_text(begin_command(at->store, "WAIT"), "0");
    command_add_text(&at->store->command, "0");
    ask(at, check_wait);
    return NULL;
}

// Unless the settings agree with the data, nothing is written.
static const char *check_meta(struct store_node *at, const redisReply *reply) {
    const char *refusal = meta_take(at->store, reply);
    if (refusal)
        return refusal;
    redis_extend_handshake(at->node->redis);
    open_begin(at);
    ask(at, check_open);
    return NULL;
}

// An endpoint before several masters may know no ROLE. It finds the masters itself, and INFO tells the role, too.
static bool is_role_of_proxy(const struct handshake_call *handshake) {
    return handshake->check == check_role && !handshake->at->store->settings->cross_slot;
}

// The text of an error for the log.
static const char *meaning_of(const struct handshake_call *handshake, const char *error) {
    if (strncmp(error, "CROSSSLOT", 9) == 0)
        return "this endpoint refuses keys of several slots in one command: cross_slot = off";
    if (redis_is_refusal(error) && handshake->at->rights.road[0])
        return handshake->at->rights.road;
    if (handshake->check == check_meta && strncmp(error, "WRONGTYPE", 9) == 0)
        return meta_is_other;
    return error;
}

static void on_answer(struct redis_call *call) {
    struct handshake_call *handshake = (struct handshake_call *)call;
    redisReply *reply = call->reply;
    const char *why = NULL;
    bool error = reply && reply->type == REDIS_REPLY_ERROR;
    bool can_do_without = handshake->check == check_mode || is_role_of_proxy(handshake) ||
                          handshake->check == eviction_check || handshake->check == check_life ||
                          handshake->check == rights_check || handshake->check == check_last ||
                          handshake->check == check_same_life;
    bool refused = error && can_do_without && redis_is_refusal(reply->str);
    if (error && !refused)
        why = meaning_of(handshake, reply->str);
    else if (call->outcome == OK || refused)
        why = handshake->check(handshake->at, reply);
    if (why)
        redis_drop(handshake->at->node->redis, why);
    freeReplyObject(reply);
}

// ---- The questions of the handshake

static void ask(struct store_node *at, const char *(*check)(struct store_node *, const redisReply *)) {
    assert(at->handshake_count < HANDSHAKE_MAX);
    struct handshake_call *handshake = &at->handshake[at->handshake_count++];
    *handshake = (struct handshake_call){.call.on_reply = on_answer, .at = at, .check = check};
    redis_send_early(at->handshaking, &handshake->call, &at->store->command);
}

void begin_login(struct store *store) {
    begin_command(store, "AUTH");
    if (store->address.user[0])
        command_add_text(&store->command, store->address.user);
    command_add_text(&store->command, store->address.password);
}

static void log_in(struct store_node *at) {
    if (!at->store->address.password[0])
        return;
    begin_login(at->store);
    ask(at, check_nothing);
}

static void select_database(struct store_node *at) {
    if (at->store->address.database == 0)
        return;
    command_add_int(begin_command(at->store, "SELECT"), at->store->address.database);
    ask(at, check_nothing);
}

static void load_scripts(struct store_node *at) {
    struct command *command = &at->store->command;
    for (size_t i = 0; i < script_source_count; i++) {
        const struct script_source *source = &script_sources[i];
        command_add_text(begin_command(at->store, "SCRIPT"), "LOAD");
        command_add(command, (struct bytes){source->at, (size_t)(source->end - source->at)});
        ask(at, check_nothing);
    }
}

static void compare_meta(struct store_node *at) {
    meta_begin(at->store);
    ask(at, check_meta);
}

void handshake_start(void *context, struct node *node) {
    struct store *store = context;
    struct store_node *at = node->context;
    at->handshake_count = 0;
    at->handshaking = node->redis;
    at->beating = at->looking = at->rights.asking = at->asking_policy = false;
    log_in(at);
    command_add_text(begin_command(store, "INFO"), "server");
    ask(at, check_mode);
    begin_command(store, "ROLE");
    ask(at, check_role);
    select_database(at);
    begin_time(at);
    ask(at, check_time);
    eviction_ask(store);
    ask(at, eviction_check);
    ask_for_life(store);
    ask(at, check_life);
}

void writes_handshake_start(void *context, struct node *node) {
    struct store_node *at = node->context;
    at->handshake_count = 0;
    at->handshaking = redis_writes(node->redis);
    log_in(at);
    select_database(at);
    ask_for_life(context);
    ask(at, check_same_life);
}

// ---- The heartbeat

static void on_role(struct redis_call *call) {
    struct store_node *at = ((struct handshake_call *)call)->at;
    const char *why = call->outcome == OK ? check_role(at, call->reply) : NULL;
    if (why)
        redis_drop(at->node->redis, why);
    freeReplyObject(call->reply);
}

static void on_beat(struct redis_call *call) {
    struct store_node *at = ((struct handshake_call *)call)->at;
    at->beating = false;
    if (call->outcome == OK)
        check_time(at, call->reply);
    freeReplyObject(call->reply);
}

static void beat(struct store_node *at) {
    struct store *store = at->store;
    if (at->beating || !redis_is_ready(at->node->redis))
        return;
    bool has_meta = at == node_of(store, place_more(PLACE_META)) && (!store->cluster || cluster_agrees(store->cluster));
    if (has_meta)
        meta_beat(store);
    at->beating = true;
    at->role = (struct handshake_call){.call.on_reply = on_role, .at = at};
    begin_command(store, "ROLE");
    send_to(at, &at->role.call);
    at->beat = (struct handshake_call){.call.on_reply = on_beat, .at = at};
    begin_time(at);
    send_to(at, &at->beat.call);
    open_look(at);
    if (at->beats++ % LOOK_BEATS == 0)
        eviction_look(at);
    if (at->beats % LOOK_BEATS == 0 || rights_lack(at))
        rights_look(at);
    if (has_meta && at->beats % LOOK_BEATS == 0 && !store->recording)
        store->recorded = false; // writes it again if it is lost, and notices one that another service has written
}

void heartbeat(uv_timer_t *timer) {
    struct store *store = timer->data;
    metric_add(METRIC_HEARTBEATS, 1);
    metric_set(METRIC_REDIS_USABLE, store_ready(store, NULL) && !store_trouble(store));
    if (store->subscription)
        subscription_beat(store->subscription);
    for (struct store_node *at = store->nodes; at; at = at->next)
        beat(at);
}
