// SPDX-License-Identifier: MIT
// The item's record byte by byte, cut at every byte; votes and voters; how many places a partition must keep.
#include "model/item.h"
#include "model/ranking.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// After what it needs:
#include <cmocka.h>

// As lua/item.lua packs it: two kinds, a card, a base, two voters.
static const char record[] = "\1\3\2\0\0\50\0\0\0\0\0\0\0\360\77\2\0\0\0\0\1\0\0"
                             "\1s\2\0ab\0055 1 0\3\0x\037y"
                             "12345678\0\20\0\0\0"
                             "ABCDEFGH\1\377\377\377\377";
enum { VOTERS_AT = 40 };

static struct bytes whole(void) {
    return (struct bytes){record, sizeof record - 1};
}

static void test_a_record_is_read(void **state) {
    (void)state;
    struct item item;
    assert_true(item_unpack(whole(), &item));
    assert_true(item.has_card);
    assert_int_equal(item.buckets, 0);
    assert_int_equal(item.published_ms, 1);
    assert_int_equal(item.votes[0], 2);
    assert_int_equal(item.votes[1], 256);
    assert_true(bytes_eq(item.site, BYTES("s")) && bytes_eq(item.id, BYTES("ab")));
    assert_true(bytes_eq(item.base, BYTES("5 1 0")) && bytes_eq(item.groups, BYTES("x\037y")));
    assert_int_equal(item.voters.len, 2 * VOTER_SIZE);
    struct voter voter;
    assert_true(voter_unpack((struct bytes){item.voters.at + VOTER_SIZE, 8},
                             (struct bytes){item.voters.at + VOTER_SIZE + 8, VOTE_SIZE}, &voter));
    assert_memory_equal(&voter.visitor, "ABCDEFGH", 8);
    assert_int_equal(voter.kind, 1);
    assert_int_equal(voter.time_ms, DECAY_EPOCH_MS - 1000);
}

static void test_groups_are_categories_and_an_author(void **state) {
    (void)state;
    struct groups groups = groups_split(BYTES("x\037y\036A. Lindqvist"));
    assert_true(groups.has_author && bytes_eq(groups.categories, BYTES("x\037y")));
    assert_true(bytes_eq(groups.author, BYTES("A. Lindqvist")));
    groups = groups_split(BYTES("\036A"));
    assert_true(groups.has_author && groups.categories.len == 0 && bytes_eq(groups.author, BYTES("A")));
    groups = groups_split(BYTES("x\036")); // a card without an author
    assert_true(groups.has_author && bytes_eq(groups.categories, BYTES("x")) && groups.author.len == 0);
    groups = groups_split(BYTES("x\037y")); // of format 3
    assert_true(!groups.has_author && bytes_eq(groups.categories, BYTES("x\037y")));
    groups = groups_split(NO_BYTES);
    assert_true(!groups.has_author && groups.categories.len == 0);
}

static void test_a_torn_record_is_refused_at_every_place(void **state) {
    (void)state;
    for (size_t len = 0; len < whole().len; len++) {
        char *copy = malloc(len + 1); // so that the sanitizers see a read past the end
        struct item item;
        memcpy(copy, record, len);
        bool whole_voters = len >= VOTERS_AT && (len - VOTERS_AT) % VOTER_SIZE == 0;
        assert_int_equal(item_unpack((struct bytes){copy, len}, &item), whole_voters);
        free(copy);
    }
}

static void test_a_new_record_reads_back(void **state) {
    (void)state;
    struct buffer packed;
    struct item item;
    buffer_init(&packed, 4096);
    item_pack_new(BYTES("example.org"), BYTES("an id"), 3, &packed);
    assert_true(item_unpack(buffer_bytes(&packed), &item));
    assert_true(bytes_eq(item.site, BYTES("example.org")) && bytes_eq(item.id, BYTES("an id")));
    assert_false(item.has_card);
    assert_int_equal(item.voters.len + item.base.len + item.groups.len + item.votes[0] + item.buckets, 0);
    buffer_release(&packed);
}

static void test_votes_read_back_to_the_second(void **state) {
    (void)state;
    static const int64_t times[] = {
        0, 999, -1, DECAY_EPOCH_MS, DECAY_EPOCH_MS - 1, DECAY_EPOCH_MS + 86400000, 3786912000000};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        struct buffer packed;
        struct voter voter;
        buffer_init(&packed, 64);
        vote_add(&packed, 7, times[i]);
        assert_true(voter_unpack(BYTES("12345678"), buffer_bytes(&packed), &voter));
        int64_t from_packed;
        assert_int_equal(voter.kind, 7);
        assert_int_equal(vote_unpack(voter.packed, &from_packed), 7);
        assert_int_equal(voter.time_ms, from_packed);
        assert_true(voter.time_ms <= times[i] && times[i] - voter.time_ms < 1000);
        buffer_release(&packed);
    }
}

static void test_splits_are_due_until_there_are_as_many_buckets_as_there_may_be(void **state) {
    (void)state;
    assert_false(voters_split_due(VOTERS_INSIDE, 0));
    assert_true(voters_split_due(VOTERS_INSIDE + 1, 0));
    assert_false(voters_split_due(VOTERS_PER_BUCKET, 1));
    assert_true(voters_split_due(VOTERS_PER_BUCKET + 1, 1));
    assert_true(voters_split_due(UINT64_MAX, BUCKETS_MAX - 1));
    assert_false(voters_split_due(UINT64_MAX, BUCKETS_MAX));
}

static void test_a_time_too_far_away_is_the_last_there_is(void **state) {
    (void)state;
    static const int64_t times[] = {INT64_C(-4000000000000), INT64_C(9000000000000)};
    for (size_t i = 0; i < 2; i++) {
        struct buffer packed;
        struct voter voter;
        buffer_init(&packed, 64);
        vote_add(&packed, 0, times[i]);
        assert_true(voter_unpack(BYTES("12345678"), buffer_bytes(&packed), &voter));
        assert_int_equal((voter.time_ms - DECAY_EPOCH_MS) / 1000, i ? INT32_MAX : INT32_MIN);
        buffer_release(&packed);
    }
}

// P(X > n) of Poisson, summed up from n + 1.
static double tail(double mean, uint32_t n) {
    double term = exp((n + 1) * log(mean) - mean - lgamma(n + 2.0)), sum = 0;
    for (uint32_t k = n + 1; term > 1e-30; term *= mean / ++k)
        sum += term;
    return sum;
}

static void test_partitions_keep_places_enough(void **state) {
    (void)state;
    for (uint32_t partitions = 1; partitions <= 1024; partitions *= 2)
        for (uint32_t depth = CATEGORY_DEPTH; depth <= RANKING_DEPTH; depth += RANKING_DEPTH - CATEGORY_DEPTH) {
            uint32_t bound = ranking_bound(depth, partitions);
            assert_true(tail((double)depth / partitions, bound) < 1e-8);
            assert_true(partitions > 1 || bound >= depth);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_record_is_read),
        cmocka_unit_test(test_groups_are_categories_and_an_author),
        cmocka_unit_test(test_a_torn_record_is_refused_at_every_place),
        cmocka_unit_test(test_a_new_record_reads_back),
        cmocka_unit_test(test_votes_read_back_to_the_second),
        cmocka_unit_test(test_splits_are_due_until_there_are_as_many_buckets_as_there_may_be),
        cmocka_unit_test(test_a_time_too_far_away_is_the_last_there_is),
        cmocka_unit_test(test_partitions_keep_places_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
