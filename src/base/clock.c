// SPDX-License-Identifier: MIT
// CLOCK_MONOTONIC plus an offset that all processes of the machine share.
#include "base/clock.h"
#include <time.h>

static int64_t own_offset_ms; // 0: not set yet
static int64_t *offset_ms = &own_offset_ms;
static int64_t latest_ms; // never answered less

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

int64_t clock_now_ms(void) {
    int64_t offset = __atomic_load_n(offset_ms, __ATOMIC_RELAXED);
    if (offset == 0) {
        offset = milliseconds(CLOCK_REALTIME) - milliseconds(CLOCK_MONOTONIC);
        __atomic_store_n(offset_ms, offset, __ATOMIC_RELAXED);
    }
    int64_t now = milliseconds(CLOCK_MONOTONIC) + offset;
    if (now > latest_ms)
        latest_ms = now;
    return latest_ms;
}

void clock_set(int64_t unix_ms) {
    __atomic_store_n(offset_ms, unix_ms - milliseconds(CLOCK_MONOTONIC), __ATOMIC_RELAXED);
}

void clock_share(int64_t *shared_offset_ms) {
    offset_ms = shared_offset_ms;
}
