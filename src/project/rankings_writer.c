// SPDX-License-Identifier: MIT
// Writes an item's places in the rankings of its site and categories.
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

static const double *cutoff_of(const struct cutoffs *cutoffs, const struct ranking_at *ranking) {
    char name[RANKING_NAME_MAX];
    size_t len = ranking_name(ranking, name);
    struct cutoff_row *row = NULL;
    if (cutoffs->rows)
        HASH_FIND(hh, cutoffs->rows, name, (unsigned)len, row);
    return row ? &row->value : NULL;
}

// Splits `joined` into at most CATEGORIES_MAX names; returns how many.
static size_t split_categories(struct bytes joined, struct bytes ret_names[static CATEGORIES_MAX]) {
    size_t count = 0;
    while (joined.len > 0 && count < CATEGORIES_MAX) {
        const char *end = memchr(joined.at, 0x1f, joined.len);
        size_t len = end ? (size_t)(end - joined.at) : joined.len;
        if (len > 0)
            ret_names[count++] = (struct bytes){joined.at, len};
        size_t step = end ? len + 1 : len;
        joined = (struct bytes){joined.at + step, joined.len - step};
    }
    return count;
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

static void write_place(const struct move *move, const struct ranking_at *ranking) {
    const struct placed_item *item = move->item;
    const double *cutoff = cutoff_of(move->cutoffs, ranking);
    bool was_in = move->before.eligible && (!cutoff || move->before.value >= *cutoff);
    bool may_be_member = was_in || item->mode == PLACE_REPAIR;
    if (move->now.eligible && (!cutoff || move->now.value > *cutoff)) {
        bool same = move->before.eligible && move->before.value == move->now.value;
        if (!same || item->mode != PLACE_CHANGED)
            commit_place(move->commit, ranking, bound_of(ranking), item->id, move->now.value, may_be_member);
        return;
    }
    if (may_be_member)
        commit_leave(move->commit, ranking, bound_of(ranking), item->id);
}

// An item that gets a card changes its set. What is known of its value does not say whether it is still in the other
// one.
static void leave_other_set(const struct move *move, struct ranking_at at) {
    at.no_card = !at.no_card;
    if (move->item->mode != PLACE_CHANGED)
        commit_leave(move->commit, &at, bound_of(&at), move->item->id);
}

// The references of an item's present categories, and of those that it has left.
struct category_refs {
    ref_t now[CATEGORIES_MAX];
    size_t now_count;
    ref_t left[4 * CATEGORIES_MAX];
    size_t left_count;
};

static bool holds(const ref_t *refs, size_t count, ref_t ref) {
    for (size_t i = 0; i < count; i++)
        if (refs[i] == ref)
            return true;
    return false;
}

static void add_left(struct category_refs *refs, const struct secret_key *hash_key, struct bytes joined) {
    struct bytes names[CATEGORIES_MAX];
    size_t count = split_categories(joined, names);
    for (size_t i = 0; i < count; i++) {
        ref_t ref = category_ref(hash_key, names[i]);
        if (!holds(refs->now, refs->now_count, ref) && !holds(refs->left, refs->left_count, ref) &&
            refs->left_count < sizeof(refs->left) / sizeof(refs->left[0]))
            refs->left[refs->left_count++] = ref;
    }
}

static void find_categories(const struct placed_item *item, const struct secret_key *hash_key,
                            struct category_refs *ret_refs) {
    struct bytes names[CATEGORIES_MAX];
    ret_refs->now_count = split_categories(item->categories, names);
    ret_refs->left_count = 0;
    for (size_t i = 0; i < ret_refs->now_count; i++)
        ret_refs->now[i] = category_ref(hash_key, names[i]);
    for (const struct old_categories *old = item->old; old; old = old->next)
        add_left(ret_refs, hash_key, old->joined);
}

void write_places(const struct plan *plan, const struct secret_key *hash_key, const struct cutoffs *cutoffs,
                  int64_t now_ms, const struct placed_item *item, struct commit *commit) {
    struct category_refs categories;
    find_categories(item, hash_key, &categories);
    for (uint32_t i = 0; i < plan->count; i++) {
        const struct ranking *ranking = &plan->rankings[i];
        struct move move = {.cutoffs = cutoffs, .item = item, .before = item->before[i], .commit = commit};
        move.now.eligible =
            item->known && ranking_value(ranking, item->sums, item->published_ms, now_ms, &move.now.value);
        struct ranking_at at = {.site = item->site, .name = ranking->name, .no_card = !item->has_card};
        write_place(&move, &at);
        leave_other_set(&move, at);
        if (i == plan->popular)
            continue;
        at.no_card = false; // an item without a card has no categories, but it may leave some
        for (size_t c = 0; c < categories.now_count; c++) {
            at.category = &categories.now[c];
            write_place(&move, &at);
        }
        for (size_t c = 0; c < categories.left_count; c++) {
            at.category = &categories.left[c];
            if (move.before.eligible || item->mode == PLACE_REPAIR)
                commit_leave(commit, &at, bound_of(&at), item->id);
        }
    }
}
