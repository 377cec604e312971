// SPDX-License-Identifier: MIT
// Single flight: what many requests need at one time is read from Redis once. One refresh is in flight at a time, and
// those that ask meanwhile wait for its end. With refresh_interval 0 a request must not get data from before it came,
// so it waits for a refresh that begins after it: those that come while one is in flight wait for the next.
//
// There are two levels:
//
// - `struct flight` has the two lists of waits alone. Bodies (cached_body.c) use it, as their refreshes take turns.
// - `struct shared_fetch` adds the value, its age and its place on the LRU list. Ranking snapshots (snapshot.c) and
//   editorial rules (editorial_rules.c) use it.
//
// To share another value: a struct that begins with struct shared_fetch; its `start`, which begins to read; and a call
// of shared_done at the end. The value begins with struct shared_value, which counts its holders.
#pragma once
#include "serve/lru.h"
#include <stdint.h>

struct flight_wait {
    struct flight_wait *next;
};
struct flight {
    bool in_flight;
    struct flight_wait *waits; // for the end of this refresh, or of the next if none is in flight
    struct flight_wait *later; // for the end of the refresh after it
};
// `joins`: the refresh that is in flight serves this wait too.
void flight_join(struct flight *flight, struct flight_wait *wait, bool joins);
// Ends the refresh; returns those that waited for it. Those that wait for a later one stay.
struct flight_wait *flight_end(struct flight *flight);

// A value is one allocation that begins with the number of its holders. The last release frees it; `drop`, if there is
// one, frees before what hangs on it.
struct shared_value {
    uint32_t holders;
    void (*drop)(struct shared_value *value);
    struct shared_fetch *of; // NULL: it has been replaced, or dropped by the LRU list
};
void value_hold(struct shared_value *value);
void value_release(struct shared_value *value); // NULL is fine
// So many bytes hang on it from now on. They count towards the bound of the LRU list.
void value_grow(struct shared_value *value, size_t bytes);

struct shared_wait {
    struct flight_wait wait; // first
    void (*on_value)(struct shared_wait *wait,
                     struct shared_value *value); // the callee holds it; NULL: it can't be read
};
struct shared_fetch {
    struct lru_entry lru; // first
    struct serve *serve;
    bool (*start)(struct shared_fetch *shared); // begins to read; then shared_done comes, later. False: no memory
    struct flight flight;
    bool good;                  // the last refresh did not fail
    uint64_t began_ms;          // of the last refresh, by uv_now
    struct shared_value *value; // NULL before the first
    size_t own_bytes;           // size without the value
};
void shared_release(struct shared_fetch *shared); // the value that it has; others may still hold it
// Calls back now or later. `shared` may be freed when it returns.
void shared_get(struct shared_fetch *shared, struct shared_wait *wait);
// Ends a refresh. Takes over `value`, which has one holder and `bytes` bytes; NULL: the refresh failed.
void shared_done(struct shared_fetch *shared, struct shared_value *value, size_t bytes);
