// SPDX-License-Identifier: MIT
// What connection.c and pending.c share: the connection's struct. Nobody else includes it.
#pragma once
#include "base/keyed.h"
#include "redis/connection.h"

#define REDIS_STATES(X)                                                                                                \
    X(REDIS_STATE_WAITING, "waiting")                                                                                  \
    X(REDIS_STATE_RESOLVING, "resolving")                                                                              \
    X(REDIS_STATE_CONNECTING, "connecting")                                                                            \
    X(REDIS_STATE_HANDSHAKE, "greeting")                                                                               \
    X(REDIS_STATE_READY, "ready")                                                                                      \
    X(REDIS_STATE_CLOSING, "closing")                                                                                  \
    X(REDIS_STATE_STOPPED, "stopped")

enum redis_state {
#define STATE(name, text) name,
    REDIS_STATES(STATE)
#undef STATE
};

// A command that Redis has not answered yet. `call` NULL: a tombstone, its reply is thrown away.
struct pending {
    struct redis_call *call;
    uint64_t deadline_ms; // uv_now
    char *again;          // an EVALSHA as it was sent, should the script be missing; else NULL
    size_t again_len;
    int script;
    bool read;
};

// A read that waits for room, as it will be sent.
struct held {
    struct held *next;
    struct redis_call *call;
    uint64_t deadline_ms;
    int script;
    bool read;
    size_t len;
    char bytes[];
};

struct redis {
    uv_loop_t *loop;
    struct address address;
    struct redis_hooks hooks;
    enum redis_state state;
    union {
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } peer;
    uv_connect_t connect;
    uv_getaddrinfo_t resolve;
    uv_write_t write;
    uv_timer_t sweep;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle;
    redisReader *reader;
    char *read_chunk;
    struct buffer out, writing; // commands of this turn; those that the kernel has not taken yet
    bool writing_now, resolving, stopping, refuses_writes;
    uint32_t timeout_ms, back_off_ms;
    uint64_t retry_at_ms, deadline_ms, heard_at_ms;
    // The queue: a ring of `room` (a power of two), `count` from `head`; the first `expired` of them are tombstones.
    struct pending *ring;
    uint32_t capacity, head, count, expired, queue_max;
    uint32_t reads, reads_max; // of the count, and how many of it reads may be
    struct held *held, **held_end;
    uint32_t held_count;
    struct redis_call *failed, **failed_end; // answered without a reply: to be told at the end of the turn
    char trouble[TROUBLE_SIZE];              // why it was dropped last; empty: it has been ready since
    char complaint[TROUBLE_SIZE];            // its last error that refused a call, though it is the right Redis
    uint64_t complained_ms;
    int handles;
    void (*on_stopped)(void *context);
    void *stopped_context;
};

bool pending_init(struct redis *redis, uint32_t queue_max);
void pending_release(struct redis *redis);
void pending_take_replies(struct redis *redis);
bool pending_expire(struct redis *redis, uint64_t now_ms); // true when the oldest is past its deadline
void pending_fail_all(struct redis *redis);
void pending_tell_failed(struct redis *redis);
void pending_send_held(struct redis *redis); // as many as there is room for
