// SPDX-License-Identifier: MIT
// A growable run of bytes with a cap from birth.
// Failure is sticky: an append that would pass the cap, or finds no memory, sets `failed`, appends nothing, and so does
// every later one; whoever passes the result on checks `failed` once at the end.
#pragma once
#include "base/bytes.h"
#include <stdbool.h>
#include <stdint.h>

struct buffer {
    char *at;
    size_t len;
    size_t capacity; // bytes allocated
    size_t cap;      // never grows past this
    bool failed;
};

// The caller owns the struct; no memory is taken before the first append.
void buffer_init(struct buffer *buffer, size_t cap);
// A buffer over the caller's memory: it never grows and is not released.
static inline struct buffer buffer_over(char *capacity, size_t size) {
    return (struct buffer){.at = capacity, .capacity = size, .cap = size};
}
// Frees the memory; the struct may be initialised again.
void buffer_release(struct buffer *buffer);
// Forgets content and failure, keeps the memory.
void buffer_clear(struct buffer *buffer);
// Room for `more` bytes behind `len`; NULL on failure. The pointer lives until the next append.
char *buffer_grow(struct buffer *buffer, size_t more); // the slow half
static inline char *buffer_reserve(struct buffer *buffer, size_t more) {
    bool fits = more <= buffer->capacity - buffer->len && !buffer->failed;
    return fits ? buffer->at + buffer->len : buffer_grow(buffer, more);
}
static inline void buffer_add(struct buffer *buffer, const void *data, size_t len) {
    char *at = len ? buffer_reserve(buffer, len) : NULL;
    if (!at)
        return;
    memcpy(at, data, len);
    buffer->len += len;
}
static inline void buffer_add_bytes(struct buffer *buffer, struct bytes data) {
    buffer_add(buffer, data.at, data.len);
}
static inline void buffer_add_char(struct buffer *buffer, char byte) {
    buffer_add(buffer, &byte, 1);
}
void buffer_add_int(struct buffer *buffer, int64_t value);   // in decimal digits
void buffer_add_double(struct buffer *buffer, double value); // as text that reads back exactly
void buffer_addf(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Drops the first `len` bytes.
void buffer_drop(struct buffer *buffer, size_t len);
// What is in it; lives until the next append, drop or release.
struct bytes buffer_bytes(const struct buffer *buffer);

// Little-endian numbers, as the packed formats in Redis use them.
void buffer_add_u8(struct buffer *buffer, uint8_t value);
void buffer_add_u16(struct buffer *buffer, uint16_t value);
void buffer_add_u32(struct buffer *buffer, uint32_t value);
void buffer_add_u64(struct buffer *buffer, uint64_t value);
void buffer_add_f32(struct buffer *buffer, float value);
void buffer_add_f64(struct buffer *buffer, double value);
