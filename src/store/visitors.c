// SPDX-License-Identifier: MIT
// What is known of one visitor: own votes on some items, the last items read; and forgetting the latter.
#include "model/voters.h"
#include "store/levels.h"
#include "store/reads.h"
#include <math.h>
#include <stdlib.h>

// ---- Own votes

// The vote is read before the number of buckets. A voter's bucket never changes back while an item lives, so one that
// is the same for what was guessed and for what is there proves that the right bucket was read. It changes at most once
// when the buckets double: tries beyond that are as many as doublings.
enum { COMMANDS_PER_VOTE = 2, VOTE_BUCKETS = 0, VOTE_BASE, VOTE_COUNTS, VOTE_TRIES = 32 };

struct votes_state {
    struct read_state read;
    ref_t visitor;
    ref_t *items;
    size_t count;
    uint32_t *guessed;
    int tries;
    void (*on_vote)(struct read_call *call, size_t index, const struct own_vote *vote);
};

static void ask_votes(struct votes_state *state, struct gather *gather) {
    struct store *store = state->read.store;
    for (size_t i = 0; i < state->count; i++) {
        struct key key;
        key_voters(&key, state->items[i], voters_bucket(state->visitor, state->guessed[i]));
        begin_command(store, "HGET");
        add_key(store, &key);
        command_add_int(&store->command, (int64_t)state->visitor);
        read_add(gather);
        key_item(&key, state->items[i]);
        begin_command(store, "HMGET");
        add_key(store, &key);
        command_add_text(&store->command, "n");
        command_add_text(&store->command, "base");
        for (uint32_t kind = 0; kind < store->settings->kind_count; kind++) {
            char name[3] = {'v', (char)('0' + kind), '\0'};
            command_add_text(&store->command, name);
        }
        read_add(gather);
    }
}

static uint32_t buckets_of(const struct gathered *hash) {
    int64_t buckets = hash->outcome == OK ? reply_int(hash->reply->element[VOTE_BUCKETS]) : 1;
    return buckets > 1 ? (uint32_t)buckets : 1;
}

// What was guessed wrong is put right for the next try.
static bool guessed_wrong(struct votes_state *state, const struct gather *gather) {
    bool wrong = false;
    for (size_t i = 0; i < state->count; i++) {
        uint32_t buckets = buckets_of(&gather->at[i * COMMANDS_PER_VOTE + 1]), guessed = state->guessed[i];
        if (buckets == guessed)
            continue;
        levels_set(state->read.store->levels, state->items[i], buckets);
        state->guessed[i] = buckets;
        wrong = wrong || voters_bucket(state->visitor, guessed) != voters_bucket(state->visitor, buckets);
    }
    return wrong;
}

static void tell_vote(struct votes_state *state, size_t index, const struct gathered *at) {
    struct own_vote vote = {.kind = -1};
    uint32_t kinds = state->read.store->settings->kind_count;
    struct item_state counts = {.known = true};
    if (at[0].outcome == OK && at[0].reply->type == REDIS_REPLY_STRING) {
        int64_t packed = reply_int(at[0].reply);
        vote.kind = vote_unpack(packed, &vote.time_ms);
        vote.packed = packed;
    }
    if (at[1].outcome == OK) {
        add_base(reply_text_at(at[1].reply, VOTE_BASE), &counts);
        for (uint32_t kind = 0; kind < kinds; kind++)
            counts.votes[kind] += (uint64_t)reply_int(at[1].reply->element[VOTE_COUNTS + kind]);
    }
    memcpy(vote.votes, counts.votes, sizeof vote.votes);
    if (vote.kind >= (int)kinds)
        vote.kind = -1;
    state->on_vote(state->read.call, index, &vote);
}

static void end_votes(struct gather *gather, enum outcome outcome) {
    struct votes_state *state = gather->context;
    free(state->items);
    free(state->guessed);
    read_end(gather, outcome);
}

static void on_votes(struct gather *gather) {
    struct votes_state *state = gather->context;
    enum outcome outcome = read_outcome(gather);
    if (outcome == OK && guessed_wrong(state, gather)) {
        bool may_try = ++state->tries < VOTE_TRIES;
        struct gather *again = may_try ? gather_new(gather->count, on_votes, state) : NULL;
        if (again) {
            gather_free(gather);
            ask_votes(state, again);
            return;
        }
        outcome = UNAVAILABLE;
    }
    for (size_t i = 0; outcome == OK && i < state->count; i++)
        tell_vote(state, i, &gather->at[i * COMMANDS_PER_VOTE]);
    end_votes(gather, outcome);
}

void store_read_votes(struct store *store, struct read_call *call, ref_t visitor, const ref_t *items, size_t count,
                      void (*on_vote)(struct read_call *call, size_t index, const struct own_vote *vote)) {
    struct gather *gather = read_begin(store, call, count * COMMANDS_PER_VOTE, sizeof(struct votes_state), on_votes);
    if (!gather)
        return;
    struct votes_state *state = gather->context;
    state->visitor = visitor;
    state->count = count;
    state->on_vote = on_vote;
    state->items = malloc(count * sizeof *items);
    state->guessed = malloc(count * sizeof *state->guessed);
    if (!state->items || !state->guessed) {
        free(state->items);
        free(state->guessed);
        free(state);
        gather_free(gather);
        read_fail(store, call);
        return;
    }
    memcpy(state->items, items, count * sizeof *items);
    for (size_t i = 0; i < count; i++)
        state->guessed[i] = levels_get(store->levels, items[i]);
    ask_votes(state, gather);
}

// ---- History

struct history_state {
    struct read_state read;
    void (*on_item)(struct read_call *call, ref_t item, int64_t time_ms);
};

static void on_history(struct gather *gather) {
    struct history_state *state = gather->context;
    const redisReply *reply = gather->at[0].reply;
    enum outcome outcome = read_outcome(gather);
    bool there = outcome == OK && reply && reply->type == REDIS_REPLY_ARRAY;
    for (size_t i = 0; there && i < reply->elements; i++) {
        struct bytes member = reply_text(reply->element[i]);
        ref_t item;
        double time_ms;
        if (member.len != sizeof item + sizeof time_ms)
            continue;
        memcpy(&item, member.at, sizeof item);
        memcpy(&time_ms, member.at + sizeof item, sizeof time_ms);
        state->on_item(state->read.call, item, isfinite(time_ms) ? (int64_t)time_ms : 0);
    }
    read_end(gather, outcome);
}

void store_read_history(struct store *store, struct read_call *call, ref_t visitor,
                        void (*on_item)(struct read_call *call, ref_t item, int64_t time_ms)) {
    struct gather *gather = read_begin(store, call, 1, sizeof(struct history_state), on_history);
    struct key key;
    if (!gather)
        return;
    ((struct history_state *)gather->context)->on_item = on_item;
    key_history(&key, visitor, false);
    begin_command(store, "ZREVRANGE");
    add_key(store, &key);
    command_add_int(&store->command, 0);
    command_add_int(&store->command, -1);
    read_add(gather);
}

static void on_forgotten(struct gather *gather) {
    read_end(gather, gather_outcome(gather));
}

void store_forget_history(struct store *store, struct read_call *call, ref_t visitor) {
    struct gather *gather = read_begin(store, call, 2, sizeof(struct history_state), on_forgotten);
    struct key key;
    if (!gather)
        return;
    for (int anonymous = 0; anonymous < 2; anonymous++) {
        key_history(&key, visitor, anonymous);
        begin_command(store, "UNLINK");
        add_key(store, &key);
        read_add(gather);
    }
}
