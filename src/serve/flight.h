// SPDX-License-Identifier: MIT
// Single flight: what many ask for is read once. One refresh is in flight at a time, and whoever asks meanwhile waits
// for its end. With refresh_interval 0 every asker wants a refresh that began after it came: whoever comes while one is
// in flight waits for the next.
//
// Two levels. `struct flight` is the rule alone: who waits for what; bodies (cached_body.c) use it, as their refreshes
// take turns. `struct shared` adds the value and its age; ranking snapshots (snapshot.c) and editorial rules
// (editorial_rules.c) are made of it. To add one: a struct that begins with `struct shared`, its `start`, a call of
// shared_done at the end.
#pragma once
#include "serve/lru.h"
#include <stdint.h>

struct flight_wait {
    struct flight_wait *next;
};
struct flight {
    bool in_flight;
    struct flight_wait *waits,
        *later; // for the end of this refresh (or of the next, if none is in flight); for another
};
// `joins`: a refresh that is in flight already is recent enough.
void flight_join(struct flight *flight, struct flight_wait *wait, bool joins);
// Who waited for the refresh that has ended. Who waits for another stays.
struct flight_wait *flight_end(struct flight *flight);

// A value: one piece of memory that begins with the number of its holders.
struct shared_value {
    uint32_t holders;
};
void value_hold(struct shared_value *value);
void value_release(struct shared_value *value); // NULL is fine

struct shared_wait {
    struct flight_wait wait;                                                // first
    void (*on_value)(struct shared_wait *wait, struct shared_value *value); // held for the callee; NULL: Redis is away
};
struct shared_fetch {
    struct lru_entry lru; // first
    struct serve *serve;
    bool (*start)(struct shared_fetch *shared); // begins to read; false: no memory. Else shared_done comes, later.
    struct flight flight;
    bool good;                  // the last refresh did not fail
    uint64_t began_ms;          // the last refresh, by uv_now
    struct shared_value *value; // NULL before the first
    size_t own_bytes;           // without the value
};
// Calls back, now or later. `shared` may be gone when it returns.
void shared_get(struct shared_fetch *shared, struct shared_wait *wait);
// The end of a refresh. `value`: one holder, of `bytes`, which is handed over; NULL: it failed.
void shared_done(struct shared_fetch *shared, struct shared_value *value, size_t bytes);
