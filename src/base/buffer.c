// SPDX-License-Identifier: MIT
// Growth doubles up to the cap. Numbers go in little-endian, which is this machine's own order (checked below).
#include "base/buffer.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the packed formats are written as they lie in memory");

enum { FIRST_ROOM = 256, DECIMALS = 9 };

void buffer_init(struct buffer *buffer, size_t cap) {
    *buffer = (struct buffer){.cap = cap};
}

void buffer_release(struct buffer *buffer) {
    free(buffer->at);
    buffer_init(buffer, buffer->cap);
}

void buffer_clear(struct buffer *buffer) {
    buffer->len = 0;
    buffer->failed = false;
}

char *buffer_grow(struct buffer *buffer, size_t more) {
    size_t need = buffer->len + more, capacity = buffer->capacity ? buffer->capacity : FIRST_ROOM;
    bool fits = !buffer->failed && more <= buffer->cap && buffer->len <= buffer->cap - more;
    while (fits && capacity < need)
        capacity *= 2;
    if (capacity > buffer->cap)
        capacity = buffer->cap;
    char *at = fits ? realloc(buffer->at, capacity) : NULL;
    if (!at) {
        buffer->failed = true;
        return NULL;
    }
    buffer->at = at;
    buffer->capacity = capacity;
    return at + buffer->len;
}

void buffer_add_int(struct buffer *buffer, int64_t value) {
    char capacity[DECIMAL_SIZE];
    buffer_add_bytes(buffer, bytes_of_int(value, capacity));
}

// Numbers of at most nine decimals, as the values of rankings are, need no printf, which takes 4,000 instructions.
// `steps` is exact, so its quotient is the double that is nearest to the decimal number; strtod reads that as the same.
void buffer_add_double(struct buffer *buffer, double value) {
    const double STEPS = 1e9, EXACT = 0x1p53;
    double steps = rint(value * STEPS);
    if (!(fabs(steps) < EXACT) || steps / STEPS != value) {
        buffer_addf(buffer, "%.17g", value);
        return;
    }
    char capacity[DECIMAL_SIZE + 1], *end = capacity + sizeof capacity, *at = end;
    uint64_t rest = (uint64_t)fabs(steps);
    for (int decimals = DECIMALS; decimals > 0; decimals--, rest /= 10)
        if (at != end || rest % 10)
            *--at = (char)('0' + rest % 10);
    if (at != end)
        *--at = '.';
    do
        *--at = (char)('0' + rest % 10);
    while (rest /= 10);
    if (steps < 0)
        *--at = '-';
    buffer_add(buffer, at, (size_t)(end - at));
}

// Formats into the room that is there; when it is too small, grows the buffer and formats again.
void buffer_addf(struct buffer *buffer, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    size_t capacity = buffer->capacity - buffer->len;
    int len = vsnprintf(capacity ? buffer->at + buffer->len : NULL, capacity, format, arguments);
    char *at = len >= 0 ? buffer_reserve(buffer, (size_t)len + 1) : NULL;
    if (at && (size_t)len >= capacity)
        vsnprintf(at, (size_t)len + 1, format, again);
    va_end(again);
    va_end(arguments);
    if (at)
        buffer->len += (size_t)len;
    else
        buffer->failed = true;
}

void buffer_drop(struct buffer *buffer, size_t len) {
    if (len >= buffer->len) {
        buffer->len = 0;
        return;
    }
    memmove(buffer->at, buffer->at + len, buffer->len - len);
    buffer->len -= len;
}

struct bytes buffer_bytes(const struct buffer *buffer) {
    return (struct bytes){buffer->at, buffer->len};
}

void buffer_add_u8(struct buffer *buffer, uint8_t value) {
    buffer_add(buffer, &value, sizeof value);
}

void buffer_add_u16(struct buffer *buffer, uint16_t value) {
    buffer_add(buffer, &value, sizeof value);
}

void buffer_add_u32(struct buffer *buffer, uint32_t value) {
    buffer_add(buffer, &value, sizeof value);
}

void buffer_add_u64(struct buffer *buffer, uint64_t value) {
    buffer_add(buffer, &value, sizeof value);
}

void buffer_add_f32(struct buffer *buffer, float value) {
    buffer_add(buffer, &value, sizeof value);
}

void buffer_add_f64(struct buffer *buffer, double value) {
    buffer_add(buffer, &value, sizeof value);
}
