// SPDX-License-Identifier: MIT
// Runs of bytes: compares, numbers, UTF-8.
#include "base/bytes.h"

bool bytes_eq_nocase(struct bytes a, struct bytes b) {
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        unsigned char folded = (unsigned char)a.at[i] | 0x20, differs = (unsigned char)(a.at[i] ^ b.at[i]);
        if (differs && (differs != 0x20 || folded < 'a' || folded > 'z'))
            return false;
    }
    return true;
}

bool bytes_starts(struct bytes whole, struct bytes start) {
    return whole.len >= start.len && (start.len == 0 || memcmp(whole.at, start.at, start.len) == 0);
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

struct bytes bytes_trim(struct bytes whole) {
    while (whole.len && is_blank(whole.at[0]))
        whole.at++, whole.len--;
    while (whole.len && is_blank(whole.at[whole.len - 1]))
        whole.len--;
    return whole;
}

bool bytes_to_u64(struct bytes text, unsigned long long max, unsigned long long *ret_value) {
    unsigned long long value = 0;
    if (text.len == 0)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        unsigned digit = (unsigned)(text.at[i] - '0');
        if (value > max / 10 || value * 10 > max - digit)
            return false;
        value = value * 10 + digit;
    }
    *ret_value = value;
    return true;
}

struct bytes bytes_of_int(int64_t value, char capacity[static DECIMAL_SIZE]) {
    char *const end = capacity + DECIMAL_SIZE, *at = end;
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
    do
        *--at = (char)('0' + rest % 10);
    while (rest /= 10);
    if (value < 0)
        *--at = '-';
    return (struct bytes){at, (size_t)(end - at)};
}

// Reads one character that is not ASCII; 0 when the bytes are no valid UTF-8, else how many bytes it takes.
static size_t utf8_next(const uint8_t *at, size_t len, uint32_t *ret_code) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t code = at[0];
    size_t size = (code & 0xe0) == 0xc0 ? 2 : (code & 0xf0) == 0xe0 ? 3 : (code & 0xf8) == 0xf0 ? 4 : 0;
    if (size == 0 || size > len)
        return 0;
    code &= 0x7fu >> size;
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (at[i] & 0x3f);
    }
    if (code < least[size] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    *ret_code = code;
    return size;
}

// Eight bytes that are all ASCII and no controls. A byte that is less than 0x20 borrows, one of 0x7f overflows.
static bool are_plain(const uint8_t *at) {
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t eight;
    memcpy(&eight, at, sizeof eight);
    return ((eight | (eight - 0x20 * ones) | (eight + ones)) & (0x80 * ones)) == 0;
}

bool bytes_are_text(struct bytes text) {
    const uint8_t *at = (const uint8_t *)text.at, *end = at + text.len;
    while (at < end) {
        if (end - at >= 8 && are_plain(at)) {
            at += 8;
            continue;
        }
        if (*at < 0x80) {
            if (*at < 0x20 || *at == 0x7f)
                return false;
            at++;
            continue;
        }
        uint32_t code;
        size_t size = utf8_next(at, (size_t)(end - at), &code);
        if (size == 0 || code <= 0x9f)
            return false;
        at += size;
    }
    return true;
}

size_t bytes_characters(struct bytes text) {
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += ((unsigned char)text.at[i] & 0xc0) != 0x80;
    return count;
}

static bool is_white_or_control(uint32_t code) {
    return code <= 0x20 || (code >= 0x7f && code <= 0xa0) || code == 0x1680 || (code >= 0x2000 && code <= 0x200a) ||
           code == 0x2028 || code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
}

size_t bytes_fold_blanks(char *at, size_t len) {
    size_t to = 0;
    bool in_run = false;
    for (size_t from = 0, size; from < len; from += size) {
        const uint8_t *next = (const uint8_t *)at + from;
        uint32_t code = *next;
        size = *next < 0x80 ? 1 : utf8_next(next, len - from, &code);
        size += size == 0; // no valid UTF-8: its bytes stay, one by one
        bool blank = is_white_or_control(code) && (size > 1 || code < 0x80);
        if (blank && !in_run)
            at[to++] = ' ';
        if (!blank)
            memmove(at + to, at + from, size);
        to += blank ? 0 : size;
        in_run = blank;
    }
    return to;
}
