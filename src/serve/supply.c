// SPDX-License-Identifier: MIT
// A list has some twenty entries and a source finds some hundreds. So what a source has found is first a supply:
// suggestions, as a heap (model/related.h), then the entries of one snapshot, best first. They become candidates
// (candidates.c) in this order, as many as the next batch needs, and with the last of them all that are worth as much.
// So a list reads the same items in the same batches as if all were candidates from the start.
//
// They are from the start where an editor moves an item, as a pin or a boost may put the last before the first. A
// ranking of several sets has no supply: ranking_source.c merges them.
//
// sources.c, ranking_source.c and filling.c set the supply; list_place (list.c) takes from it.
#include "serve/list.h"
#include <math.h>
#include <stdlib.h>

static bool is_empty(const struct supply *supply) {
    return supply->suggestion_count == 0 && supply->next == supply->end;
}

static bool add_suggestion(struct list *list) {
    struct supply *supply = &list->supply;
    struct suggestion one = suggestion_take(supply->suggestions, &supply->suggestion_count);
    const char *reason = one.from_neighbours ? "related" : "popular";
    struct candidate candidate = {one.item, one.score, one.score, GROUP_SOURCE, reason, NULL, false};
    supply->last = one.score;
    return candidate_add(list, candidate, false);
}

static bool add_entry(struct list *list) {
    struct supply *supply = &list->supply;
    supply->last = supply->next->value;
    return list_add_entry(list, &supply->origin, supply->next++);
}

static bool next_is_equal(const struct supply *supply) {
    double next = supply->suggestion_count ? supply->suggestions[0].score : supply->next->value;
    return next == supply->last;
}

// There is no room for more candidates. What is left is worth no more than they.
static void leave_rest(struct list *list) {
    struct supply *supply = &list->supply;
    bool own = supply->next < supply->end && supply->origin.group == GROUP_SOURCE;
    list->own_cut |= own;
    if (own)
        list->window.left_out = fmax(list->window.left_out, supply->next->value);
    supply->suggestion_count = 0;
    supply->next = supply->end;
}

// Adds so many, and those that are worth as much as the last of them. False without memory.
static bool add_some(struct list *list, size_t count) {
    struct supply *supply = &list->supply;
    for (bool fits = true; !is_empty(supply) && (count || next_is_equal(supply)); count -= count > 0) {
        if (candidates_are_full(list))
            leave_rest(list);
        else
            fits = supply->suggestion_count ? add_suggestion(list) : add_entry(list);
        if (!fits)
            return false;
    }
    return true;
}

static bool add_all_if_one_moves(struct list *list) {
    bool moves = false;
    for (size_t i = 0; !moves && i < list->rules->count; i++)
        moves = rule_moves(list, &list->rules->at[i]);
    return !moves || add_some(list, SIZE_MAX);
}

bool supply_suggestions(struct list *list, struct suggestion *suggestions, size_t count) {
    suggestions_arrange(suggestions, count);
    list->supply.suggestions = suggestions;
    list->supply.suggestion_count = count;
    return add_all_if_one_moves(list);
}

bool supply_entries(struct list *list, const struct origin *origin, struct snapshot_entries *entries) {
    struct supply *supply = &list->supply;
    supply->origin = *origin;
    supply->next = entries->at;
    supply->end = entries->at + entries->count;
    return add_all_if_one_moves(list);
}

bool supply_take(struct list *list, size_t wanted) {
    bool fits = candidates_settle(list);
    for (size_t ready; fits && !is_empty(&list->supply) && (ready = list_count_ready(list)) < wanted;)
        fits = add_some(list, wanted - ready) && candidates_settle(list);
    return fits;
}
