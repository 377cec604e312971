// SPDX-License-Identifier: MIT
#include "model/window_list.h"
#include <math.h>
#include <stdlib.h>

static uint32_t sorted_partitions; // of the members that are being sorted, as qsort passes no context

static int by_partition_and_item(const void *a, const void *b) {
    ref_t left = ((const struct window_member *)a)->item, right = ((const struct window_member *)b)->item;
    uint32_t here = partition_of(left, sorted_partitions), there = partition_of(right, sorted_partitions);
    if (here != there)
        return here < there ? -1 : 1;
    return (left > right) - (left < right);
}

size_t window_members_once(struct window_member *members, size_t count, uint32_t partitions) {
    size_t kept = 0;
    sorted_partitions = partitions;
    if (count)
        qsort(members, count, sizeof *members, by_partition_and_item);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || members[i].item != members[kept - 1].item)
            members[kept++] = members[i];
    return kept;
}

static int by_value_and_id(const void *a, const void *b) {
    const struct window_member *left = a, *right = b;
    if (left->value != right->value)
        return left->value < right->value ? 1 : -1;
    return bytes_cmp(left->id, right->id);
}

size_t window_members_best(struct window_member *members, size_t count, size_t max, double *left_out) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (members[i].value > 0)
            members[kept++] = members[i];
    if (kept)
        qsort(members, kept, sizeof *members, by_value_and_id);
    if (kept <= max)
        return kept;
    *left_out = fmax(*left_out, members[max].value);
    return max;
}

bool window_list_exact(bool full, double last, double left_out) {
    return full ? last > left_out : left_out == 0;
}
