// SPDX-License-Identifier: MIT
// Checks each run of the sparse form, or each register of the dense form.
#include "model/sketch.h"

enum { HEAD = 16, ENCODING_AT = 4, REGISTERS = 16384, REGISTER_BITS = 6, REGISTER_MAX = 51 };
enum { DENSE, SPARSE };

static bool dense_valid(const uint8_t *at, size_t len) {
    if (len != REGISTERS * REGISTER_BITS / 8)
        return false;
    for (size_t i = 0; i < REGISTERS; i++) {
        size_t bit = i * REGISTER_BITS, last = (bit + REGISTER_BITS - 1) / 8;
        unsigned value = (at[bit / 8] | (unsigned)at[last] << (last - bit / 8) * 8) >> bit % 8;
        if ((value & 63) > REGISTER_MAX)
            return false;
    }
    return true;
}

// The number of a run's registers, and its number of bytes.
static unsigned run_length(const uint8_t *at, size_t *ret_size) {
    *ret_size = at[0] >> 6 == 1 ? 2 : 1;
    if (at[0] & 0x80)
        return (at[0] & 3U) + 1;
    return at[0] & 0x40 ? ((at[0] & 63U) << 8 | at[1]) + 1 : at[0] + 1U;
}

static bool sparse_valid(const uint8_t *at, size_t len) {
    unsigned registers = 0;
    while (len) {
        size_t size;
        if (len == 1 && at[0] >> 6 == 1)
            return false;
        registers += run_length(at, &size);
        if (registers > REGISTERS)
            return false;
        at += size;
        len -= size;
    }
    return registers == REGISTERS;
}

bool sketch_valid(struct bytes sketch) {
    const uint8_t *at = (const uint8_t *)sketch.at;
    if (sketch.len < HEAD || memcmp(at, "HYLL", 4) != 0)
        return false;
    if (at[ENCODING_AT] == DENSE)
        return dense_valid(at + HEAD, sketch.len - HEAD);
    return at[ENCODING_AT] == SPARSE && sparse_valid(at + HEAD, sketch.len - HEAD);
}
