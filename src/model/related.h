// SPDX-License-Identifier: MIT
// Related and recommended: scores from neighbours and popularity. Pure.
// Related(i): c[i][j]/(C_i+5) + 0.2·pop_j/Σpop over i's neighbours and the site's most popular, i left out.
// Recommendation(v): Σ_d 0.5^(d−1)·c[a_d][j]/(C_{a_d}+5) over the visitor's last items, plus the same prior, those
// items left out. Two steps (page bundle): Σ_j c[i][j]/(C_i+5)·c[j][k]/(C_j+5) over i's ten strongest neighbours, plus
// the prior.
#pragma once
#include "model/neighbours.h"

enum { POPULAR_MAX = 100, STRONGEST_NEIGHBOURS = 10 };
#define PRIOR_WEIGHT 0.2

struct popular {
    ref_t item;
    double share; // pop_j / Σ pop
};

struct suggestion {
    ref_t item;
    double score;
    bool from_neighbours; // else only popular
};

// Each returns the number written to ret_list: the best, at most `max`, in no order.
size_t related_suggest(ref_t item, const struct neighbours *table, const struct popular *popular, size_t popular_count,
                       struct suggestion *ret_list, size_t max);
size_t recommend_suggest(const ref_t *recent, const struct neighbours *const *tables, size_t count,
                         const struct popular *popular, size_t popular_count, struct suggestion *ret_list, size_t max);
size_t two_step_suggest(ref_t item, const struct neighbours *table, const struct neighbours *const *next,
                        size_t next_count, const struct popular *popular, size_t popular_count,
                        struct suggestion *ret_list, size_t max);

// Below 0: the left one comes first. Equal scores are ordered by reference; the caller orders them by id.
int suggestion_cmp(const struct suggestion *left, const struct suggestion *right);
// A list shows a few of some hundred, so they are not sorted but a heap, whose first is the best. After
// suggestions_arrange, suggestion_take takes one after another, best first, and counts `count` down.
void suggestions_arrange(struct suggestion *list, size_t count);
struct suggestion suggestion_take(struct suggestion *list, size_t *count);
