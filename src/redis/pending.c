// SPDX-License-Identifier: MIT
// The queue of commands that Redis has not answered yet.
//
// It is a ring in the order of sending. Redis replies in that order, so the next reply always belongs to the oldest
// command: one reply, one step of the ring, no search. A call that times out leaves its place in the ring, an abandoned
// reply, so its late reply is never taken for another's.
//
// redis_send adds to the ring while fewer than `queue_max` commands are in it. Reads beyond their share and patient
// writes are held in a list in front of it, at most HELD_MAX. connection.c calls pending_send_held once a turn, and
// pending_expire every 25 ms. error_replies.c says what an error reply means.
#include "base/clock.h"
#include "ops/metrics.h"
#include "redis/connection_inside.h"
#include "redis/redirect.h"
#include "redis/reply_parts.h"
#include "redis/scripts_table.h"
#include <stdlib.h>

enum { HANDSHAKE_ROOM = 64, RING_LEAST = 256 }; // the commands of a handshake are not counted in queue_max
enum { HELD_MAX = 1 << 16 };                    // a call beyond it is OVERLOADED

bool pending_init(struct redis_connection *redis, uint32_t queue_max) {
    redis->queue_max = queue_max;
    redis->reads_max = queue_max - queue_max / 4;
    redis->held_end = &redis->held;
    redis->capacity = RING_LEAST;
    while (redis->capacity < queue_max + HANDSHAKE_ROOM)
        redis->capacity *= 2;
    redis->ring = calloc(redis->capacity, sizeof *redis->ring);
    redis->failed_end = &redis->failed;
    confirm_init(redis);
    return redis->ring != NULL;
}

void pending_release(struct redis_connection *redis) {
    free(redis->ring);
}

static struct pending *pending_at(struct redis_connection *redis, uint32_t index) {
    return &redis->ring[(redis->head + index) & (redis->capacity - 1)];
}

// ---- Calls that end without a reply

static void forget(struct pending *pending) {
    free(pending->kept);
    pending->kept = NULL;
    pending->call = NULL;
}

static struct held *take_held(struct redis_connection *redis) {
    struct held *held = redis->held;
    redis->held = held->next;
    redis->held_count--;
    if (!redis->held)
        redis->held_end = &redis->held;
    return held;
}

static void fail_held(struct redis_connection *redis) {
    struct held *held = take_held(redis);
    pending_fail_later(redis, held->call, UNAVAILABLE);
    free(held);
}

void pending_fail_all(struct redis_connection *redis) {
    for (uint32_t i = 0; i < redis->count; i++) {
        struct pending *pending = pending_at(redis, i);
        if (pending->call)
            pending_fail_later(redis, pending->call, UNAVAILABLE);
        forget(pending);
    }
    redis->head = redis->count = redis->expired = redis->reads = redis->moved = 0;
    while (redis->held)
        fail_held(redis);
    confirm_fail(redis);
}

static bool expire_one(struct redis_connection *redis, uint32_t index, uint64_t now_ms) {
    struct pending *pending = pending_at(redis, index);
    if (pending->deadline_ms > now_ms)
        return false;
    if (pending->call) {
        metric_add(METRIC_REDIS_TIMEOUTS, 1);
        pending_fail_later(redis, pending->call, UNAVAILABLE);
    }
    forget(pending);
    return true;
}

bool pending_expire(struct redis_connection *redis, uint64_t now_ms) {
    while (redis->expired < redis->count && expire_one(redis, redis->expired, now_ms))
        redis->expired++;
    for (uint32_t i = redis->expired; redis->moved && i < redis->count; i++)
        if (pending_at(redis, i)->moved)
            expire_one(redis, i, now_ms);
    while (redis->held && redis->held->deadline_ms <= now_ms) {
        metric_add(METRIC_REDIS_TIMEOUTS, 1);
        fail_held(redis);
    }
    return redis->expired > 0;
}

// ---- Sending

// Silence counts from the first command that has no reply yet. A call that comes from another node has little time
// left: if it is late here, this Redis need not be silent.
static void remember(struct redis_connection *redis, struct pending pending) {
    if (redis->count == 0)
        redis->heard_at_ms = uv_now(redis->loop);
    redis->reads += pending.read;
    redis->moved += pending.moved;
    redis->unwaited |= pending.write;
    if (!redis->sent_ns)
        redis->sent_ns = clock_mono_ns();
    pending.sent_ns = redis->sent_ns;
    *pending_at(redis, redis->count++) = pending;
    metric_add(METRIC_REDIS_CALLS, 1);
}

static struct pending pending_of(const struct redis_connection *redis, struct redis_call *call,
                                 const struct command *command) {
    return (struct pending){.call = call,
                            .deadline_ms = uv_now(redis->loop) + redis->timeout_ms,
                            .script = command->script,
                            .write = command->write};
}

// Makes a pending call of the bytes from `begin` on. They are kept as well when they may be sent again. False without
// memory: the bytes are taken off again.
static bool add_written(struct redis_connection *redis, size_t begin, struct pending pending,
                        const struct command *command) {
    bool may_come_again = pending.script >= 0 || (redis->hooks.on_refused && redis->state == REDIS_STATE_READY);
    if (pending.call && may_come_again) {
        struct bytes bytes = {redis->out.at + begin, redis->out.len - begin};
        pending.kept = held_copy(pending.call, pending.deadline_ms, command, bytes);
        if (!pending.kept) {
            redis->out.len = begin;
            return false;
        }
        pending.kept->read = pending.read;
    }
    remember(redis, pending);
    return true;
}

// What goes before a command and has a reply of its own, which nobody waits for.
#define ASKING "*1\r\n$6\r\nASKING\r\n"
#define CACHING "*3\r\n$6\r\nCLIENT\r\n$7\r\nCACHING\r\n$3\r\nYES\r\n"

// Also makes room for `len` bytes more. False without memory: nothing was appended.
static bool add_before(struct redis_connection *redis, const char *text, uint64_t deadline_ms, size_t len) {
    size_t before = strlen(text);
    if (!buffer_reserve(&redis->out, before + len)) {
        redis->out.failed = false;
        return false;
    }
    buffer_add(&redis->out, text, before);
    if (before)
        remember(redis, (struct pending){.deadline_ms = deadline_ms, .script = NO_SCRIPT, .before = true});
    return true;
}

static bool write_call(struct redis_connection *redis, struct pending pending, const struct command *command) {
    if (command->tracked && !add_before(redis, CACHING, pending.deadline_ms, 0))
        return false;
    size_t begin = redis->out.len;
    return command_write(command, &redis->out) && add_written(redis, begin, pending, command);
}

bool pending_add(struct redis_connection *redis, struct redis_call *call, const struct command *command) {
    return write_call(redis, pending_of(redis, call, command), command);
}

static void shed(struct redis_connection *redis, struct redis_call *call) {
    metric_add(METRIC_REDIS_SHED, 1);
    pending_fail_later(redis, call, OVERLOADED);
}

static void send_now(struct redis_connection *redis, struct pending pending, const struct command *command) {
    if (!write_call(redis, pending, command))
        shed(redis, pending.call);
}

static bool is_closed(const struct redis_connection *redis, const struct command *command) {
    return redis->state != REDIS_STATE_READY || (redis->refuses_writes && command->write);
}

static void send_with_room(struct redis_connection *redis, struct redis_call *call, const struct command *command) {
    if (redis->count < redis->queue_max)
        send_now(redis, pending_of(redis, call, command), command);
    else
        shed(redis, call);
}

// The connection for this command.
static struct redis_connection *connection_for(struct redis_connection *redis, bool write) {
    return redis->writes && write ? redis->writes : redis;
}

void redis_send(struct redis_connection *redis, struct redis_call *call, const struct command *command) {
    if (is_closed(redis, command))
        pending_fail_later(redis, call, UNAVAILABLE);
    else
        send_with_room(connection_for(redis, command->write), call, command);
}

// ---- Commands that wait for room

// The command is written to the end of `out` and taken off again: so it needs no buffer of its own.
static void hold(struct redis_connection *redis, struct pending pending, const struct command *command) {
    struct held *held =
        redis->held_count < HELD_MAX ? held_new(pending.call, pending.deadline_ms, command, &redis->out) : NULL;
    if (!held) {
        shed(redis, pending.call);
        return;
    }
    held->read = pending.read;
    *redis->held_end = held;
    redis->held_end = &held->next;
    redis->held_count++;
}

static bool has_room_for_read(const struct redis_connection *redis) {
    return redis->reads < redis->reads_max && redis->count < redis->queue_max;
}

void redis_send_read(struct redis_connection *redis, struct redis_call *call, const struct command *command) {
    struct pending pending = pending_of(redis, call, command);
    pending.read = true;
    if (redis->state != REDIS_STATE_READY)
        pending_fail_later(redis, call, UNAVAILABLE);
    else if (!redis->held && has_room_for_read(redis))
        send_now(redis, pending, command);
    else
        hold(redis, pending, command);
}

void redis_send_patient(struct redis_connection *redis, struct redis_call *call, const struct command *command) {
    struct redis_connection *to = connection_for(redis, command->write);
    if (!is_closed(redis, command) && to->count >= to->queue_max)
        hold(to, pending_of(to, call, command), command);
    else
        redis_send(redis, call, command);
}

// The bytes, and what goes before them. False without memory: nothing was appended.
static bool append_held(struct redis_connection *redis, const struct held *held) {
    const char *before = held->asks ? ASKING : held->tracked ? CACHING : "";
    if (!add_before(redis, before, held->deadline_ms, held->len))
        return false;
    buffer_add(&redis->out, held->bytes, held->len);
    return true;
}

// Sends bytes that were kept, and takes `held`. False without memory.
static bool send_again(struct redis_connection *redis, struct held *held, int script, bool moved) {
    if (!append_held(redis, held))
        return false;
    struct pending pending = {.call = held->call,
                              .deadline_ms = held->deadline_ms,
                              .script = script,
                              .read = held->read,
                              .write = held->write,
                              .moved = moved};
    if (redis->hooks.on_refused || script >= 0)
        pending.kept = held;
    else
        free(held);
    remember(redis, pending);
    return true;
}

bool redis_send_held(struct redis_connection *redis, struct held *held) {
    struct redis_connection *to = connection_for(redis, held->write);
    bool room = held->read ? has_room_for_read(to) : to->count < to->queue_max;
    if (redis->state != REDIS_STATE_READY || (redis->refuses_writes && held->write) || !room)
        return false;
    return send_again(to, held, held->script, true);
}

void pending_send_held(struct redis_connection *redis) {
    while (redis->held && redis->state == REDIS_STATE_READY && has_room_for_read(redis)) {
        struct held *held = take_held(redis);
        struct redis_call *call = held->call;
        if (!send_again(redis, held, held->script, false)) {
            free(held);
            shed(redis, call);
        }
    }
}

void redis_send_early(struct redis_connection *redis, struct redis_call *call, const struct command *command) {
    struct pending pending = pending_of(redis, call, command);
    pending.script = NO_SCRIPT; // the handshake itself loads the scripts
    if (redis->state == REDIS_STATE_HANDSHAKE && redis->count < redis->capacity)
        send_now(redis, pending, command);
    else
        pending_fail_later(redis, call, UNAVAILABLE);
}

// ---- Replies

// Redis lacks the script after a restart or SCRIPT FLUSH. Loads it, and sends the same command again after it, once.
static bool load_and_repeat(struct redis_connection *redis, struct pending *pending) {
    const struct script_source *script = &script_sources[pending->script];
    struct command load;
    if (redis->count + 3 > redis->capacity)
        return false;
    command_init(&load);
    command_add_text(&load, "SCRIPT");
    command_add_text(&load, "LOAD");
    command_add(&load, (struct bytes){script->at, (size_t)(script->end - script->at)});
    bool loads = write_call(redis, pending_of(redis, NULL, &load), &load);
    command_release(&load);
    return loads && send_again(redis, pending->kept, NO_SCRIPT, true);
}

// True when the call is sent again, here or elsewhere, so it has not ended.
static bool goes_on(struct redis_connection *redis, struct pending *pending, const char *error) {
    if (pending->script >= 0 && pending->call && strncmp(error, "NOSCRIPT", 8) == 0 && load_and_repeat(redis, pending))
        return true;
    return redis->hooks.on_refused && redis->state == REDIS_STATE_READY && error_meaning_of(error)->again &&
           redis->hooks.on_refused(redis->hooks.context, pending->call ? pending->kept : NULL, error);
}

static void answer(struct redis_connection *redis, struct pending pending, redisReply *reply) {
    bool drop = false, error = reply->type == REDIS_REPLY_ERROR;
    if (error && goes_on(redis, &pending, reply->str)) {
        freeReplyObject(reply);
        return;
    }
    enum outcome outcome = error ? error_reply_outcome(redis, reply->str, &drop) : OK;
    if (outcome == INTERNAL)
        error_reply_log(redis, reply->str);
    if (outcome == OK && pending.write && !redis->first) // one that replicas must have is not done yet: confirm.c
        error_complain_no_more(redis);
    if (drop)
        redis_drop(redis, reply->str);
    struct redis_call *call = pending.call;
    forget(&pending);
    if (error && pending.before)
        redis->changes += 2; // what Redis has promised to this connection holds no more (redis_number)
    if (!call) {
        freeReplyObject(reply);
        return;
    }
    call->outcome = outcome;
    call->reply = reply;
    if (redis->first && pending.write && outcome == OK)
        confirm(redis, call);
    else
        call->on_reply(call);
}

void pending_take_replies(struct redis_connection *redis) {
    uint64_t now_ns = 0; // what was read at once has come at once
    while (redis->reader) {
        void *reply = NULL;
        bool good = redisReaderGetReply(redis->reader, &reply) == REDIS_OK;
        if (good && reply && redis->hooks.on_message && reply_is_message(reply)) {
            redis->hooks.on_message(redis->hooks.context, reply_at(reply, 2));
            freeReplyObject(reply);
            continue;
        }
        if (!good || (reply && redis->count == 0)) {
            freeReplyObject(reply);
            redis_drop(redis, "reply that is not Redis's protocol");
            return;
        }
        if (!reply)
            return;
        struct pending pending = *pending_at(redis, 0);
        redis->ring[redis->head].kept = NULL;
        redis->head = (redis->head + 1) & (redis->capacity - 1);
        redis->count--;
        redis->reads -= pending.read;
        redis->moved -= pending.moved;
        redis->expired -= redis->expired > 0;
        now_ns = now_ns ? now_ns : clock_mono_ns();
        if (pending.call != &redis->wait) // which takes as long as replicas need
            metric_round_trip(pending.write ? ROUND_TRIP_WRITE : ROUND_TRIP_OTHER, now_ns - pending.sent_ns);
        answer(redis, pending, reply);
        if (redis->state == REDIS_STATE_CLOSING)
            return;
    }
}
