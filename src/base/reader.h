// SPDX-License-Identifier: MIT
// Reads the little-endian packed formats back.
// Failure is sticky as in buffer.h: past the end every read gives zero and sets `failed`; check once at the end.
#pragma once
#include "base/bytes.h"
#include <stdbool.h>
#include <stdint.h>

struct reader {
    struct bytes rest;
    bool failed;
};

static inline struct reader reader_of(struct bytes whole) {
    return (struct reader){whole, false};
}
static inline bool reader_at_end(const struct reader *reader) {
    return reader->failed || reader->rest.len == 0;
}
uint8_t read_u8(struct reader *reader);
uint16_t read_u16(struct reader *reader);
uint32_t read_u32(struct reader *reader);
uint64_t read_u64(struct reader *reader);
float read_f32(struct reader *reader);
double read_f64(struct reader *reader);
// A view into the source of `len` bytes.
struct bytes read_bytes(struct reader *reader, size_t len);
