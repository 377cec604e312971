// SPDX-License-Identifier: MIT
// Scores are summed in an open-addressed hash table on the stack, of which a question uses as much as its items need.
#include "model/related.h"
#include <stdlib.h>

enum { SLOT_COUNT = 4096, CANDIDATES_MAX = SLOT_COUNT / 2 };

struct candidates {
    struct suggestion at[CANDIDATES_MAX];
    size_t count, slot_count;   // how many slots are used: a power of two
    uint16_t slots[SLOT_COUNT]; // index into `at`, plus 1; 0: free
};

static struct suggestion *candidate(struct candidates *candidates, ref_t item) {
    size_t mask = candidates->slot_count - 1, slot = (size_t)(item >> 20) & mask;
    for (; candidates->slots[slot]; slot = (slot + 1) & mask)
        if (candidates->at[candidates->slots[slot] - 1].item == item)
            return &candidates->at[candidates->slots[slot] - 1];
    if (candidates->count == CANDIDATES_MAX)
        return NULL;
    struct suggestion *added = &candidates->at[candidates->count++];
    *added = (struct suggestion){.item = item};
    candidates->slots[slot] = (uint16_t)candidates->count;
    return added;
}

static void add_score(struct candidates *candidates, ref_t item, double score, bool from_neighbours) {
    struct suggestion *one = candidate(candidates, item);
    if (!one)
        return;
    one->score += score;
    one->from_neighbours |= from_neighbours;
}

static void add_table(struct candidates *candidates, const struct neighbours *table, double weight) {
    for (size_t i = 0; i < table->count; i++)
        add_score(candidates, table->at[i].item, weight * neighbour_strength(table, i), true);
}

static void add_prior(struct candidates *candidates, const struct popular *popular, size_t count) {
    for (size_t i = 0; i < count; i++)
        add_score(candidates, popular[i].item, PRIOR_WEIGHT * popular[i].share, false);
}

int suggestion_cmp(const struct suggestion *left, const struct suggestion *right) {
    if (left->score != right->score)
        return left->score < right->score ? 1 : -1;
    return (left->item > right->item) - (left->item < right->item);
}

static int by_score(const void *a, const void *b) {
    return suggestion_cmp(a, b);
}

static bool stands_in(ref_t item, const ref_t *items, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (items[i] == item)
            return true;
    return false;
}

static size_t take_best(struct candidates *candidates, const ref_t *without, size_t without_count,
                        struct suggestion *ret_list, size_t max) {
    size_t written = 0;
    if (candidates->count > max)
        qsort(candidates->at, candidates->count, sizeof candidates->at[0], by_score);
    for (size_t i = 0; i < candidates->count && written < max; i++)
        if (!stands_in(candidates->at[i].item, without, without_count))
            ret_list[written++] = candidates->at[i];
    return written;
}

// At most half of the slots for so many items are taken.
static void clear(struct candidates *candidates, size_t items) {
    candidates->count = 0;
    candidates->slot_count = 64;
    while (candidates->slot_count < 2 * items && candidates->slot_count < SLOT_COUNT)
        candidates->slot_count *= 2;
    memset(candidates->slots, 0, candidates->slot_count * sizeof candidates->slots[0]);
}

static size_t items_of(const struct neighbours *const *tables, size_t count) {
    size_t items = 0;
    for (size_t i = 0; i < count; i++)
        items += tables[i]->count;
    return items;
}

size_t related_suggest(ref_t item, const struct neighbours *table, const struct popular *popular, size_t popular_count,
                       struct suggestion *ret_list, size_t max) {
    struct candidates candidates;
    clear(&candidates, popular_count + table->count);
    add_table(&candidates, table, 1);
    add_prior(&candidates, popular, popular_count);
    return take_best(&candidates, &item, 1, ret_list, max);
}

size_t recommend_suggest(const ref_t *recent, const struct neighbours *const *tables, size_t count,
                         const struct popular *popular, size_t popular_count, struct suggestion *ret_list, size_t max) {
    struct candidates candidates;
    double weight = 1;
    clear(&candidates, popular_count + items_of(tables, count));
    for (size_t i = 0; i < count; i++, weight /= 2)
        add_table(&candidates, tables[i], weight);
    add_prior(&candidates, popular, popular_count);
    return take_best(&candidates, recent, count, ret_list, max);
}

size_t two_step_suggest(ref_t item, const struct neighbours *table, const struct neighbours *const *next,
                        size_t next_count, const struct popular *popular, size_t popular_count,
                        struct suggestion *ret_list, size_t max) {
    struct candidates candidates;
    clear(&candidates, popular_count + items_of(next, next_count));
    for (size_t i = 0; i < table->count && i < next_count && i < STRONGEST_NEIGHBOURS; i++)
        add_table(&candidates, next[i], neighbour_strength(table, i));
    add_prior(&candidates, popular, popular_count);
    return take_best(&candidates, &item, 1, ret_list, max);
}

// ---- The heap

static void sink(struct suggestion *list, size_t count, size_t at) {
    struct suggestion sunk = list[at];
    for (size_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
        child += child + 1 < count && suggestion_cmp(&list[child + 1], &list[child]) < 0;
        if (suggestion_cmp(&sunk, &list[child]) <= 0)
            break;
        list[at] = list[child];
        at = child;
    }
    list[at] = sunk;
}

void suggestions_arrange(struct suggestion *list, size_t count) {
    for (size_t at = count / 2; at-- > 0;)
        sink(list, count, at);
}

struct suggestion suggestion_take(struct suggestion *list, size_t *count) {
    struct suggestion best = list[0];
    list[0] = list[--*count];
    if (*count)
        sink(list, *count, 0);
    return best;
}
