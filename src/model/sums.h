// SPDX-License-Identifier: MIT
// The packed state of an item that the sums projection keeps: per signal (each kind of vote, and views) an event count,
// one decayed sum per half-life, and how many events were in which hour, day and month (series.h). The total of a site
// in a partition is packed in the same way. Pure.
//
// Packed (little-endian): u8 format (3; 4 with early visitors), u8 half-lives, u8 signals present, f64 epoch (of data
// format 2: accept time in ms of the deletion it was last cleared for; else 0), u64 half-life in ms each, then per
// signal present: u8 signal, u64 count, f64 sum per half-life; then, in format 4, u8 early visitors and u32 register
// each; then the series. A signal without events is left out. A half-life that the state lacks is computed from the
// nearest one, as if all events were at their mean instant; it never starts empty. Formats 1 and 2 are the same without
// series: they are read, and begin to count at the instant that series.h knows.
#pragma once
#include "base/buffer.h"
#include "model/decay.h"
#include "model/early.h"
#include "model/series.h"

enum { HALF_LIVES_MAX = 16 };

struct half_lives {
    uint32_t count;
    int64_t ms[HALF_LIVES_MAX]; // ascending
};

struct signal_sums {
    uint64_t count;
    double sum[HALF_LIVES_MAX]; // DECAY_EMPTY when count == 0
};

struct sums {
    double epoch_ms; // goes with the tombstones of format 2
    struct signal_sums signals[SIGNAL_COUNT];
    struct early_visitors early; // with views alone
    struct series series;        // last, because only a part of it is in use
};

void sums_clear(struct sums *sums);
void sums_add(struct sums *sums, const struct half_lives *lives, int signal, int64_t event_ms);
// Removes an event of that time; removing the last one leaves the signal exactly empty.
void sums_take(struct sums *sums, const struct half_lives *lives, int signal, int64_t event_ms);
void sums_pack(const struct sums *sums, const struct half_lives *lives, struct buffer *packed);
bool sums_empty(const struct sums *sums); // no event of any signal, and no bucket
// Whether all events of the signal can be before that instant: then no decayed sum at that instant exceeds their
// number.
bool sums_lie_before(const struct sums *sums, const struct half_lives *lives, int signal, int64_t unix_ms);
// False for an unknown format or a corrupt state (*ret_sums is empty then). Empty bytes are an empty state.
bool sums_unpack(struct bytes packed, const struct half_lives *lives, struct sums *ret_sums);
// Whether the state was packed with series; true for an empty one.
bool sums_have_series(struct bytes packed);
// Whether the state itself tells how many visitors there are: they are early (early.h), or there was no view. Else the
// sketch has to be asked. True for a corrupt state.
bool sums_tell_visitors(struct bytes packed);
