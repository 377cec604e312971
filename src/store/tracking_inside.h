// SPDX-License-Identifier: MIT
// What the files of tracking share. tracking.c: counters, sessions, signs of life, states. tracking_handshake.c: how
// the two connections agree.
#pragma once
#include "store/store_inside.h"
#include <stddef.h>

enum { TRACKING_SLOTS = 1 << 17, RUN_ID_SIZE = 48 };

struct tracking {
    struct store *store;
    struct redis_connection *listener, *reader;
    uv_timer_t timer;
    int open_parts; // while stopping
    void (*on_closed)(struct store *store);

    // The handshake.
    struct redis_call login, server, client_id, subscribe; // on the listener
    struct redis_call track, caching, same;                // on the reader, for a session
    uint32_t waiting;                                      // answers of the reader that are due
    uint32_t read_by;         // redis_number of the reader to whose Redis the listener has connected
    uint32_t heard_by;        // that of the listener to which Redis is to send
    char run_id[RUN_ID_SIZE]; // of the listener's Redis; empty: not known
    int64_t listener_id;      // CLIENT ID there
    bool refused;             // by the Redis of this connection
    bool told;                // the operator knows: it was logged

    // The session.
    uint32_t session, sessions; // 0: there is none; how many there were
    uint32_t counts[TRACKING_SLOTS];

    // Signs of life, by the loop's clock.
    struct redis_call sign, readers_sign;
    uint32_t signs;     // answers that are due
    uint64_t sign_ms;   // when they were asked for; 0: one was not good
    uint64_t proven_ms; // of the last ones that both have answered
    uint64_t wanted_ms; // when somebody asked about a state last
};

// Whose member the call is.
#define TRACKING_OF(call, member) ((struct tracking *)(void *)((char *)(call)-offsetof(struct tracking, member)))

static inline bool is_error(const struct redis_call *call) {
    return call->reply && call->reply->type == REDIS_REPLY_ERROR;
}

// tracking.c: begins a session, when both connections have agreed.
void tracking_begin_session(struct tracking *tracking);
// This Redis will not do it: nothing is asked again until the listener has connected anew. Logged once.
void tracking_refuse(struct tracking *tracking, const char *why);

// tracking_handshake.c: hooks of the listener. It connects to the Redis that is read, so it waits until that is ready.
const char *tracking_on_connecting(void *context, struct address *address);
void tracking_on_connected(void *context);
// When the listener is ready: asks on the reader that changes are sent to it. A session follows if all goes well.
void tracking_ask(struct tracking *tracking);
