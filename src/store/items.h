// SPDX-License-Identifier: MIT
// What the writes of one item share (items.c, delete.c, import_write.c): their beginning and end, and the arguments
// that their scripts have in common.
#pragma once
#include "store/store_inside.h"
#include "store/writes.h"

struct item_write {
    struct redis_call call; // first: the connection's view of it
    struct store *store;
    struct item_call *item;
    // Of a deletion.
    struct read_call wait;
    int64_t asked_ms;
    bool hidden, whole;
    // Of an import.
    bool has_card;
    struct bytes views, visitors;
    struct buffer sums, sums_now; // the sums as they were read, and the new ones
    int64_t gap_ms;
};

// NULL without memory: the call ends at the end of the turn.
struct item_write *item_write_begin(struct store *store, struct item_call *call, void (*on_reply)(struct redis_call *));
void item_write_end(struct item_write *write, enum outcome outcome);

// These add keys and arguments to store->command.
void add_put_keys(struct store *store, const struct item_call *call); // item, card, log, version of the sums, newest
void add_newest_key(struct store *store, const struct item_call *call, uint32_t partition);
void add_card(struct store *store,
              const struct item_call *call); // all arguments from the accept time to the number of newest cards
void add_identity(struct store *store, const struct item_call *call); // id, name, reference
void add_next_version(struct store *store);                           // a random one: see version_new
