// SPDX-License-Identifier: MIT
// Writes an item's place in the set of its author, and takes it out of those of earlier authors.
#include "project/author_places.h"
#include "model/item.h"

static uint32_t bound(void) {
    return ranking_bound(AUTHOR_DEPTH, keys_partitions());
}

static struct bytes author_of(struct bytes groups) {
    return groups_split(groups).author;
}

static void leave(const struct secret_key *hash_key, const struct placed_item *item, struct bytes author,
                  struct commit *commit) {
    ref_t ref = author_ref(hash_key, author);
    struct ranking_at set = {.site = item->site, .name = BYTES(AUTHOR_NAME), .category = &ref};
    commit_leave(commit, &set, bound(), item->id);
}

static void place(const struct secret_key *hash_key, const struct cutoffs *cutoffs, int64_t now_ms,
                  const struct placed_item *item, struct bytes author, struct commit *commit) {
    ref_t ref = author_ref(hash_key, author);
    struct ranking_at set = {.site = item->site, .name = BYTES(AUTHOR_NAME), .category = &ref};
    double value = item->published_ms ? (double)item->published_ms : (double)now_ms + 0.5;
    const double *cutoff = cutoff_of(cutoffs, &set);
    if (!cutoff || value > *cutoff)
        commit_place(commit, &set, bound(), item->id, value, true);
    else
        commit_leave(commit, &set, bound(), item->id);
}

void write_author_places(const struct secret_key *hash_key, const struct cutoffs *cutoffs, int64_t now_ms,
                         const struct placed_item *item, struct commit *commit) {
    bool has_events = !sums_empty(item->sums);
    if (item->mode == PLACE_CHANGED && item->had_events == has_events)
        return;
    struct bytes author = item->known && item->has_card ? author_of(item->groups) : NO_BYTES;
    if (author.len && has_events)
        place(hash_key, cutoffs, now_ms, item, author, commit);
    else if (author.len)
        leave(hash_key, item, author, commit);
    for (const struct old_groups *old = item->old; old; old = old->next) {
        struct bytes left = author_of(old->joined);
        if (left.len && !bytes_eq(left, author))
            leave(hash_key, item, left, commit);
    }
}
