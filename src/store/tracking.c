// SPDX-License-Identifier: MIT
// Counts what Redis says of keys that have changed, and judges states by it (tracking.h). If Redis refuses, or is a
// Cluster, there is no session, and states are read again after a second.
#include "store/tracking.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "redis/reply_parts.h"
#include "store/tracking_inside.h"
#include <stdlib.h>

enum { QUEUE_MAX = 16 };                          // calls of the listener
enum { SIGNS_LEAST_MS = 20, SIGNS_MAX_MS = 100 }; // between two questions for a sign of life
enum { UNWANTED_MS = 10000 };                     // nobody asks about states any more: no such questions
enum { HELD_MAX_MS = 600000 };                    // then a state is read again, whatever Redis says

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

void tracking_begin_session(struct tracking *tracking) {
    tracking->session = ++tracking->sessions;
    metric_set(METRIC_TRACKING_UP, 1);
}

void tracking_refuse(struct tracking *tracking, const char *why) {
    tracking->refused = true;
    if (!tracking->told)
        log_warn("redis: %s: states of items are read again after a second (redis_tracking)", why);
    tracking->told = true;
}

// ---- What Redis says

static uint32_t slot_of(ref_t item, enum track_kind kind) {
    return (uint32_t)(item ^ (kind == TRACK_TABLE)) % TRACKING_SLOTS;
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
    tracking_begin_session(tracking);
}

static void on_state(void *context) {
    struct tracking *tracking = context;
    if (!redis_is_ready(tracking->listener))
        end_session(tracking);
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
    tracking_refuse(tracking, call->reply->str);
    end_session(tracking);
}

// To one that listens the answer is an array.
static void on_sign(struct redis_call *call) {
    struct tracking *tracking = TRACKING_OF(call, sign);
    bool good = bytes_eq(reply_text_at(call->reply, 0), BYTES("pong"));
    refuse_sign(tracking, call);
    if (call->reply && !good && !tracking->refused)
        redis_drop(tracking->listener, "an answer that is none to PING");
    note_sign(tracking, good);
    freeReplyObject(call->reply);
}

static void on_readers_sign(struct redis_call *call) {
    struct tracking *tracking = TRACKING_OF(call, readers_sign);
    refuse_sign(tracking, call);
    note_sign(tracking, call->outcome == OK);
    freeReplyObject(call->reply);
}

static void ask_for_signs(struct tracking *tracking) {
    struct command *ping = begin_command(tracking->store, "PING");
    tracking->signs = 2;
    tracking->sign_ms = uv_now(tracking->store->loop);
    tracking->readers_sign = (struct redis_call){.on_reply = on_readers_sign};
    redis_send(tracking->reader, &tracking->readers_sign, ping);
    tracking->sign = (struct redis_call){.on_reply = on_sign};
    redis_send(tracking->listener, &tracking->sign, ping);
}

// ---- The beat

static bool is_wanted(const struct tracking *tracking) {
    return uv_now(tracking->store->loop) - tracking->wanted_ms < UNWANTED_MS;
}

// Does what is due: the listener follows the reader, a session begins, or signs of life are asked for.
static void beat(struct tracking *tracking) {
    uint32_t reader = redis_number(tracking->reader);
    if (reader != tracking->read_by)
        end_session(tracking);
    if (!reader || !redis_is_ready(tracking->listener))
        return;
    if (reader != tracking->read_by)
        redis_drop(tracking->listener, "left behind");
    else if (!tracking->session && !tracking->refused && !tracking->waiting)
        tracking_ask(tracking);
    else if (tracking->session && !tracking->signs && is_wanted(tracking))
        ask_for_signs(tracking);
}

// The listener is driven here, so that it costs the turns of the loop nothing.
static void on_timer(uv_timer_t *timer) {
    struct tracking *tracking = timer->data;
    redis_begin_turn(tracking->listener);
    beat(tracking);
    redis_end_turn(tracking->listener);
}

// ---- Start and stop

static uint64_t time_between_signs(const struct settings *settings) {
    uint64_t ms = (uint64_t)settings->refresh_interval_ms / 10;
    return ms < SIGNS_LEAST_MS ? SIGNS_LEAST_MS : ms > SIGNS_MAX_MS ? SIGNS_MAX_MS : ms;
}

static struct redis_connection *start_listener(struct tracking *tracking) {
    struct store *store = tracking->store;
    struct redis_hooks hooks = {.on_connecting = tracking_on_connecting,
                                .on_connected = tracking_on_connected,
                                .on_message = on_message,
                                .on_state = on_state,
                                .context = tracking,
                                .driven = true};
    return redis_start(store->loop, &store->address, (uint32_t)store->settings->redis_timeout_ms, QUEUE_MAX, &hooks);
}

static void start_timer(struct tracking *tracking) {
    uint64_t ms = time_between_signs(tracking->store->settings);
    uv_timer_init(tracking->store->loop, &tracking->timer);
    tracking->timer.data = tracking;
    uv_timer_start(&tracking->timer, on_timer, ms, ms);
}

bool store_may_track(const struct settings *settings) {
    return settings->redis_tracking && settings->refresh_interval_ms && settings->cross_slot;
}

void store_track(struct store *store) {
    const struct settings *settings = store->settings;
    if (!store_may_track(settings) || store->cluster)
        return;
    struct tracking *tracking = calloc(1, sizeof *tracking);
    if (!tracking)
        return;
    tracking->store = store;
    tracking->reader = router_node_of(store->router, 0)->redis;
    tracking->listener = start_listener(tracking);
    if (!tracking->listener) {
        free(tracking);
        return;
    }
    start_timer(tracking);
    store->tracking = tracking;
}

void tracking_again(struct tracking *tracking) {
    if (tracking && tracking->refused)
        redis_drop(tracking->listener, "Redis refuses no command any more");
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
    tracking->wanted_ms = uv_now(store->loop);
    bool holds = track->session == tracking->session && track->count == tracking->counts[track->slot] &&
                 tracking->wanted_ms - read_ms < HELD_MAX_MS;
    return holds && tracking->proven_ms > read_ms ? tracking->proven_ms : read_ms;
}
