// SPDX-License-Identifier: MIT
// Applies the rules of a list (base/list_rules.h) to items: a pure filter.
//
// A rule that looks at one item is a row of a table of predicates. The rules per_category and per_author look at the
// items that the list has already (struct spread). Lists (serve/list.c) ask about each candidate, best first.
#pragma once
#include "base/list_rules.h"
#include "model/names.h"

// What rules look at.
struct facts {
    struct bytes categories; // joined by 0x1f
    struct bytes author;     // empty: none
    int64_t published_ms;    // 0: unknown
    int64_t first_ms;        // of the first event; 0: none, or unknown
};

// The facts pass every rule that looks at one item. An item whose age is not known is young.
bool rules_allow(const struct list_rules *rules, const struct facts *facts, int64_t now_ms);
bool rules_spread(const struct list_rules *rules); // they want a struct spread

bool category_is_among(struct bytes joined, struct bytes category);
struct bytes first_category(struct bytes joined); // empty: none

// How many items of each category and author a list has. A category or an author that the rules ask for is not
// counted: the list consists of it.
struct spread;
struct spread *spread_new(void); // NULL without memory
void spread_free(struct spread *spread);
// Whether the list may take one more item with these facts.
bool spread_has_room(const struct spread *spread, const struct list_rules *rules, const struct secret_key *hash_key,
                     const struct facts *facts);
void spread_take(struct spread *spread, const struct list_rules *rules, const struct secret_key *hash_key,
                 const struct facts *facts);
