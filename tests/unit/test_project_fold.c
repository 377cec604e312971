// SPDX-License-Identifier: MIT
// What deltas do to states, compared with a direct computation from the events that remain.
#include "project/fold.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { VOTERS = 60, STEPS = 20000, VIEWS_MAX = STEPS };
enum {
    COUNTED = FOLD_CHANGED | FOLD_CHANGED_TOTAL | FOLD_COUNTED_VIEW,
    WIPED = FOLD_CHANGED | FOLD_CHANGED_TOTAL | FOLD_WIPED_VIEWS
};

static const struct half_lives lives = {.count = 4,
                                        .ms = {3 * 3600000LL, 6 * 3600000LL, 24 * 3600000LL, 7 * 24 * 3600000LL}};

static uint64_t seed = 20261123;

static uint32_t random_below(uint32_t bound) {
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % bound;
}

static int64_t random_time(void) {
    return INT64_C(1760000000000) + (int64_t)random_below(10 * 86400) * 1000;
}

static struct delta vote_touch(int kind, int64_t time_ms, int old_kind, int64_t old_time_ms) {
    struct delta delta = {.type = DELTA_VOTE, .kind = (uint8_t)kind, .old_kind = (uint8_t)old_kind};
    delta.vote.time_ms = time_ms;
    delta.vote.old_time_ms = old_time_ms;
    return delta;
}

static struct delta view_touch(int64_t time_ms) {
    struct delta delta = {.type = DELTA_VIEW};
    delta.view.time_ms = time_ms;
    return delta;
}

static const struct delta deletion = {.type = DELTA_DELETE}; // of format 2

// The events that count at present, kept naively.
struct ledger {
    struct {
        int kind; // -1: none
        int64_t time_ms;
    } votes[VOTERS];
    int64_t views[VIEWS_MAX];
    size_t view_count;
};

// Both as multiples of the weight of an event at the latest time there is.
static double straight_sum(const struct ledger *ledger, int signal, uint32_t life, int64_t now_ms) {
    double sum = 0;
    for (size_t i = 0; signal == SIGNAL_VIEWS && i < ledger->view_count; i++)
        sum += exp2((double)(ledger->views[i] - now_ms) / (double)lives.ms[life]);
    for (int i = 0; signal != SIGNAL_VIEWS && i < VOTERS; i++)
        if (ledger->votes[i].kind == signal)
            sum += exp2((double)(ledger->votes[i].time_ms - now_ms) / (double)lives.ms[life]);
    return sum;
}

static size_t straight_count(const struct ledger *ledger, int signal) {
    size_t count = signal == SIGNAL_VIEWS ? ledger->view_count : 0;
    for (int i = 0; signal != SIGNAL_VIEWS && i < VOTERS; i++)
        count += ledger->votes[i].kind == signal;
    return count;
}

static void check_signal(const struct signal_sums *held, const struct ledger *ledger, int signal,
                         double largest[HALF_LIVES_MAX]) {
    int64_t now_ms = INT64_C(1760000000000) + 10 * 86400000LL;
    assert_int_equal(held->count, straight_count(ledger, signal));
    for (uint32_t life = 0; life < lives.count; life++) {
        double straight = straight_sum(ledger, signal, life, now_ms);
        double folded = decay_value(held->sum[life], now_ms, lives.ms[life]);
        if (straight > largest[life])
            largest[life] = straight;
        assert_true(fabs(folded - straight) <= 1e-9 * largest[life]);
        if (held->count == 0)
            assert_true(held->sum[life] == DECAY_EMPTY);
    }
}

static void check_series(const struct series *series, const struct ledger *ledger, int signal) {
    for (int grain = 0; grain < GRAINS_COUNTED; grain++) {
        int32_t oldest = series_oldest(series, (enum grain)grain);
        uint64_t straight = 0;
        for (size_t i = 0; signal == SIGNAL_VIEWS && i < ledger->view_count; i++)
            straight += calendar_number((enum grain)grain, ledger->views[i]) >= oldest;
        for (int i = 0; signal != SIGNAL_VIEWS && i < VOTERS; i++)
            straight += ledger->votes[i].kind == signal &&
                        calendar_number((enum grain)grain, ledger->votes[i].time_ms) >= oldest;
        assert_int_equal(series_count(series, signal, (enum grain)grain, 0, INT32_MAX), straight);
    }
}

static void fold_random_vote(struct sums *sums, struct ledger *ledger) {
    uint32_t voter = random_below(VOTERS);
    int kind = (int)random_below(4) - 1;
    int64_t time_ms = random_time();
    int old_kind = ledger->votes[voter].kind;
    if (kind == old_kind)
        return;
    struct delta delta = vote_touch(kind < 0 ? ENTRY_NO_KIND : kind, time_ms, old_kind < 0 ? ENTRY_NO_KIND : old_kind,
                                    ledger->votes[voter].time_ms);
    assert_int_equal(sums_fold(sums, NULL, &lives, 0, &delta, 1), FOLD_CHANGED | FOLD_CHANGED_TOTAL);
    ledger->votes[voter].kind = kind;
    ledger->votes[voter].time_ms = time_ms;
}

static void folding_equals_recomputing(void **state) {
    (void)state;
    static struct ledger ledger;
    static double largest[SIGNAL_COUNT][HALF_LIVES_MAX];
    struct sums sums, total;
    double accept_ms = 1000, deleted_ms = 0;
    for (int i = 0; i < VOTERS; i++)
        ledger.votes[i].kind = -1;
    sums_clear(&sums);
    sums_clear(&total);
    for (int step = 0; step < STEPS; step++) {
        accept_ms++;
        if (random_below(4000) == 0) {
            deleted_ms = accept_ms;
            sums_fold(&sums, &total, &lives, deleted_ms, &deletion, accept_ms);
            ledger.view_count = 0;
            for (int i = 0; i < VOTERS; i++)
                ledger.votes[i].kind = -1;
        } else if (random_below(3) == 0) {
            struct delta delta = view_touch(random_time());
            ledger.views[ledger.view_count++] = delta.view.time_ms;
            sums_fold(&sums, &total, &lives, deleted_ms, &delta, accept_ms);
        } else {
            fold_random_vote(&sums, &ledger);
        }
        if (step % 100 == 0) {
            for (int signal = 0; signal < SIGNAL_COUNT; signal++) {
                check_signal(&sums.signals[signal], &ledger, signal, largest[signal]);
                check_series(&sums.series, &ledger, signal);
            }
            check_signal(&total.signals[SIGNAL_VIEWS], &ledger, SIGNAL_VIEWS, largest[SIGNAL_VIEWS]);
        }
    }
}

static void a_view_accepted_before_the_deletion_does_not_count(void **state) {
    (void)state;
    struct sums sums, total;
    struct delta view = view_touch(random_time());
    sums_clear(&sums);
    sums_clear(&total);
    assert_int_equal(sums_fold(&sums, &total, &lives, 0, &view, 100), COUNTED);
    // Of two late ones the first wipes what was there, the second finds nothing to wipe.
    assert_int_equal(sums_fold(&sums, &total, &lives, 200, &view, 150), WIPED);
    assert_int_equal(sums_fold(&sums, &total, &lives, 200, &view, 200), 0);
    assert_int_equal(sums.signals[SIGNAL_VIEWS].count, 0);
    assert_int_equal(total.signals[SIGNAL_VIEWS].count, 0);
    assert_int_equal(sums_fold(&sums, &total, &lives, 200, &view, 201), COUNTED);
    // The deletion's own record comes after it in another log: the view stays.
    sums_fold(&sums, &total, &lives, 200, &deletion, 200);
    assert_int_equal(sums.signals[SIGNAL_VIEWS].count, 1);
    assert_int_equal(total.signals[SIGNAL_VIEWS].count, 1);
    assert_true(sums.epoch_ms == 200);
}

static void votes_are_wiped_where_the_record_stands(void **state) {
    (void)state;
    struct sums sums;
    int64_t time_ms = random_time();
    struct delta first = vote_touch(0, time_ms, ENTRY_NO_KIND, 0), second = vote_touch(1, time_ms, ENTRY_NO_KIND, 0);
    sums_clear(&sums);
    // The tombstone is already there while the votes before it are still being projected.
    sums_fold(&sums, NULL, &lives, 200, &first, 100);
    assert_int_equal(sums.signals[0].count, 1);
    sums_fold(&sums, NULL, &lives, 200, &deletion, 200);
    sums_fold(&sums, NULL, &lives, 200, &second, 300);
    assert_int_equal(sums.signals[0].count, 0);
    assert_int_equal(sums.signals[1].count, 1);
}

// ---- Erasures and sets: the script has taken the state away, or written it

static struct bytes pack(const struct sums *sums, struct buffer *packed) {
    buffer_init(packed, 64 << 10);
    sums_pack(sums, &lives, packed);
    return buffer_bytes(packed);
}

static void an_erasure_takes_the_views_off_the_total_and_leaves_later_ones(void **state) {
    (void)state;
    struct sums sums, total, other;
    struct buffer packed;
    struct delta view = view_touch(random_time()), erasure = {.type = DELTA_ERASE};
    struct delta vote = vote_touch(0, random_time(), ENTRY_NO_KIND, 0);
    sums_clear(&sums);
    sums_clear(&other);
    sums_clear(&total);
    for (int i = 0; i < 3; i++)
        sums_fold(&sums, &total, &lives, 0, &view, 100);
    sums_fold(&other, &total, &lives, 0, &view, 100);
    erasure.card.before = pack(&sums, &packed);
    sums_clear(&sums); // by lua/delete.lua
    // Beside the deletion, and folded before its record: a view of any log counts, a vote of this log does not.
    assert_int_equal(sums_fold(&sums, &total, &lives, 0, &view, 1), COUNTED);
    sums_fold(&sums, &total, &lives, 0, &vote, 1);
    assert_int_equal(sums_fold(&sums, &total, &lives, 0, &erasure, 200), FOLD_CHANGED | FOLD_CHANGED_TOTAL);
    assert_int_equal(sums.signals[SIGNAL_VIEWS].count, 1);
    assert_int_equal(sums.signals[0].count, 0);
    assert_int_equal(total.signals[SIGNAL_VIEWS].count, 2);
    for (uint32_t life = 0; life < lives.count; life++)
        assert_true(fabs(exp2(total.signals[SIGNAL_VIEWS].sum[life] - other.signals[SIGNAL_VIEWS].sum[life]) - 2) <
                    1e-9);
    // An erasure that hides takes no views, nor does an erasure of a corrupt state.
    erasure.card.before = NO_BYTES;
    sums_fold(&sums, &total, &lives, 0, &erasure, 200);
    erasure.card.before = BYTES("torn");
    sums_fold(&sums, &total, &lives, 0, &erasure, 200);
    assert_int_equal(total.signals[SIGNAL_VIEWS].count, 2);
    buffer_release(&packed);
}

static void a_set_moves_the_total_by_the_difference(void **state) {
    (void)state;
    struct sums before, now, total;
    struct buffer packed_before, packed_now, packed_held, packed_after;
    struct delta view = view_touch(random_time()), set = {.type = DELTA_SET};
    sums_clear(&before);
    sums_clear(&now);
    sums_clear(&total);
    sums_fold(&before, &total, &lives, 0, &view, 1);
    for (int i = 0; i < 5; i++)
        sums_fold(&now, NULL, &lives, 0, &view, 1);
    struct sums held;
    assert_true(sums_unpack(pack(&now, &packed_held), &lives, &held));
    set.card.before = pack(&before, &packed_before);
    set.card.packed = pack(&now, &packed_now);
    assert_int_equal(sums_fold(&held, &total, &lives, 0, &set, 1), FOLD_CHANGED_TOTAL);
    assert_true(bytes_eq(pack(&held, &packed_after), buffer_bytes(&packed_held))); // it stands there already
    assert_int_equal(series_count(&total.series, SIGNAL_VIEWS, GRAIN_MONTH, 0, INT32_MAX), 5);
    assert_int_equal(total.signals[SIGNAL_VIEWS].count, 5);
    for (uint32_t life = 0; life < lives.count; life++)
        assert_true(fabs(total.signals[SIGNAL_VIEWS].sum[life] - now.signals[SIGNAL_VIEWS].sum[life]) < 1e-9);
    struct bytes first = set.card.before;
    set.card.before = set.card.packed;
    set.card.packed = first;
    sums_fold(&held, &total, &lives, 0, &set, 1);
    assert_int_equal(total.signals[SIGNAL_VIEWS].count, 1);
    assert_int_equal(series_count(&total.series, SIGNAL_VIEWS, GRAIN_MONTH, 0, INT32_MAX), 1);
    buffer_release(&packed_held);
    buffer_release(&packed_after);
    buffer_release(&packed_before);
    buffer_release(&packed_now);
}

// ---- Series of the item and of its site

static struct sums article, site;

static void fold_both(const struct delta *delta) {
    sums_fold(&article, &site, &lives, 0, delta, 1);
}

static void assert_days(int signal, int32_t day, uint64_t of_article, uint64_t of_site) {
    assert_int_equal(series_count(&article.series, signal, GRAIN_DAY, day, day), of_article);
    assert_int_equal(series_count(&site.series, signal, GRAIN_DAY, day, day), of_site);
}

static void each_record_moves_the_series_of_item_and_site(void **state) {
    (void)state;
    enum { DAY_MS = 86400000 };
    int32_t day = 20000;
    int64_t then_ms = (int64_t)day * DAY_MS + 5, now_ms = then_ms + DAY_MS;
    struct delta view = view_touch(now_ms), vote = vote_touch(0, then_ms, ENTRY_NO_KIND, 0),
                 another = vote_touch(1, now_ms, 0, then_ms), retraction = vote_touch(ENTRY_NO_KIND, 0, 1, now_ms),
                 erasure = {.type = DELTA_ERASE};
    sums_clear(&article);
    sums_clear(&site);
    fold_both(&view);
    assert_days(SIGNAL_VIEWS, day + 1, 1, 1);
    fold_both(&vote); // late: of its own day
    assert_days(0, day, 1, 1);
    assert_int_equal(site.signals[0].count, 0);
    fold_both(&another);
    assert_days(0, day, 0, 0);
    assert_days(1, day + 1, 1, 1);
    fold_both(&retraction);
    assert_days(1, day + 1, 0, 0);
    fold_both(&retraction); // it is not there
    assert_days(1, day + 1, 0, 0);
    fold_both(&vote);
    fold_both(&erasure); // the script takes the views of the item
    assert_days(0, day, 0, 1);
    assert_days(SIGNAL_VIEWS, day + 1, 1, 1);
    sums_fold(&article, NULL, &lives, 0, &vote, 1); // an older program's record names no site
    assert_days(0, day, 1, 1);
}

static void a_state_without_series_begins_to_count(void **state) {
    (void)state;
    struct buffer packed;
    struct delta view = view_touch(INT64_C(1760000000000));
    buffer_init(&packed, 1000);
    sums_clear(&article);
    fold_both(&view);
    series_clear(&article.series);
    struct bytes whole = pack(&article, &packed); // an empty series ends it: 4 bytes
    char old[1000];
    memcpy(old, whole.at, whole.len - 4);
    old[0] = 1; // its format
    series_begin((struct series_beginning){.since_s = 1750000000});
    assert_true(sums_unpack((struct bytes){old, whole.len - 4}, &lives, &site));
    assert_false(sums_have_series((struct bytes){old, whole.len - 4}));
    assert_int_equal(series_since(&site.series, GRAIN_HOUR), INT64_C(1750000000000));
    assert_int_equal(site.signals[SIGNAL_VIEWS].count, 1);
    fold_both(&view);
    assert_days(SIGNAL_VIEWS, calendar_number(GRAIN_DAY, INT64_C(1760000000000)), 1, 1);
    assert_true(sums_unpack(whole, &lives, &article)); // of this format: it knows all its hours
    assert_int_equal(series_since(&article.series, GRAIN_HOUR), 0);
    assert_true(sums_unpack(NO_BYTES, &lives, &article));
    assert_int_equal(series_since(&article.series, GRAIN_HOUR), 0);
    series_begin((struct series_beginning){0});
    buffer_release(&packed);
}

static bool tells_visitors(size_t cut) {
    struct buffer packed;
    struct bytes whole = pack(&article, &packed);
    bool tells = sums_tell_visitors((struct bytes){whole.at, cut ? cut : whole.len});
    buffer_release(&packed);
    return tells;
}

static void a_state_tells_its_visitors_while_they_are_early(void **state) {
    (void)state;
    sums_clear(&article);
    assert_true(sums_tell_visitors(NO_BYTES));
    assert_true(tells_visitors(0));
    sums_add(&article, &lives, 0, INT64_C(1760000000000));
    assert_true(tells_visitors(0)); // a vote alone
    sums_add(&article, &lives, SIGNAL_VIEWS, INT64_C(1760000000000));
    assert_false(tells_visitors(0));
    assert_true(tells_visitors(3)); // whoever unpacks it finds it corrupt
    assert_true(early_visitors_add(&article.early, 7, true));
    assert_true(tells_visitors(0));
}

static void a_table_forgets_a_neighbour(void **state) {
    (void)state;
    static struct neighbours table;
    struct delta delta = {.type = DELTA_COVIEW}, forget = {.type = DELTA_FORGET};
    neighbours_clear(&table);
    for (ref_t item = 7; item < 10; item++) {
        delta.coview.item = item;
        delta.coview.weight = (double)item;
        neighbours_fold(&table, 0, &delta, 1);
    }
    forget.coview.item = 8;
    assert_true(neighbours_fold(&table, 0, &forget, 1));
    assert_false(neighbours_fold(&table, 0, &forget, 1));
    assert_int_equal(table.count, 2);
    assert_true(table.total == 16);
    for (int i = 0; i < table.count; i++)
        assert_true(table.at[i].item != 8 && table.at[i].weight == (float)table.at[i].item);
}

static void unknown_kinds_do_no_harm(void **state) {
    (void)state;
    struct sums sums;
    struct delta delta = vote_touch(200, 0, 77, 0);
    sums_clear(&sums);
    sums_fold(&sums, NULL, &lives, 0, &delta, 1);
    for (int i = 0; i < SIGNAL_COUNT; i++)
        assert_int_equal(sums.signals[i].count, 0);
    delta = vote_touch(ENTRY_NO_KIND, 0, 3, random_time()); // one that the state does not know
    sums_fold(&sums, NULL, &lives, 0, &delta, 1);
    assert_int_equal(sums.signals[3].count, 0);
    assert_true(sums.signals[3].sum[0] == DECAY_EMPTY);
}

static void co_views_respect_deletions(void **state) {
    (void)state;
    static struct neighbours table;
    struct delta delta = {.type = DELTA_COVIEW};
    neighbours_clear(&table);
    delta.coview.item = 7;
    delta.coview.weight = 0.5;
    assert_true(neighbours_fold(&table, 0, &delta, 100));
    assert_true(neighbours_fold(&table, 0, &delta, 100));
    assert_int_equal(table.count, 1);
    assert_true(fabs(table.total - 1.0) < 1e-6);
    assert_true(neighbours_fold(&table, 200, &delta, 200)); // wiped, not added
    assert_int_equal(table.count, 0);
    assert_false(neighbours_fold(&table, 200, &delta, 150));
    assert_true(neighbours_fold(&table, 200, &delta, 201));
    assert_int_equal(table.count, 1);
    assert_false(neighbours_fold(&table, 200, &deletion, 200));
    assert_int_equal(table.count, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folding_equals_recomputing),
        cmocka_unit_test(a_view_accepted_before_the_deletion_does_not_count),
        cmocka_unit_test(votes_are_wiped_where_the_record_stands),
        cmocka_unit_test(an_erasure_takes_the_views_off_the_total_and_leaves_later_ones),
        cmocka_unit_test(a_set_moves_the_total_by_the_difference),
        cmocka_unit_test(each_record_moves_the_series_of_item_and_site),
        cmocka_unit_test(a_state_without_series_begins_to_count),
        cmocka_unit_test(a_state_tells_its_visitors_while_they_are_early),
        cmocka_unit_test(a_table_forgets_a_neighbour),
        cmocka_unit_test(unknown_kinds_do_no_harm),
        cmocka_unit_test(co_views_respect_deletions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
