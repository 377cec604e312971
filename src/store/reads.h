// SPDX-License-Identifier: MIT
// The beginning and the end that all reads of this room share.
#pragma once
#include "redis/pipeline.h"
#include "store/store_inside.h"

// The first member of a read's own state, which the pipeline's context points to. read_end frees it.
struct read_state {
    struct store *store;
    struct read_call *call;
};

// NULL when there is nothing to ask (OK) or no memory (UNAVAILABLE): the call then ends at the end of the turn.
struct pipeline *read_begin(struct store *store, struct read_call *call, size_t commands, size_t state_size,
                            void (*on_all)(struct pipeline *));
void read_add(struct pipeline *pipeline);  // sends store->command
void write_add(struct pipeline *pipeline); // the same for a command that writes
void read_ask(struct pipeline *pipeline, const char *command, const struct key *key); // sends a command with one key
enum outcome read_outcome(const struct pipeline *pipeline);
// For a read of many partitions, each by commands of its own: OK when any partition has answered. Calls `on_away` for
// each other one. OVERLOADED when a command was not sent, because then our queue is at fault, not Redis.
enum outcome read_apart(const struct pipeline *pipeline, void (*on_away)(struct read_call *call, uint32_t partition));
void read_end(struct pipeline *pipeline, enum outcome outcome);
void read_fail(struct store *store, struct read_call *call);    // UNAVAILABLE at the end of the turn
void read_nothing(struct store *store, struct read_call *call); // OK at the end of the turn
