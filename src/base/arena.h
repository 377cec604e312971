// SPDX-License-Identifier: MIT
// Memory with the lifetime of one request: many takes, one reset, a cap from birth.
// The first block is kept over a reset, so a busy connection allocates nothing. Under AddressSanitizer a reset poisons
// it.
#pragma once
#include "base/bytes.h"
#include <stdbool.h>
#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks;
    size_t taken;
    size_t cap;
    bool lacking; // memory was asked for and not there
};

void arena_init(struct arena *arena, size_t cap);
// `len` bytes aligned for anything, zeroed; NULL past the cap or without memory.
void *arena_take(struct arena *arena, size_t len);
// A copy of `source` that ends in a NUL (not counted); {NULL, 0} on failure.
struct bytes arena_copy(struct arena *arena, struct bytes source);
// All takes become invalid.
void arena_reset(struct arena *arena);
void arena_release(struct arena *arena);
