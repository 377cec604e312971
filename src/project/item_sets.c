// SPDX-License-Identifier: MIT
// Makes the table of an item's sets from its present card and its earlier ones.
#include "project/item_sets.h"
#include "model/item.h"

// Splits `joined` into at most CATEGORIES_MAX names; returns how many.
static size_t split_categories(struct bytes joined, struct bytes ret_names[static CATEGORIES_MAX]) {
    size_t count = 0;
    while (joined.len > 0 && count < CATEGORIES_MAX) {
        const char *end = memchr(joined.at, 0x1f, joined.len);
        size_t len = end ? (size_t)(end - joined.at) : joined.len;
        if (len > 0)
            ret_names[count++] = (struct bytes){joined.at, len};
        size_t step = end ? len + 1 : len;
        joined = (struct bytes){joined.at + step, joined.len - step};
    }
    return count;
}

static bool has_category(const struct item_sets *sets, ref_t category) {
    for (size_t i = 0; i < sets->count; i++)
        if (sets->at[i].has_category && sets->at[i].category == category)
            return true;
    return false;
}

static void add_categories(struct item_sets *sets, const struct secret_key *hash_key, struct bytes joined,
                           enum item_set_state state) {
    struct bytes names[CATEGORIES_MAX];
    size_t count = split_categories(joined, names);
    for (size_t i = 0; i < count; i++) {
        ref_t category = category_ref(hash_key, names[i]);
        if (sets->count < ITEM_SETS_MAX && !has_category(sets, category))
            sets->at[sets->count++] = (struct item_set){.state = state, .has_category = true, .category = category};
    }
}

void item_sets_find(bool has_card, struct bytes groups, const struct old_groups *old, const struct secret_key *hash_key,
                    struct item_sets *ret_sets) {
    ret_sets->at[0] = (struct item_set){.state = SET_OWN, .no_card = !has_card};
    ret_sets->at[1] = (struct item_set){.state = SET_OTHER, .no_card = has_card};
    ret_sets->count = 2;
    add_categories(ret_sets, hash_key, groups_split(groups).categories, SET_OWN);
    for (; old; old = old->next)
        add_categories(ret_sets, hash_key, groups_split(old->joined).categories, SET_LEFT);
}

struct ranking_at item_set_of(const struct item_set *set, ref_t site, struct bytes ranking) {
    return (struct ranking_at){
        .site = site, .name = ranking, .category = set->has_category ? &set->category : NULL, .no_card = set->no_card};
}
