// SPDX-License-Identifier: MIT
// What a ranking is, and an item's value in it. Pure.
// decayed: log2 of the weighted decayed sum. rising: log2 of decayed at h over decayed at 4h. best: lower Wilson bound
// (E. B. Wilson, 1927; z = 1.96) of kind 0 against kind 1. total: weighted count. window: weighted count of a period or
// window, which period_ranking.h computes. The order of the value is the order
// of the list at every instant; `ranking_score` turns it into the score of docs/api.md.
#pragma once
#include "model/sums.h"
#include "model/windows.h"

// Entries of the whole ranking that are exact. Of an author: the newest items, of which the rankings consist.
enum { RANKING_DEPTH = 500, CATEGORY_DEPTH = 200, AUTHOR_DEPTH = 500 };

enum ranking_kind { RANK_DECAYED, RANK_RISING, RANK_BEST, RANK_TOTAL, RANK_WINDOW };

struct ranking {
    struct bytes name; // lives as long as the settings
    enum ranking_kind kind;
    uint32_t life;        // index into the half-lives: h
    uint32_t long_life;   // index of 4h, for rising
    int64_t half_life_ms; // 0 for best and total
    enum window window;   // of RANK_WINDOW
    double weight[SIGNAL_COUNT];
    uint32_t floor;        // events needed, all signals with a weight together
    int64_t oldest_age_ms; // 0: any
};

// The item's value in the ranking. False if it is not in the ranking: it has no events or fewer than the floor, its
// weighted sum is not positive, or it was published longer ago than oldest_age (published_ms 0: unknown, which is
// allowed). A ranking of the type window has no place of all times: false.
bool ranking_value(const struct ranking *ranking, const struct sums *sums, int64_t published_ms, int64_t now_ms,
                   double *ret_value);
// How many entries each partition keeps, so that the best `depth` of the whole are among them. Items are spread evenly
// over the partitions; of the best, each has m = depth/partitions on average, and more than m + 6·√m + 8 with a chance
// under 1e-8 (Poisson).
uint32_t ranking_bound(uint32_t depth, uint32_t partitions);
double ranking_score(const struct ranking *ranking, double value, int64_t now_ms);
