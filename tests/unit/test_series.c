// SPDX-License-Identifier: MIT
// The series of an item against a count of all its events by hand, in several zones; their edges; their packed form.
#include "model/series.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
// After what it needs:
#include <cmocka.h>

#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)
#define NOW INT64_C(1700000000000) // 2023-11-14T22:13:20Z
enum { PACKED_MAX = 16 << 10, EVENTS = 600, SIGNALS = 3 };

static const int kept[GRAINS_COUNTED] = {SERIES_HOURS, SERIES_DAYS, SERIES_MONTHS};
static uint64_t drawn = 1;

static uint64_t draw(uint64_t below) {
    drawn = drawn * 6364136223846793005u + 1442695040888963407u;
    return (drawn >> 33) % below;
}

static void open_zone(const char *zone) {
    const char *why = "";
    if (!calendar_open(zone, &why))
        fail_msg("%s %s", zone, why);
}

static struct bytes pack(const struct series *series, char room[static PACKED_MAX]) {
    struct buffer packed = buffer_over(room, PACKED_MAX);
    series_pack(series, &packed);
    assert_false(packed.failed);
    return buffer_bytes(&packed);
}

static bool unpack(struct bytes packed, struct series *ret_series) {
    struct reader reader = reader_of(packed);
    return series_unpack(&reader, ret_series);
}

static void assert_same(const struct series *a, const struct series *b) {
    assert_memory_equal(a->newest, b->newest, sizeof a->newest);
    assert_memory_equal(a->end, b->end, sizeof a->end);
    assert_int_equal(a->since_s, b->since_s);
    assert_int_equal(a->days_since_s, b->days_since_s);
    assert_memory_equal(a->at, b->at, a->end[SIGNAL_COUNT - 1][GRAIN_MONTH] * sizeof *a->at);
}

static void assert_round_trip(const struct series *series) {
    static struct series again;
    char room[PACKED_MAX], room_again[PACKED_MAX];
    struct bytes packed = pack(series, room);
    assert_true(unpack(packed, &again));
    assert_same(series, &again);
    assert_true(bytes_eq(packed, pack(&again, room_again)));
}

// ---- Random events against a count by hand

static const int signals[SIGNALS] = {0, 5, SIGNAL_VIEWS};
static struct {
    int64_t at_ms;
    int signal;
    bool taken;
} events[EVENTS];

static uint64_t count_by_hand(int count, int signal, int grain, int32_t number) {
    uint64_t found = 0;
    for (int i = 0; i < count; i++)
        found += events[i].signal == signal && !events[i].taken &&
                 calendar_number((enum grain)grain, events[i].at_ms) == number;
    return found;
}

static void compare(const struct series *series, int count) {
    int64_t newest_ms = events[0].at_ms;
    for (int i = 0; i < count; i++)
        newest_ms = events[i].at_ms > newest_ms ? events[i].at_ms : newest_ms;
    for (int s = 0; s < SIGNALS; s++)
        for (int grain = 0; grain < GRAINS_COUNTED; grain++) {
            int32_t newest = calendar_number((enum grain)grain, newest_ms), oldest = newest - kept[grain] + 1;
            uint64_t all = 0;
            assert_int_equal(series_oldest(series, (enum grain)grain), oldest);
            for (int32_t number = newest; number >= oldest; number--) {
                uint64_t expected = count_by_hand(count, signals[s], grain, number);
                assert_int_equal(series_count(series, signals[s], (enum grain)grain, number, number), expected);
                all += expected;
            }
            assert_int_equal(series_count(series, signals[s], (enum grain)grain, 0, INT32_MAX), all);
            struct buckets buckets = series_buckets(series, signals[s], (enum grain)grain);
            for (uint32_t i = 0; i < buckets.count; i++) {
                assert_true(buckets.at[i].count > 0);
                assert_true(i == 0 || buckets.at[i - 1].number > buckets.at[i].number);
            }
        }
}

// Events come in bursts and after gaps, late, and are taken back; sometimes the state is packed and read again.
static void random_life(int64_t gap_ms, int64_t late_ms) {
    static struct series series;
    char room[PACKED_MAX];
    int64_t now_ms = NOW + (int64_t)draw(400) * DAY_MS;
    int count = 0;
    series_clear(&series);
    while (count < EVENTS) {
        now_ms += (int64_t)draw((uint64_t)(draw(4) ? gap_ms / 50 + 1 : gap_ms + 1));
        int64_t at_ms = draw(3) ? now_ms : now_ms - (int64_t)draw((uint64_t)late_ms);
        int victim = count && draw(3) == 0 ? (int)draw((uint64_t)count) : -1;
        events[count].at_ms = at_ms;
        events[count].signal = signals[draw(SIGNALS)];
        events[count].taken = false;
        series_add(&series, events[count].signal, at_ms, 1);
        count++;
        if (victim >= 0 && !events[victim].taken) {
            events[victim].taken = true;
            series_take(&series, events[victim].signal, events[victim].at_ms);
        }
        if (draw(20) == 0)
            assert_true(unpack(pack(&series, room), &series));
        if (draw(100) == 0)
            compare(&series, count);
    }
    compare(&series, count);
    assert_round_trip(&series);
}

static void test_random_events_are_counted_as_by_hand(void **state) {
    (void)state;
    static const char *const zones[] = {"UTC", "Asia/Kolkata", "Europe/Berlin", "America/St_Johns",
                                        "Pacific/Kiritimati"};
    static const int64_t gaps[] = {HOUR_MS / 60, 3 * HOUR_MS, 2 * DAY_MS, 40 * DAY_MS};
    for (size_t zone = 0; zone < sizeof zones / sizeof *zones; zone++) {
        open_zone(zones[zone]);
        for (size_t gap = 0; gap < sizeof gaps / sizeof *gaps; gap++) {
            random_life(gaps[gap], 60 * HOUR_MS);
            random_life(gaps[gap], 50 * DAY_MS);
        }
    }
    open_zone("UTC");
}

// ---- Edges

static uint64_t whole(const struct series *series, enum grain grain) {
    return series_count(series, 0, grain, 0, INT32_MAX);
}

static void test_what_is_kept_ends_at_its_edge(void **state) {
    (void)state;
    static struct series series;
    int64_t hour = NOW / HOUR_MS * HOUR_MS, day = NOW / DAY_MS * DAY_MS;
    series_clear(&series);
    series_add(&series, 0, hour, 1);
    series_add(&series, 0, hour + 47 * HOUR_MS + HOUR_MS - 1, 1); // the last instant of the 48th hour
    assert_int_equal(whole(&series, GRAIN_HOUR), 2);
    series_add(&series, 0, hour + 48 * HOUR_MS, 1);
    assert_int_equal(whole(&series, GRAIN_HOUR), 2);
    series_add(&series, 0, hour, 1); // late: its hour is gone, its day is not
    assert_int_equal(whole(&series, GRAIN_HOUR), 2);
    assert_int_equal(whole(&series, GRAIN_DAY), 4);

    series_clear(&series);
    series_add(&series, 0, day, 1);
    series_add(&series, 0, day + 36 * DAY_MS, 1);
    assert_int_equal(whole(&series, GRAIN_DAY), 2);
    series_add(&series, 0, day + 37 * DAY_MS, 1);
    assert_int_equal(whole(&series, GRAIN_DAY), 2);
    assert_int_equal(whole(&series, GRAIN_MONTH), 3);

    series_clear(&series);
    series_add(&series, 0, calendar_begin(GRAIN_MONTH, 600), 1);
    series_add(&series, 0, calendar_begin(GRAIN_MONTH, 636) - 1, 1);
    assert_int_equal(whole(&series, GRAIN_MONTH), 2);
    series_add(&series, 0, calendar_begin(GRAIN_MONTH, 636), 1);
    assert_int_equal(whole(&series, GRAIN_MONTH), 2);
}

static void test_what_went_never_returns_with_a_part(void **state) {
    (void)state;
    static struct series series;
    char room[PACKED_MAX];
    series_clear(&series);
    series_add(&series, 0, NOW, 1);
    series_add(&series, 0, NOW + 60 * HOUR_MS, 1);
    series_take(&series, 0, NOW + 60 * HOUR_MS);
    assert_true(unpack(pack(&series, room), &series));
    series_add(&series, 0, NOW, 1);
    assert_int_equal(whole(&series, GRAIN_HOUR), 0);
    assert_int_equal(whole(&series, GRAIN_DAY), 2);
}

static void test_nothing_falls_below_zero(void **state) {
    (void)state;
    static struct series series;
    series_clear(&series);
    series_take(&series, 0, NOW);
    assert_true(series_empty(&series));
    series_add(&series, 1, NOW, 1);
    series_take(&series, 0, NOW);
    series_take(&series, 1, NOW);
    series_take(&series, 1, NOW);
    assert_true(series_empty(&series));
    series_add(&series, 0, -1, 1);
    series_add(&series, 0, INT64_MIN, 1);
    series_add(&series, 0, INT64_MAX, 1);
    assert_true(series_empty(&series));
}

static void test_a_bucket_holds_the_most_and_no_more(void **state) {
    (void)state;
    static struct series series;
    series_clear(&series);
    series_add(&series, 0, NOW, BUCKET_COUNT_MAX - 1);
    series_add(&series, 0, NOW, 1);
    series_add(&series, 0, NOW, UINT64_MAX);
    assert_int_equal(whole(&series, GRAIN_MONTH), BUCKET_COUNT_MAX);
    assert_round_trip(&series);
}

static void test_before_since_nothing_is_taken(void **state) {
    (void)state;
    static struct series series;
    char room[PACKED_MAX];
    series_clear(&series);
    assert_int_equal(series_since(&series, GRAIN_HOUR), 0);
    series_begin_late(&series, NOW - 1);
    assert_int_equal(series_since(&series, GRAIN_HOUR), NOW);
    series_add(&series, 0, NOW, 1);
    series_take(&series, 0, NOW - 1000);
    assert_int_equal(whole(&series, GRAIN_HOUR), 1);
    assert_true(unpack(pack(&series, room), &series));
    assert_int_equal(series_since(&series, GRAIN_DAY), NOW);
    series_take(&series, 0, NOW);
    assert_true(series_empty(&series));
}

static void test_another_zone_begins_days_and_months_again(void **state) {
    (void)state;
    static struct series series;
    char room[PACKED_MAX], room_late[PACKED_MAX];
    series_clear(&series);
    for (int i = 0; i < 40; i++)
        series_add(&series, SIGNAL_VIEWS, NOW + i * DAY_MS / 3, 1);
    struct bytes packed = pack(&series, room);
    int64_t changed_ms = NOW + 40 * DAY_MS;
    open_zone("Asia/Tokyo");
    series_begin((struct series_beginning){.era = 1, .days_since_s = (uint32_t)(changed_ms / 1000)});
    assert_true(unpack(packed, &series));
    assert_int_equal(series_count(&series, SIGNAL_VIEWS, GRAIN_HOUR, 0, INT32_MAX), 6);
    assert_int_equal(series_count(&series, SIGNAL_VIEWS, GRAIN_DAY, 0, INT32_MAX), 0);
    assert_int_equal(series_count(&series, SIGNAL_VIEWS, GRAIN_MONTH, 0, INT32_MAX), 0);
    assert_int_equal(series_since(&series, GRAIN_HOUR), 0);
    assert_int_equal(series_since(&series, GRAIN_DAY), changed_ms);
    assert_int_equal(series_since(&series, GRAIN_MONTH), changed_ms);
    series_take(&series, SIGNAL_VIEWS, NOW + 39 * DAY_MS / 3); // from before: of its hour alone
    series_add(&series, SIGNAL_VIEWS, changed_ms, 1);
    assert_int_equal(series_count(&series, SIGNAL_VIEWS, GRAIN_MONTH, 0, INT32_MAX), 1);
    assert_true(unpack(pack(&series, room_late), &series)); // of this era: it stays
    assert_int_equal(series_count(&series, SIGNAL_VIEWS, GRAIN_DAY, 0, INT32_MAX), 1);
    series_clear(&series);
    assert_int_equal(series_since(&series, GRAIN_DAY), 0); // a new item knows all its days
    open_zone("UTC");
    series_begin((struct series_beginning){0});
}

static void test_an_export_is_of_its_zone(void **state) {
    (void)state;
    static struct series series, target;
    char room[PACKED_MAX];
    series_clear(&series);
    series_add(&series, SIGNAL_VIEWS, NOW, 2);
    series_for_export(&series);
    struct bytes packed = pack(&series, room);
    series_begin((struct series_beginning){.era = 7, .days_since_s = 5}); // as another service of this zone may have
    assert_true(unpack(packed, &series));
    assert_int_equal(series_count(&series, SIGNAL_VIEWS, GRAIN_DAY, 0, INT32_MAX), 2);
    assert_int_equal(series_since(&series, GRAIN_DAY), 0);
    open_zone("Asia/Tokyo");
    assert_true(unpack(packed, &series));
    assert_true(series_lie_before(&series, SIGNAL_VIEWS, 2, NOW));
    series_clear(&target);
    series_replace(&target, SIGNAL_VIEWS, &series, NOW + DAY_MS);
    assert_int_equal(series_count(&target, SIGNAL_VIEWS, GRAIN_HOUR, 0, INT32_MAX), 2);
    assert_int_equal(series_count(&target, SIGNAL_VIEWS, GRAIN_MONTH, 0, INT32_MAX), 0);
    assert_int_equal(series_since(&target, GRAIN_HOUR), 0);
    assert_int_equal(series_since(&target, GRAIN_DAY), NOW + DAY_MS + 1000);
    open_zone("UTC");
    series_begin((struct series_beginning){0});
}

static void test_a_signal_is_cleared_and_replaced_alone(void **state) {
    (void)state;
    static struct series series, given, empty;
    series_clear(&empty);
    series_clear(&series);
    series_clear(&given);
    for (int signal = 0; signal < SIGNAL_COUNT; signal++)
        for (int i = 0; i <= signal; i++)
            series_add(&series, signal, NOW + i * DAY_MS, 1);
    series_clear_signal(&series, 3);
    for (int signal = 0; signal < SIGNAL_COUNT; signal++)
        assert_int_equal(series_count(&series, signal, GRAIN_DAY, 0, INT32_MAX), signal == 3 ? 0 : signal + 1);
    assert_round_trip(&series);
    series_add(&given, SIGNAL_VIEWS, NOW + 40 * DAY_MS, 7);
    series_add(&given, 2, NOW, 7);
    given.since_s = 5;
    series_replace(&series, SIGNAL_VIEWS, &given, NOW);
    assert_int_equal(series_since(&series, GRAIN_HOUR), 5000);
    assert_int_equal(series_count(&series, SIGNAL_VIEWS, GRAIN_DAY, 0, INT32_MAX), 7);
    assert_int_equal(series_count(&series, 7, GRAIN_DAY, 0, INT32_MAX),
                     4); // the newest event is later: 37 days are kept
    assert_int_equal(series_count(&series, 2, GRAIN_MONTH, 0, INT32_MAX), 3);
    series_replace(&series, SIGNAL_VIEWS, &empty, NOW);
    assert_int_equal(series_count(&series, SIGNAL_VIEWS, GRAIN_MONTH, 0, INT32_MAX), 0);
    assert_int_equal(series_oldest(&series, GRAIN_DAY), (NOW + 40 * DAY_MS) / DAY_MS - 36);
}

static void test_a_site_learns_the_difference(void **state) {
    (void)state;
    static struct series site, before, now;
    series_clear(&site);
    series_clear(&before);
    series_clear(&now);
    series_add(&site, SIGNAL_VIEWS, NOW, 10);
    series_add(&before, SIGNAL_VIEWS, NOW, 4);
    series_add(&now, SIGNAL_VIEWS, NOW, 1);
    series_add(&now, SIGNAL_VIEWS, NOW + DAY_MS, 2);
    series_add(&now, 0, NOW, 9);
    series_move(&site, SIGNAL_VIEWS, &now, &before);
    int32_t day = NOW / DAY_MS;
    assert_int_equal(series_count(&site, SIGNAL_VIEWS, GRAIN_DAY, day, day), 7);
    assert_int_equal(series_count(&site, SIGNAL_VIEWS, GRAIN_DAY, day + 1, day + 1), 2);
    assert_int_equal(series_count(&site, SIGNAL_VIEWS, GRAIN_MONTH, 0, INT32_MAX), 9);
    assert_int_equal(series_count(&site, 0, GRAIN_MONTH, 0, INT32_MAX), 0);
    before = site;
    series_move(&site, SIGNAL_VIEWS, NULL, &before);
    assert_true(series_empty(&site));
    series_move(&site, SIGNAL_VIEWS, NULL, &now);
    assert_true(series_empty(&site));
}

static void test_a_given_series_lies_before_an_instant(void **state) {
    (void)state;
    static struct series series;
    series_clear(&series);
    assert_true(series_lie_before(&series, 0, 0, NOW));
    series_add(&series, 0, NOW, 3);
    assert_true(series_lie_before(&series, 0, 3, NOW));
    assert_false(series_lie_before(&series, 0, 2, NOW));
    assert_true(series_lie_before(&series, 1, 0, NOW));
    assert_false(series_lie_before(&series, 0, 3, NOW - HOUR_MS));
    assert_false(series_lie_before(&series, 0, 3, -1));
    series_begin_late(&series, NOW);
    assert_false(series_lie_before(&series, 0, 3, NOW));
    assert_true(series_lie_before(&series, 0, 3, NOW + 1000));
}

// ---- The packed form

static void test_two_full_signals_are_small(void **state) {
    (void)state;
    static struct series series;
    char room[PACKED_MAX];
    series_clear(&series);
    for (int32_t month = 600; month < 636; month++)
        for (int signal = 0; signal < 2; signal++)
            series_add(&series, signal, calendar_begin(GRAIN_MONTH, month), BUCKET_COUNT_MAX / 100);
    for (int64_t ms = calendar_begin(GRAIN_MONTH, 636) - 38 * DAY_MS; ms < calendar_begin(GRAIN_MONTH, 636);
         ms += HOUR_MS)
        for (int signal = 0; signal < 2; signal++)
            series_add(&series, signal, ms, BUCKET_COUNT_MAX / 2000);
    assert_int_equal(series_buckets(&series, 1, GRAIN_HOUR).count, 48);
    assert_int_equal(series_buckets(&series, 1, GRAIN_DAY).count, 37);
    assert_int_equal(series_buckets(&series, 1, GRAIN_MONTH).count, 36);
    assert_true(pack(&series, room).len <= 2000);
    assert_round_trip(&series);
    series_clear(&series);
    series_add(&series, 0, NOW, 1);
    assert_int_equal(pack(&series, room).len, 6); // the newest event, the signal, an hour, a day
}

static void test_no_bytes_are_read_past_their_end(void **state) {
    (void)state;
    static struct series series, read;
    char room[PACKED_MAX];
    series_clear(&series);
    for (int i = 0; i < 60; i++)
        series_add(&series, i % 3 * 4, NOW + (int64_t)draw(90) * DAY_MS + (int64_t)draw(40) * HOUR_MS, 1 + draw(1000));
    struct bytes packed = pack(&series, room);
    for (size_t len = 0; len < packed.len; len++) {
        char *exact = malloc(len ? len : 1); // so that a sanitizer sees a read behind it
        assert_non_null(exact);
        memcpy(exact, packed.at, len);
        assert_false(unpack((struct bytes){exact, len}, &read));
        assert_true(series_empty(&read));
        free(exact);
    }
    for (int i = 0; i < 200000; i++) {
        char *changed = malloc(packed.len);
        assert_non_null(changed);
        memcpy(changed, packed.at, packed.len);
        for (uint64_t flips = 1 + draw(3); flips > 0; flips--)
            changed[draw(packed.len)] = (char)draw(256);
        if (unpack((struct bytes){changed, packed.len}, &read))
            assert_round_trip(&read);
        free(changed);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_events_are_counted_as_by_hand),
        cmocka_unit_test(test_what_is_kept_ends_at_its_edge),
        cmocka_unit_test(test_what_went_never_returns_with_a_part),
        cmocka_unit_test(test_nothing_falls_below_zero),
        cmocka_unit_test(test_a_bucket_holds_the_most_and_no_more),
        cmocka_unit_test(test_before_since_nothing_is_taken),
        cmocka_unit_test(test_another_zone_begins_days_and_months_again),
        cmocka_unit_test(test_an_export_is_of_its_zone),
        cmocka_unit_test(test_a_signal_is_cleared_and_replaced_alone),
        cmocka_unit_test(test_a_site_learns_the_difference),
        cmocka_unit_test(test_a_given_series_lies_before_an_instant),
        cmocka_unit_test(test_two_full_signals_are_small),
        cmocka_unit_test(test_no_bytes_are_read_past_their_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
