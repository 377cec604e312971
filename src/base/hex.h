// SPDX-License-Identifier: MIT
// Bytes as hex digits, for packed data within text.
#pragma once
#include "base/arena.h"
#include "base/buffer.h"

// The 16 digits of a number, the highest first.
enum { HEX_DIGITS = 16 };
void hex_of_u64(uint64_t value, char ret_digits[static HEX_DIGITS]);
void hex_add(struct buffer *buffer, struct bytes data);
// Into the arena; false for an odd number of digits, anything else than digits, or without memory.
bool hex_read(struct bytes text, struct arena *arena, struct bytes *ret_data);
