// SPDX-License-Identifier: MIT
// Reads a HyperLogLog in Redis's form: whether bytes from outside are one, before Redis reads them, and how many
// visitors are in it. Pure.
//
// 16 bytes of head ("HYLL", u8 encoding, 3 unused, u64 cached count), then 16,384 registers: dense, 6 bits each, or
// sparse, runs of three kinds (00xxxxxx: x + 1 zeros; 01xxxxxx yyyyyyyy: xy + 1 zeros; 1vvvvvxx: x + 1 of value v + 1)
// that make exactly as many.
#pragma once
#include "base/bytes.h"
#include <stdbool.h>
#include <stdint.h>

bool sketch_valid(struct bytes sketch);
// The number that PFCOUNT answers: the estimate of Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog
// sketches", 2017, as Redis computes it. PFCOUNT itself would be a command for each item, and one that writes:
// it keeps its answer in the key. False: not a sketch.
bool sketch_count(struct bytes sketch, uint64_t *ret_count);
