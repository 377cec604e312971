// SPDX-License-Identifier: MIT
// Exponential decay without a clock: forward decay (Cormode, Shkapenyuk, Srivastava and Xu, "Forward decay", ICDE 2009)
// in log2. Pure.
//
// An event of weight w at time t is worth w·2^((t − now)/h) now; h is the half-life. What is stored is
// S = log2 Σ w·2^(t/h), with t in seconds since 2024-01-01. Sums sort by S as they do by their decayed values at any
// instant. S never overflows, and events may come late or out of order. An empty sum is DECAY_EMPTY: −infinity in
// memory, never written to JSON or Redis.
#pragma once
#include <math.h>
#include <stdint.h>

#define DECAY_EPOCH_MS INT64_C(1704067200000) // 2024-01-01T00:00:00Z
#define DECAY_EMPTY (-INFINITY)

// t/h of an event, h in milliseconds.
double decay_exponent(int64_t unix_ms, int64_t half_life_ms);
// S after one event (or one sum) of log2 weight a is added: max + log2(1 + 2^−|S−a|).
double decay_add(double sum, double a);
// S after one is taken back. The remainder never falls below 2^-30 of the sum (cancellation: docs/design.md);
// emptiness is for an integer count to decide, not for this.
double decay_take(double sum, double a);
// The decayed weight at `now`; always finite; 0 for an empty sum.
double decay_value(double sum, int64_t now_ms, int64_t half_life_ms);
