// SPDX-License-Identifier: MIT
// In memory a table is not sorted; when it is packed the strongest come first.
#include "model/neighbours.h"
#include "base/reader.h"
#include <math.h>
#include <stdlib.h>

enum { FORMAT = 1 };
#define STRENGTH_PRIOR 5.0 // keeps an item with few co-views from looking certain

void neighbours_clear(struct neighbours *table) {
    table->epoch_ms = 0;
    table->updates = 0;
    table->total = 0;
    table->count = 0;
}

static int by_weight(const void *a, const void *b) {
    const struct neighbour *left = a, *right = b;
    if (left->weight != right->weight)
        return left->weight < right->weight ? 1 : -1;
    return (left->item > right->item) - (left->item < right->item);
}

static void halve(struct neighbours *table) {
    for (uint16_t i = 0; i < table->count; i++)
        table->at[i].weight /= 2;
    table->total /= 2;
    table->updates = 0;
}

static void cut(struct neighbours *table) {
    qsort(table->at, table->count, sizeof table->at[0], by_weight);
    table->count = NEIGHBOURS_KEPT;
}

static struct neighbour *place_of(struct neighbours *table, ref_t item) {
    for (uint16_t i = 0; i < table->count; i++)
        if (table->at[i].item == item)
            return &table->at[i];
    if (table->count == NEIGHBOURS_MAX)
        cut(table);
    struct neighbour *place = &table->at[table->count++];
    *place = (struct neighbour){item, 0};
    return place;
}

void neighbours_add(struct neighbours *table, ref_t item, double weight) {
    struct neighbour *place = place_of(table, item);
    place->weight = (float)(place->weight + weight);
    table->total += weight;
    if (++table->updates >= NEIGHBOURS_HALVE_AFTER)
        halve(table);
}

bool neighbours_forget(struct neighbours *table, ref_t item) {
    for (uint16_t i = 0; i < table->count; i++) {
        if (table->at[i].item != item)
            continue;
        table->total = table->total > (double)table->at[i].weight ? table->total - (double)table->at[i].weight : 0;
        table->at[i] = table->at[--table->count];
        return true;
    }
    return false;
}

double coview_weight(int distance, int64_t age_ms) {
    return exp2(-(double)age_ms / (double)COVIEW_HALF_LIFE_MS) / distance;
}

double neighbour_strength(const struct neighbours *table, size_t index) {
    return table->at[index].weight / (table->total + STRENGTH_PRIOR);
}

// ---- Packed

void neighbours_keep(struct neighbours *table, uint32_t coreaders) {
    uint16_t kept = 0;
    for (uint16_t i = 0; i < table->count; i++)
        if (coreaders <= 1 || (double)table->at[i].weight > coreaders - 1.0)
            table->at[kept++] = table->at[i];
    table->count = kept;
}

void neighbours_pack(const struct neighbours *table, struct buffer *packed) {
    struct neighbours sorted = *table;
    qsort(sorted.at, sorted.count, sizeof sorted.at[0], by_weight);
    buffer_add_u8(packed, FORMAT);
    buffer_add_f64(packed, table->epoch_ms);
    buffer_add_u16(packed, table->updates);
    buffer_add_f64(packed, table->total);
    buffer_add_u16(packed, table->count);
    for (uint16_t i = 0; i < sorted.count; i++) {
        buffer_add_u64(packed, sorted.at[i].item);
        buffer_add_f32(packed, sorted.at[i].weight);
    }
}

bool neighbours_unpack(struct bytes packed, struct neighbours *ret_table) {
    struct reader reader = reader_of(packed);
    struct neighbours table;
    neighbours_clear(&table);
    if (packed.len) {
        uint8_t format = read_u8(&reader);
        table.epoch_ms = read_f64(&reader);
        table.updates = read_u16(&reader);
        table.total = read_f64(&reader);
        table.count = read_u16(&reader);
        if (format != FORMAT || reader.failed || table.count > NEIGHBOURS_MAX || !isfinite(table.epoch_ms) ||
            !isfinite(table.total) || table.total < 0)
            return false;
    }
    for (uint16_t i = 0; i < table.count; i++) {
        table.at[i].item = read_u64(&reader);
        table.at[i].weight = read_f32(&reader);
        if (!isfinite(table.at[i].weight) || table.at[i].weight < 0)
            return false;
    }
    if (reader.failed || reader.rest.len)
        return false;
    *ret_table = table;
    return true;
}
