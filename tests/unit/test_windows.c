// SPDX-License-Identifier: MIT
// Windows against instants that Python computed from the zones' clocks (make_vectors.py), their names, and sets of them.
#include "model/windows.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
// After what it needs:
#include <cmocka.h>

static void assert_span(enum window window, int64_t now_ms, long long begin) {
    struct window_span span = window_span_at(window, now_ms);
    assert_int_equal(span.window, window);
    assert_int_equal(span.from_ms, begin * 1000);
    assert_int_equal(calendar_begin(span.grain, span.first), span.from_ms);
    bool is_past = window == WINDOW_YESTERDAY;
    assert_int_equal(span.last, calendar_number(span.grain, now_ms) - is_past);
}

static void test_windows_begin_where_the_calendar_says(void **state) {
    (void)state;
    char zone[64];
    long long now, begins[WINDOWS];
    const char *why;
    int count = 0;
    FILE *file = fopen("tests/unit/vectors/windows.txt", "re");
    assert_non_null(file);
    for (; fscanf(file, "%63s %lld", zone, &now) == 2; count++) {
        assert_true(calendar_open(zone, &why));
        for (int i = 0; i < WINDOWS; i++) {
            assert_int_equal(fscanf(file, "%lld", &begins[i]), 1);
            assert_span((enum window)i, now * 1000, begins[i]);
            assert_span((enum window)i, now * 1000 + 999, begins[i]);
        }
    }
    fclose(file);
    assert_int_equal(count, 16);
    assert_true(calendar_open("UTC", &why));
}

static void test_names(void **state) {
    (void)state;
    static const char *const wrong[] = {"", "2h", "24H", "24h ", "24", "todays", "tod", "year"};
    for (int i = 0; i < WINDOWS; i++) {
        enum window found;
        assert_true(window_find(bytes_of(window_name((enum window)i)), &found));
        assert_int_equal(found, i);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        enum window found;
        assert_false(window_find(bytes_of(wrong[i]), &found));
    }
}

static void test_a_set_is_in_the_order_of_the_enum(void **state) {
    (void)state;
    struct window_set set = window_set_at(1u << WINDOW_MONTH | 1u << WINDOW_1H, 1709251200000);
    assert_int_equal(set.count, 2);
    assert_int_equal(set.at[0].window, WINDOW_1H);
    assert_int_equal(set.at[1].window, WINDOW_MONTH);
    assert_int_equal(window_set_at(0, 1709251200000).count, 0);
    assert_int_equal(window_set_at((1u << WINDOWS) - 1, 1709251200000).count, WINDOWS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows_begin_where_the_calendar_says),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_a_set_is_in_the_order_of_the_enum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
