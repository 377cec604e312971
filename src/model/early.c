// SPDX-License-Identifier: MIT
// The hash is MurmurHash64A (A. Appleby, public domain) of the reference's 8 bytes under Redis's seed. 14 bits are the
// register's index; the number of zeros after them gives its value. The sparse form has runs of zeros (one byte for up
// to 64, two bytes for up to 16,384) and values (one byte).
#include "model/early.h"

enum { INDEX_BITS = 14, REGISTERS = 1 << INDEX_BITS, VALUE_MAX = 64 - INDEX_BITS + 1, SPARSE_MAX = 32 };
#define SEED UINT64_C(0xadc83b19)
#define MULTIPLIER UINT64_C(0xc6a4a7935bd1e995)
enum { SHIFT = 47 };

static uint64_t murmur(uint64_t block) {
    uint64_t hash = SEED ^ sizeof block * MULTIPLIER;
    block *= MULTIPLIER;
    block ^= block >> SHIFT;
    block *= MULTIPLIER;
    hash = (hash ^ block) * MULTIPLIER;
    hash = (hash ^ hash >> SHIFT) * MULTIPLIER;
    return hash ^ hash >> SHIFT;
}

uint32_t sketch_register(ref_t visitor) {
    uint64_t hash = murmur(visitor), rest = hash >> INDEX_BITS | UINT64_C(1) << (64 - INDEX_BITS);
    uint32_t value = (uint32_t)__builtin_ctzll(rest) + 1;
    return (uint32_t)(hash % REGISTERS) | value << INDEX_BITS;
}

bool sketch_register_valid(uint32_t one) {
    return one >> INDEX_BITS >= 1 && one >> INDEX_BITS <= VALUE_MAX;
}

bool early_visitors_add(struct early_visitors *early, ref_t visitor, bool first) {
    uint32_t one = sketch_register(visitor);
    if (!first && early->count == 0)
        return false; // the visitors are in the sketch
    for (uint8_t i = 0; i < early->count; i++)
        if (early->registers[i] == one)
            return true;
    if (early->count == EARLY_VISITORS)
        return false;
    early->registers[early->count++] = one;
    return true;
}

// ---- The sketch

static void add_zeros(struct buffer *packed, uint32_t count) {
    if (count > 64) {
        buffer_add_u8(packed, (uint8_t)(0x40 | (count - 1) >> 8));
        buffer_add_u8(packed, (uint8_t)(count - 1));
    } else if (count > 0) {
        buffer_add_u8(packed, (uint8_t)(count - 1));
    }
}

static void add_value(struct buffer *packed, uint32_t value) {
    buffer_add_u8(packed, (uint8_t)(0x80 | ((value < SPARSE_MAX ? value : SPARSE_MAX) - 1) << 2));
}

static uint32_t index_of(uint32_t one) {
    return one % REGISTERS;
}

void sketch_pack(const struct early_visitors *early, struct buffer *packed) {
    static const char head[16] = {'H', 'Y', 'L', 'L', 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, (char)0x80};
    uint32_t low = early->registers[0], high = early->registers[early->count - 1], next = 0;
    if (index_of(low) > index_of(high) || (index_of(low) == index_of(high) && low > high)) {
        low = high;
        high = early->registers[0];
    }
    buffer_add(packed, head, sizeof head);
    if (index_of(low) != index_of(high)) {
        add_zeros(packed, index_of(low));
        add_value(packed, low >> INDEX_BITS);
        next = index_of(low) + 1;
    }
    add_zeros(packed, index_of(high) - next);
    add_value(packed, high >> INDEX_BITS);
    add_zeros(packed, REGISTERS - 1 - index_of(high));
}
