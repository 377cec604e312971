// SPDX-License-Identifier: MIT
// An item's voters: exact, with kind and time of each vote. Few stand in the item itself (model/item.h); more in hashes
// small enough for Redis's compact encoding. Pure.
// Linear hashing (W. Litwin, 1980): `buckets` grows by one at a time; a split of bucket b - 2^k moves about half of it
// into the new bucket b. The first split takes the voters out of the item.
//
// A voter is a field of 8 bytes (the reference), the vote its value of VOTE_SIZE bytes: u8 kind, i32 time in s since
// 2024-01-01, as in the log (model/entry.h).
#pragma once
#include "base/buffer.h"
#include "model/names.h"

enum {
    VOTE_SIZE = 5,
    VOTER_SIZE = 8 + VOTE_SIZE,
    VOTERS_INSIDE = 32,      // an item's own at most; more leave it with the next split
    VOTERS_PER_BUCKET = 128, // mean at which the next split is due; a bucket not yet split holds about twice as many
                             // (the encoding's limit is 512)
    BUCKETS_MAX = UINT16_MAX // some 8 million voters; more are counted as well, in buckets that take more memory
};

struct voter {
    ref_t visitor;
    int kind;
    int64_t time_ms, packed; // packed: vote_pack
};

// Appends a vote's VOTE_SIZE bytes; the time is kept to the second, and within 68 years of 2024.
void vote_add(struct buffer *packed, int kind, int64_t time_ms);
// Of these bytes; false for a wrong length.
bool voter_unpack(struct bytes visitor, struct bytes vote, struct voter *ret_voter);
// The bucket of a visitor among `buckets` (1 or more).
uint32_t voters_bucket(ref_t visitor, uint32_t buckets);
// The bucket that is split to make bucket number `buckets`, and the modulus by which its voters are told apart (h mod
// modulus == new bucket moves).
uint32_t voters_split_source(uint32_t buckets, uint32_t *ret_modulus);
bool voters_split_due(uint64_t voters, uint32_t buckets);
// Time (s since 2024-01-01, may be negative) and kind in one integer: time·8 + kind.
int64_t vote_pack(int64_t time_ms, int kind);
int vote_unpack(int64_t packed, int64_t *ret_time_ms); // the kind
