// SPDX-License-Identifier: MIT
// An item's voters: exact, with kind and time of each vote. While they are few they are stored in the item itself
// (model/item.h), else in hashes that are small enough for Redis's compact encoding. Pure.
// Linear hashing (W. Litwin, 1980): `buckets` grows by one at a time; a split of bucket b - 2^k moves about half of its
// voters into the new bucket b. The first split moves the voters out of the item.
//
// A voter is a field of 8 bytes (the reference), the vote its value of VOTE_SIZE bytes: u8 kind, i32 time in s since
// 2024-01-01, as in the log (model/entry.h).
#pragma once
#include "base/buffer.h"
#include "model/names.h"

enum {
    VOTE_SIZE = 5,
    VOTER_SIZE = 8 + VOTE_SIZE,
    VOTERS_INSIDE = 32,      // voters in an item; with more the first split is due
    VOTERS_PER_BUCKET = 128, // mean at which the next split is due; a bucket not yet split has about twice as many
                             // (the encoding's limit is 512)
    BUCKETS_MAX = UINT16_MAX // some 8 million voters; more are counted too, in buckets that take more memory
};

struct voter {
    ref_t visitor;
    int kind;
    int64_t time_ms, packed; // packed: vote_pack
};

// Appends a vote's VOTE_SIZE bytes. The time is rounded to seconds, and limited to 68 years before and after 2024.
void vote_add(struct buffer *packed, int kind, int64_t time_ms);
// Reads a voter and its vote; false for a wrong length.
bool voter_unpack(struct bytes visitor, struct bytes vote, struct voter *ret_voter);
// The bucket of a visitor among `buckets` (1 or more).
uint32_t voters_bucket(ref_t visitor, uint32_t buckets);
// The bucket that is split to make bucket number `buckets`, and the modulus that separates its voters: those with
// h mod modulus == new bucket move.
uint32_t voters_split_source(uint32_t buckets, uint32_t *ret_modulus);
bool voters_split_due(uint64_t voters, uint32_t buckets);
// Time (s since 2024-01-01, may be negative) and kind in one integer: time·8 + kind.
int64_t vote_pack(int64_t time_ms, int kind);
int vote_unpack(int64_t packed, int64_t *ret_time_ms); // the kind
