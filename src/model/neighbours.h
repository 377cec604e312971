// SPDX-License-Identifier: MIT
// An item's neighbours: the items that were read with it, each with a weight. Pure.
//
// Packed (little-endian): u8 format (1), f64 epoch (of format 2: accept time in ms of the deletion it was last cleared
// for; else 0), u16 updates since the last halving, f64 total, u16 count, then count × (u64 reference, f32 weight),
// strongest first. A table may grow to NEIGHBOURS_MAX, then it is cut to its best NEIGHBOURS_KEPT. After every
// NEIGHBOURS_HALVE_AFTER updates of the table all weights and the total are halved. Time does not halve them, as that
// would empty the tables of sites with few readers. Formula: docs/design.md, "Related and Recommendation".
#pragma once
#include "base/buffer.h"
#include "model/names.h"

enum { NEIGHBOURS_KEPT = 100, NEIGHBOURS_MAX = 128, NEIGHBOURS_HALVE_AFTER = 400, COVIEW_ITEMS = 5 };
#define COVIEW_OLDEST_MS (INT64_C(3) * 86400 * 1000)
#define COVIEW_HALF_LIFE_MS (INT64_C(6) * 3600 * 1000)

struct neighbour {
    ref_t item;
    float weight;
};

struct neighbours {
    double epoch_ms;
    uint16_t updates;
    double total; // C_i: the sum of all weights given, halved with them
    uint16_t count;
    struct neighbour at[NEIGHBOURS_MAX];
};

void neighbours_clear(struct neighbours *table);
// Adds weight to a neighbour; cuts and halves the table if that is due.
void neighbours_add(struct neighbours *table, ref_t item, double weight);
// Removes a neighbour; true if it was in the table.
bool neighbours_forget(struct neighbours *table, ref_t item);
// The weight of a co-view: w = (1/distance)·2^(−age/6 h); distance 1 is the latest. The reverse direction gets a third
// of it.
double coview_weight(int distance, int64_t age_ms);
// Leaves out those that have fewer co-readers. A co-view adds at most 1 to a weight, so a weight of more than n says
// that there were more than n.
void neighbours_keep(struct neighbours *table, uint32_t coreaders);
void neighbours_pack(const struct neighbours *table, struct buffer *packed);
bool neighbours_unpack(struct bytes packed,
                       struct neighbours *ret_table); // false: unknown format or corrupt; empty bytes: an empty table
// c[i][j] / (C_i + 5)
double neighbour_strength(const struct neighbours *table, size_t index);
