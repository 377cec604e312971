// SPDX-License-Identifier: MIT
// From the sets of two periods to the list of a window: whatever the cuts, a list that is exact is the one that all
// items make.
#include "model/window_list.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

enum { PARTITIONS = 4, ITEMS = 60, PERIODS = 2, LISTS = 20000 };

static struct {
    ref_t ref;
    char id[8];
    unsigned value[PERIODS]; // of a whole period
    unsigned in_window;      // a part of all of them
} items[ITEMS];

static unsigned below(unsigned end) {
    return (unsigned)rand() % end;
}

static void make_items(void) {
    for (unsigned i = 0; i < ITEMS; i++) {
        items[i].ref = (ref_t)rand() << 32 | (ref_t)rand();
        snprintf(items[i].id, sizeof items[i].id, "%u", i);
        for (int p = 0; p < PERIODS; p++)
            items[i].value[p] = below(2) ? below(4) : below(12);
        // The window holds all of the last period, and a part of the first.
        items[i].in_window = items[i].value[1] + (items[i].value[0] ? below(items[i].value[0] + 1) : 0);
    }
}

// The members of all sets, one item perhaps twice. Of those that are worth no more than the cut some stay.
static size_t make_members(struct window_member *members, double *left_out) {
    unsigned cuts[PARTITIONS][PERIODS];
    size_t count = 0;
    *left_out = 0;
    for (int i = 0; i < PARTITIONS; i++) {
        for (int p = 0; p < PERIODS; p++)
            cuts[i][p] = below(3) ? below(9) : 0;
        *left_out = fmax(*left_out, cuts[i][0] + cuts[i][1]);
    }
    for (unsigned i = 0; i < ITEMS; i++)
        for (int p = 0; p < PERIODS; p++) {
            unsigned cut = cuts[partition_of(items[i].ref, PARTITIONS)][p], value = items[i].value[p];
            if (value > cut || (value && value == cut && below(2)))
                members[count++] = (struct window_member){items[i].ref, items[i].in_window, bytes_of(items[i].id)};
        }
    return count;
}

static size_t all_items(struct window_member *list) {
    double left_out = 0;
    for (unsigned i = 0; i < ITEMS; i++)
        list[i] = (struct window_member){items[i].ref, items[i].in_window, bytes_of(items[i].id)};
    return window_members_best(list, ITEMS, ITEMS, &left_out);
}

static bool begin_alike(const struct window_member *list, const struct window_member *best, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (list[i].item != best[i].item || list[i].value != best[i].value)
            return false;
    return true;
}

static void an_exact_list_is_the_one_of_all_items(void **state) {
    (void)state;
    unsigned exact = 0, wrong = 0;
    srand(17);
    for (unsigned round = 0; round < LISTS; round++) {
        struct window_member members[ITEMS * PERIODS], best[ITEMS];
        double left_out;
        make_items();
        size_t count = window_members_once(members, make_members(members, &left_out), PARTITIONS);
        count = window_members_best(members, count, ITEMS, &left_out);
        size_t all = all_items(best), limit = 1 + below(30), placed = count < limit ? count : limit;
        bool equal = placed == (all < limit ? all : limit) && begin_alike(members, best, placed);
        if (window_list_exact(placed == limit, placed ? members[placed - 1].value : 0, left_out)) {
            assert_true(equal);
            exact++;
        }
        wrong += !equal;
    }
    assert_true(exact > LISTS / 10 && wrong > LISTS / 100); // both kinds were tried
}

static void a_last_place_at_what_was_left_out_is_not_exact(void **state) {
    (void)state;
    assert_true(window_list_exact(true, 5, 4));
    assert_false(window_list_exact(true, 5, 5)); // an item of the same value may stand before it, by its id
    assert_false(window_list_exact(true, 5, 6));
    assert_true(window_list_exact(false, 1, 0));
    assert_false(window_list_exact(false, 9, 1)); // a further place might be one of those left out
}

static void what_is_cut_off_at_the_end_is_left_out(void **state) {
    (void)state;
    struct window_member members[] = {{1, 3, BYTES("c")}, {2, 0, BYTES("d")}, {3, 5, BYTES("b")}, {4, 5, BYTES("a")}};
    double left_out = 1;
    assert_int_equal(window_members_best(members, 4, 2, &left_out), 2);
    assert_true(members[0].item == 4 && members[1].item == 3); // equal values by id
    assert_true(left_out == 3);
    assert_int_equal(window_members_best(members, 2, 2, &left_out), 2);
    assert_true(left_out == 3);
    assert_int_equal(window_members_best(members, 0, 2, &left_out), 0);
}

static void those_of_a_partition_stand_together(void **state) {
    (void)state;
    struct window_member members[64];
    bool seen[PARTITIONS] = {false};
    for (size_t i = 0; i < 64; i++)
        members[i] = (struct window_member){(ref_t)(i % 40) * UINT64_C(0x9e3779b97f4a7c15), 1, BYTES("x")};
    size_t count = window_members_once(members, 64, PARTITIONS);
    assert_int_equal(count, 40);
    for (size_t i = 0; i < count; i++) {
        uint32_t at = partition_of(members[i].item, PARTITIONS);
        assert_true(!seen[at] || (i > 0 && partition_of(members[i - 1].item, PARTITIONS) == at));
        seen[at] = true;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exact_list_is_the_one_of_all_items),
        cmocka_unit_test(a_last_place_at_what_was_left_out_is_not_exact),
        cmocka_unit_test(what_is_cut_off_at_the_end_is_left_out),
        cmocka_unit_test(those_of_a_partition_stand_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
