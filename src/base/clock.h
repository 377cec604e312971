// SPDX-License-Identifier: MIT
// The service's clock: Unix milliseconds.
// It is CLOCK_MONOTONIC plus an offset. CLOCK_REALTIME gives the first offset; then Redis's TIME sets it (on connect
// and once a second), so that all instances agree. The offset is in memory that all processes of one machine share
// (clock_share). An answer that was long on its way says little about now, so the offset is moved only as far as the
// answer proves it wrong: what one late process hears turns nobody's clock back. When an offset would turn the clock
// back a little, the clock stops until time has caught up. A step of more than CLOCK_STEP_MS is believed only after
// Redis has told it for CLOCK_STEP_LASTS_MS. So a clock that jumps and comes back changes nothing, and one that was
// wrong for longer does not stop the clock. The first time that a whole service hears is believed at once.
#pragma once
#include <stdint.h>

enum { CLOCK_STEP_MS = 5000, CLOCK_STEP_LASTS_MS = 10000 };

// Milliseconds since 1970 by the service's clock. Never less than an earlier answer in this process, except after a
// believed step back.
int64_t clock_now_ms(void);
// Nanoseconds of CLOCK_MONOTONIC: for deadlines and for measuring.
uint64_t clock_mono_ns(void);
// How far Redis's clock is ahead of CLOCK_MONOTONIC, by its answer to TIME: at least, if it answered just before the
// answer was read, and at most, if it answered just after it was asked.
enum clock_heard { CLOCK_FOLLOWED, CLOCK_DOUBTED, CLOCK_STEPPED };
enum clock_heard clock_set(int64_t least_ms, int64_t most_ms);
// Use this shared int64 (0: not set yet) instead of the process's own offset.
void clock_share(int64_t *offset_ms);
