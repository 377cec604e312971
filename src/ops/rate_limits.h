// SPDX-License-Identifier: MIT
// Rate limits by GCRA, shared by all processes of one service without a lock.
//
// A bucket is one number, the theoretical arrival time: the time when it will be empty. All buckets are in a table of
// fixed size in memory that the processes share, like the metrics. An empty bucket needs no slot, so another key takes
// its slot. The table holds only hashes of keys. Their hash key is made at the start, is never written, and gives other
// hashes every day.
//
// Lessons (views that add to co-views) have a table of their own, because some hundred new pairs a second would push
// the buckets out. It has counters of one byte, two for each key; the lesser is right or too high. It is emptied each
// hour.
#pragma once
#include "base/bytes.h"
#include <stdint.h>

struct rate_limit {
    uint64_t each_ns;  // one charge adds this
    uint64_t whole_ns; // how much the bucket holds; 0: there is no limit
};

// `per_minute` on average (0: no limit), `burst` at once (0: the number per minute).
struct rate_limit rate_limit_of(int64_t per_minute, int64_t burst);

// The part of each limit that this machine allows: the setting limits_share.
struct limits_share {
    uint32_t part, whole;
};

// "1", or a fraction such as "1/3" that is above 0 and at most 1.
bool limits_share_parse(struct bytes text, struct limits_share *ret_share);
// The average is exactly the part. At once it is the part rounded down, but at least one: else nothing would pass.
struct rate_limit rate_limit_share(struct rate_limit rate_limit, struct limits_share share);
// The part of a whole number: rounded down, but at least one; 0 stays 0.
int64_t limits_share_of(int64_t number, struct limits_share share);

// An fd of a memfd, or -1. Called before fork and exec.
int rate_limits_create(void);
// Maps the table. With -1 or a table of another form the process has a table of its own. False without memory.
bool rate_limits_attach(int fd);

// The key of the bucket of `who` for one class of calls, on one day.
uint64_t rate_limit_key(char class, struct bytes who, int64_t unix_ms);
// Charges the bucket once: 0. When it is full nothing changes, and the result is the nanoseconds until it has room.
uint64_t rate_limit_take(struct rate_limit rate_limit, uint64_t key, uint64_t now_ns);
// Counts the key once more in the present hour. False: it has `max` already (255 at most).
bool lesson_take(uint64_t key, int64_t max, uint64_t now_ns);
