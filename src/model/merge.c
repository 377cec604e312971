// SPDX-License-Identifier: MIT
// Merges a few sorted lists by comparing their heads. With 16 partitions and 256 entries a heap would not be faster.
#include "model/merge.h"

// Higher value first, equal values by id.
static int compare(const struct ranked *left, const struct ranked *right) {
    if (left->value != right->value)
        return left->value < right->value ? 1 : -1;
    return bytes_cmp(left->id, right->id);
}

size_t merge_tops(const struct ranked *const *lists, const size_t *lengths, size_t count, struct ranked *ret_list,
                  size_t max) {
    size_t next[count ? count : 1], merged = 0;
    for (size_t i = 0; i < count; i++)
        next[i] = 0;
    while (merged < max) {
        const struct ranked *best = NULL;
        size_t from = 0;
        for (size_t i = 0; i < count; i++) {
            const struct ranked *head = next[i] < lengths[i] ? &lists[i][next[i]] : NULL;
            if (head && (!best || compare(head, best) < 0)) {
                best = head;
                from = i;
            }
        }
        if (!best)
            break;
        ret_list[merged++] = *best;
        next[from]++;
    }
    return merged;
}
