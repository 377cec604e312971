// SPDX-License-Identifier: MIT
// Writes an item's place in the set of its author, and takes it out of those of earlier authors.
#include "project/author_places.h"
#include "model/item.h"
#include "store/list_reads.h"

static uint32_t bound(void) {
    return ranking_bound(AUTHOR_DEPTH, keys_partitions());
}

static struct bytes author_of(struct bytes groups) {
    return groups_split(groups).author;
}

static struct ranking_at set_of(const struct placed_item *item, bool has_events, const ref_t *author) {
    return (struct ranking_at){
        .site = item->site, .name = has_events ? BYTES(AUTHOR_NAME) : BYTES(UNREAD_NAME), .category = author};
}

// A rebuild reads items with events only, so nobody must notice that a set of the others has become small.
static void leave(const struct placed_item *item, bool has_events, ref_t author, struct commit *commit) {
    struct ranking_at set = set_of(item, has_events, &author);
    commit_leave(commit, &set, has_events ? bound() : 0, item->id);
}

static void place(const struct cutoffs *cutoffs, int64_t now_ms, const struct placed_item *item, bool has_events,
                  ref_t author, struct commit *commit) {
    struct ranking_at set = set_of(item, has_events, &author);
    double value = item->published_ms ? (double)item->published_ms : (double)now_ms + 0.5;
    const double *cutoff = cutoff_of(cutoffs, &set);
    if (!cutoff || value > *cutoff)
        commit_place(commit, &set, bound(), item->id, value, true);
    else
        leave(item, has_events, author, commit);
}

void write_author_places(const struct secret_key *hash_key, const struct cutoffs *cutoffs, int64_t now_ms,
                         const struct placed_item *item, struct commit *commit) {
    bool has_events = !sums_empty(item->sums);
    if (item->mode == PLACE_CHANGED && item->had_events == has_events)
        return;
    struct bytes author = item->known && item->has_card ? author_of(item->groups) : NO_BYTES;
    if (author.len) {
        place(cutoffs, now_ms, item, has_events, author_ref(hash_key, author), commit);
        leave(item, !has_events, author_ref(hash_key, author), commit);
    }
    for (const struct old_groups *old = item->old; old; old = old->next) {
        struct bytes left = author_of(old->joined);
        for (int events = 0; left.len && !bytes_eq(left, author) && events <= 1; events++)
            leave(item, events, author_ref(hash_key, left), commit);
    }
}
