// SPDX-License-Identifier: MIT
// Little-endian numbers back from the packed formats (this machine's own order: base/buffer.c checks it).
#include "base/reader.h"

struct bytes read_bytes(struct reader *reader, size_t len) {
    if (reader->failed || len > reader->rest.len) {
        reader->failed = true;
        return NO_BYTES;
    }
    struct bytes taken = {reader->rest.at, len};
    reader->rest.at += len;
    reader->rest.len -= len;
    return taken;
}

static void read_into(struct reader *reader, void *ret_value, size_t len) {
    struct bytes taken = read_bytes(reader, len);
    if (taken.len == len)
        memcpy(ret_value, taken.at, len);
}

#define READ(name, type)                                                                                               \
    type name(struct reader *reader) {                                                                                 \
        type value = 0;                                                                                                \
        read_into(reader, &value, sizeof value);                                                                       \
        return value;                                                                                                  \
    }

READ(read_u8, uint8_t)
READ(read_u16, uint16_t)
READ(read_u32, uint32_t)
READ(read_u64, uint64_t)
READ(read_f32, float)
READ(read_f64, double)
