// SPDX-License-Identifier: MIT
// The predicates of the rules, and the counts of a spread in an open-addressed hash table.
#include "model/list_filter.h"
#include <stdlib.h>

// ---- Categories

// Takes the first name off `joined`.
static bool next_category(struct bytes *joined, struct bytes *ret_one) {
    if (joined->len == 0)
        return false;
    const char *end = memchr(joined->at, 0x1f, joined->len);
    *ret_one = (struct bytes){joined->at, end ? (size_t)(end - joined->at) : joined->len};
    size_t taken = ret_one->len + (end != NULL);
    *joined = (struct bytes){joined->at + taken, joined->len - taken};
    return true;
}

bool category_is_among(struct bytes joined, struct bytes category) {
    struct bytes one;
    while (next_category(&joined, &one))
        if (bytes_eq(one, category))
            return true;
    return false;
}

struct bytes first_category(struct bytes joined) {
    struct bytes one = NO_BYTES;
    return next_category(&joined, &one) ? one : NO_BYTES;
}

// ---- Rules that look at one item

static bool has_any(const struct rule_words *words, struct bytes joined) {
    for (uint32_t i = 0; i < words->count; i++)
        if (category_is_among(joined, words->at[i]))
            return true;
    return false;
}

static bool holds(const struct rule_words *words, struct bytes word) {
    for (uint32_t i = 0; i < words->count; i++)
        if (bytes_eq(words->at[i], word))
            return true;
    return false;
}

static bool is_young(const struct list_rules *rules, const struct facts *facts, int64_t now_ms) {
    int64_t since_ms = facts->published_ms ? facts->published_ms : facts->first_ms;
    return rules->max_age_ms == 0 || since_ms == 0 || now_ms - since_ms <= rules->max_age_ms;
}

static bool is_of_category(const struct list_rules *rules, const struct facts *facts, int64_t now_ms) {
    (void)now_ms;
    return rules->category.count == 0 || has_any(&rules->category, facts->categories);
}

static bool is_of_no_such_category(const struct list_rules *rules, const struct facts *facts, int64_t now_ms) {
    (void)now_ms;
    return !has_any(&rules->without_category, facts->categories);
}

static bool is_by_author(const struct list_rules *rules, const struct facts *facts, int64_t now_ms) {
    (void)now_ms;
    return rules->author.count == 0 || holds(&rules->author, facts->author);
}

static bool is_by_no_such_author(const struct list_rules *rules, const struct facts *facts, int64_t now_ms) {
    (void)now_ms;
    return !holds(&rules->without_author, facts->author);
}

static bool (*const predicates[])(const struct list_rules *rules, const struct facts *facts, int64_t now_ms) = {
    is_young, is_of_category, is_of_no_such_category, is_by_author, is_by_no_such_author,
};

bool rules_allow(const struct list_rules *rules, const struct facts *facts, int64_t now_ms) {
    for (size_t i = 0; i < sizeof predicates / sizeof *predicates; i++)
        if (!predicates[i](rules, facts, now_ms))
            return false;
    return true;
}

bool rules_spread(const struct list_rules *rules) {
    return rules->per_category || rules->per_author;
}

// ---- Spread

// A list has at most 500 entries, each with at most 8 categories and an author.
enum { COUNTS = 8192, NAMES_MAX = COUNTS / 2 + COUNTS / 4 };

struct spread {
    size_t names;
    struct {
        ref_t name; // 0: free
        uint32_t count;
    } at[COUNTS];
};

struct spread *spread_new(void) {
    return calloc(1, sizeof(struct spread));
}

void spread_free(struct spread *spread) {
    free(spread);
}

static size_t slot_of(const struct spread *spread, ref_t name) {
    size_t slot = (size_t)(name >> 20) % COUNTS;
    while (spread->at[slot].name && spread->at[slot].name != name)
        slot = (slot + 1) % COUNTS;
    return slot;
}

static ref_t category_name(const struct secret_key *hash_key, struct bytes category) {
    ref_t name = category_ref(hash_key, category);
    return name ? name : 1;
}

// A category and an author of one name are two names.
static ref_t author_name(const struct secret_key *hash_key, struct bytes author) {
    ref_t name = ~category_ref(hash_key, author);
    return name ? name : 1;
}

static bool author_counts(const struct list_rules *rules, const struct facts *facts) {
    return rules->per_author && facts->author.len && !holds(&rules->author, facts->author);
}

bool spread_has_room(const struct spread *spread, const struct list_rules *rules, const struct secret_key *hash_key,
                     const struct facts *facts) {
    struct bytes rest = facts->categories, one;
    while (rules->per_category && next_category(&rest, &one))
        if (!holds(&rules->category, one) &&
            spread->at[slot_of(spread, category_name(hash_key, one))].count >= rules->per_category)
            return false;
    return !author_counts(rules, facts) ||
           spread->at[slot_of(spread, author_name(hash_key, facts->author))].count < rules->per_author;
}

static void count(struct spread *spread, ref_t name) {
    size_t slot = slot_of(spread, name);
    if (!spread->at[slot].name && spread->names == NAMES_MAX)
        return;
    spread->names += spread->at[slot].name == 0;
    spread->at[slot].name = name;
    spread->at[slot].count++;
}

void spread_take(struct spread *spread, const struct list_rules *rules, const struct secret_key *hash_key,
                 const struct facts *facts) {
    struct bytes rest = facts->categories, one;
    while (rules->per_category && next_category(&rest, &one))
        if (!holds(&rules->category, one))
            count(spread, category_name(hash_key, one));
    if (author_counts(rules, facts))
        count(spread, author_name(hash_key, facts->author));
}
