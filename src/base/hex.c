// SPDX-License-Identifier: MIT
// Lower-case out, either case in.
#include "base/hex.h"

static const char digits[] = "0123456789abcdef";

// Eight digits at once, the highest in the lowest byte, as it lies in memory first.
static uint64_t digits_of(uint32_t half) {
    const uint64_t ONES = UINT64_C(0x0101010101010101);
    uint64_t at = __builtin_bswap32(half);
    at = (at | at << 16) & UINT64_C(0x0000ffff0000ffff);
    at = (at | at << 8) & UINT64_C(0x00ff00ff00ff00ff);
    at = (at >> 4 | at << 8) & (15 * ONES);
    return at + '0' * ONES + (((at + 6 * ONES) >> 4) & ONES) * ('a' - '0' - 10);
}

// Each key has one.
void hex_of_u64(uint64_t value, char ret_digits[static HEX_DIGITS]) {
    const uint64_t halves[] = {digits_of((uint32_t)(value >> 32)), digits_of((uint32_t)value)};
    memcpy(ret_digits, halves, sizeof halves);
}

void hex_add(struct buffer *buffer, struct bytes data) {
    for (size_t i = 0; i < data.len; i++) {
        uint8_t byte = (uint8_t)data.at[i];
        buffer_add_char(buffer, digits[byte >> 4]);
        buffer_add_char(buffer, digits[byte & 15]);
    }
}

static int digit_of(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_read(struct bytes text, struct arena *arena, struct bytes *ret_data) {
    char *at = arena_take(arena, text.len / 2 + 1);
    if (!at || text.len % 2)
        return false;
    for (size_t i = 0; i < text.len; i += 2) {
        int high = digit_of(text.at[i]), low = digit_of(text.at[i + 1]);
        if (high < 0 || low < 0)
            return false;
        at[i / 2] = (char)(high << 4 | low);
    }
    *ret_data = (struct bytes){at, text.len / 2};
    return true;
}
