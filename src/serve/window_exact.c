// SPDX-License-Identifier: MIT
// Whether anything may be missing in the list of a window ranking: what is in none of its sets is worth at most
// `left_out` (model/period_ranking.h), but a rule may have left the list short, or may lift what is missing.
#include "model/window_list.h"
#include "serve/list.h"
#include <math.h>

// Of several sets the one that says least.
void window_take(struct list *list, const struct window_facts *read) {
    struct window_facts *window = &list->window;
    bool first = !list->has_window;
    list->has_window = true;
    if (first)
        *window = *read;
    window->left_out = fmax(window->left_out, read->left_out);
    window->complete &= read->complete;
    window->floored |= read->floored;
}

// The highest boost of an item that is no candidate; at least 1.
static double highest_lift(const struct list *list) {
    double highest = 1;
    for (size_t i = 0; i < list->rules->count; i++) {
        const struct rule *rule = &list->rules->at[i];
        if (rule_lifts(list, rule) && rule->boost > highest && !candidate_is_there(list, rule->item))
            highest = rule->boost;
    }
    return highest;
}

// Whether nothing is missing in the list of a window, up to the last place that it shows. What was left out may stand
// before what is buried, and an editor may lift it.
bool window_is_exact(const struct list *list) {
    const struct candidate *last = NULL;
    size_t end = list->offset + list->limit, count = list->placed_count < end ? list->placed_count : end;
    bool full = count == end, read_all = list->candidate_next >= list->candidate_count;
    for (size_t i = 0; i < count; i++) {
        const struct placed *placed = &list->placed[i];
        if (placed->candidate.group % GROUP_BURIED > GROUP_SOURCE)
            return false; // filled up
        full &= placed->candidate.group < GROUP_BURIED;
        if (!placed->pin)
            last = &placed->candidate;
    }
    if (!list->window.complete || (!full && (list->left_short || list->window.floored || !read_all)))
        return false;
    return window_list_exact(full, last ? last->value : INFINITY, list->window.left_out * highest_lift(list));
}
