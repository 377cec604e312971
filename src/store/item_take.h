// SPDX-License-Identifier: MIT
// What was read of one item, and the state that it makes (item_reads.c asks).
#pragma once
#include "store/item_states.h"
#include "store/reads.h"

enum { AT_RECORD, AT_SUMS, AT_CARD, AT_VISITORS, KEYS_PER_ITEM, KEYS_WATCHED = AT_CARD };

struct item_read {
    ref_t item;
    uint32_t index; // among the items of the call
    const struct item_state *known;
    struct track *track;                 // NULL: Redis is not to watch it
    bool bad;                            // a key of it can't be read
    uint64_t visitors;                   // by its sketch; 0: it has none
    uint64_t sketch;                     // its hash; 0: it has none
    bool asked[KEYS_PER_ITEM];           // in the second round
    const redisReply *at[KEYS_PER_ITEM]; // NULL: not asked, or no answer
};

static inline bool is_text(const redisReply *reply) {
    return reply && reply->type == REDIS_REPLY_STRING;
}
// The sums are those from which `known` was made.
bool item_same_sums(const struct item_read *one);
// Counts the visitors of the sketch, unless they were counted already. Before item_take.
void item_take_sketch(const struct store *store, struct item_read *one);
// Adds the base, as lua/put.lua keeps it, to the counts.
void add_base(struct bytes base, struct item_state *item);
// The state. `texts` and `sums` are what its views are of. Its outcome is UNAVAILABLE without memory.
void item_take(const struct store *store, const struct item_read *one, struct arena *texts, struct sums *sums,
               struct item_state *item);
