// SPDX-License-Identifier: MIT
// The queue of commands on their way: a ring in the order of sending, which is the order of Redis's replies.
// A late call leaves a tombstone, so a reply can never be taken for another's. What an error reply means is one table.
// Reads beyond their share of the ring are held in front of it.
#include "ops/log.h"
#include "ops/metrics.h"
#include "store/link_inside.h"
#include "store/scripts.h"
#include <stdio.h>
#include <stdlib.h>

#define LOG_PAUSE_NS (UINT64_C(10) * 1000 * 1000 * 1000)
enum { GREETING_ROOM = 64, RING_LEAST = 256 }; // commands of a greeting come on top of the bound
enum { HELD_MOST = 1 << 16 };                  // above: shed

bool pending_init(struct link *link, uint32_t queue_most) {
    link->queue_most = queue_most;
    link->reads_most = queue_most - queue_most / 4;
    link->held_end = &link->held;
    link->room = RING_LEAST;
    while (link->room < queue_most + GREETING_ROOM)
        link->room *= 2;
    link->ring = calloc(link->room, sizeof *link->ring);
    link->failed_end = &link->failed;
    return link->ring != NULL;
}

void pending_release(struct link *link) {
    free(link->ring);
}

static struct pending *pending_at(struct link *link, uint32_t index) {
    return &link->ring[(link->head + index) & (link->room - 1)];
}

// ---- Calls that end without a reply

static void fail_later(struct link *link, struct link_call *call, enum outcome outcome) {
    call->outcome = outcome;
    call->reply = NULL;
    call->next = NULL;
    *link->failed_end = call;
    link->failed_end = &call->next;
}

void pending_tell_failed(struct link *link) {
    struct link_call *call = link->failed;
    link->failed = NULL;
    link->failed_end = &link->failed;
    while (call) {
        struct link_call *next = call->next; // the call may be gone after on_reply
        call->on_reply(call);
        call = next;
    }
}

static void forget(struct pending *pending) {
    free(pending->again);
    pending->again = NULL;
    pending->call = NULL;
}

static struct held *take_held(struct link *link) {
    struct held *held = link->held;
    link->held = held->next;
    link->held_count--;
    if (!link->held)
        link->held_end = &link->held;
    return held;
}

static void fail_held(struct link *link) {
    struct held *held = take_held(link);
    fail_later(link, held->call, UNAVAILABLE);
    free(held);
}

void pending_fail_all(struct link *link) {
    for (uint32_t i = 0; i < link->count; i++) {
        struct pending *pending = pending_at(link, i);
        if (pending->call)
            fail_later(link, pending->call, UNAVAILABLE);
        forget(pending);
    }
    link->head = link->count = link->expired = link->reads = 0;
    while (link->held)
        fail_held(link);
}

bool pending_expire(struct link *link, uint64_t now_ms) {
    for (; link->expired < link->count; link->expired++) {
        struct pending *pending = pending_at(link, link->expired);
        if (pending->deadline_ms > now_ms)
            break;
        if (pending->call) {
            metric_add(METRIC_REDIS_TIMEOUTS, 1);
            fail_later(link, pending->call, UNAVAILABLE);
        }
        forget(pending);
    }
    while (link->held && link->held->deadline_ms <= now_ms) {
        metric_add(METRIC_REDIS_TIMEOUTS, 1);
        fail_held(link);
    }
    return link->expired > 0;
}

// ---- Sending

static void remember(struct link *link, struct pending pending) {
    link->reads += pending.read;
    *pending_at(link, link->count++) = pending;
    metric_add(METRIC_REDIS_CALLS, 1);
}

static struct pending pending_of(const struct link *link, struct link_call *call, int script) {
    return (struct pending){.call = call, .deadline_ms = uv_now(link->loop) + link->timeout_ms, .script = script};
}

// What was written from `begin` on is a pending call now. A script's is kept as it is written. False without memory:
// nothing was written.
static bool add_written(struct link *link, size_t begin, struct pending pending) {
    if (pending.script >= 0) {
        pending.again_len = link->out.len - begin;
        pending.again = malloc(pending.again_len);
        if (!pending.again) {
            link->out.len = begin;
            return false;
        }
        memcpy(pending.again, link->out.at + begin, pending.again_len);
    }
    remember(link, pending);
    return true;
}

static bool write_call(struct link *link, struct pending pending, const struct command *command) {
    size_t begin = link->out.len;
    return command_write(command, &link->out) && add_written(link, begin, pending);
}

static void shed(struct link *link, struct link_call *call) {
    metric_add(METRIC_REDIS_SHED, 1);
    fail_later(link, call, OVERLOADED);
}

static void send_now(struct link *link, struct pending pending, const struct command *command) {
    if (!write_call(link, pending, command))
        shed(link, pending.call);
}

static bool is_closed(const struct link *link, int script) {
    return link->state != LINK_READY || (link->refuses_writes && script_takes_writes(script));
}

void link_send(struct link *link, struct link_call *call, const struct command *command, int script) {
    if (is_closed(link, script))
        fail_later(link, call, UNAVAILABLE);
    else if (link->count < link->queue_most)
        send_now(link, pending_of(link, call, script), command);
    else
        shed(link, call);
}

// ---- Reads that wait for room

// Written to the end of `out`, and taken off again.
static struct held *held_of(struct link *link, struct pending pending, const struct command *command) {
    size_t begin = link->out.len;
    if (link->held_count == HELD_MOST || !command_write(command, &link->out))
        return NULL;
    size_t len = link->out.len - begin;
    struct held *held = malloc(sizeof *held + len);
    link->out.len = begin;
    if (!held)
        return NULL;
    *held = (struct held){.call = pending.call,
                          .deadline_ms = pending.deadline_ms,
                          .script = pending.script,
                          .read = pending.read,
                          .len = len};
    memcpy(held->bytes, link->out.at + begin, len);
    return held;
}

static void hold(struct link *link, struct pending pending, const struct command *command) {
    struct held *held = held_of(link, pending, command);
    if (!held) {
        shed(link, pending.call);
        return;
    }
    *link->held_end = held;
    link->held_end = &held->next;
    link->held_count++;
}

static bool has_room_for_read(const struct link *link) {
    return link->reads < link->reads_most && link->count < link->queue_most;
}

void link_send_read(struct link *link, struct link_call *call, const struct command *command, int script) {
    struct pending pending = pending_of(link, call, script);
    pending.read = true;
    if (link->state != LINK_READY)
        fail_later(link, call, UNAVAILABLE);
    else if (!link->held && has_room_for_read(link))
        send_now(link, pending, command);
    else
        hold(link, pending, command);
}

void link_send_patient(struct link *link, struct link_call *call, const struct command *command, int script) {
    if (!is_closed(link, script) && link->count >= link->queue_most)
        hold(link, pending_of(link, call, script), command);
    else
        link_send(link, call, command, script);
}

void pending_send_held(struct link *link) {
    while (link->held && link->state == LINK_READY && has_room_for_read(link)) {
        struct held *held = take_held(link);
        struct pending pending = {
            .call = held->call, .deadline_ms = held->deadline_ms, .script = held->script, .read = held->read};
        size_t begin = link->out.len;
        bool fits = buffer_reserve(&link->out, held->len);
        if (fits)
            buffer_add(&link->out, held->bytes, held->len);
        link->out.failed = false;
        if (!fits || !add_written(link, begin, pending))
            shed(link, held->call);
        free(held);
    }
}

void link_send_early(struct link *link, struct link_call *call, const struct command *command) {
    if (link->state == LINK_GREETING && link->count < link->room)
        send_now(link, pending_of(link, call, -1), command);
    else
        fail_later(link, call, UNAVAILABLE);
}

// ---- Replies

// What an error reply of Redis means (FAULTS section 5). An error that is not here is a bug of ours, or foreign data.
static const struct {
    const char *prefix;
    enum outcome outcome;
    bool drop; // this Redis is no longer the right one
} error_meanings[] = {
    {"OOM", UNAVAILABLE, false},        {"LOADING", UNAVAILABLE, false},  {"BUSY", UNAVAILABLE, false},
    {"MISCONF", UNAVAILABLE, false},    {"TRYAGAIN", UNAVAILABLE, false}, {"CLUSTERDOWN", UNAVAILABLE, false},
    {"MASTERDOWN", UNAVAILABLE, true},  {"READONLY", UNAVAILABLE, true},  {"NOAUTH", UNAVAILABLE, true},
    {"NOREPLICAS", UNAVAILABLE, false}, {"NOSCRIPT", UNAVAILABLE, false}, {"WRONGTYPE", INTERNAL, false},
};

// Said by Redis 7.0 to a script without NOPERM; and of a command that is renamed. Not of NOAUTH: that is a login.
bool link_is_refusal(const char *error) {
    static const char *const words[] = {"user executing the script can't", "Unknown Redis command", "unknown command",
                                        "Invalid command passed to redis.acl"};
    if (strncmp(error, "NOPERM", 6) == 0)
        return true;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strncmp(error, "ERR ", 4) == 0 && strstr(error, words[i]))
            return true;
    return false;
}

// One key's foreign data may be asked for with every refresh: a line says how many there were since the one before.
static void log_error_reply(const char *text) {
    static uint64_t said_ns;
    static unsigned unsaid;
    uint64_t now = uv_hrtime();
    unsaid++;
    if (said_ns && now - said_ns < LOG_PAUSE_NS)
        return;
    log_error("redis: %s (%u such replies)", text, unsaid);
    said_ns = now;
    unsaid = 0;
}

// That Redis takes no writes just now: kept for those who ask why. Without the script's name, which is of no use to
// them.
static void complain(struct link *link, const char *text) {
    const char *end = strstr(text, " script: ");
    size_t len = end ? (size_t)(end - text) : strlen(text);
    if (link->state != LINK_READY)
        return;
    snprintf(link->complaint, sizeof link->complaint, "%.*s", (int)(len < TROUBLE_SIZE ? len : TROUBLE_SIZE), text);
    link->complained_ms = uv_now(link->loop);
    log_error_reply(link->complaint);
}

const char *link_complaint(const struct link *link, uint32_t within_ms) {
    bool holds = link->complaint[0] && link->state == LINK_READY;
    return holds && uv_now(link->loop) - link->complained_ms <= within_ms ? link->complaint : NULL;
}

static enum outcome error_outcome(struct link *link, const char *text, bool *ret_drop) {
    *ret_drop = false;
    metric_add(METRIC_REDIS_ERRORS, 1);
    if (link_is_refusal(text)) {
        if (link->hooks.on_refusal)
            link->hooks.on_refusal(link->hooks.context, text);
        return UNAVAILABLE;
    }
    for (size_t i = 0; i < sizeof error_meanings / sizeof *error_meanings; i++)
        if (strncmp(text, error_meanings[i].prefix, strlen(error_meanings[i].prefix)) == 0) {
            *ret_drop = error_meanings[i].drop;
            if (error_meanings[i].outcome == UNAVAILABLE && !*ret_drop)
                complain(link, text);
            return error_meanings[i].outcome;
        }
    return INTERNAL;
}

// Redis lacks the script (restarted, flushed): load it and send the same command again behind it, once.
static bool load_and_repeat(struct link *link, struct pending *pending) {
    const struct script_source *script = &script_sources[pending->script];
    struct command load;
    if (link->count + 2 > link->room)
        return false;
    command_init(&load);
    command_add_text(&load, "SCRIPT");
    command_add_text(&load, "LOAD");
    command_add(&load, (struct bytes){script->at, (size_t)(script->end - script->at)});
    bool loads = write_call(link, pending_of(link, NULL, -1), &load);
    command_release(&load);
    if (!loads || !buffer_reserve(&link->out, pending->again_len)) {
        link->out.failed = false; // nothing was appended: what is in the buffer is whole
        return false;
    }
    buffer_add(&link->out, pending->again, pending->again_len);
    remember(link,
             (struct pending){
                 .call = pending->call, .deadline_ms = pending->deadline_ms, .script = -1, .read = pending->read});
    return true;
}

static void answer(struct link *link, struct pending pending, redisReply *reply) {
    bool drop = false, error = reply->type == REDIS_REPLY_ERROR;
    if (error && pending.script >= 0 && pending.call && strncmp(reply->str, "NOSCRIPT", 8) == 0 &&
        load_and_repeat(link, &pending)) {
        free(pending.again);
        freeReplyObject(reply);
        return;
    }
    enum outcome outcome = error ? error_outcome(link, reply->str, &drop) : OK;
    if (outcome == INTERNAL)
        log_error_reply(reply->str);
    if (outcome == OK && link->complaint[0] && script_takes_writes(pending.script))
        link->complaint[0] = '\0'; // it takes writes again
    if (drop)
        link_drop(link, reply->str);
    struct link_call *call = pending.call;
    forget(&pending);
    if (!call) {
        freeReplyObject(reply);
        return;
    }
    call->outcome = outcome;
    call->reply = reply;
    call->on_reply(call);
}

// ["message", channel, text]: nobody's answer.
static bool is_message(const redisReply *reply) {
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 && reply->element[0]->type == REDIS_REPLY_STRING &&
           strcmp(reply->element[0]->str, "message") == 0;
}

void pending_take_replies(struct link *link) {
    while (link->reader) {
        void *reply = NULL;
        bool good = redisReaderGetReply(link->reader, &reply) == REDIS_OK;
        if (good && reply && link->hooks.on_message && is_message(reply)) {
            freeReplyObject(reply);
            link->hooks.on_message(link->hooks.context);
            continue;
        }
        if (!good || (reply && link->count == 0)) {
            freeReplyObject(reply);
            link_drop(link, "reply that is not Redis's protocol");
            return;
        }
        if (!reply)
            return;
        struct pending pending = *pending_at(link, 0);
        link->ring[link->head].again = NULL;
        link->head = (link->head + 1) & (link->room - 1);
        link->count--;
        link->reads -= pending.read;
        link->expired -= link->expired > 0;
        answer(link, pending, reply);
        if (link->state == LINK_CLOSING)
            return;
    }
}
