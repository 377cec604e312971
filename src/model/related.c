// SPDX-License-Identifier: MIT
// Scores are summed in a small open-addressed hash table on the stack: a question has at most some hundred items.
#include "model/related.h"
#include <stdlib.h>

enum { SLOT_COUNT = 4096, CANDIDATES_MAX = SLOT_COUNT / 2 };

struct candidates {
    struct suggestion at[CANDIDATES_MAX];
    size_t count;
    uint16_t slots[SLOT_COUNT]; // index into `at`, plus 1; 0: free
};

static struct suggestion *candidate(struct candidates *candidates, ref_t item) {
    size_t slot = (size_t)(item >> 20) % SLOT_COUNT;
    for (; candidates->slots[slot]; slot = (slot + 1) % SLOT_COUNT)
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

static int by_score(const void *a, const void *b) {
    const struct suggestion *left = a, *right = b;
    if (left->score != right->score)
        return left->score < right->score ? 1 : -1;
    return (left->item > right->item) - (left->item < right->item);
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
    qsort(candidates->at, candidates->count, sizeof candidates->at[0], by_score);
    for (size_t i = 0; i < candidates->count && written < max; i++)
        if (!stands_in(candidates->at[i].item, without, without_count))
            ret_list[written++] = candidates->at[i];
    return written;
}

static void clear(struct candidates *candidates) {
    candidates->count = 0;
    memset(candidates->slots, 0, sizeof candidates->slots);
}

size_t related_rank(ref_t item, const struct neighbours *table, const struct popular *popular, size_t popular_count,
                    struct suggestion *ret_list, size_t max) {
    struct candidates candidates;
    clear(&candidates);
    add_table(&candidates, table, 1);
    add_prior(&candidates, popular, popular_count);
    return take_best(&candidates, &item, 1, ret_list, max);
}

size_t recommend_rank(const ref_t *recent, const struct neighbours *const *tables, size_t count,
                      const struct popular *popular, size_t popular_count, struct suggestion *ret_list, size_t max) {
    struct candidates candidates;
    double weight = 1;
    clear(&candidates);
    for (size_t i = 0; i < count; i++, weight /= 2)
        add_table(&candidates, tables[i], weight);
    add_prior(&candidates, popular, popular_count);
    return take_best(&candidates, recent, count, ret_list, max);
}

size_t two_step_rank(ref_t item, const struct neighbours *table, const struct neighbours *const *next,
                     size_t next_count, const struct popular *popular, size_t popular_count,
                     struct suggestion *ret_list, size_t max) {
    struct candidates candidates;
    clear(&candidates);
    for (size_t i = 0; i < table->count && i < next_count && i < STRONGEST_NEIGHBOURS; i++)
        add_table(&candidates, next[i], neighbour_strength(table, i));
    add_prior(&candidates, popular, popular_count);
    return take_best(&candidates, &item, 1, ret_list, max);
}
