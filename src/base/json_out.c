// SPDX-License-Identifier: MIT
// Writes JSON. Text goes out in runs: only what must be escaped breaks one.
#include "base/json_out.h"
#include "base/times.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct json_out json_out_to(struct buffer *buffer) {
    return (struct json_out){.buffer = buffer};
}

static void separate(struct json_out *json) {
    if (json->comma)
        buffer_add_char(json->buffer, ',');
    json->comma = true;
}

void json_open(struct json_out *json, char bracket) {
    separate(json);
    buffer_add_char(json->buffer, bracket);
    json->comma = false;
}

void json_close(struct json_out *json, char bracket) {
    buffer_add_char(json->buffer, bracket);
    json->comma = true;
}

// How many bytes at `at` must be escaped together (0: none), and as what.
static size_t escape_of(const uint8_t *at, size_t left, char escape[static 8]) {
    if (at[0] < 0x20) {
        snprintf(escape, 8, "\\u%04x", at[0]);
        if (at[0] == '\n' || at[0] == '\t')
            snprintf(escape, 8, at[0] == '\n' ? "\\n" : "\\t");
        return 1;
    }
    if (at[0] == '"' || at[0] == '\\') {
        snprintf(escape, 8, "\\%c", at[0]);
        return 1;
    }
    if (at[0] == '<' && left > 1 && at[1] == '/') {
        snprintf(escape, 8, "<\\/");
        return 2;
    }
    if (at[0] == 0xe2 && left > 2 && at[1] == 0x80 && (at[2] == 0xa8 || at[2] == 0xa9)) {
        snprintf(escape, 8, "\\u20%02x", at[2] - 0x80);
        return 3;
    }
    return 0;
}

// What may have to be escaped, alone or with what follows.
static const bool special_byte[256] = {[0 ... 0x1f] = true, ['"'] = true, ['\\'] = true, ['<'] = true, [0xe2] = true};

static void add_plain(struct buffer *buffer, struct bytes text) {
    char *at = buffer_reserve(buffer, text.len + 2);
    if (!at)
        return;
    *at++ = '"';
    if (text.len)
        memcpy(at, text.at, text.len);
    at[text.len] = '"';
    buffer->len += text.len + 2;
}

static void add_quoted(struct buffer *buffer, struct bytes text) {
    const uint8_t *at = (const uint8_t *)text.at;
    char escape[8];
    size_t run = 0, i = 0;
    while (i < text.len && !special_byte[at[i]])
        i++;
    if (i == text.len) {
        add_plain(buffer, text);
        return;
    }
    buffer_add_char(buffer, '"');
    for (;;) {
        while (i < text.len && !special_byte[at[i]])
            i++;
        if (i == text.len)
            break;
        size_t len = escape_of(at + i, text.len - i, escape);
        if (len == 0) {
            i++;
            continue;
        }
        buffer_add(buffer, at + run, i - run);
        buffer_add_bytes(buffer, bytes_of(escape));
        run = i += len;
    }
    buffer_add(buffer, at + run, text.len - run);
    buffer_add_char(buffer, '"');
}

void json_key(struct json_out *json, struct bytes key) {
    separate(json);
    add_quoted(json->buffer, key);
    buffer_add_char(json->buffer, ':');
    json->comma = false;
}

void json_text(struct json_out *json, struct bytes text) {
    separate(json);
    add_quoted(json->buffer, text);
}

void json_int(struct json_out *json, int64_t value) {
    separate(json);
    buffer_add_int(json->buffer, value);
}

// 10^-4 … 10^14: what has a magnitude in this range and at most 15 digits is written without trying.
static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8, 1e9,
                                1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};
enum { DIGITS = 15 };

// How many places behind the point make `digits` digits of it, which is in that range.
static int places_of(double magnitude, int digits) {
    int places = digits + 3;
    while (places > 0 && magnitude * powers[places] >= powers[digits])
        places--;
    return places;
}

static bool is_in_range(double magnitude) {
    return magnitude >= 1e-4 && magnitude < 1e14;
}

double json_rounded(double value) {
    enum { KEPT = 12 };
    double magnitude = fabs(value);
    if (!is_in_range(magnitude) || magnitude == floor(magnitude))
        return value;
    double power = powers[places_of(magnitude, KEPT)];
    return copysign(round(magnitude * power) / power, value);
}

// A whole number of at most 15 digits over an exact power of ten is the double nearest to that decimal, and of the
// decimals with 15 digits no other one is nearest to it.
static bool add_short(struct buffer *buffer, double value) {
    double magnitude = fabs(value);
    if (!is_in_range(magnitude))
        return false;
    int places = places_of(magnitude, DIGITS);
    double digits = round(magnitude * powers[places]);
    if (digits >= powers[DIGITS] || digits / powers[places] != magnitude)
        return false;
    uint64_t left = (uint64_t)digits;
    for (; places > 0 && left % 10 == 0; places--)
        left /= 10;
    char text[40], *at = text + sizeof text;
    for (int place = 0; left || place <= places; left /= 10) {
        *--at = (char)('0' + left % 10);
        if (++place == places)
            *--at = '.';
    }
    if (value < 0)
        *--at = '-';
    buffer_add(buffer, at, (size_t)(text + sizeof text - at));
    return true;
}

void json_number(struct json_out *json, double value) {
    char text[32];
    if (!isfinite(value)) {
        json_null(json);
        return;
    }
    separate(json);
    if (add_short(json->buffer, value))
        return;
    for (int digits = DIGITS; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    buffer_add_bytes(json->buffer, bytes_of(text));
}

void json_bool(struct json_out *json, bool value) {
    separate(json);
    buffer_add_bytes(json->buffer, value ? BYTES("true") : BYTES("false"));
}

void json_null(struct json_out *json) {
    separate(json);
    buffer_add_bytes(json->buffer, BYTES("null"));
}

void json_time(struct json_out *json, int64_t unix_ms) {
    char text[TIME_TEXT_SIZE];
    time_format(unix_ms, text);
    json_text(json, bytes_of(text));
}

void json_raw(struct json_out *json, struct bytes members) {
    if (members.len == 0)
        return;
    separate(json);
    buffer_add_bytes(json->buffer, members);
}
