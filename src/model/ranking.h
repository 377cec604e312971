// SPDX-License-Identifier: MIT
// What a ranking is and what an item is worth in it. Pure.
// decayed: log2 of the weighted decayed sum. rising: log2 of decayed at h over decayed at 4h. best: lower Wilson bound
// (E. B. Wilson, 1927; z = 1.96) of kind 0 against kind 1. total: weighted count. The order of the value is the order
// of the list at every instant; `ranking_score` turns it into the score of docs/api.md.
#pragma once
#include "model/sums.h"

enum { RANKING_DEPTH = 500, CATEGORY_DEPTH = 200 }; // places of the whole that can be relied on

enum ranking_kind { RANK_DECAYED, RANK_RISING, RANK_BEST, RANK_TOTAL };

struct ranking {
    struct bytes name; // lives as long as the settings
    enum ranking_kind kind;
    uint32_t life;        // index into the half-lives: h
    uint32_t long_life;   // index of 4h, for rising
    int64_t half_life_ms; // 0 for best and total
    double weight[SIGNAL_COUNT];
    uint32_t floor;        // events needed, all signals with a weight together
    int64_t oldest_age_ms; // 0: any
};

// The value by which an item stands in the ranking; false when it has no place there (no events, under the floor,
// weighted sum not positive, or published longer ago than oldest_age; published_ms 0: unknown, passes).
bool ranking_value(const struct ranking *ranking, const struct sums *sums, int64_t published_ms, int64_t now_ms,
                   double *ret_value);
// Places that each partition keeps, so that the best `depth` of the whole are among them: items lie evenly over the
// partitions, m = depth/partitions of them in each on the average, and the chance that one has more than m + 6·√m + 8
// (Poisson) is under 1e-8.
uint32_t ranking_bound(uint32_t depth, uint32_t partitions);
double ranking_score(const struct ranking *ranking, double value, int64_t now_ms);
