// SPDX-License-Identifier: MIT
// A run of bytes that somebody else owns: a pointer and a length, never NUL-terminated by promise.
// Passed by value. It lives as long as what it points into; whoever returns one says how long that is.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const char *at;
    size_t len;
};

#define BYTES(literal) ((struct bytes){(literal), sizeof(literal) - 1})
#define NO_BYTES ((struct bytes){NULL, 0})

static inline struct bytes bytes_of(const char *text) {
    return (struct bytes){text, text ? strlen(text) : 0};
}

static inline bool bytes_eq(struct bytes a, struct bytes b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

// Order of unsigned bytes, a prefix first: the order in which equal scores are listed.
static inline int bytes_cmp(struct bytes a, struct bytes b) {
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n ? memcmp(a.at, b.at, n) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

// ASCII case is ignored: for header names and media types.
bool bytes_eq_nocase(struct bytes a, struct bytes b);
bool bytes_starts(struct bytes whole, struct bytes start);
// Without leading and trailing spaces and tabs.
struct bytes bytes_trim(struct bytes whole);
// A plain decimal number without sign, at most `max`; false (and *ret_value untouched) for anything else.
bool bytes_to_u64(struct bytes text, unsigned long long max, unsigned long long *ret_value);
// The number in decimal digits, in `room`.
enum { DECIMAL_SIZE = 20 };
struct bytes bytes_of_int(int64_t value, char capacity[static DECIMAL_SIZE]);
// True for valid UTF-8 (RFC 3629: no surrogates, nothing over U+10FFFF, no overlong forms) that holds no control: no
// byte below 0x20, no 0x7f, and no C1 control (U+0080..U+009F).
bool bytes_are_text(struct bytes text);
// How many code points the text has, which is valid UTF-8.
size_t bytes_characters(struct bytes text);
// In place: each run of white space (Unicode's) and controls becomes one space. The length that is left.
size_t bytes_fold_blanks(char *at, size_t len);
