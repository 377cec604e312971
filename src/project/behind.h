// SPDX-License-Identifier: MIT
// The partitions that are left behind: their Redis does not answer as it should, so the others go on without them.
//
// One table for both engines of a projector: a row per partition. An engine that meets a failure calls behind_leave and
// leaves the partition out of its rounds: what entries change there is missed, and no offset moves over such an entry
// (engine.h). While a partition is left behind, the table asks it again and again whether it answers and takes writes.
// When it does, the row is cleared. Each engine sees that at its next round and begins again at the stored offsets; the
// applied ids say what each partition has already.
//
// projector.c owns the table. Its calls may be under way between two rounds and while the projector stops.
#pragma once
#include "store/projection.h"

struct behind_row {
    struct behind *behind;
    uint32_t partition;
    bool is, asking;  // it is left behind; it is being asked
    uint32_t tries;   // how often it has failed since it last went well
    uint64_t next_ns; // when it is asked next; once it answers: until when it is doubted
    double since_ms;  // when it was left behind
    struct read_call call;
};

struct behind {
    struct store *store;
    uint32_t partitions, count, asking;
    struct behind_row *rows;
    void (*on_idle)(void *context); // set by behind_stop
    void *idle_context;
};

bool behind_init(struct behind *behind, struct store *store, uint32_t partitions);
void behind_release(struct behind *behind); // not while a partition is asked
static inline bool behind_is(const struct behind *behind, uint32_t partition) {
    return behind->rows[partition].is;
}
// `who` has met a failure of the partition.
void behind_leave(struct behind *behind, uint32_t partition, const char *who);
// Asks those whose time has come. Call it now and then.
void behind_ask(struct behind *behind);
// A round went well: partitions that have answered for some time are no longer doubted.
void behind_well(struct behind *behind);
// Forgets all rows, because no partition answers, or another process projects.
void behind_clear(struct behind *behind);
// Since when entries may wait for a partition that is left behind; 0: none is.
double behind_since_ms(const struct behind *behind);
// Asks no more. `on_idle` fires when nothing is under way, perhaps before this returns.
void behind_stop(struct behind *behind, void (*on_idle)(void *context), void *context);
