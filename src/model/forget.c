// SPDX-License-Identifier: MIT
// A vote that is not projected yet is in the item only, with its time. A projected vote is also in the sums.
#include "model/forget.h"

static uint64_t votes_of(const struct item *item) {
    uint64_t votes = 0;
    for (int kind = 0; kind < ITEM_KINDS_MAX; kind++)
        votes += item->votes[kind];
    return votes;
}

static bool voters_are_old(struct bytes voters, int64_t before_ms) {
    for (size_t at = 0; at + VOTER_SIZE <= voters.len; at += VOTER_SIZE) {
        struct voter voter;
        const char *one = voters.at + at;
        if (!voter_unpack((struct bytes){one, 8}, (struct bytes){one + 8, VOTE_SIZE}, &voter) ||
            voter.time_ms > before_ms)
            return false;
    }
    return true;
}

static uint64_t events_of(const struct sums *sums) {
    uint64_t events = 0;
    for (int signal = 0; signal < SIGNAL_COUNT; signal++)
        events += sums->signals[signal].count;
    return events;
}

// The half-lives ascend: the first is the shortest.
static bool sums_are_old(const struct sums *sums, const struct half_lives *lives, int64_t before_ms) {
    for (int signal = 0; signal < SIGNAL_COUNT; signal++)
        if (sums->signals[signal].count && !(sums->signals[signal].sum[0] <= decay_exponent(before_ms, lives->ms[0])))
            return false;
    return true;
}

bool item_is_forgotten(struct bytes packed_item, struct bytes packed_sums, const struct half_lives *lives,
                       int64_t before_ms) {
    struct item item;
    struct sums sums;
    if (!item_unpack(packed_item, &item) || item.has_card || item.base.len || item.buckets ||
        !sums_unpack(packed_sums, lives, &sums))
        return false;
    return votes_of(&item) < FORGET_EVENTS && events_of(&sums) < FORGET_EVENTS &&
           voters_are_old(item.voters, before_ms) && sums_are_old(&sums, lives, before_ms);
}
