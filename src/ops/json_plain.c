// SPDX-License-Identifier: MIT
// Each function takes one thing at `at` and returns where it ends; NULL: it is not plain, or not valid.
#include "ops/json_plain.h"
#include <stdint.h>
#include <string.h>

enum { NAMES_MAX = 16, DIGITS_MAX = 15 };

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// Behind a backslash. Halves of a pair (\ud800 to \udfff) are jansson's.
static const char *take_escape(const char *at, const char *end) {
    if (at < end && memchr("\"\\/bfnrt", *at, 8))
        return at + 1;
    if (end - at < 5 || at[0] != 'u' || at[1] == 'd' || at[1] == 'D')
        return NULL;
    return is_hex(at[1]) && is_hex(at[2]) && is_hex(at[3]) && is_hex(at[4]) ? at + 5 : NULL;
}

// A character of more than one byte: the shortest form, no half of a pair, at most U+10FFFF.
static const char *take_wide(const char *at, const char *end) {
    uint8_t first = (uint8_t)at[0], second = end - at > 1 ? (uint8_t)at[1] : 0;
    int more = first >= 0xc2 && first <= 0xdf ? 1 : (first & 0xf0) == 0xe0 ? 2 : first >= 0xf0 && first <= 0xf4 ? 3 : 0;
    bool in_range = !(first == 0xe0 && second < 0xa0) && !(first == 0xed && second > 0x9f) &&
                    !(first == 0xf0 && second < 0x90) && !(first == 0xf4 && second > 0x8f);
    if (more == 0 || end - at <= more || !in_range)
        return NULL;
    for (int i = 1; i <= more; i++)
        if (((uint8_t)at[i] & 0xc0) != 0x80)
            return NULL;
    return at + 1 + more;
}

// The bytes of a text that stand for themselves.
static const bool itself[256] = {[0x20 ... '"' - 1] = true, ['"' + 1 ... '\\' - 1] = true, ['\\' + 1 ... 0x7f] = true};

// Eight of these, looked at together: none has the upper bit, none is a control, a quote or a backslash. A byte borrows
// from the next only if it is one of them itself.
static bool are_themselves(const char *at) {
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t eight;
    memcpy(&eight, at, sizeof eight);
    uint64_t quotes = (eight ^ ('"' * ones)) - ones, backslashes = (eight ^ ('\\' * ones)) - ones;
    return ((eight | (eight - 0x20 * ones) | quotes | backslashes) & (0x80 * ones)) == 0;
}

static const char *take_text(const char *at, const char *end) {
    if (at == end || *at++ != '"')
        return NULL;
    while (at && at < end && *at != '"') {
        if (end - at >= 8 && are_themselves(at))
            at += 8;
        else if (itself[(uint8_t)*at])
            at++;
        else
            at = *at == '\\' ? take_escape(at + 1, end) : take_wide(at, end);
    }
    return at && at < end ? at + 1 : NULL;
}

static const char *take_number(const char *at, const char *end) {
    const char *first = at += at < end && *at == '-';
    while (at < end && is_digit(*at))
        at++;
    bool whole = at > first && at - first <= DIGITS_MAX && (*first != '0' || at - first == 1);
    return whole && (at == end || !memchr(".eE", *at, 3)) ? at : NULL;
}

static const char *take_word(const char *at, const char *end) {
    static const struct bytes words[] = {{"true", 4}, {"false", 5}, {"null", 4}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if ((size_t)(end - at) >= words[i].len && memcmp(at, words[i].at, words[i].len) == 0)
            return at + words[i].len;
    return NULL;
}

static const char *take_scalar(const char *at, const char *end) {
    if (at == end)
        return NULL;
    return *at == '"' ? take_text(at, end) : *at == '-' || is_digit(*at) ? take_number(at, end) : take_word(at, end);
}

static const char *take_array(const char *at, const char *end) {
    at++;
    if (at < end && *at == ']')
        return at + 1;
    for (; (at = take_scalar(at, end)) && at < end && *at == ','; at++)
        ;
    return at && at < end && *at == ']' ? at + 1 : NULL;
}

static bool is_new(const struct bytes *names, size_t count, struct bytes name) {
    if (count == NAMES_MAX || memchr(name.at, '\\', name.len))
        return false;
    for (size_t i = 0; i < count; i++)
        if (bytes_eq(names[i], name))
            return false;
    return true;
}

bool json_members_are_plain(struct bytes members) {
    struct bytes names[NAMES_MAX];
    const char *at = members.at, *end = at + members.len;
    for (size_t count = 0; at && at < end; count++) {
        const char *name_end = take_text(at, end);
        struct bytes name = {at + 1, name_end ? (size_t)(name_end - at) - 2 : 0};
        if (!name_end || name_end == end || *name_end != ':' || !is_new(names, count, name))
            return false;
        names[count] = name;
        at = name_end + 1;
        at = at < end && *at == '[' ? take_array(at, end) : take_scalar(at, end);
        if (!at || at == end)
            return at != NULL;
        if (*at++ != ',')
            return false;
    }
    return false;
}

// ---- One after another

// Where the text ends whose first quote is at `at`. Most have no escape, and then a search for the next quote will do.
static const char *end_of_text(const char *at, const char *end, bool *ret_escapes) {
    const char *quote = memchr(at + 1, '"', (size_t)(end - at) - 1);
    *ret_escapes = quote && memchr(at + 1, '\\', (size_t)(quote - at) - 1);
    return !quote ? NULL : *ret_escapes ? take_text(at, end) : quote + 1;
}

bool json_plain_next(struct bytes *members, struct plain_member *ret_member) {
    const char *at = members->at, *end = at + members->len;
    bool escapes;
    if (at == end || *at != '"')
        return false;
    const char *name_end = end_of_text(at, end, &escapes);
    if (!name_end || escapes || end - name_end < 2 || *name_end != ':')
        return false;
    const char *value = name_end + 1, *value_end;
    ret_member->name = (struct bytes){at + 1, (size_t)(name_end - at) - 2};
    ret_member->is_text = *value == '"';
    ret_member->has_escapes = false;
    if (ret_member->is_text)
        value_end = end_of_text(value, end, &ret_member->has_escapes);
    else
        value_end = *value == '[' ? take_array(value, end) : take_scalar(value, end);
    if (!value_end || (value_end < end && (*value_end != ',' || value_end + 1 == end)))
        return false;
    size_t quotes = ret_member->is_text;
    ret_member->value = (struct bytes){value + quotes, (size_t)(value_end - value) - 2 * quotes};
    value_end += value_end < end;
    *members = (struct bytes){value_end, (size_t)(end - value_end)};
    return true;
}
