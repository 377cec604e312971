// SPDX-License-Identifier: MIT
// One connection to one Redis: calls go out in order, pipelined; answers come back in order.
//
// A call is answered exactly once, never before redis_send has returned: with a reply, or with an outcome when Redis is
// away or the deadline has passed. At a deadline the call is answered and a tombstone stays in the queue for its late
// reply; the connection is dropped only when Redis is silent as a whole, and then every pending call is UNAVAILABLE at
// once. It is made again with back-off (50 ms doubling to 5 s, with jitter), greeted (store/handshake.c), then ready.
#pragma once
#include "base/outcome.h"
#include "redis/address.h"
#include "redis/command.h"
#include <hiredis/hiredis.h>
#include <uv.h>

struct redis;

enum { TROUBLE_SIZE = 160 }; // of a text that says why

struct redis_call {
    void (*on_reply)(struct redis_call *call);
    // Results.
    enum outcome outcome; // OK: there is a reply, and it is no error
    redisReply *reply;    // the call's own: on_reply frees it or keeps it (freeReplyObject takes a NULL)
    // The connection's own.
    struct redis_call *next;
};

struct redis_hooks {
    void (*on_connected)(void *context); // greet now, with redis_send_early; then redis_ready or redis_drop
    void (*on_turn)(void *context);      // the end of a loop turn, before commands are written
    void (*on_refusal)(void *context, const char *text); // Redis refuses a command, not this call of it; may be NULL
    void (*on_message)(void *context); // of a channel; a connection with this hook only listens, and logs nothing
    void *context;
};

// Begins to connect. `address` and `hooks` are copied; NULL without memory.
struct redis *redis_start(uv_loop_t *loop, const struct address *address, uint32_t timeout_ms, uint32_t queue_max,
                          const struct redis_hooks *hooks);
// Every pending call gets UNAVAILABLE; `on_stopped` when no handle is open, the connection is freed after it.
void redis_stop(struct redis *redis, void (*on_stopped)(void *context), void *context);
// `script`: index into script_sources when the command is an EVALSHA of it, else -1. After a NOSCRIPT the script is
// loaded and the command sent again.
void redis_send(struct redis *redis, struct redis_call *call, const struct command *command, int script);
// The same for a read: reads take up at most three quarters of the queue, in commands, so that there is always room for
// writes. One that finds no room is held and sent when there is, in order; its deadline runs from here.
void redis_send_read(struct redis *redis, struct redis_call *call, const struct command *command, int script);
// A write that is held, like a read, rather than refused when the queue is full.
void redis_send_patient(struct redis *redis, struct redis_call *call, const struct command *command, int script);
void redis_send_early(struct redis *redis, struct redis_call *call, const struct command *command); // while handshake
void redis_extend_handshake(struct redis *redis); // the next part of the handshake has as long as the first
void redis_ready(struct redis *redis);
// Writes of callers (script_takes_writes) are UNAVAILABLE at once, or taken again.
void redis_refuse_writes(struct redis *redis, bool refuse);
// Whether an error says that the command is not allowed to this user, or not known to this Redis.
bool redis_is_refusal(const char *error);
void redis_drop(struct redis *redis, const char *why);
bool redis_is_ready(const struct redis *redis);
const char *redis_trouble(const struct redis *redis); // why it was dropped last, else its state; while it is not ready
// What it said when it refused calls (no memory, no disk, a script that runs for ever), not longer ago; else NULL.
const char *redis_complaint(const struct redis *redis, uint32_t within_ms);
