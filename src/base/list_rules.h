// SPDX-License-Identifier: MIT
// The rules of a list as data: which items it may contain, how many of a kind, and what fills it up. The settings
// (ops/settings_rules.c) read them, a query may override some, model/list_filter.h applies them.
//
// To add a rule that looks at one item: a member here, a row of `rule_keys` in ops/settings_rules.c, a row of
// `predicates` in model/list_filter.c, and its line in docs/api.md.
#pragma once
#include "base/bytes.h"

// What a list that is too short continues with.
enum fill {
    FILL_CATEGORY, // popular items of the item's first category, then as FILL_SITE; without one: FILL_SITE
    FILL_SITE,     // popular items of the site, then the newest
    FILL_NONE
};

enum { RULE_WORDS_MAX = 16 }; // of one rule

struct rule_words {
    const struct bytes *at;
    uint32_t count; // 0: the rule is not set
};

struct list_rules {
    int64_t max_age_ms; // 0: any age
    struct rule_words category, without_category, author, without_author;
    uint32_t per_category, per_author; // 0: any number
    uint32_t floor;                    // co-readers, of Related and Recommendation; 0 or 1: all
    enum fill fill;
};
