// SPDX-License-Identifier: MIT
// One connection to one Redis. Commands are pipelined: they are sent in order, and replies come in the same order. The
// store (store/store.c) has one connection, and a second one that only listens: a projector for calls to wake up
// (store/wake.c), a worker for keys that change (store/tracking.h).
//
// A call ends exactly once, never before redis_send has returned: with a reply, or with an outcome when Redis is
// unreachable or the deadline has passed. Redis gives its replies no numbers, so the queue (pending.c) matches them by
// order. A call that times out therefore leaves an abandoned reply in the queue, which is thrown away when it comes.
//
// When Redis says nothing at all for the time-out, the connection is dropped and every pending call is UNAVAILABLE at
// once. It is made again after 50 ms, doubling up to 5 s, with jitter. Its owner then does the handshake
// (hooks.on_connected; store/handshake.c) and calls redis_ready.
#pragma once
#include "base/outcome.h"
#include "redis/address.h"
#include "redis/held.h"
#include <hiredis/hiredis.h>
#include <uv.h>

struct redis_connection;

enum { TROUBLE_SIZE = 160 }; // of a text that says why Redis does not serve us

struct redis_call {
    void (*on_reply)(struct redis_call *call);
    // Results.
    enum outcome outcome; // OK: there is a reply, and it is not an error
    redisReply *reply;    // the call's own: on_reply frees it or keeps it (freeReplyObject takes a NULL)
    bool unreplicated;    // of a write that is OK: no replica was there to wait for
    // The connection's own.
    struct redis_call *next;
};

struct redis_hooks {
    // Before each attempt to connect: sets *address if it is another than before. Returns NULL, or why it is not known
    // yet; then it is called again soon. May be NULL.
    const char *(*on_connecting)(void *context, struct address *address);
    // Do the handshake now with redis_send_early; then call redis_ready or redis_drop.
    void (*on_connected)(void *context);
    // A turn of the loop ends; commands that are sent here are still written in this turn.
    void (*on_turn)(void *context);
    // Callers' writes (command.write) get a connection of their own, which waits for replicas (confirm.c). Do its
    // handshake with redis_send_early on redis_writes(), then call redis_ready or redis_drop. NULL: there is one only.
    void (*on_writes_connected)(void *context);
    // Redis refuses a command to this user, whatever its arguments (redis_is_refusal). May be NULL.
    void (*on_refusal)(void *context, const char *text);
    // A message came on a channel: its third part. A connection with this hook only listens, and it logs nothing.
    void (*on_message)(void *context, const redisReply *content);
    // For a node of a Cluster; NULL: a Redis that stands alone. Redis has refused a call that it has not executed, and
    // says why. True: the hook has taken `held` and its call. `held` is NULL if the bytes of the call were not kept.
    bool (*on_refused)(void *context, struct held *held, const char *error);
    // The connection became ready, or is ready no more. May be NULL.
    void (*on_state)(void *context);
    void *context;
    bool driven; // its owner calls redis_begin_turn and redis_end_turn; then there is no on_turn
};

// Begins to connect. `address` and `hooks` are copied. NULL without memory.
struct redis_connection *redis_start(uv_loop_t *loop, const struct address *address, uint32_t timeout_ms,
                                     uint32_t queue_max, const struct redis_hooks *hooks);
// Every pending call is UNAVAILABLE. The connection calls `on_stopped` when all its handles are closed; it is freed by
// then.
void redis_stop(struct redis_connection *redis, void (*on_stopped)(void *context), void *context);
// Sends a command. When Redis does not know the script that it calls, the script is loaded and the command is sent
// again.
void redis_send(struct redis_connection *redis, struct redis_call *call, const struct command *command);
// Sends a read. Reads may take up three quarters of the queue, so there is always room for writes. A read that finds no
// room is held and sent later, in order; its deadline counts from this call.
void redis_send_read(struct redis_connection *redis, struct redis_call *call, const struct command *command);
// Sends a write. When the queue is full it is held like a read, not refused.
void redis_send_patient(struct redis_connection *redis, struct redis_call *call, const struct command *command);
// Sends a command of the handshake: only during the handshake.
void redis_send_early(struct redis_connection *redis, struct redis_call *call, const struct command *command);
// Gives the next part of the handshake a full time-out of its own.
void redis_extend_handshake(struct redis_connection *redis);
// Ends the handshake: from now on redis_send and the others are open.
void redis_ready(struct redis_connection *redis);
struct redis_connection *redis_writes(struct redis_connection *redis); // the second connection; NULL: there is none
// How many replicas must have a write before its call ends; 0: none is there. In the beginning it is 1.
void redis_set_replicas(struct redis_connection *redis, uint32_t replicas);
// While `refuse` is true, writes of callers (struct command) are UNAVAILABLE at once.
void redis_refuse_writes(struct redis_connection *redis, bool refuse);
// True for an error that says: this user may not call the command, or this Redis does not know it.
bool redis_is_refusal(const char *error);
// Closes the connection; it is made again after the back-off.
void redis_drop(struct redis_connection *redis, const char *why);
// Makes the next attempt to connect at once, and those after it after the shortest back-off.
void redis_hurry(struct redis_connection *redis);
bool redis_is_ready(const struct redis_connection *redis);
// A number that no other connection to this Redis had before; 0: it is not ready.
uint32_t redis_number(const struct redis_connection *redis);
bool redis_is_trying(const struct redis_connection *redis); // it connects, and has not failed to since it was ready
bool redis_is_idle(const struct redis_connection *redis);   // no call is under way
// Sends a call whose bytes were kept. False: not now (it is not ready, or has no room); `held` is still the caller's.
bool redis_send_held(struct redis_connection *redis, struct held *held);
// For a driven connection, in each turn of the loop, before the loop waits and after it: calls that have failed are
// told; what was sent is written. True: calls have failed since, so another turn is due at once.
void redis_begin_turn(struct redis_connection *redis);
bool redis_end_turn(struct redis_connection *redis);
// Why the connection is not ready: the reason of the last drop, else its state.
const char *redis_trouble(const struct redis_connection *redis);
// The error with which Redis refused calls (no memory, no disk, a script that never ends) within the last `within_ms`;
// NULL: none.
const char *redis_complaint(const struct redis_connection *redis, uint32_t within_ms);
