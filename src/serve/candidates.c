// SPDX-License-Identifier: MIT
// A list's candidates: an array in the order in which they will be placed, and a hash table of it by item, so that an
// item that two sources name is added once. sources.c adds candidates source by source; list.c places them.
//
// Editorial rules act here. A block drops the candidate. A boost changes its value and score. A bury moves it to a
// group behind all others. A pin moves it to the group before all others, or, if its place is behind those that are
// needed, to the last group; a pinned item that no source named is added.
//
// Candidates are sorted by group, value and id. The id is known here only for those of a snapshot; for the others
// list.c reads it with the item's state and settles ties then.
#include "serve/list.h"
#include <math.h>
#include <stdlib.h>

enum { CANDIDATES_MAX = 4096, CANDIDATES_FIRST = 32, SLOTS_FIRST = 2 * CANDIDATES_FIRST };

static bool is_excluded(const struct list *list, ref_t item) {
    const ref_t *without = (const ref_t *)(const void *)list->without.at;
    for (size_t i = 0; i < list->without.len / sizeof item; i++)
        if (without[i] == item)
            return true;
    return false;
}

// The slot of an item, or the free slot that it would take.
static size_t slot_of(const struct list *list, ref_t item) {
    size_t mask = list->slot_count - 1, slot = (size_t)(item >> 20) & mask;
    while (list->slots[slot] && list->candidates[list->slots[slot] - 1].item != item)
        slot = (slot + 1) & mask;
    return slot;
}

static struct candidate *find(const struct list *list, ref_t item) {
    uint16_t index = list->slots ? list->slots[slot_of(list, item)] : 0;
    return index ? &list->candidates[index - 1] : NULL;
}

bool candidates_are_full(const struct list *list) {
    return list->candidate_count >= CANDIDATES_MAX;
}

bool candidate_is_there(const struct list *list, ref_t item) {
    return find(list, item) != NULL;
}

static bool in_force(const struct list *list, const struct rule *rule) {
    return rule && (rule->until_ms == 0 || rule->until_ms > list->now_ms);
}

bool rule_holds(const struct list *list, const struct rule *rule) {
    return in_force(list, rule) && (rule->lists & 1u << list->kind);
}

bool rule_lifts(const struct list *list, const struct rule *rule) {
    return rule_holds(list, rule) && rule->boost > 1 && !rule->block;
}

bool rule_moves(const struct list *list, const struct rule *rule) {
    return rule_holds(list, rule) && (rule->pin >= 1 || rule->boost != 1);
}

static bool is_pinned(const struct list *list, const struct rule *rule) {
    return rule_holds(list, rule) && !rule->block && rule->pin >= 1;
}

// The value may be a logarithm: then the boost is added, as a logarithm, instead of multiplied.
static void apply_rule(const struct list *list, const struct rule *rule, struct candidate *candidate,
                       bool logarithmic) {
    if (!rule_holds(list, rule))
        return;
    candidate->score *= rule->boost;
    if (logarithmic)
        candidate->value += log2(rule->boost);
    else
        candidate->value *= rule->boost;
    if (rule->bury)
        candidate->group += GROUP_BURIED;
}

static void reindex(struct list *list) {
    memset(list->slots, 0, list->slot_count * sizeof *list->slots);
    for (size_t i = 0; i < list->candidate_count; i++)
        list->slots[slot_of(list, list->candidates[i].item)] = (uint16_t)(i + 1);
}

// The array and its table double, so that at most half of the slots are taken.
static bool grow(struct list *list) {
    size_t slot_count = list->slot_count ? 2 * list->slot_count : SLOTS_FIRST;
    struct candidate *candidates = realloc(list->candidates, slot_count / 2 * sizeof *candidates);
    if (candidates)
        list->candidates = candidates;
    uint16_t *slots = candidates ? realloc(list->slots, slot_count * sizeof *slots) : NULL;
    if (!slots)
        return false;
    list->slots = slots;
    list->slot_count = slot_count;
    reindex(list);
    return true;
}

static bool append(struct list *list, const struct candidate *candidate) {
    if (list->candidate_count == list->slot_count / 2 && !grow(list))
        return false;
    size_t slot = slot_of(list, candidate->item);
    list->candidates[list->candidate_count++] = *candidate;
    list->slots[slot] = (uint16_t)list->candidate_count;
    return true;
}

bool candidate_add(struct list *list, struct candidate candidate, bool logarithmic) {
    const struct rule *rule = rules_find(list->rules, candidate.item);
    struct candidate *there = find(list, candidate.item);
    if (there && !there->entry)
        there->entry = candidate.entry;
    if (candidates_are_full(list) || there || is_excluded(list, candidate.item))
        return true;
    if (in_force(list, rule) && rule->block)
        return true;
    apply_rule(list, rule, &candidate, logarithmic);
    return append(list, &candidate);
}

// Moves pinned items to the first group, and adds those that no source named.
static bool add_pins(struct list *list) {
    for (size_t i = 0; i < list->rules->count; i++) {
        const struct rule *rule = &list->rules->at[i];
        struct candidate pinned = {.item = rule->item};
        if (!is_pinned(list, rule) || is_excluded(list, rule->item))
            continue;
        struct candidate *there = find(list, rule->item);
        if (!there && !append(list, &pinned))
            return false;
        there = there ? there : find(list, rule->item);
        bool counts = rule->pin <= list->wanted || rules_spread(&list->filter);
        there->group = counts ? GROUP_PINNED : GROUP_PINNED_BEHIND;
        there->value = -(double)rule->pin;
        there->reason = "pinned";
        there->left_out = false;
    }
    return true;
}

int candidate_cmp(const struct candidate *left, const struct candidate *right) {
    if (left->group != right->group)
        return left->group < right->group ? -1 : 1;
    return (left->value < right->value) - (left->value > right->value);
}

bool candidate_is_pinned(const struct candidate *candidate) {
    return candidate->group == GROUP_PINNED || candidate->group == GROUP_PINNED_BEHIND;
}

// Two pins of one slot are not ordered by id, so a pinned candidate has none here.
bool candidate_has_id(const struct candidate *candidate) {
    return candidate->entry && !candidate_is_pinned(candidate);
}

// Among equal candidates those without a known id come first.
static int by_worth_and_id(const void *a, const void *b) {
    const struct candidate *left = a, *right = b;
    int worth = candidate_cmp(left, right);
    if (worth || (!candidate_has_id(left) && !candidate_has_id(right)))
        return worth;
    if (candidate_has_id(left) != candidate_has_id(right))
        return candidate_has_id(left) ? 1 : -1;
    return bytes_cmp(left->entry->id, right->entry->id);
}

static bool are_sorted(const struct candidate *at, size_t count) {
    for (size_t i = 1; i < count; i++)
        if (by_worth_and_id(&at[i - 1], &at[i]) > 0)
            return false;
    return true;
}

// Sorts the candidates that the last source added, which are seldom out of order. Pins are added with those of the
// first source.
bool candidates_settle(struct list *list) {
    if (list->candidate_next == 0 && !add_pins(list))
        return false;
    size_t left = list->candidate_count - list->candidate_next;
    if (!are_sorted(list->candidates + list->candidate_next, left)) {
        qsort(list->candidates + list->candidate_next, left, sizeof *list->candidates, by_worth_and_id);
        reindex(list);
    }
    return true;
}
