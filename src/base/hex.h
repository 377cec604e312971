// SPDX-License-Identifier: MIT
// Bytes as hex digits, for packed data within text.
#pragma once
#include "base/arena.h"
#include "base/buffer.h"

void hex_add(struct buffer *buffer, struct bytes data);
// Into the arena; false for an odd number of digits, anything else than digits, or without memory.
bool hex_read(struct bytes text, struct arena *arena, struct bytes *ret_data);
