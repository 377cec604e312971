// SPDX-License-Identifier: MIT
// When entries that both projections have passed may leave the logs.
#include "project/trimmer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PARTITIONS = 3 };
#define SECOND UINT64_C(1000000000)

static struct trimmer trimmer;
static struct log_id below[PARTITIONS];

static void begin(int64_t kept_ms) {
    assert_true(trimmer_init(&trimmer, PARTITIONS, kept_ms));
}

static int end(void **state) {
    (void)state;
    trimmer_release(&trimmer);
    return 0;
}

// All logs are passed up to `ms`.
static bool trims_at(uint64_t now_ns, uint64_t ms) {
    const struct log_id passed[PARTITIONS] = {{ms, 0}, {ms, 0}, {ms, 0}};
    return trimmer_below(&trimmer, now_ns, 1, passed, below);
}

static void without_a_time_to_keep_all_goes_at_once_and_once(void **state) {
    (void)state;
    const struct log_id passed[PARTITIONS] = {{5, 0}, {0, 0}, {7, 2}};
    begin(0);
    assert_true(trimmer_below(&trimmer, 1, 1, passed, below));
    assert_int_equal(below[0].ms, 5);
    assert_int_equal(below[1].ms, 0);
    assert_int_equal(below[2].seq, 2);
    assert_false(trimmer_below(&trimmer, 2, 1, passed, below));
    trimmer_doubt(&trimmer);
    assert_true(trimmer_below(&trimmer, 3, 1, passed, below));
}

static void a_fresh_trimmer_trims_nothing_until_its_first_note_is_old(void **state) {
    (void)state;
    begin(60000);
    uint64_t start = 1000 * SECOND;
    for (uint64_t t = 0; t < 600; t++)
        assert_false(trims_at(start + t * SECOND / 10, 100 + t));
    assert_true(trims_at(start + 60 * SECOND, 900));
    assert_int_equal(below[0].ms, 100);
}

static void what_goes_was_passed_as_long_ago_as_said_and_little_longer(void **state) {
    (void)state;
    begin(60000);
    uint64_t gone = 0;
    for (uint64_t tenth = 0; tenth < 3000; tenth++) {
        uint64_t now = 1 + tenth * SECOND / 10;
        if (trims_at(now, 1000 + tenth))
            gone = below[1].ms - 1000;
        if (gone)
            assert_true(tenth - gone >= 600 && tenth - gone <= 621);
    }
    assert_true(gone > 2000);
}

static void an_hour_has_as_many_notes_as_a_minute(void **state) {
    (void)state;
    begin(3600000);
    uint64_t gone = 0;
    for (uint64_t second = 0; second < 3 * 3600; second++) {
        if (trims_at(1 + second * SECOND, 1000 + second))
            gone = below[2].ms - 1000;
        if (gone)
            assert_true(second - gone >= 3600 && second - gone <= 3600 + 125);
    }
    assert_true(gone > 0);
}

static void another_generation_forgets_all_notes(void **state) {
    (void)state;
    const struct log_id passed[PARTITIONS] = {{5, 0}, {5, 0}, {5, 0}};
    begin(2000);
    assert_false(trimmer_below(&trimmer, 1, 1, passed, below));
    assert_false(trimmer_below(&trimmer, 1 + 2 * SECOND, 2, passed, below));
    assert_false(trimmer_below(&trimmer, 1 + 3 * SECOND, 2, passed, below));
    assert_true(trimmer_below(&trimmer, 1 + 4 * SECOND, 2, passed, below));
}

// A trimmer that was idle for long has one note, which is very old: what came since is not trimmed with it.
static void a_pause_lets_nothing_go_early(void **state) {
    (void)state;
    begin(60000);
    assert_false(trims_at(1, 100));
    assert_true(trims_at(1 + 1000 * SECOND, 200));
    assert_int_equal(below[0].ms, 100);
    assert_false(trims_at(1 + 1059 * SECOND, 300));
    assert_true(trims_at(1 + 1060 * SECOND, 300));
    assert_int_equal(below[0].ms, 200);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(without_a_time_to_keep_all_goes_at_once_and_once, end),
        cmocka_unit_test_teardown(a_fresh_trimmer_trims_nothing_until_its_first_note_is_old, end),
        cmocka_unit_test_teardown(what_goes_was_passed_as_long_ago_as_said_and_little_longer, end),
        cmocka_unit_test_teardown(an_hour_has_as_many_notes_as_a_minute, end),
        cmocka_unit_test_teardown(another_generation_forgets_all_notes, end),
        cmocka_unit_test_teardown(a_pause_lets_nothing_go_early, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
