// SPDX-License-Identifier: MIT
// States that stay in a worker's memory for as long as Redis says that they are the same (CLIENT TRACKING).
//
// A worker listens on a second connection for the keys that have changed since it read them. For all items together it
// has one array of counters: each item has a slot by its reference, and whatever is said of one of its keys counts that
// slot up. A read takes the counter before it is sent (track_begin), and its state holds while the counter is the same
// (track_as_of). So a message that comes before the reply, one that comes later, and one of another item with the same
// slot are all one comparison. A session is the time in which nothing can have been missed: it ends when one of both
// connections drops, when Redis is emptied, and at a message that says nothing known. What was read before holds no
// more, and is as old as its read.
//
// That nothing was said proves nothing while the link stands still. So both connections are asked for a sign of life
// several times a second, and a state that holds is as old as the last question that both have answered: messages of
// before have come before the answer, and until then Redis knew for whom it watches keys.
//
// serve/item_cache.c and serve/table_cache.c keep such states. To track another kind: a letter in slot_of_key()
// (tracking.c), track_begin before its read, and command.tracked in it.
#pragma once
#include "store/item_states.h"
#include "store/store.h"

enum track_kind { TRACK_ITEM, TRACK_TABLE };

// Begins to listen, in a process that keeps states. Without memory nothing is tracked.
void store_track(struct store *store);
bool store_may_track(const struct settings *settings); // a Redis that is no Cluster
// Before a read is sent. Its session is 0 while Redis does not tell what changes.
struct track track_begin(const struct store *store, ref_t item, enum track_kind kind);
// From when the state is that was read at `read_ms`; it may be later than that.
uint64_t track_as_of(struct store *store, const struct track *track, uint64_t read_ms);
