// SPDX-License-Identifier: MIT
// The editorial rules of a site. The calls follow store.h.
#pragma once
#include "store/store.h"

enum { EDITORIAL_MAX = 1000, EDITORIAL_JSON_MAX = 8 << 10 };
struct editorial_call {
    ref_t site, item;
    int64_t until_ms;  // 0: until it is removed
    struct bytes json; // the rule as GET shows it; empty: remove the rule. Must live until the verb returns.
    bool keeps_block;  // a removal keeps the rule's `block`
};
// EDITORIAL_FULL when EDITORIAL_MAX rules are in force.
void store_set_editorial(struct store *store, struct read_call *call, const struct editorial_call *editorial);
// Reads all rules of a site, those that have ended too.
void store_read_editorial(struct store *store, struct read_call *call, ref_t site,
                          void (*on_rule)(struct read_call *call, ref_t item, int64_t until_ms, struct bytes json));
