// SPDX-License-Identifier: MIT
// What lists are made from: recommendations by their formulas, and what has a place in a ranking.
#include "model/ranking.h"
#include "model/related.h"
#include "store/plan.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>
// clang-format on

#define NEAR(a, b) assert_true(fabs((a) - (b)) < 1e-12)

static struct neighbours table_of(ref_t item, double weight, ref_t other, double other_weight) {
    struct neighbours table;
    neighbours_clear(&table);
    neighbours_add(&table, item, weight);
    if (other)
        neighbours_add(&table, other, other_weight);
    return table;
}

static const struct suggestion *find(const struct suggestion *list, size_t count, ref_t item) {
    for (size_t i = 0; i < count; i++)
        if (list[i].item == item)
            return &list[i];
    return NULL;
}

// Σ_d 0.5^(d−1)·c[a_d][j]/(C_{a_d}+5): the latest item weighs most, and each before it half as much.
static void test_recommendations_by_their_formula(void **state) {
    (void)state;
    struct neighbours first = table_of(10, 2, 20, 1), second = table_of(11, 3, 20, 1), third = table_of(12, 4, 0, 0);
    const struct neighbours *tables[] = {&first, &second, &third};
    const ref_t recent[] = {1, 2, 3};
    struct popular popular[] = {{10, 0.5}, {2, 0.25}, {30, 0.25}};
    struct suggestion list[10];
    size_t count = recommend_suggest(recent, tables, 3, popular, 3, list, 10);
    assert_int_equal(count, 5); // 2 was read
    assert_null(find(list, count, 2));
    NEAR(find(list, count, 10)->score, 2.0 / 8 + 0.2 * 0.5);
    NEAR(find(list, count, 11)->score, 0.5 * 3.0 / 9);
    NEAR(find(list, count, 12)->score, 0.25 * 4.0 / 9);
    NEAR(find(list, count, 20)->score, 1.0 / 8 + 0.5 * 1.0 / 9);
    NEAR(find(list, count, 30)->score, 0.2 * 0.25);
    assert_true(find(list, count, 20)->from_neighbours && !find(list, count, 30)->from_neighbours);
}

// Whatever their number and however many scores are equal, they come in the order of suggestion_cmp, each once.
static void test_suggestions_come_best_first(void **state) {
    (void)state;
    struct suggestion list[200];
    uint64_t random = 1;
    for (size_t size = 1; size <= 200; size++) {
        for (size_t i = 0; i < size; i++) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
            list[i] = (struct suggestion){.item = (random >> 32) << 8 | i, .score = (double)(random >> 40 & 15)};
        }
        size_t left = size;
        suggestions_arrange(list, left);
        struct suggestion before = suggestion_take(list, &left);
        for (size_t i = 1; i < size; i++) {
            struct suggestion next = suggestion_take(list, &left);
            assert_true(suggestion_cmp(&before, &next) < 0);
            before = next;
        }
        assert_int_equal(left, 0);
    }
}

// Σ_j c[i][j]/(C_i+5)·c[j][k]/(C_j+5): the step from the item to its neighbour weighs, strongest first.
static void test_two_steps_by_their_formula(void **state) {
    (void)state;
    struct neighbours own = table_of(10, 3, 11, 1);
    struct neighbours of_10 = table_of(40, 1, 41, 1), of_11 = table_of(41, 2, 1, 7);
    const struct neighbours *next[] = {&of_10, &of_11};
    struct popular popular[] = {{50, 1}};
    struct suggestion list[10];
    size_t count = two_step_suggest(1, &own, next, 2, popular, 1, list, 10);
    assert_int_equal(count, 3); // the item itself is left out
    NEAR(find(list, count, 40)->score, 3.0 / 9 * (1.0 / 7));
    NEAR(find(list, count, 41)->score, 3.0 / 9 * (1.0 / 7) + 1.0 / 9 * (2.0 / 14));
    NEAR(find(list, count, 50)->score, 0.2);
}

static void test_two_steps_go_by_the_ten_strongest(void **state) {
    (void)state;
    struct neighbours own, of[12];
    const struct neighbours *next[12];
    struct suggestion list[20];
    neighbours_clear(&own);
    for (size_t i = 0; i < 12; i++) {
        neighbours_add(&own, 100 + i, (double)(20 - i));
        of[i] = table_of(200 + i, 1, 0, 0);
        next[i] = &of[i];
    }
    assert_int_equal(two_step_suggest(1, &own, next, 12, NULL, 0, list, 20), STRONGEST_NEIGHBOURS);
    assert_int_equal(two_step_suggest(1, &own, next, 4, NULL, 0, list, 20), 4);
    assert_int_equal(two_step_suggest(1, &own, next, 12, NULL, 0, list, 3), 3);
    assert_non_null(find(list, 3, 200)); // the best are kept if there is no room for all
}

static const struct half_lives lives = {1, {3600000}};

static bool has_place(const struct ranking *ranking, const struct sums *sums, int64_t age_ms) {
    double value;
    int64_t now_ms = DECAY_EPOCH_MS + INT64_C(100) * 86400000;
    return ranking_value(ranking, sums, age_ms < 0 ? 0 : now_ms - age_ms, now_ms, &value);
}

static void test_a_floor_counts_what_has_a_weight(void **state) {
    (void)state;
    struct ranking ranking = {.kind = RANK_TOTAL, .floor = 3};
    struct sums sums;
    sums_clear(&sums);
    ranking.weight[0] = 1;
    for (int i = 0; i < 9; i++)
        sums_add(&sums, &lives, SIGNAL_VIEWS, DECAY_EPOCH_MS);
    for (int i = 1; i <= 4; i++) {
        sums_add(&sums, &lives, 0, DECAY_EPOCH_MS);
        assert_true(has_place(&ranking, &sums, -1) == (i >= 3));
    }
    ranking.floor = 13;
    assert_false(has_place(&ranking, &sums, -1));
    ranking.weight[SIGNAL_VIEWS] = 0.1;
    assert_true(has_place(&ranking, &sums, -1));
    ranking.floor = 14;
    assert_false(has_place(&ranking, &sums, -1));
}

static void test_a_floor_of_best_counts_votes_alone(void **state) {
    (void)state;
    struct ranking ranking = {.kind = RANK_BEST, .floor = 3};
    struct sums sums;
    sums_clear(&sums);
    for (int i = 0; i < 9; i++)
        sums_add(&sums, &lives, SIGNAL_VIEWS, DECAY_EPOCH_MS);
    for (int i = 1; i <= 4; i++) {
        sums_add(&sums, &lives, i % 2, DECAY_EPOCH_MS);
        assert_true(has_place(&ranking, &sums, -1) == (i >= 3));
    }
}

// The short sum over the long one, both as they are at that instant.
static void test_the_score_of_a_rising_one_is_a_ratio(void **state) {
    (void)state;
    const int64_t hour = 3600000;
    struct half_lives both = {2, {hour, 4 * hour}};
    struct ranking ranking = {.kind = RANK_RISING, .life = 0, .long_life = 1, .half_life_ms = hour};
    struct sums sums;
    double value;
    sums_clear(&sums);
    ranking.weight[0] = 1;
    for (int i = 0; i < 5; i++)
        sums_add(&sums, &both, 0, DECAY_EPOCH_MS + i * hour);
    for (int64_t now_ms = DECAY_EPOCH_MS + 5 * hour; now_ms < DECAY_EPOCH_MS + 20 * hour; now_ms += 3 * hour) {
        assert_true(ranking_value(&ranking, &sums, 0, now_ms, &value));
        double wanted = decay_value(sums.signals[0].sum[0], now_ms, hour) /
                        decay_value(sums.signals[0].sum[1], now_ms, 4 * hour);
        assert_true(fabs(ranking_score(&ranking, value, now_ms) - wanted) < 1e-6 * wanted);
    }
}

static void test_a_rising_one_has_a_half_life_four_times_as_long(void **state) {
    (void)state;
    static struct settings settings;
    struct plan plan;
    settings.ranking_count = 1;
    snprintf(settings.rankings[0].name, sizeof settings.rankings[0].name, "up");
    settings.rankings[0].type = RANKING_RISING;
    settings.rankings[0].half_life_ms = 3600000;
    assert_true(plan_make(&settings, &plan));
    const struct ranking *rising = plan_find(&plan, BYTES("up"));
    assert_true(plan.lives.ms[rising->life] == 3600000 && plan.lives.ms[rising->long_life] == 4 * 3600000);
}

static void test_an_oldest_age_holds_to_the_millisecond(void **state) {
    (void)state;
    struct ranking ranking = {.kind = RANK_TOTAL, .oldest_age_ms = 1000};
    struct sums sums;
    sums_clear(&sums);
    ranking.weight[0] = 1;
    sums_add(&sums, &lives, 0, DECAY_EPOCH_MS);
    assert_true(has_place(&ranking, &sums, 0) && has_place(&ranking, &sums, 1000));
    assert_false(has_place(&ranking, &sums, 1001));
    assert_true(has_place(&ranking, &sums, -1)); // unknown
    ranking.oldest_age_ms = 0;
    assert_true(has_place(&ranking, &sums, INT64_C(99) * 86400000));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recommendations_by_their_formula),
        cmocka_unit_test(test_two_steps_by_their_formula),
        cmocka_unit_test(test_suggestions_come_best_first),
        cmocka_unit_test(test_two_steps_go_by_the_ten_strongest),
        cmocka_unit_test(test_a_floor_counts_what_has_a_weight),
        cmocka_unit_test(test_a_floor_of_best_counts_votes_alone),
        cmocka_unit_test(test_the_score_of_a_rising_one_is_a_ratio),
        cmocka_unit_test(test_a_rising_one_has_a_half_life_four_times_as_long),
        cmocka_unit_test(test_an_oldest_age_holds_to_the_millisecond),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
