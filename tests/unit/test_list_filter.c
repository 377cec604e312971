// SPDX-License-Identifier: MIT
// The rules of lists, row by row: which items pass, and how many of a kind a list takes.
#include "model/list_filter.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>
// clang-format on

#define NOW INT64_C(1800000000000)
#define HOUR INT64_C(3600000)

static const struct bytes sport[] = {{"sport", 5}}, two[] = {{"sport", 5}, {"arts", 4}}, ann[] = {{"Ann", 3}};
static const struct secret_key key;

#define WORDS(list)                                                                                                    \
    { list, sizeof(list) / sizeof(*(list)) }

static struct facts facts_of(const char *categories, const char *author, int64_t published_ms, int64_t first_ms) {
    return (struct facts){bytes_of(categories), bytes_of(author), published_ms, first_ms};
}

static void test_each_rule_alone(void **state) {
    (void)state;
    static const struct {
        struct list_rules rules;
        const char *categories, *author;
        int64_t published_ms, first_ms;
        bool passes;
    } rows[] = {
        {{0}, "", "", 0, 0, true},
        {{.max_age_ms = HOUR}, "", "", NOW - HOUR, 0, true},
        {{.max_age_ms = HOUR}, "", "", NOW - HOUR - 1, 0, false},
        {{.max_age_ms = HOUR}, "", "", NOW - HOUR - 1, NOW, false}, // the publication decides
        {{.max_age_ms = HOUR}, "", "", NOW + HOUR, 0, true},
        {{.max_age_ms = HOUR}, "", "", 0, NOW - HOUR, true},
        {{.max_age_ms = HOUR}, "", "", 0, NOW - HOUR - 1, false},
        {{.max_age_ms = HOUR}, "", "", 0, 0, true},
        {{.category = WORDS(sport)}, "sport", "", 0, 0, true},
        {{.category = WORDS(sport)}, "news\x1fsport", "", 0, 0, true},
        {{.category = WORDS(sport)}, "sports", "", 0, 0, false},
        {{.category = WORDS(sport)}, "spor", "", 0, 0, false},
        {{.category = WORDS(sport)}, "", "", 0, 0, false},
        {{.category = WORDS(two)}, "arts", "", 0, 0, true},
        {{.without_category = WORDS(two)},
         "news\x1f"
         "arts",
         "",
         0,
         0,
         false},
        {{.without_category = WORDS(two)}, "news", "", 0, 0, true},
        {{.without_category = WORDS(two)}, "", "", 0, 0, true},
        {{.author = WORDS(ann)}, "", "Ann", 0, 0, true},
        {{.author = WORDS(ann)}, "", "Anna", 0, 0, false},
        {{.author = WORDS(ann)}, "", "", 0, 0, false},
        {{.without_author = WORDS(ann)}, "", "Ann", 0, 0, false},
        {{.without_author = WORDS(ann)}, "", "", 0, 0, true},
        {{.category = WORDS(sport), .without_author = WORDS(ann)}, "sport", "Ann", 0, 0, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct facts facts = facts_of(rows[i].categories, rows[i].author, rows[i].published_ms, rows[i].first_ms);
        if (rules_allow(&rows[i].rules, &facts, NOW) != rows[i].passes)
            fail_msg("row %zu", i);
    }
}

static bool takes(struct spread *spread, const struct list_rules *rules, const char *categories, const char *author) {
    struct facts facts = facts_of(categories, author, 0, 0);
    if (!spread_has_room(spread, rules, &key, &facts))
        return false;
    spread_take(spread, rules, &key, &facts);
    return true;
}

static void test_at_most_so_many_of_a_kind(void **state) {
    (void)state;
    struct list_rules rules = {.per_category = 2, .per_author = 1};
    struct spread *spread = spread_new();
    assert_non_null(spread);
    assert_true(takes(spread, &rules, "a", "Ann"));
    assert_false(takes(spread, &rules, "b", "Ann"));
    assert_true(takes(spread, &rules,
                      "b\x1f"
                      "a",
                      "Bob"));
    assert_false(takes(spread, &rules,
                       "c\x1f"
                       "a",
                       "Cid")); // each of its categories counts
    assert_true(takes(spread, &rules,
                      "c\x1f"
                      "b",
                      "Cid"));
    assert_true(takes(spread, &rules, "Ann", "Dan")); // a category is no author
    for (int i = 0; i < 5; i++)
        assert_true(takes(spread, &rules, "", "")); // who has none is not limited
    spread_free(spread);
}

static void test_what_a_list_asks_for_is_not_limited(void **state) {
    (void)state;
    struct list_rules rules = {.per_category = 1, .per_author = 1, .category = WORDS(sport), .author = WORDS(ann)};
    struct spread *spread = spread_new();
    assert_non_null(spread);
    assert_true(takes(spread, &rules,
                      "sport\x1f"
                      "golf",
                      "Ann"));
    assert_true(takes(spread, &rules, "sport", "Ann"));
    assert_false(takes(spread, &rules,
                       "sport\x1f"
                       "golf",
                       "Ann"));
    spread_free(spread);
}

// More names than a list of 500 can have.
static void test_a_spread_is_bounded(void **state) {
    (void)state;
    struct list_rules rules = {.per_category = 1};
    struct spread *spread = spread_new();
    char name[16];
    assert_non_null(spread);
    for (int i = 0; i < 20000; i++) {
        snprintf(name, sizeof name, "c%d", i);
        assert_true(takes(spread, &rules, name, ""));
    }
    assert_false(takes(spread, &rules, "c5", ""));
    spread_free(spread);
}

static void test_the_first_category(void **state) {
    (void)state;
    assert_true(bytes_eq(first_category(BYTES("a\x1f"
                                              "b")),
                         BYTES("a")));
    assert_true(bytes_eq(first_category(BYTES("a")), BYTES("a")));
    assert_int_equal(first_category(BYTES("")).len, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_rule_alone),
        cmocka_unit_test(test_at_most_so_many_of_a_kind),
        cmocka_unit_test(test_what_a_list_asks_for_is_not_limited),
        cmocka_unit_test(test_a_spread_is_bounded),
        cmocka_unit_test(test_the_first_category),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
