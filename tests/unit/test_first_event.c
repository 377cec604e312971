// SPDX-License-Identifier: MIT
// The first event of an item by its series: the hour for two days, the day for five weeks, then the month.
#include "model/first_event.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>
// clang-format on

#define HOUR INT64_C(3600000)
#define DAY (24 * HOUR)
#define FIRST (INT64_C(1790000000000) / DAY * DAY + 10 * HOUR + 600000) // 10:10 of a day in the middle of a month

static struct series series;

static int64_t first_after(int64_t later_ms) {
    series_clear(&series);
    series_add(&series, SIGNAL_VIEWS, FIRST, 1);
    series_add(&series, 0, FIRST + later_ms, 3);
    return first_event_ms(&series);
}

static void test_as_exact_as_it_is_kept(void **state) {
    (void)state;
    int64_t day = FIRST / DAY * DAY;
    assert_int_equal(first_after(0), day + 10 * HOUR + HOUR / 2);
    assert_int_equal(first_after(47 * HOUR), day + 10 * HOUR + HOUR / 2);
    assert_int_equal(first_after(49 * HOUR), day + DAY / 2);
    assert_int_equal(first_after(30 * DAY), day + DAY / 2);
    int64_t month = first_after(60 * DAY);
    int32_t number = calendar_number(GRAIN_MONTH, FIRST);
    assert_int_equal(month, (calendar_begin(GRAIN_MONTH, number) + calendar_begin(GRAIN_MONTH, number + 1)) / 2);
}

// The day has more than its hours tell.
static void test_an_hour_that_is_kept_need_not_be_the_first(void **state) {
    (void)state;
    int64_t day = FIRST / DAY * DAY;
    series_clear(&series);
    series_add(&series, 0, day + HOUR, 1);
    series_add(&series, 0, day + 20 * HOUR, 1);
    series_add(&series, 0, day + 20 * HOUR + 47 * HOUR, 1); // now the first hour is no longer kept
    assert_int_equal(first_event_ms(&series), day + DAY / 2);
}

static void test_without_events_and_with_late_series(void **state) {
    (void)state;
    series_clear(&series);
    assert_int_equal(first_event_ms(&series), 0);
    series_begin_late(&series, FIRST / 1000 * 1000);
    int64_t since = first_event_ms(&series);
    assert_in_range(since, FIRST, FIRST + 1000); // a whole second, not before
    series_add(&series, 0, FIRST + DAY, 1);
    assert_int_equal(first_event_ms(&series), since);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_exact_as_it_is_kept),
        cmocka_unit_test(test_an_hour_that_is_kept_need_not_be_the_first),
        cmocka_unit_test(test_without_events_and_with_late_series),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
