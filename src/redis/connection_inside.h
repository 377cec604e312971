// SPDX-License-Identifier: MIT
// The struct of a connection, which connection.c and pending.c share. No other file includes it.
#pragma once
#include "base/keyed.h"
#include "redis/connection.h"
#include "redis/tls.h"

#define REDIS_STATES(X)                                                                                                \
    X(REDIS_STATE_WAITING, "waiting")                                                                                  \
    X(REDIS_STATE_RESOLVING, "resolving")                                                                              \
    X(REDIS_STATE_CONNECTING, "connecting")                                                                            \
    X(REDIS_STATE_TLS, "in the TLS handshake")                                                                         \
    X(REDIS_STATE_HANDSHAKE, "in handshake")                                                                           \
    X(REDIS_STATE_READY, "ready")                                                                                      \
    X(REDIS_STATE_CLOSING, "closing")                                                                                  \
    X(REDIS_STATE_STOPPED, "stopped")

enum redis_state {
#define STATE(name, text) name,
    REDIS_STATES(STATE)
#undef STATE
};

// A command that Redis has not answered yet. Without a `call` its reply is abandoned: it is thrown away when it comes.
struct pending {
    struct redis_call *call;
    uint64_t deadline_ms; // uv_now
    uint64_t sent_ns;     // clock_mono_ns, of the turn in which it was sent
    struct held *kept; // its bytes: of an EVALSHA, in case Redis lacks the script; in a Cluster of each call. Or NULL
    int script;
    bool read, write; // it counts as a read; it is a caller's write (struct command)
    bool before;      // it only says something of the next one
    bool moved;       // it was refused before: its deadline may be before that of the one before it
};

struct redis_connection {
    uv_loop_t *loop;
    struct address address;
    struct redis_hooks hooks;
    enum redis_state state;
    uint32_t changes; // of its being ready
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
    struct tls *tls;            // NULL: there is none
    struct buffer out, writing; // the commands of this turn; those that the kernel has not taken yet
    struct host_port looked_up; // what is being resolved
    bool writing_now, resolving, stopping, refuses_writes;
    uint64_t sent_ns; // of the commands in `out`; 0: no clock was read for them
    uint32_t timeout_ms, back_off_ms;
    uint64_t retry_at_ms, deadline_ms, heard_at_ms;
    // The queue: a ring of `capacity` (a power of two) with `count` commands from `head` on. The first `expired` of
    // them are abandoned replies.
    struct pending *ring;
    uint32_t capacity, head, count, expired, queue_max;
    uint32_t moved;            // how many of the commands are such
    uint32_t reads, reads_max; // how many of the commands are reads, and how many may be
    struct held *held, **held_end;
    uint32_t held_count;
    struct redis_call *failed, **failed_end; // ended without a reply; on_reply runs at the end of the turn
    char trouble[TROUBLE_SIZE];              // why it was dropped last; empty: ready since then
    char complaint[TROUBLE_SIZE];            // the last error with which the right Redis refused a call
    uint64_t complained_ms;
    char label[HOST_SIZE + 16]; // in log lines: "redis", or "redis host:port" for a node of a Cluster
    // confirm.c: the second connection, for writes. `first` of it is the other one.
    struct redis_connection *first, *writes;
    struct redis_call *answered, **answered_end; // writes that Redis has answered, but replicas have not
    bool unwaited, waiting;                      // writes were sent since the last WAIT; one is under way
    struct redis_call wait;
    uint32_t replicas, waited_for; // how many must have a write; how many the WAIT under way asks for
    int handles;
    void (*on_stopped)(void *context);
    void *stopped_context;
};

// connection.c
void redis_set_state(struct redis_connection *redis, enum redis_state state);
void redis_close_own_handles(struct redis_connection *redis);

// connection_open.c
void redis_connect_now(struct redis_connection *redis);
void redis_begin_handshake(struct redis_connection *redis); // the owner's

// connection_tls.c
void connection_tls_start(struct redis_connection *redis);
void connection_tls_take(struct redis_connection *redis, struct bytes sealed); // what was read
bool connection_tls_seal(struct redis_connection *redis); // `out` into `writing`; false: it was dropped
void connection_tls_end(struct redis_connection *redis);

// connection_io.c
bool redis_read_start(struct redis_connection *redis);                      // false: not possible
void redis_take_replies(struct redis_connection *redis, struct bytes read); // bytes of Redis, without TLS
void redis_write_out(struct redis_connection *redis); // what the kernel takes now; the rest as soon as it does

// pending.c
bool pending_init(struct redis_connection *redis, uint32_t queue_max);
void pending_release(struct redis_connection *redis);
void pending_take_replies(struct redis_connection *redis);
// Ends the calls that have timed out. True while the oldest command has passed its deadline.
bool pending_expire(struct redis_connection *redis, uint64_t now_ms);
void pending_fail_all(struct redis_connection *redis);
void pending_send_held(struct redis_connection *redis); // as many as have room

redisReader *bounded_reader_new(void); // bounded_reader.c. NULL without memory
bool pending_add(struct redis_connection *redis, struct redis_call *call, const struct command *command);

// failed_calls.c
void pending_fail_later(struct redis_connection *redis, struct redis_call *call, enum outcome outcome);
void pending_tell_failed(struct redis_connection *redis);

// confirm.c, for the second connection.
void confirm_init(struct redis_connection *redis);
void confirm(struct redis_connection *writes, struct redis_call *call); // it is told when replicas have it
void confirm_end_turn(struct redis_connection *writes);                 // sends a WAIT if one is due
void confirm_fail(struct redis_connection *redis);

// error_replies.c. *ret_drop: this is no longer the right Redis.
enum outcome error_reply_outcome(struct redis_connection *redis, const char *text, bool *ret_drop);
void error_reply_log(const struct redis_connection *redis, const char *text);     // at most once in ten seconds
void error_complain(struct redis_connection *redis, const char *text, bool logs); // redis_complaint
void error_complain_no_more(struct redis_connection *redis);                      // it takes writes again
