// SPDX-License-Identifier: MIT
// The calendar against days that Python found by reading the zones' clocks (make_vectors.py), its names, and at its
// edges: what a zone left out or showed twice, numbers and names that no calendar has, zones that are none.
#include "base/calendar.h"
#include "base/times.h"
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
// After what it needs:
#include <cmocka.h>

static void open_zone(const char *zone) {
    const char *why;
    assert_true(calendar_open(zone, &why));
    assert_string_equal(calendar_zone(), zone);
}

static void assert_name(enum grain grain, int32_t number, const char *wanted) {
    char name[CALENDAR_NAME_SIZE];
    enum grain read;
    int32_t back;
    calendar_name(grain, number, name);
    assert_string_equal(name, wanted);
    if (grain == GRAIN_HOUR)
        return;
    assert_true(calendar_parse(bytes_of(name), &read, &back));
    assert_int_equal(read, grain);
    assert_int_equal(back, number);
}

static void assert_day(int32_t day, int64_t begin_ms, const char *date, const char *week) {
    assert_int_equal(calendar_begin(GRAIN_DAY, day), begin_ms);
    assert_int_equal(calendar_number(GRAIN_DAY, begin_ms), day);
    assert_int_equal(calendar_begin(GRAIN_DAY, day), begin_ms); // as it is remembered
    assert_true(calendar_number(GRAIN_DAY, begin_ms - 1) < day);
    int64_t end_ms = calendar_begin(GRAIN_DAY, day + 1);
    assert_true(end_ms > begin_ms);
    assert_int_equal(calendar_number(GRAIN_DAY, end_ms - 1), day);
    assert_name(GRAIN_DAY, day, date);
    assert_name(GRAIN_WEEK, calendar_number(GRAIN_WEEK, begin_ms), week);
    char month[8];
    snprintf(month, sizeof month, "%.7s", date);
    assert_name(GRAIN_MONTH, calendar_number(GRAIN_MONTH, end_ms - 1), month);
}

static void test_days_of_zones(void **state) {
    (void)state;
    char zone[64], date[16], week[16];
    long long second;
    int day, count = 0;
    FILE *file = fopen("tests/unit/vectors/calendar.txt", "re");
    assert_non_null(file);
    for (; fscanf(file, "%63s %lld %d %15s %15s", zone, &second, &day, date, week) == 5; count++) {
        open_zone(zone);
        assert_day(day, second * 1000, date, week);
    }
    fclose(file);
    assert_int_equal(count, 173);
}

// 2011-12-30 was left out: it is empty, and no instant lies in it.
static void test_a_day_that_does_not_exist(void **state) {
    (void)state;
    enum grain grain;
    int32_t day;
    open_zone("Pacific/Apia");
    assert_true(calendar_parse(BYTES("2011-12-30"), &grain, &day));
    assert_int_equal(calendar_begin(GRAIN_DAY, day), calendar_begin(GRAIN_DAY, day + 1));
    assert_int_equal(calendar_number(GRAIN_DAY, calendar_begin(GRAIN_DAY, day)), day + 1);
    assert_int_equal(calendar_number(GRAIN_DAY, calendar_begin(GRAIN_DAY, day) - 1), day - 1);
}

// In St. John's the clock went back from 0:01 to 23:01: the day that had begun goes on.
static void test_a_day_does_not_end_because_the_clock_is_set_back(void **state) {
    (void)state;
    open_zone("America/St_Johns");
    int64_t begin_ms = calendar_begin(GRAIN_DAY, 14920);
    for (int minute = 0; minute < 25 * 60; minute++) {
        assert_int_equal(calendar_number(GRAIN_DAY, 0), -1); // another day, so that nothing is remembered
        assert_int_equal(calendar_number(GRAIN_DAY, begin_ms + minute * 60000), 14920);
    }
    assert_int_equal(calendar_number(GRAIN_DAY, begin_ms + 25 * 3600000), 14921);
}

// Numbers and bounds agree in every zone at every day, also where they are remembered from the one before.
static void test_bounds_agree(void **state) {
    (void)state;
    static const char *const zones[] = {"UTC",          "Europe/Berlin", "America/Santiago", "Asia/Beirut",
                                        "Asia/Kolkata", "Pacific/Apia",  "America/St_Johns", "Africa/Casablanca"};
    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++) {
        open_zone(zones[i]);
        int64_t begin_ms = calendar_begin(GRAIN_DAY, 0);
        for (int32_t day = 0; day < 25000; day++) { // to 2038
            int64_t end_ms = calendar_begin(GRAIN_DAY, day + 1);
            assert_true(end_ms >= begin_ms && end_ms - begin_ms <= 49 * INT64_C(3600000));
            if (end_ms > begin_ms) {
                assert_int_equal(calendar_number(GRAIN_DAY, begin_ms + (end_ms - begin_ms) / 2), day);
                assert_int_equal(calendar_number(GRAIN_DAY, begin_ms), day);
                assert_int_equal(calendar_number(GRAIN_DAY, end_ms - 1), day);
            }
            begin_ms = end_ms;
        }
    }
}

static void test_weeks_and_months(void **state) {
    (void)state;
    static const struct {
        const char *day, *week, *month;
    } all[] = {{"1970-01-01", "1970-W01", "1970-01"}, {"1969-12-29", "1970-W01", "1969-12"},
               {"1969-12-28", "1969-W52", "1969-12"}, {"2020-12-31", "2020-W53", "2020-12"},
               {"2021-01-03", "2020-W53", "2021-01"}, {"2021-01-04", "2021-W01", "2021-01"},
               {"2024-02-29", "2024-W09", "2024-02"}, {"2024-12-30", "2025-W01", "2024-12"},
               {"2026-11-26", "2026-W48", "2026-11"}, {"0001-01-01", "0001-W01", "0001-01"},
               {"9999-12-31", "9999-W52", "9999-12"}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        enum grain grain;
        int32_t day;
        assert_true(calendar_parse(bytes_of(all[i].day), &grain, &day));
        int32_t week = calendar_of_day(GRAIN_WEEK, day), month = calendar_of_day(GRAIN_MONTH, day);
        assert_name(GRAIN_WEEK, week, all[i].week);
        assert_name(GRAIN_MONTH, month, all[i].month);
        assert_true(calendar_first_day(GRAIN_WEEK, week) <= day && calendar_first_day(GRAIN_WEEK, week) > day - 7);
        assert_true(calendar_first_day(GRAIN_MONTH, month) <= day && calendar_first_day(GRAIN_MONTH, month) > day - 31);
        assert_int_equal(calendar_of_day(GRAIN_MONTH, calendar_first_day(GRAIN_MONTH, month)), month);
    }
    open_zone("Asia/Kolkata");
    assert_int_equal(calendar_begin(GRAIN_MONTH, calendar_number(GRAIN_MONTH, 1709231400000)),
                     1709231400000);                                      // 1 March
    assert_int_equal(calendar_number(GRAIN_HOUR, 1709231400000), 474786); // hours are UTC's, also where days are not
    assert_name(GRAIN_HOUR, 474786, "2024-02-29T18");
    assert_int_equal(calendar_begin(GRAIN_HOUR, -1), -3600000);
    assert_int_equal(calendar_number(GRAIN_HOUR, -1), -1);
    assert_name(GRAIN_HOUR, -1, "1969-12-31T23");
}

static void test_names_that_are_none(void **state) {
    (void)state;
    static const char *const bad[] = {"",           "2026",       "2026-11-",      "2026-13",    "2026-00",
                                      "2026-02-29", "2026-11-31", "2026-11-26T18", "2026-W00",   "2026-W54",
                                      "2025-W53",   "2026-w48",   "2026-W4",       "2026-W4x",   "2026W48",
                                      "0000-W01",   "+026-11-26", "2026/11/26",    "26-11-2026", " 2026-11",
                                      "2026-11 ",   "0000-01-01", "20261126",      "2026-1-26",  "2026-11-2x",
                                      "٢٠٢٦-١١",    "today",      "2026-11T26",    "2026-11--1", "-2026-W48",
                                      "xxxx-W01",   "2026-W-1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        enum grain grain = GRAIN_HOUR;
        int32_t number = 7;
        assert_false(calendar_parse(bytes_of(bad[i]), &grain, &number));
        assert_true(grain == GRAIN_HOUR && number == 7);
    }
    enum grain grain;
    int32_t number;
    assert_false(calendar_parse((struct bytes){"2026-11\0-01", 10}, &grain, &number));
}

// Numbers out of corrupt data: nothing overflows, and the bounds are those of the years 1 and 9999.
static void test_numbers_beyond_the_years(void **state) {
    (void)state;
    char name[CALENDAR_NAME_SIZE];
    open_zone("Europe/Berlin");
    for (int grain = 0; grain < GRAINS; grain++)
        for (int i = 0; i < 4; i++) {
            int32_t number = (int32_t[]){INT32_MIN, INT32_MIN + 1, INT32_MAX - 1, INT32_MAX}[i];
            calendar_name((enum grain)grain, number, name);
            if (grain == GRAIN_HOUR)
                continue;
            int64_t begin_ms = calendar_begin((enum grain)grain, number);
            assert_true(begin_ms >= TIME_FIRST_MS - 86400000 && begin_ms <= TIME_LAST_MS + 86400000);
        }
    assert_int_equal(calendar_number(GRAIN_DAY, INT64_MAX), calendar_number(GRAIN_DAY, TIME_LAST_MS));
    assert_int_equal(calendar_number(GRAIN_MONTH, INT64_MIN), calendar_number(GRAIN_MONTH, TIME_FIRST_MS));
    assert_int_equal(calendar_number(GRAIN_HOUR, INT64_MIN), calendar_number(GRAIN_HOUR, TIME_FIRST_MS));
}

static void test_zones(void **state) {
    (void)state;
    static const char *const bad[] = {"",          "Nowhere/City",  "Europe",    "/etc/localtime", "../zoneinfo/UTC",
                                      "Europe/..", "zone.tab",      "localtime", "posixrules",     "right/UTC",
                                      "posix/UTC", "CET-1CEST",     ":UTC",      "Europe/Berlin ", "europe/berlin\n",
                                      "tzdata.zi", "Europe/Berlín", "Asia//",    "leapseconds"};
    const char *why = NULL;
    open_zone("Asia/Kolkata");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        why = NULL;
        assert_false(calendar_zone_known(bad[i], &why));
        assert_non_null(why);
        assert_false(calendar_open(bad[i], &why));
        assert_string_equal(calendar_zone(), "Asia/Kolkata"); // a refusal changes nothing
    }
    char long_name[2 * CALENDAR_ZONE_SIZE];
    memset(long_name, 'A', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    assert_false(calendar_zone_known(long_name, &why));
    assert_int_equal(calendar_number(GRAIN_DAY, 1709231400000), 19783);
    open_zone("UTC");
    assert_int_equal(calendar_number(GRAIN_DAY, 1709231400000), 19782);
    // Without any zones installed, UTC is there.
    setenv("TZDIR", "/nonexistent", 1);
    open_zone("UTC");
    assert_false(calendar_zone_known("Europe/Berlin", &why));
    assert_non_null(strstr(why, "no time zones are installed"));
    unsetenv("TZDIR");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_days_of_zones),
        cmocka_unit_test(test_a_day_that_does_not_exist),
        cmocka_unit_test(test_a_day_does_not_end_because_the_clock_is_set_back),
        cmocka_unit_test(test_bounds_agree),
        cmocka_unit_test(test_weeks_and_months),
        cmocka_unit_test(test_names_that_are_none),
        cmocka_unit_test(test_numbers_beyond_the_years),
        cmocka_unit_test(test_zones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
