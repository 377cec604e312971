// SPDX-License-Identifier: MIT
// Rate limits: how often a thing may be done, by GCRA, shared by all processes of one service without a lock.
//
// A bucket is one number, the theoretical arrival time: when it will be empty. All are in a table of fixed size in
// memory that the processes share, like the metrics; a bucket that is empty needs no slot, so its slot is taken by
// whoever comes next. Who somebody is stands there only as a hash under a key that is made at the start, is written
// nowhere, and gives other hashes every day.
//
// Lessons have a table of their own, for at some hundred new pairs a second they would push the others out: counters of
// one byte, two for each key, of which the lesser is right or too high. It is emptied each hour.
#pragma once
#include "base/bytes.h"
#include <stdint.h>

struct rate_limit {
    uint64_t each_ns;  // what one adds to the bucket
    uint64_t whole_ns; // how much the bucket holds; 0: there is no limit
};

// `per_minute` on average, `burst` at once (0: as many as in a minute). per_minute 0: no limit.
struct rate_limit rate_limit_of(int64_t per_minute, int64_t burst);

// An fd of a memfd, or -1. Before fork and exec.
int rate_limits_create(void);
// Maps it; -1 or a table of another form: memory of this process alone. False without memory.
bool rate_limits_attach(int fd);

// The bucket of `who` in a class of things on one day.
uint64_t rate_limit_key(char class, struct bytes who, int64_t unix_ms);
// Puts one into the bucket: 0, or when it is full the nanoseconds until there is room, and nothing is changed.
// `now_ns` is CLOCK_MONOTONIC's, which all processes of a machine share.
uint64_t rate_limit_take(struct rate_limit rate_limit, uint64_t key, uint64_t now_ns);
// Counts one more of the key in the present hour; false: it has `most` already (255 at most).
bool lesson_take(uint64_t key, int64_t max, uint64_t now_ns);
