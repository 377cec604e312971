// SPDX-License-Identifier: MIT
// Reads of one visitor: the own votes on some items, and the items read last; and forgetting the latter.
#include "store/visitor_reads.h"
#include "base/reader.h"
#include "model/item.h"
#include "store/bucket_cache.h"
#include "store/item_take.h"
#include "store/reads.h"
#include <math.h>
#include <stdlib.h>

// ---- Own votes

// The number of buckets is guessed (bucket_cache.h), and the bucket is read before the item. The item tells the real
// number. If the visitor's bucket is the same for both numbers, the right bucket was read, because a voter's bucket
// never changes back while an item lives. Voters in the item's record come with it. A voter's bucket changes at most
// once when the number doubles, so the tries are bounded by the doublings.
enum { AT_BUCKET, AT_ITEM, COMMANDS_PER_VOTE, VOTE_TRIES = 32 };

struct votes_state {
    struct read_state read;
    ref_t visitor;
    ref_t *items;
    size_t count;
    uint32_t *guessed;
    int tries;
    void (*on_vote)(struct read_call *call, size_t index, const struct own_vote *vote);
};

// An item without buckets is read as if it had one.
static uint32_t bucket_of(ref_t visitor, uint32_t buckets) {
    return voters_bucket(visitor, buckets ? buckets : 1);
}

static void ask_votes(struct votes_state *state, struct pipeline *pipeline) {
    struct store *store = state->read.store;
    for (size_t i = 0; i < state->count; i++) {
        struct key key;
        key_voters(&key, state->items[i], bucket_of(state->visitor, state->guessed[i]));
        begin_command(store, "HGET");
        add_key(store, &key);
        command_add_ref(&store->command, state->visitor);
        read_add(pipeline);
        key_item(&key, state->items[i]);
        read_ask(pipeline, "GET", &key);
    }
}

// An item that does not exist, or is not usable, has no votes.
static void read_item(const struct pipelined *at, struct item *ret_item) {
    *ret_item = (struct item){0};
    if (at->outcome == OK)
        item_unpack(reply_text(at->reply), ret_item);
}

// Corrects the wrong guesses for the next try. True when there was one.
static bool guessed_wrong(struct votes_state *state, const struct pipeline *pipeline) {
    bool wrong = false;
    for (size_t i = 0; i < state->count; i++) {
        struct item item;
        uint32_t guessed = state->guessed[i];
        read_item(&pipeline->at[i * COMMANDS_PER_VOTE + AT_ITEM], &item);
        if (item.buckets == guessed)
            continue;
        bucket_cache_set(state->read.store->bucket_cache, state->items[i], item.buckets);
        state->guessed[i] = item.buckets;
        wrong = wrong || (item.buckets &&
                          (!guessed || bucket_of(state->visitor, guessed) != bucket_of(state->visitor, item.buckets)));
    }
    return wrong;
}

static bool find_inside(const struct item *item, ref_t visitor, struct voter *ret_voter) {
    for (size_t at = 0; at + VOTER_SIZE <= item->voters.len; at += VOTER_SIZE) {
        const char *voter = item->voters.at + at;
        if (memcmp(voter, &visitor, sizeof visitor) == 0)
            return voter_unpack((struct bytes){voter, sizeof visitor},
                                (struct bytes){voter + sizeof visitor, VOTE_SIZE}, ret_voter);
    }
    return false;
}

static bool find_in_bucket(const struct pipelined *at, ref_t visitor, struct voter *ret_voter) {
    struct bytes name = {(const char *)&visitor, sizeof visitor};
    return at->outcome == OK && voter_unpack(name, reply_text(at->reply), ret_voter);
}

static void tell_vote(struct votes_state *state, size_t index, const struct pipelined *at) {
    struct own_vote vote = {.kind = -1};
    struct item_state counts = {.known = true};
    struct voter voter;
    struct item item;
    read_item(&at[AT_ITEM], &item);
    bool voted = item.buckets ? find_in_bucket(&at[AT_BUCKET], state->visitor, &voter)
                              : find_inside(&item, state->visitor, &voter);
    if (voted)
        vote = (struct own_vote){.kind = voter.kind, .packed = voter.packed, .time_ms = voter.time_ms};
    if (vote.kind >= (int)state->read.store->settings->kind_count)
        vote.kind = -1;
    memcpy(counts.votes, item.votes, sizeof counts.votes);
    add_base(item.base, &counts);
    memcpy(vote.votes, counts.votes, sizeof vote.votes);
    state->on_vote(state->read.call, index, &vote);
}

static void end_votes(struct pipeline *pipeline, enum outcome outcome) {
    struct votes_state *state = pipeline->context;
    free(state->items);
    free(state->guessed);
    read_end(pipeline, outcome);
}

static void on_votes(struct pipeline *pipeline) {
    struct votes_state *state = pipeline->context;
    enum outcome outcome = read_outcome(pipeline);
    if (outcome == OK && guessed_wrong(state, pipeline)) {
        bool may_try = ++state->tries < VOTE_TRIES;
        struct pipeline *again = may_try ? pipeline_new(pipeline->count, on_votes, state) : NULL;
        if (again) {
            pipeline_free(pipeline);
            ask_votes(state, again);
            return;
        }
        outcome = UNAVAILABLE;
    }
    for (size_t i = 0; outcome == OK && i < state->count; i++)
        tell_vote(state, i, &pipeline->at[i * COMMANDS_PER_VOTE]);
    end_votes(pipeline, outcome);
}

void store_read_votes(struct store *store, struct read_call *call, ref_t visitor, const ref_t *items, size_t count,
                      void (*on_vote)(struct read_call *call, size_t index, const struct own_vote *vote)) {
    struct pipeline *pipeline =
        read_begin(store, call, count * COMMANDS_PER_VOTE, sizeof(struct votes_state), on_votes);
    if (!pipeline)
        return;
    struct votes_state *state = pipeline->context;
    state->visitor = visitor;
    state->count = count;
    state->on_vote = on_vote;
    state->items = malloc(count * sizeof *items);
    state->guessed = malloc(count * sizeof *state->guessed);
    if (!state->items || !state->guessed) {
        free(state->items);
        free(state->guessed);
        free(state);
        pipeline_free(pipeline);
        read_fail(store, call);
        return;
    }
    memcpy(state->items, items, count * sizeof *items);
    for (size_t i = 0; i < count; i++)
        state->guessed[i] = bucket_cache_get(store->bucket_cache, items[i]);
    ask_votes(state, pipeline);
}

// ---- History

struct history_state {
    struct read_state read;
    void (*on_item)(struct read_call *call, ref_t item, int64_t time_ms);
};

static void on_history(struct pipeline *pipeline) {
    struct history_state *state = pipeline->context;
    enum outcome outcome = read_outcome(pipeline);
    struct reader views = reader_of(outcome == OK ? reply_text(pipeline->at[0].reply) : NO_BYTES);
    while (!reader_at_end(&views)) {
        ref_t item = read_u64(&views);
        double time_ms = read_f64(&views);
        if (!views.failed)
            state->on_item(state->read.call, item, isfinite(time_ms) ? (int64_t)time_ms : 0);
    }
    read_end(pipeline, outcome);
}

void store_read_history(struct store *store, struct read_call *call, ref_t visitor,
                        void (*on_item)(struct read_call *call, ref_t item, int64_t time_ms)) {
    struct pipeline *pipeline = read_begin(store, call, 1, sizeof(struct history_state), on_history);
    struct key key;
    if (!pipeline)
        return;
    ((struct history_state *)pipeline->context)->on_item = on_item;
    key_history(&key, visitor, false);
    read_ask(pipeline, "GET", &key);
}

static void on_forgotten(struct pipeline *pipeline) {
    read_end(pipeline, pipeline_outcome(pipeline));
}

void store_forget_history(struct store *store, struct read_call *call, ref_t visitor) {
    struct pipeline *pipeline = read_begin(store, call, 2, sizeof(struct history_state), on_forgotten);
    struct key key;
    if (!pipeline)
        return;
    for (int anonymous = 0; anonymous < 2; anonymous++) {
        key_history(&key, visitor, anonymous);
        begin_command(store, "UNLINK");
        add_key(store, &key);
        write_add(pipeline);
    }
}
