// SPDX-License-Identifier: MIT
// Asks Sentinels for the master of a name, and says where the connection to the data goes (sentinel.h chooses).
//
// Each Sentinel has a connection of its own. In a round all of them are asked; it ends when more than half agree, when
// all have answered, or after 300 ms. Only answers of the round count, so a Sentinel that is away has no say. While the
// data is served, one Sentinel a second is asked by turns, and an answer that differs begins a round. While it is not,
// there is a round four times a second, and each attempt to connect waits for the end of one.
//
// Without an answer no connection is made, because a master that returns after a failover takes writes for some seconds
// which are then lost. A connection that is there stays.
//
// Sentinels that others name are asked too. They are given up when nobody has heard of them for a minute; those of the
// setting stay. The router owns the watch.
#pragma once
#include "redis/address.h"
#include <uv.h>

struct sentinel_watch;

struct sentinel_watch_hooks {
    // True while there is a connection to the data that is ready.
    bool (*is_served)(void *context);
    // The Sentinels name another master than before: leave the old one, and connect at once.
    void (*on_master)(void *context);
    void *context;
};

// `address` is of sentinel://. NULL without memory.
struct sentinel_watch *sentinel_watch_start(uv_loop_t *loop, const struct address *address,
                                            const struct sentinel_watch_hooks *hooks);
void sentinel_watch_stop(struct sentinel_watch *watch, void (*on_stopped)(void *context), void *context);
// For an attempt to connect. Returns NULL, and *address is that of the master; or why it is not known yet.
const char *sentinel_watch_find(struct sentinel_watch *watch, struct address *address);
