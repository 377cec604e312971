// SPDX-License-Identifier: MIT
// The projector's table of busy states against a plain array.
#include "project/state_cache.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PARTITIONS = 16, ITEMS = 3000, STEPS = 60000 };

static struct cache cache;

static int end(void **state) {
    (void)state;
    cache_release(&cache);
    return 0;
}

// References that lie close together, so that many share their slots.
static ref_t item_of(uint32_t number) {
    return (ref_t)(number % 7) << 60 | number / 7;
}

static void put(uint32_t number, uint32_t value) {
    char text[16];
    int len = snprintf(text, sizeof text, "%u", value);
    cache_put(&cache, item_of(number),
              &(struct partition_item){.state = {text, (size_t)len}, .id = {text, (size_t)len}, .known = true});
}

// 0: not there.
static uint32_t found(uint32_t number) {
    const struct partition_item *facts = cache_find(&cache, item_of(number));
    char text[16] = "0";
    if (facts) {
        memcpy(text, facts->state.at, facts->state.len);
        text[facts->state.len] = '\0';
        assert_true(bytes_eq(facts->state, facts->id));
    }
    return (uint32_t)strtoul(text, NULL, 10);
}

static void it_has_what_was_put_and_not_dropped(void **state) {
    static uint32_t expected[ITEMS];
    (void)state;
    assert_true(cache_init(&cache, PARTITIONS, 64 << 20));
    srand(1);
    for (uint32_t step = 1; step <= STEPS; step++) {
        uint32_t number = (uint32_t)rand() % ITEMS, what = (uint32_t)rand() % 4;
        if (what == 0) {
            cache_drop(&cache, item_of(number));
            expected[number] = 0;
        } else if (what == 1) {
            assert_int_equal(found(number), expected[number]);
        } else {
            put(number, step);
            expected[number] = step;
        }
    }
    uint32_t count = 0;
    for (uint32_t number = 0; number < ITEMS; number++) {
        assert_int_equal(found(number), expected[number]);
        count += expected[number] != 0;
    }
    assert_int_equal(cache.table.count, count);
}

static void it_has_at_most_four_slots_for_the_most_entries(void **state) {
    (void)state;
    assert_true(cache_init(&cache, PARTITIONS, 64 << 20));
    for (uint32_t round = 0; round < 20; round++)
        for (uint32_t number = 0; number < ITEMS; number++)
            put(number, round + 1);
    assert_int_equal(cache.table.count, ITEMS);
    assert_true(cache.table.slot_count >= 2 * ITEMS && cache.table.slot_count < 4 * ITEMS);
}

static void what_was_not_used_for_the_longest_time_goes_first(void **state) {
    (void)state;
    assert_true(cache_init(&cache, PARTITIONS, 64 << 20));
    put(1, 1);
    cache.max_bytes = 10 * cache.bytes; // ten of one digit
    for (uint32_t number = 2; number <= 10; number++)
        put(number, 1);
    assert_int_equal(found(1), 1);
    put(11, 1);
    put(12, 1);
    for (uint32_t number = 1; number <= 12; number++)
        assert_int_equal(found(number), number != 2 && number != 3);
    assert_true(cache.bytes <= cache.max_bytes);
    cache_release(&cache);
    assert_true(cache_init(&cache, PARTITIONS, 0));
    put(1, 1);
    assert_int_equal(found(1), 0);
}

static void a_version_of_another_makes_the_partition_stale(void **state) {
    (void)state;
    assert_true(cache_init(&cache, PARTITIONS, 64 << 20));
    uint32_t other = 7; // item_of(1) is in partition 0, that of 7 in partition 1
    cache_set_version(&cache, 0, 5, true);
    put(1, 1);
    put(other, 2);
    cache_set_version(&cache, 0, 6, true);
    assert_int_equal(found(1), 1);
    cache_set_version(&cache, 0, 7, false);
    assert_int_equal(found(1), 0);
    assert_int_equal(found(other), 2);
    assert_int_equal(cache.table.count, 1);
    cache_forget_all(&cache);
    assert_int_equal(found(other), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(it_has_what_was_put_and_not_dropped, end),
        cmocka_unit_test_teardown(it_has_at_most_four_slots_for_the_most_entries, end),
        cmocka_unit_test_teardown(what_was_not_used_for_the_longest_time_goes_first, end),
        cmocka_unit_test_teardown(a_version_of_another_makes_the_partition_stale, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
