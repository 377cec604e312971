// SPDX-License-Identifier: MIT
// Writes an item's places in all sets of the rankings (item_sets.h).
#include "project/rankings_writer.h"
#include "base/hash.h"
#include <stdlib.h>

struct cutoff_row {
    double value;
    UT_hash_handle hh;
    char name[RANKING_NAME_MAX];
};

bool cutoffs_add(struct cutoffs *cutoffs, struct bytes name, double value) {
    struct cutoff_row *row = NULL;
    if (name.len == 0 || name.len > RANKING_NAME_MAX)
        return true; // not a name of ours
    HASH_FIND(hh, cutoffs->rows, name.at, (unsigned)name.len, row);
    if (!row) {
        row = calloc(1, sizeof(*row));
        if (!row)
            return false;
        memcpy(row->name, name.at, name.len);
        HASH_ADD_KEYPTR(hh, cutoffs->rows, row->name, (unsigned)name.len, row);
        if (!HASH_HAS_TAKEN(row)) {
            free(row);
            return false;
        }
    }
    row->value = value;
    return true;
}

void cutoffs_clear(struct cutoffs *cutoffs) {
    struct cutoff_row *row, *next;
    HASH_ITER (hh, cutoffs->rows, row, next) {
        HASH_DEL(cutoffs->rows, row);
        free(row);
    }
}

const double *cutoff_of(const struct cutoffs *cutoffs, const struct ranking_at *ranking) {
    char name[RANKING_NAME_MAX];
    size_t len = ranking_name(ranking, name);
    struct cutoff_row *row = NULL;
    if (cutoffs->rows)
        HASH_FIND(hh, cutoffs->rows, name, (unsigned)len, row);
    return row ? &row->value : NULL;
}

void places_before(const struct plan *plan, const struct sums *sums, int64_t now_ms, struct place *ret_places) {
    for (uint32_t i = 0; i < plan->count; i++) {
        double value = 0;
        bool eligible = ranking_value(&plan->rankings[i], sums, 0, now_ms, &value);
        ret_places[i] = (struct place){eligible, value};
    }
}

// What an item was worth, and is now, in one ranking.
struct move {
    const struct cutoffs *cutoffs;
    const struct placed_item *item;
    struct place before, now;
    struct commit *commit;
};

static uint32_t bound_of(const struct ranking_at *ranking) {
    return ranking_bound(ranking->category ? CATEGORY_DEPTH : RANKING_DEPTH, keys_partitions());
}

// In a rebuild members that are worth just the cutoff stay: of many equal ones none would be left.
static void write_place(const struct move *move, const struct ranking_at *ranking) {
    const struct placed_item *item = move->item;
    if (!move->before.eligible && !move->now.eligible && item->mode != PLACE_REPAIR)
        return;
    const double *cutoff = cutoff_of(move->cutoffs, ranking);
    bool was_in = move->before.eligible && (!cutoff || move->before.value >= *cutoff);
    bool may_be_member = was_in || item->mode == PLACE_REPAIR;
    if (move->now.eligible && (!cutoff || move->now.value > *cutoff)) {
        bool same = move->before.eligible && move->before.value == move->now.value;
        if (!same || item->mode != PLACE_CHANGED)
            commit_place(move->commit, ranking, bound_of(ranking), item->id, move->now.value, may_be_member);
        return;
    }
    if (item->mode == PLACE_REPAIR && move->now.eligible && move->now.value == *cutoff)
        commit_keep(move->commit, ranking, bound_of(ranking), item->id, move->now.value);
    else if (may_be_member)
        commit_leave(move->commit, ranking, bound_of(ranking), item->id);
}

// An item that gets a card changes its set. What is known of its value does not say whether it is still in the other
// one.
static bool may_be_left_in(const struct move *move, enum item_set_state state) {
    if (state == SET_OTHER)
        return move->item->mode != PLACE_CHANGED;
    return move->before.eligible || move->item->mode == PLACE_REPAIR;
}

static void write_set(const struct move *move, const struct item_set *set, struct bytes ranking) {
    struct ranking_at at = item_set_of(set, move->item->site, ranking);
    if (set->state == SET_OWN)
        write_place(move, &at);
    else if (may_be_left_in(move, set->state))
        commit_leave(move->commit, &at, bound_of(&at), move->item->id);
}

void write_places(const struct plan *plan, const struct item_sets *sets, const struct cutoffs *cutoffs, int64_t now_ms,
                  const struct placed_item *item, struct commit *commit) {
    for (uint32_t i = 0; i < plan->count; i++) {
        const struct ranking *ranking = &plan->rankings[i];
        if (ranking->kind == RANK_WINDOW)
            continue;
        struct move move = {.cutoffs = cutoffs, .item = item, .before = item->before[i], .commit = commit};
        move.now.eligible =
            item->known && ranking_value(ranking, item->sums, item->published_ms, now_ms, &move.now.value);
        for (size_t s = 0; s < sets->count; s++)
            if (i != plan->popular || !sets->at[s].has_category)
                write_set(&move, &sets->at[s], ranking->name);
    }
}
