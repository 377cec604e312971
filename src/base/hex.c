// SPDX-License-Identifier: MIT
// Lower-case out, either case in.
#include "base/hex.h"

void hex_add(struct buffer *buffer, struct bytes data) {
    static const char digits[] = "0123456789abcdef";
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
