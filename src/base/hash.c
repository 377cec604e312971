// SPDX-License-Identifier: MIT
// SipHash with one round a word and three at the end: enough where only the buckets' spread can be seen from outside.
#include "base/hash.h"
#include "base/keyed.h"
#include <endian.h>

struct state {
    uint64_t v0, v1, v2, v3;
};

static uint64_t key[2];

void hash_init(void) {
    random_fill(key, sizeof key);
}

static inline uint64_t rotate(uint64_t word, int bits) {
    return word << bits | word >> (64 - bits);
}

static inline void mix(struct state *s) {
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 = rotate(s->v0, 32) + s->v3;
    s->v2 += s->v1;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 = rotate(s->v2, 32);
}

static inline void take(struct state *s, uint64_t word) {
    s->v3 ^= word;
    mix(s);
    s->v0 ^= word;
}

uint32_t hash_of(const void *data, size_t len) {
    const uint8_t *at = data, *end = at + len / 8 * 8;
    struct state s = {key[0] ^ UINT64_C(0x736f6d6570736575), key[1] ^ UINT64_C(0x646f72616e646f6d),
                      key[0] ^ UINT64_C(0x6c7967656e657261), key[1] ^ UINT64_C(0x7465646279746573)};
    uint64_t word, last = 0;
    for (; at < end; at += 8) {
        memcpy(&word, at, 8);
        take(&s, le64toh(word));
    }
    memcpy(&last, at, len % 8);
    take(&s, le64toh(last) | (uint64_t)len << 56);
    s.v2 ^= 0xff;
    for (int i = 0; i < 3; i++)
        mix(&s);
    return (uint32_t)(s.v0 ^ s.v1 ^ s.v2 ^ s.v3);
}
