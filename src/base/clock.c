// SPDX-License-Identifier: MIT
// CLOCK_MONOTONIC plus an offset that all processes of the machine share.
#include "base/clock.h"
#include <stdbool.h>
#include <time.h>

static int64_t own_offset_ms; // 0: Redis has not said the time yet …
static int64_t guessed_ms;    // … then it is what CLOCK_REALTIME said first
static int64_t *offset_ms = &own_offset_ms;
static int64_t latest_ms;                           // the last answer
static int64_t doubted_offset_ms, doubted_since_ms; // a step that Redis has told and that is not believed yet; 0: none

static int64_t milliseconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

uint64_t clock_mono_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int64_t magnitude(int64_t ms) {
    return ms < 0 ? -ms : ms;
}

static int64_t offset_now(void) {
    int64_t offset = __atomic_load_n(offset_ms, __ATOMIC_RELAXED);
    if (offset)
        return offset;
    if (!guessed_ms)
        guessed_ms = milliseconds(CLOCK_REALTIME) - milliseconds(CLOCK_MONOTONIC);
    return guessed_ms;
}

int64_t clock_now_ms(void) {
    int64_t now = milliseconds(CLOCK_MONOTONIC) + offset_now();
    if (now > latest_ms || latest_ms - now > CLOCK_STEP_MS)
        latest_ms = now;
    return latest_ms;
}

// Whether Redis has told a step of this size for long enough.
static bool step_lasts(int64_t offset, int64_t mono_ms) {
    if (!doubted_offset_ms || magnitude(offset - doubted_offset_ms) > CLOCK_STEP_MS) {
        doubted_offset_ms = offset;
        doubted_since_ms = mono_ms;
    }
    return mono_ms - doubted_since_ms >= CLOCK_STEP_LASTS_MS;
}

// The first time that a service hears from Redis: its machine's clock may be years wrong, and other services on this
// Redis use Redis's clock.
static bool is_first(void) {
    return offset_ms != &own_offset_ms && __atomic_load_n(offset_ms, __ATOMIC_RELAXED) == 0;
}

enum clock_heard clock_set(int64_t least_ms, int64_t most_ms) {
    int64_t before = offset_now(), offset = before < least_ms ? least_ms : before > most_ms ? most_ms : before;
    bool steps = magnitude(offset - before) > CLOCK_STEP_MS;
    if (steps && !is_first() && !step_lasts(offset, milliseconds(CLOCK_MONOTONIC)))
        return CLOCK_DOUBTED;
    doubted_offset_ms = 0;
    __atomic_store_n(offset_ms, offset, __ATOMIC_RELAXED);
    return steps ? CLOCK_STEPPED : CLOCK_FOLLOWED;
}

void clock_share(int64_t *shared_offset_ms) {
    offset_ms = shared_offset_ms;
}
