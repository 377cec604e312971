// SPDX-License-Identifier: MIT
// The arithmetic against vectors that make_vectors.py computed from the definitions, and at its edges: nothing is ever
// infinite or NaN, and no packed form is read past its end.
#include "model/entry.h"
#include "model/keys.h"
#include "model/merge.h"
#include "model/neighbours.h"
#include "model/ranking.h"
#include "model/related.h"
#include "model/token.h"
#include "model/voters.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
// After what it needs:
#include <cmocka.h>

#define NEAR(a, b) assert_true(fabs((a) - (b)) <= 1e-9 * fmax(1, fabs(b)))

static FILE *vectors(const char *name) {
    char path[128];
    snprintf(path, sizeof path, "tests/unit/vectors/%s", name);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    return file;
}

static void test_decay_vectors(void **state) {
    (void)state;
    FILE *file = vectors("decay.txt");
    long half_life_s, cases = 0;
    int events;
    for (; fscanf(file, "%ld %d", &half_life_s, &events) == 2; cases++) {
        struct half_lives lives = {1, {half_life_s * 1000}};
        struct sums sums;
        double expected;
        sums_clear(&sums);
        for (int i = 0; i < events; i++) {
            int sign;
            long long time_s;
            assert_int_equal(fscanf(file, "%d %lld", &sign, &time_s), 2);
            (sign > 0 ? sums_add : sums_take)(&sums, &lives, 0, time_s * 1000);
        }
        assert_int_equal(fscanf(file, "%lf", &expected), 1);
        NEAR(sums.signals[0].sum[0], expected);
    }
    fclose(file);
    assert_int_equal(cases, 6);
}

// A million events from a linear congruential generator, spread over ten years: the sum stays finite and, for equal
// times, is log2 of their number.
static void test_a_million_events(void **state) {
    (void)state;
    struct half_lives lives = {2, {10800000, 604800000}};
    struct sums same, spread;
    uint64_t draw = 1;
    sums_clear(&same);
    sums_clear(&spread);
    for (int i = 0; i < 1000000; i++) {
        draw = draw * 6364136223846793005u + 1442695040888963407u;
        sums_add(&same, &lives, 0, DECAY_EPOCH_MS);
        sums_add(&spread, &lives, 0, DECAY_EPOCH_MS + (int64_t)(draw >> 33) * 147);
        assert_true(isfinite(spread.signals[0].sum[0]) && isfinite(spread.signals[0].sum[1]));
    }
    NEAR(same.signals[0].sum[0], log2(1e6));
    assert_int_equal(spread.signals[0].count, 1000000);
}

static void test_taking_back_the_last_leaves_nothing_and_never_less(void **state) {
    (void)state;
    struct half_lives lives = {1, {10800000}};
    struct sums sums;
    sums_clear(&sums);
    sums_add(&sums, &lives, 0, DECAY_EPOCH_MS);
    sums_add(&sums, &lives, 0, DECAY_EPOCH_MS + INT64_C(315576000000));
    sums_take(&sums, &lives, 0, DECAY_EPOCH_MS + INT64_C(315576000000));
    assert_true(isfinite(sums.signals[0].sum[0]));
    sums_take(&sums, &lives, 0, DECAY_EPOCH_MS);
    assert_true(sums.signals[0].count == 0 && sums.signals[0].sum[0] == DECAY_EMPTY);
    sums_take(&sums, &lives, 0, DECAY_EPOCH_MS);
    assert_int_equal(sums.signals[0].count, 0);
    assert_true(decay_value(DECAY_EMPTY, 0, 1) == 0);
    assert_true(isfinite(decay_value(1e300, 0, 1)));
}

static void test_each_half_life_has_its_own_sum(void **state) {
    (void)state;
    struct half_lives lives = {2, {10800000, 604800000}};
    struct sums once, twice;
    sums_clear(&once);
    sums_clear(&twice);
    sums_add(&once, &lives, 1, DECAY_EPOCH_MS);
    sums_add(&twice, &lives, 1, DECAY_EPOCH_MS);
    sums_add(&twice, &lives, 1, DECAY_EPOCH_MS + 30000000);
    sums_take(&twice, &lives, 1, DECAY_EPOCH_MS + 30000000);
    for (int life = 0; life < 2; life++)
        NEAR(twice.signals[1].sum[life], once.signals[1].sum[life]);
}

static void test_sums_come_back_and_move_to_other_half_lives(void **state) {
    (void)state;
    struct half_lives old = {2, {10800000, 604800000}}, now = {2, {21600000, 604800000}};
    struct sums sums, back;
    struct buffer packed;
    buffer_init(&packed, 4096);
    sums_clear(&sums);
    for (int i = 0; i < 8; i++)
        sums_add(&sums, &old, SIGNAL_VIEWS, DECAY_EPOCH_MS + 5000);
    sums.epoch_ms = 77;
    sums_pack(&sums, &old, &packed);
    assert_true(sums_unpack(buffer_bytes(&packed), &old, &back));
    assert_true(back.signals[SIGNAL_VIEWS].sum[0] == sums.signals[SIGNAL_VIEWS].sum[0] && back.epoch_ms == 77);
    assert_true(sums_unpack(buffer_bytes(&packed), &now, &back));
    NEAR(back.signals[SIGNAL_VIEWS].sum[0], 3 + 5000.0 / 21600000);
    for (size_t len = 1; len < packed.len; len++)
        assert_false(sums_unpack((struct bytes){packed.at, len}, &old, &back));
    buffer_release(&packed);
}

static void test_neighbour_vectors(void **state) {
    (void)state;
    FILE *file = vectors("neighbours.txt");
    struct neighbours table, back;
    struct buffer packed;
    int count;
    double total;
    neighbours_clear(&table);
    assert_int_equal(fscanf(file, "%d", &count), 1);
    for (int i = 0; i < count; i++) {
        unsigned long long item;
        int distance;
        long long age;
        assert_int_equal(fscanf(file, "%llu %d %lld", &item, &distance, &age), 3);
        neighbours_add(&table, item, coview_weight(distance, age));
    }
    buffer_init(&packed, 8192);
    neighbours_pack(&table, &packed);
    assert_true(neighbours_unpack(buffer_bytes(&packed), &back));
    assert_int_equal(fscanf(file, "%d %lf", &count, &total), 2);
    assert_int_equal(back.count, count);
    NEAR(back.total, total);
    for (int i = 0; i < count; i++) {
        unsigned long long item;
        double weight;
        assert_int_equal(fscanf(file, "%llu %lf", &item, &weight), 2);
        assert_true(fabs(back.at[i].weight - weight) < 1e-5 * fmax(1, weight)); // weights are floats
    }
    fclose(file);
    buffer_release(&packed);
}

static void test_a_full_table_is_cut_to_its_best(void **state) {
    (void)state;
    struct neighbours table;
    neighbours_clear(&table);
    for (ref_t item = 1; item <= NEIGHBOURS_MAX + 1; item++)
        neighbours_add(&table, item, (double)item);
    assert_int_equal(table.count, NEIGHBOURS_KEPT + 1);
    for (uint16_t i = 0; i < table.count; i++)
        assert_true(table.at[i].item > NEIGHBOURS_MAX - NEIGHBOURS_KEPT);
}

static void test_linear_hashing_splits_lose_nobody(void **state) {
    (void)state;
    for (uint32_t buckets = 1; buckets < 300; buckets++) {
        uint32_t modulus, source = voters_split_source(buckets, &modulus);
        for (ref_t visitor = 1; visitor < 4000; visitor += 7) {
            uint32_t before = voters_bucket(visitor, buckets), after = voters_bucket(visitor, buckets + 1);
            bool moves = before == source && visitor % modulus == buckets;
            assert_int_equal(after, moves ? buckets : before);
        }
    }
}

static void test_partitions_lie_evenly_over_the_slots(void **state) {
    (void)state;
    struct key key;
    assert_int_equal(key_slot(BYTES("123456789")), 12739); // CLUSTER KEYSLOT of a known key
    assert_int_equal(key_slot(BYTES("x{foo}y")), 12182);
    for (uint32_t partitions = 1; partitions <= 1024; partitions *= 4) {
        keys_init(partitions);
        for (uint32_t i = 0; i < partitions; i++) {
            key_log(&key, i);
            assert_int_equal(key_slot(key_bytes(&key)) * (uint64_t)partitions / 16384, i);
        }
    }
    ref_t back;
    keys_init(16);
    key_sums(&key, 0x123456789abcdef0);
    assert_true(key_parse(key_bytes(&key), 's', &back) && back == 0x123456789abcdef0);
    assert_false(key_parse(key_bytes(&key), 'n', &back));
}

static void test_tokens(void **state) {
    (void)state;
    struct token_keys keys = {.current = {{1}}}, rotated = {.current = {{2}}, .old = {{1}}, .has_old = true};
    uint8_t id[VISITOR_ID_SIZE] = "0123456789abcde", back[VISITOR_ID_SIZE];
    char text[TOKEN_SIZE];
    int64_t now = DECAY_EPOCH_MS;
    assert_true(keyed_init());
    token_make(&keys, BYTES("site"), id, now, text);
    assert_true(token_check(&keys, BYTES("site"), bytes_of(text), now, 1000, back));
    assert_memory_equal(id, back, sizeof id);
    assert_true(token_check(&rotated, BYTES("site"), bytes_of(text), now, 1000, back));
    assert_false(token_check(&keys, BYTES("other"), bytes_of(text), now, 1000, back));
    assert_false(token_check(&keys, BYTES("site"), bytes_of(text), now + 1001, 1000, back));
    // Clocks of two machines may differ by a minute; what comes from further ahead is made up, or outlives its time.
    int64_t made = now / 1000 * 1000;
    assert_true(token_check(&keys, BYTES("site"), bytes_of(text), made - 60000, 1000, back));
    assert_false(token_check(&keys, BYTES("site"), bytes_of(text), made - 60001, 1000, back));
    assert_false(token_check(&keys, BYTES("site"), bytes_of(text), made - 86400000, INT64_C(400) * 86400000, back));
    for (size_t i = 0; i + 1 < TOKEN_SIZE; i++) {
        text[i] ^= 1;
        assert_false(token_check(&keys, BYTES("site"), bytes_of(text), now, 1000, back));
        text[i] ^= 1;
    }
}

static void test_torn_entries_are_refused(void **state) {
    (void)state;
    static const char value[] = "\0\0\0\0\0\0\0\0W12345678abcdefgh\0\0\0\0\0\0\0\0\1s\1\0i\1"
                                "ABCDEFGH\0\0\0\0\0\0\0\0F";
    struct bytes whole = {value, sizeof value - 1};
    for (size_t len = 0; len <= whole.len; len++) {
        char *copy = malloc(len + 1); // so that the sanitizers see a read past the end
        memcpy(copy, value, len);
        struct bytes rest;
        struct entry_record record;
        double accept_ms;
        int got = -1, records = 0;
        if (entry_open((struct bytes){copy, len}, &accept_ms, &rest))
            while ((got = entry_next(&rest, &record)) > 0)
                records++;
        assert_int_equal(got == 0, len == 8 || len == whole.len - 1 || len == whole.len);
        assert_int_equal(records, len == whole.len ? 2 : len == whole.len - 1);
        free(copy);
    }
}

static void test_merging_orders_by_value_then_id(void **state) {
    (void)state;
    struct ranked a[] = {{BYTES("b"), 3}, {BYTES("d"), 1}}, b[] = {{BYTES("a"), 3}, {BYTES("c"), 2}};
    const struct ranked *lists[] = {a, b};
    struct ranked merged[3];
    assert_int_equal(merge_tops(lists, (size_t[]){2, 2}, 2, merged, 3), 3);
    assert_true(bytes_eq(merged[0].id, BYTES("a")) && bytes_eq(merged[1].id, BYTES("b")) &&
                bytes_eq(merged[2].id, BYTES("c")));
}

static void test_related_by_its_formula(void **state) {
    (void)state;
    struct neighbours table;
    struct popular popular[] = {{7, 0.5}, {8, 0.25}, {1, 0.25}};
    struct suggestion list[10];
    neighbours_clear(&table);
    neighbours_add(&table, 7, 2);
    neighbours_add(&table, 9, 1);
    assert_int_equal(related_suggest(1, &table, popular, 3, list, 10), 3); // item 1 itself is left out
    size_t count = 3;
    suggestions_arrange(list, count);
    struct suggestion first = suggestion_take(list, &count), second = suggestion_take(list, &count), last = list[0];
    assert_int_equal(first.item, 7);
    NEAR(first.score, 2.0 / 8 + 0.2 * 0.5);
    NEAR(second.score, 1.0 / 8);
    NEAR(last.score, 0.2 * 0.25);
    assert_true(first.from_neighbours && !last.from_neighbours);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decay_vectors),
        cmocka_unit_test(test_a_million_events),
        cmocka_unit_test(test_taking_back_the_last_leaves_nothing_and_never_less),
        cmocka_unit_test(test_sums_come_back_and_move_to_other_half_lives),
        cmocka_unit_test(test_each_half_life_has_its_own_sum),
        cmocka_unit_test(test_neighbour_vectors),
        cmocka_unit_test(test_a_full_table_is_cut_to_its_best),
        cmocka_unit_test(test_linear_hashing_splits_lose_nobody),
        cmocka_unit_test(test_partitions_lie_evenly_over_the_slots),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_torn_entries_are_refused),
        cmocka_unit_test(test_merging_orders_by_value_then_id),
        cmocka_unit_test(test_related_by_its_formula),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
