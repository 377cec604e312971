// SPDX-License-Identifier: MIT
// The sets of a ranking that concern an item: those in which it stands, and those in which it may still be since an
// earlier card. One table for all that write sets of rankings, so that none of them forgets a set.
//
// An item with a card stands in the set of its site and in those of its categories. An item without one stands in the
// site's set of items without a card: anybody can make up items, so they take no place from the others.
//
// To add a kind of set: its rows in item_sets_find, and the field of struct ranking_at that it needs.
#pragma once
#include "store/projection.h"

enum { CATEGORIES_MAX = 8 };

// Groups that an item had earlier.
struct old_groups {
    struct bytes joined; // model/item.h
    const struct old_groups *next;
};

enum item_set_state {
    SET_OWN,   // it stands there if it is eligible
    SET_OTHER, // the site's set of the other kind (with or without a card), left with the first card
    SET_LEFT   // of an earlier card
};

struct item_set {
    enum item_set_state state;
    bool no_card, has_category;
    ref_t category;
};

enum { ITEM_SETS_OF_SITE = 2 }; // its own and the other one
enum { LEFT_SETS_MAX = 4 * CATEGORIES_MAX, ITEM_SETS_MAX = 2 + CATEGORIES_MAX + LEFT_SETS_MAX };

struct item_sets {
    struct item_set at[ITEM_SETS_MAX]; // the site's first
    size_t count;
};

void item_sets_find(bool has_card, struct bytes groups, const struct old_groups *old, const struct secret_key *hash_key,
                    struct item_sets *ret_sets);
// The set of one ranking; a view of `set`.
struct ranking_at item_set_of(const struct item_set *set, ref_t site, struct bytes ranking);
