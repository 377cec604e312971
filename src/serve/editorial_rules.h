// SPDX-License-Identifier: MIT
// A site's editorial rules: what an editor says of an item.
#pragma once
#include "serve/serve_inside.h"

enum { CARDS_ENOUGH = 20 }; // a site with so many cards lists only items that have one

struct rule {
    ref_t item;
    int64_t until_ms, set_ms;
    uint32_t pin; // slot, from 1; 0: not pinned
    double boost; // 1: not boosted
    bool bury, block;
    unsigned lists; // bits of list_kind
};
// A site's editorial rules, sorted by item. Lists that they are applied to hold them.
struct rules {
    struct shared_value value; // first
    bool cards_only;           // items without a card are not listed
    size_t count;
    struct rule at[];
};
void rules_get(struct serve *serve, struct bytes site, struct shared_wait *wait); // of struct rules
const struct rule *rules_find(const struct rules *rules, ref_t item);             // NULL: none
