// SPDX-License-Identifier: MIT
// The service's clock: Unix milliseconds that never step back.
// It is CLOCK_MONOTONIC plus an offset. Redis's TIME sets the offset (store/link.c, on connect and once a minute), so
// that all instances agree; a stepping wall clock changes nothing. The offset lives in memory that all processes of one
// machine share (clock_share). An offset that would turn the clock back is slewed: the clock stands still until time
// has caught up.
#pragma once
#include <stdint.h>

// Milliseconds since 1970 by the service's clock. Never less than an earlier answer in this process.
int64_t clock_now_ms(void);
// Nanoseconds of CLOCK_MONOTONIC: for deadlines and for measuring.
uint64_t clock_mono_ns(void);
// What Redis says the time is now.
void clock_set(int64_t unix_ms);
// Use this shared int64 (0: not set yet) instead of the process's own offset.
void clock_share(int64_t *offset_ms);
