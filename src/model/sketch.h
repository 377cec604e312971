// SPDX-License-Identifier: MIT
// Checks that bytes from outside are a HyperLogLog in Redis's form, before Redis reads them. Pure.
//
// 16 bytes of head ("HYLL", u8 encoding, 3 unused, u64 cached count), then 16,384 registers: dense, 6 bits each, or
// sparse, runs of three kinds (00xxxxxx: x + 1 zeros; 01xxxxxx yyyyyyyy: xy + 1 zeros; 1vvvvvxx: x + 1 of value v + 1)
// that make exactly as many.
#pragma once
#include "base/bytes.h"
#include <stdbool.h>

bool sketch_valid(struct bytes sketch);
