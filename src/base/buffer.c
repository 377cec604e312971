// SPDX-License-Identifier: MIT
// Growth doubles up to the cap. Numbers go in little-endian, which is this machine's own order (checked below).
#include "base/buffer.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the packed formats are written as they lie in memory");

enum { FIRST_ROOM = 256 };

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

static bool grow(struct buffer *buffer, size_t need) {
    size_t room = buffer->room ? buffer->room : FIRST_ROOM;
    while (room < need)
        room *= 2;
    if (room > buffer->cap)
        room = buffer->cap;
    char *at = realloc(buffer->at, room);
    if (!at)
        return false;
    buffer->at = at;
    buffer->room = room;
    return true;
}

char *buffer_reserve(struct buffer *buffer, size_t more) {
    bool fits = !buffer->failed && more <= buffer->cap && buffer->len <= buffer->cap - more;
    if (!fits || (buffer->len + more > buffer->room && !grow(buffer, buffer->len + more))) {
        buffer->failed = true;
        return NULL;
    }
    return buffer->at + buffer->len;
}

void buffer_add(struct buffer *buffer, const void *data, size_t len) {
    char *at = len ? buffer_reserve(buffer, len) : NULL;
    if (!at)
        return;
    memcpy(at, data, len);
    buffer->len += len;
}

void buffer_add_bytes(struct buffer *buffer, struct bytes data) {
    buffer_add(buffer, data.at, data.len);
}

void buffer_add_char(struct buffer *buffer, char byte) {
    buffer_add(buffer, &byte, 1);
}

void buffer_addf(struct buffer *buffer, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *at = len >= 0 ? buffer_reserve(buffer, (size_t)len + 1) : NULL;
    if (!at) {
        buffer->failed = true;
        return;
    }
    va_start(arguments, format);
    vsnprintf(at, (size_t)len + 1, format, arguments);
    va_end(arguments);
    buffer->len += (size_t)len;
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
