// SPDX-License-Identifier: MIT
// Linear hashing: with N buckets, L the largest power of two not above N, a visitor is in h mod 2L if that bucket is
// there already, else in h mod L.
#include "model/voters.h"
#include "model/decay.h"

static uint32_t level_of(uint32_t buckets) {
    uint32_t level = 1;
    while (level <= buckets / 2)
        level *= 2;
    return level;
}

uint32_t voters_bucket(ref_t visitor, uint32_t buckets) {
    uint32_t level = level_of(buckets);
    uint32_t bucket = (uint32_t)(visitor % (2 * (uint64_t)level));
    return bucket < buckets ? bucket : bucket - level;
}

uint32_t voters_split_source(uint32_t buckets, uint32_t *ret_modulus) {
    uint32_t level = level_of(buckets);
    *ret_modulus = 2 * level;
    return buckets - level;
}

bool voters_split_due(uint64_t voters, uint32_t buckets) {
    return voters > (uint64_t)VOTERS_PER_BUCKET * buckets;
}

int64_t vote_pack(int64_t time_ms, int kind) {
    int64_t from_epoch = time_ms - DECAY_EPOCH_MS;
    int64_t seconds = from_epoch / 1000 - (from_epoch % 1000 < 0);
    return seconds * 8 + kind;
}

int vote_unpack(int64_t packed, int64_t *ret_time_ms) {
    int kind = (int)(packed & 7);
    *ret_time_ms = DECAY_EPOCH_MS + (packed - kind) / 8 * 1000;
    return kind;
}
