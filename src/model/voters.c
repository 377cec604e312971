// SPDX-License-Identifier: MIT
// Linear hashing: with N buckets, and L the largest power of two not above N, a visitor is in bucket h mod 2L if that
// bucket exists already, else in bucket h mod L.
#include "model/voters.h"
#include "base/reader.h"
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
    return buckets ? buckets - level : 0;
}

bool voters_split_due(uint64_t voters, uint32_t buckets) {
    return buckets < BUCKETS_MAX && voters > (buckets ? (uint64_t)VOTERS_PER_BUCKET * buckets : VOTERS_INSIDE);
}

void vote_add(struct buffer *packed, int kind, int64_t time_ms) {
    int64_t seconds = vote_pack(time_ms, 0) / 8;
    seconds = seconds < INT32_MIN ? INT32_MIN : seconds > INT32_MAX ? INT32_MAX : seconds;
    buffer_add_u8(packed, (uint8_t)kind);
    buffer_add_u32(packed, (uint32_t)(int32_t)seconds);
}

bool voter_unpack(struct bytes visitor, struct bytes vote, struct voter *ret_voter) {
    struct reader fields = reader_of(vote);
    if (visitor.len != sizeof ret_voter->visitor || vote.len != VOTE_SIZE)
        return false;
    memcpy(&ret_voter->visitor, visitor.at, sizeof ret_voter->visitor);
    ret_voter->kind = read_u8(&fields);
    ret_voter->time_ms = DECAY_EPOCH_MS + (int64_t)(int32_t)read_u32(&fields) * 1000;
    ret_voter->packed = vote_pack(ret_voter->time_ms, ret_voter->kind);
    return true;
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
