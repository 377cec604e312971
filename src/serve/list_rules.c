// SPDX-License-Identifier: MIT
// The rules of a list (base/list_rules.h): which ones hold for it, and whether an item passes them. Those of its
// section in the settings hold; what the query names wins. list.c asks about each candidate in the order of the list.
//
// A pinned item passes all rules, but it counts for the spread. The rules per_category and per_author depend on the
// items before, so they are applied to a batch of candidates when it is complete and sorted.
#include "serve/list.h"

static struct list_rules rules_of_section(const struct list *list) {
    const struct settings *settings = list->serve->settings;
    if (list->kind == LIST_RANKING)
        return settings->rankings[list->ranking - list->serve->plan->rankings].rules;
    return settings->lists[list->kind == LIST_RELATED ? RULED_RELATED : RULED_RECOMMENDATION];
}

// Category and author stay where the list has them.
void list_rules_init(struct list *list) {
    list->filter = rules_of_section(list);
    if (list->category.at)
        list->filter.category = (struct rule_words){&list->category, 1};
    if (list->author.at)
        list->filter.author = (struct rule_words){&list->author, 1};
    if (list->max_age.given)
        list->filter.max_age_ms = list->max_age.ms;
}

// ---- An item's facts

struct facts list_facts(const struct item_state *state) {
    return (struct facts){.categories = state->categories,
                          .author = state->author,
                          .published_ms = state->published_ms,
                          .first_ms = state->first_ms};
}

// ---- Spread

bool list_has_room(const struct list *list, const struct facts *facts) {
    return !list->spread || spread_has_room(list->spread, &list->filter, list->serve->hash_key, facts);
}

// The best entries of the batch come first and take the room.
bool list_spread(struct list *list) {
    if (!rules_spread(&list->filter))
        return true;
    if (!list->spread && !(list->spread = spread_new()))
        return false;
    size_t kept = list->spread_count;
    list_sort(list, kept);
    for (size_t i = kept; i < list->placed_count; i++) {
        struct facts facts = list_facts(&list->placed[i].item->state);
        if (!list->placed[i].pin && !list_has_room(list, &facts)) {
            recent_item_release(list->placed[i].item);
            list->left_short = true;
            continue;
        }
        spread_take(list->spread, &list->filter, list->serve->hash_key, &facts);
        list->placed[kept++] = list->placed[i];
    }
    list->placed_count = list->spread_count = kept;
    return true;
}
