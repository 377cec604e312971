// SPDX-License-Identifier: MIT
// Rankings by period: which periods are open, and the rule of their sets against a count of all events by hand. The set
// here is cut as lua/commit.lua does it.
#include "model/keys.h"
#include "model/period_ranking.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
// After what it needs:
#include <cmocka.h>

#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)

static uint64_t drawn = 7;

static uint32_t draw(uint32_t below) {
    drawn = drawn * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(drawn >> 33) % below;
}

static void open_zone(const char *zone) {
    const char *why = "";
    if (!calendar_open(zone, &why))
        fail_msg("%s %s", zone, why);
}

static int64_t at(const char *zone, const char *day, int64_t hours) {
    struct period period;
    open_zone(zone);
    assert_true(calendar_parse(bytes_of(day), &period.grain, &period.number));
    return period_begin_ms(period) + hours * HOUR_MS;
}

static const char *name_of(struct period period) {
    static char text[CALENDAR_NAME_SIZE];
    calendar_name(period.grain, period.number, text);
    return text;
}

// ---- A model: items with all their events, and one set

enum { PARTITIONS = 16, BOUND = 29, ITEMS = 3 * BOUND, EVENTS_MAX = 64, SET_MAX = ITEMS + 1 };
static const struct ranking both = {.kind = RANK_WINDOW, .weight = {[0] = 2.5, [SIGNAL_VIEWS] = 0.1}};

struct item {
    struct series series;
    struct {
        int signal;
        int64_t ms;
    } events[EVENTS_MAX];
    uint32_t count;
};

struct set {
    struct period period;
    double cut, score[ITEMS]; // 0: no member
    uint32_t members, cuts;
};

static struct item items[ITEMS];

static double counted_by_hand(const struct item *item, struct period period) {
    uint32_t votes = 0, views = 0;
    for (uint32_t i = 0; i < item->count; i++) {
        bool in = item->events[i].ms >= period_begin_ms(period) && item->events[i].ms < period_end_ms(period);
        votes += in && item->events[i].signal == 0;
        views += in && item->events[i].signal == SIGNAL_VIEWS;
    }
    return rint((2.5 * votes + 0.1 * views) * 1e9) / 1e9;
}

static void assert_rule(const struct set *set) {
    for (uint32_t i = 0; i < ITEMS; i++) {
        double value = counted_by_hand(&items[i], set->period);
        if (set->score[i] > 0)
            assert_true(set->score[i] == value);
        else
            assert_true(value <= set->cut);
    }
    assert_true(set->members <= 2 * BOUND);
}

static int worst_first(const void *a, const void *b) {
    double one = *(const double *)a, other = *(const double *)b;
    return (one > other) - (one < other);
}

static void trim(struct set *set) {
    double scores[ITEMS];
    uint32_t count = 0, goes;
    for (uint32_t i = 0; i < ITEMS; i++)
        if (set->score[i] > 0)
            scores[count++] = set->score[i];
    set->members = count;
    if (count <= 2 * BOUND)
        return;
    qsort(scores, count, sizeof *scores, worst_first);
    goes = count - BOUND;
    double best_out = scores[goes - 1];
    for (uint32_t i = 0; i < ITEMS && goes; i++)
        if (set->score[i] > 0 && set->score[i] < best_out) {
            set->score[i] = 0;
            goes--;
        }
    for (uint32_t i = 0; i < ITEMS && goes; i++)
        if (set->score[i] == best_out) {
            set->score[i] = 0;
            goes--;
        }
    assert_true(best_out >= set->cut);
    set->cut = best_out;
    set->cuts++;
    set->members = BOUND;
}

static void commit(struct set *set, uint32_t item, bool may_be_member) {
    double value = period_value(&both, &items[item].series, set->period);
    switch (period_move(value, set->cut, may_be_member)) {
    case PERIOD_PLACE:
        set->score[item] = value;
        break;
    case PERIOD_LEAVE:
        set->score[item] = 0;
        break;
    case PERIOD_NOTHING:
        break;
    }
    trim(set);
}

static void add_event(struct set *set, uint32_t at_item, int signal, int64_t ms) {
    struct item *item = &items[at_item];
    if (item->count == EVENTS_MAX)
        return;
    item->events[item->count].signal = signal;
    item->events[item->count++].ms = ms;
    series_add(&item->series, signal, ms, 1);
    commit(set, at_item, false);
}

static void take_event(struct set *set, uint32_t at_item, uint32_t event) {
    struct item *item = &items[at_item];
    series_take(&item->series, item->events[event].signal, item->events[event].ms);
    item->events[event] = item->events[--item->count];
    commit(set, at_item, true);
}

static void clear_items(void) {
    for (uint32_t i = 0; i < ITEMS; i++) {
        items[i].count = 0;
        series_clear(&items[i].series);
    }
}

static void test_the_bound(void **state) {
    (void)state;
    assert_int_equal(ranking_bound(PERIOD_DEPTH, PARTITIONS), BOUND);
}

// Three times as many items as have a place; then the members lose their events one by one; then one that was cut
// gains.
static void test_members_are_taken_back_one_by_one(void **state) {
    (void)state;
    int64_t now = at("Europe/Berlin", "2026-10-25", 12); // a day of 25 hours
    struct set set = {.period = period_at(GRAIN_DAY, now)};
    clear_items();
    for (uint32_t i = 0; i < ITEMS; i++)
        for (uint32_t n = 0; n <= i % 40; n++) {
            add_event(&set, i, draw(3) ? SIGNAL_VIEWS : 0, period_begin_ms(set.period) + draw(25 * 3600) * 1000ll);
            assert_rule(&set);
        }
    assert_true(set.cuts > 0 && set.cut > 0);
    for (uint32_t i = 0; i < ITEMS; i++)
        while (set.score[i] > 0) {
            take_event(&set, i, draw(items[i].count));
            assert_rule(&set);
        }
    assert_int_equal(set.members, 0);
    for (uint32_t i = 0; i < ITEMS; i++)
        while (counted_by_hand(&items[i], set.period) <= set.cut) {
            assert_true(set.score[i] == 0 || set.score[i] == set.cut); // of equals some stay
            add_event(&set, i, 0, now);
            assert_rule(&set);
        }
}

// A rebuild takes the cut away, and writes all items again while others come and go.
static void test_anything_in_any_order(void **state) {
    (void)state;
    const char *const zones[] = {"UTC", "Asia/Kolkata", "Europe/Berlin", "America/St_Johns"};
    const enum grain grains[] = {GRAIN_DAY, GRAIN_WEEK, GRAIN_MONTH};
    for (uint32_t round = 0; round < 12; round++) {
        int64_t begin = at(zones[round % 4], round % 2 ? "2026-03-27" : "2024-02-27", 0);
        struct set set = {.period = period_at(grains[round % 3], begin + 2 * DAY_MS)};
        uint32_t rebuilt = ITEMS;
        clear_items();
        for (uint32_t step = 0; step < 3000; step++) {
            uint32_t item = draw(ITEMS), other = draw(ITEMS);
            if (draw(4) || !items[item].count)
                add_event(&set, item, draw(2) ? SIGNAL_VIEWS : 0, begin + draw(4 * 86400) * 1000ll);
            else
                take_event(&set, item, draw(items[item].count));
            for (uint32_t n = draw(40) ? 0 : items[other].count; n; n--)
                take_event(&set, other, n - 1);
            if (step == 1500)
                set.cut = rebuilt = 0;
            for (; rebuilt < ITEMS && step % 3 == 0; rebuilt++)
                commit(&set, rebuilt, true);
            if (rebuilt == ITEMS)
                assert_rule(&set);
        }
        assert_true(set.cuts > 0);
    }
}

// ---- Which periods are open

static void assert_open(enum grain grain, int64_t now, int64_t event, bool open, bool readable) {
    struct period period = period_at(grain, event);
    if (period_is_open(period, now) != open || period_is_readable(period, now) != readable)
        fail_msg("%s, from %s: %d %d", name_of(period), calendar_zone(), open, readable);
    assert_true(period_is_closed(period, now) == (!open && event < now));
}

static void test_open_until_the_35th_day(void **state) {
    (void)state;
    // The clocks are set back on 2026-10-25: the day is longer, and so are the 35.
    int64_t now = at("Europe/Berlin", "2026-11-26", 18);
    assert_open(GRAIN_DAY, now, at("Europe/Berlin", "2026-10-23", 0), true, true);
    assert_open(GRAIN_DAY, now, at("Europe/Berlin", "2026-10-23", 0) - 1, false, false);
    assert_open(GRAIN_DAY, now, now + 60000, true, true);
    assert_open(GRAIN_DAY, now, now + 10 * HOUR_MS, true, false);
    assert_open(GRAIN_DAY, now, now + 40 * HOUR_MS, false, false);
    assert_open(GRAIN_WEEK, now, at("Europe/Berlin", "2026-W44", 0), true, true);
    assert_open(GRAIN_WEEK, now, at("Europe/Berlin", "2026-W44", 0) - 1, false, true);
    assert_open(GRAIN_WEEK, now, at("Europe/Berlin", "2026-W37", 0), false, true);
    assert_open(GRAIN_WEEK, now, at("Europe/Berlin", "2026-W37", 0) - 1, false, false);
    assert_open(GRAIN_MONTH, now, at("Europe/Berlin", "2024-12", 0), true, true);
    assert_open(GRAIN_MONTH, now, at("Europe/Berlin", "2024-12", 0) - 1, false, false);
}

// What the series of an item keeps reaches back to the oldest open period, whenever its newest event is.
static void test_open_periods_have_their_buckets(void **state) {
    (void)state;
    const char *const zones[] = {"UTC", "Asia/Kolkata", "Europe/Berlin"};
    struct period open[PERIODS_OPEN_MAX];
    struct ranking views = {.kind = RANK_WINDOW, .weight = {[SIGNAL_VIEWS] = 1}};
    for (uint32_t i = 0; i < 800; i++) {
        int64_t now = at(zones[i % 3], "2025-12-30", 0) + i * 11 * HOUR_MS;
        for (int of = GRAIN_DAY; of < GRAINS; of++) {
            enum grain grain = (enum grain)of;
            uint32_t count = periods_open(grain, now, open);
            struct series series;
            series_clear(&series);
            for (uint32_t p = count; p-- > 0;) {
                assert_true(period_is_open(open[p], now));
                series_add(&series, SIGNAL_VIEWS, period_begin_ms(open[p]), 1);
            }
            for (uint32_t p = 0; p < count; p++)
                assert_true(period_value(&views, &series, open[p]) == 1);
            assert_false(period_is_open((struct period){grain, open[count - 1].number - 1}, now));
        }
    }
}

static void assert_windows(enum window window, int64_t now, uint32_t count, const char *oldest) {
    struct period periods[PERIODS_READ_MAX];
    assert_int_equal(periods_of_window(window, now, periods), count);
    assert_string_equal(name_of(periods[count - 1]), oldest);
    for (uint32_t i = 0; i < count; i++)
        assert_true(period_has_categories(periods[i], now) && period_is_readable(periods[i], now));
}

static void test_the_sets_of_a_window(void **state) {
    (void)state;
    int64_t now = at("UTC", "2026-03-01", 5);
    assert_windows(WINDOW_24H, now, 2, "2026-02-28");
    assert_windows(WINDOW_TODAY, now, 1, "2026-03-01");
    assert_windows(WINDOW_7D, now, 2, "2026-W08");
    assert_windows(WINDOW_30D, now, 3, "2026-01");
    assert_windows(WINDOW_30D, at("UTC", "2026-03-04", 5), 2, "2026-02");
    assert_windows(WINDOW_MONTH, now, 1, "2026-03");
    // 24 to 25 hours back, where the hours do not begin with the day.
    assert_windows(WINDOW_24H, at("Asia/Kolkata", "2026-03-01", 0) + 60000, 3, "2026-02-27");
    // The clocks are set forward on 2026-03-29: a day of 23 hours.
    assert_windows(WINDOW_24H, at("Europe/Berlin", "2026-03-30", 0) + 1800000, 3, "2026-03-28");
    assert_false(window_ranks(WINDOW_1H) || window_ranks(WINDOW_YESTERDAY));
}

// An item that is in none of the sets is never worth more in the window than the cuts together.
static void test_the_cuts_bound_what_a_window_lacks(void **state) {
    (void)state;
    const enum window sliding[] = {WINDOW_24H, WINDOW_7D, WINDOW_30D};
    const struct ranking odd = {.kind = RANK_WINDOW, .weight = {[0] = 0.3, [SIGNAL_VIEWS] = 0.1}};
    for (uint32_t round = 0; round < 3000; round++) {
        int64_t now = at(round % 2 ? "Asia/Kolkata" : "Europe/Berlin", "2026-03-25", draw(24 * 12));
        struct window_span span = window_span_at(sliding[round % 3], now);
        struct period periods[PERIODS_READ_MAX];
        uint32_t count = periods_of_window(sliding[round % 3], now, periods);
        double cuts[PERIODS_READ_MAX];
        struct series series;
        series_clear(&series);
        for (uint32_t i = 0; i < 30; i++)
            series_add(&series, draw(2) ? 0 : SIGNAL_VIEWS,
                       span.from_ms + (int64_t)draw((uint32_t)((now - span.from_ms) / 1000)) * 1000, 1);
        for (uint32_t i = 0; i < count; i++)
            cuts[i] = period_value(&odd, &series, periods[i]);
        double value = window_value(&odd, &series, &span);
        assert_true(value > 0 && value <= cuts_sum(cuts, count));
        assert_int_equal(window_events(&odd, &series, &span), 30);
    }
    assert_true(cuts_sum((double[]){0, 0}, 2) == 0);
}

// ---- Their keys

static void test_keys_of_periods_are_read_back(void **state) {
    (void)state;
    struct key key;
    struct period period = {GRAIN_WEEK, 0}, back;
    enum period_key kind;
    uint32_t partition;
    struct bytes name, text;
    ref_t category = 0xabc;
    keys_init(PARTITIONS);
    assert_true(calendar_parse(BYTES("2026-W48"), &period.grain, &period.number));
    key_period_cutoffs(&key, 7, period);
    assert_non_null(memmem(key.at, key.len, "}floor@2026-W48", 15));
    assert_true(key_parse_period(key_bytes(&key), &kind, &back) && kind == PERIOD_KEY_CUTOFFS);
    assert_true(back.grain == GRAIN_WEEK && back.number == period.number);
    key_ranking(&key, 7, 1, BYTES("most-read@2026-11-26"), &category);
    assert_true(key_parse_period(key_bytes(&key), &kind, &back) && kind == PERIOD_KEY_PART && back.grain == GRAIN_DAY);
    key_ranking_no_card(&key, 7, 1, BYTES("most-read@2026-11"));
    assert_true(key_parse_period(key_bytes(&key), &kind, &back) && kind == PERIOD_KEY_SET && back.grain == GRAIN_MONTH);
    assert_true(key_parse_ranking(key_bytes(&key), &partition, &name, &text) && partition == 7);
    assert_true(bytes_eq(name, BYTES("most-read")) && bytes_eq(text, BYTES("2026-11")));
    key_ranking(&key, 7, 1, BYTES("hot"), &category);
    assert_false(key_parse_period(key_bytes(&key), &kind, &back));
    assert_true(key_parse_ranking(key_bytes(&key), &partition, &name, &text) && bytes_eq(name, BYTES("hot")) &&
                !text.len);
    const char *const wrong[] = {
        "", "x", "{e7}", "{e7}floor", "{e7}floor@", "{e7}floor@2026-13", "{e7}periods", "engaged:meta"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(key_parse_period(bytes_of(wrong[i]), &kind, &back));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_bound),
        cmocka_unit_test(test_members_are_taken_back_one_by_one),
        cmocka_unit_test(test_anything_in_any_order),
        cmocka_unit_test(test_open_until_the_35th_day),
        cmocka_unit_test(test_open_periods_have_their_buckets),
        cmocka_unit_test(test_the_sets_of_a_window),
        cmocka_unit_test(test_the_cuts_bound_what_a_window_lacks),
        cmocka_unit_test(test_keys_of_periods_are_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
