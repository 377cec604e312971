// SPDX-License-Identifier: MIT
// Votes and retractions: the lane of lua/vote.lua, and the splitting of voter buckets that have grown (lua/split.lua).
#include "base/clock.h"
#include "model/decay.h"
#include "model/entry.h"
#include "model/voters.h"
#include "ops/metrics.h"
#include "store/gather.h"
#include "store/levels.h"
#include "store/store_inside.h"
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

static struct vote_call *vote_of(struct queued *write) {
    return (struct vote_call *)((char *)write - offsetof(struct vote_call, queued));
}

// ---- What goes to the script

static void add_keys(struct store *store, struct queued *write) {
    struct vote_call *vote = vote_of(write);
    struct key key;
    vote->buckets = levels_get(store->levels, vote->item);
    key_item(&key, vote->item);
    add_key(store, &key);
    key_voters(&key, vote->item, voters_bucket(vote->visitor, vote->buckets));
    add_key(store, &key);
}

static void add_head(struct store *store) {
    command_add_int(&store->command, clock_now_ms());
    command_add_int(&store->command, store->settings->kind_count);
}

static uint64_t order(const struct queued *write) {
    const struct vote_call *vote = (const struct vote_call *)((const char *)write - offsetof(struct vote_call, queued));
    return vote->item;
}

// The part of a log record (model/entry.h) that does not depend on what Redis finds.
static void add_record(struct command *command, const struct vote_call *vote) {
    int64_t time_ms = 0;
    bool retracts = vote->kind < 0;
    if (!retracts)
        vote_unpack(vote_pack(vote->time_ms, vote->kind), &time_ms);
    buffer_add_char(&command->bytes, 'V');
    buffer_add_u64(&command->bytes, vote->item);
    buffer_add_u8(&command->bytes, retracts ? ENTRY_NO_KIND : (uint8_t)vote->kind);
    buffer_add_u32(&command->bytes, retracts ? 0 : (uint32_t)(int32_t)((time_ms - DECAY_EPOCH_MS) / 1000));
    command_end_argument(command);
}

static void add_arguments(struct store *store, struct queued *write) {
    const struct vote_call *vote = vote_of(write);
    struct command *command = &store->command;
    command_add(command, vote->id);
    command_add(command, vote->site);
    add_record(command, vote);
    command_add_int(command, vote->buckets);
    command_add_int(command, (int64_t)vote->visitor);
    if (vote->kind < 0 && vote->only_if) {
        char text[32];
        snprintf(text, sizeof text, "=%lld", (long long)vote->only_if);
        command_add_text(command, text);
    } else if (vote->kind < 0)
        command_add(command, NO_BYTES);
    else
        command_add_int(command, vote_pack(vote->time_ms, vote->kind));
    command_add_text(command, vote->needs_card ? "1" : "");
}

// ---- Splitting: some at a time per process; an item's go on until its buckets are small again, as votes may come
// faster than splits. A bucket may wait, it holds twice the mean and more.

struct split {
    struct link_call call;
    struct store *store;
    struct split **place; // among those under way
    ref_t item;
    uint64_t voters;
};

static void split_once(struct split *split, uint32_t buckets);

static void on_split(struct link_call *call) {
    struct split *split = (struct split *)call;
    uint32_t buckets = call->outcome == OK ? (uint32_t)reply_int(call->reply) : 0;
    freeReplyObject(call->reply);
    if (buckets) {
        metric_add(METRIC_BUCKET_SPLITS, 1);
        levels_set(split->store->levels, split->item, buckets);
    }
    if (buckets && voters_split_due(split->voters, buckets)) {
        split_once(split, buckets);
        return;
    }
    *split->place = NULL;
    free(split);
}

static void split_once(struct split *split, uint32_t buckets) {
    struct store *store = split->store;
    uint32_t modulus, source = voters_split_source(buckets, &modulus);
    struct key key;
    script_begin(&store->command, SCRIPT_SPLIT, 3);
    key_item(&key, split->item);
    add_key(store, &key);
    key_voters(&key, split->item, source);
    add_key(store, &key);
    key_voters(&key, split->item, buckets);
    add_key(store, &key);
    command_add_int(&store->command, buckets);
    command_add_int(&store->command, modulus);
    command_add_int(&store->command, buckets);
    send_script(store, &split->call, SCRIPT_SPLIT);
}

// NULL: the item is being split, or as many are as may be.
static struct split **free_place(struct store *store, ref_t item) {
    struct split **place = NULL;
    for (size_t i = 0; i < SPLITS_MOST; i++) {
        if (store->splits[i] && store->splits[i]->item == item)
            return NULL;
        if (!store->splits[i])
            place = &store->splits[i];
    }
    return place;
}

static void split_buckets(struct store *store, ref_t item, uint64_t voters, uint32_t buckets) {
    struct split **place = free_place(store, item), *split = place ? malloc(sizeof *split) : NULL;
    if (!split)
        return;
    *split = (struct split){.call.on_reply = on_split, .store = store, .place = place, .item = item, .voters = voters};
    *place = split;
    split_once(split, buckets);
}

// ---- What comes back

enum { VOTE_UNCHANGED, VOTE_CHANGED, VOTE_RETRY, VOTE_CLASH, VOTE_BROKEN, VOTE_NO_CARD, VOTE_STATUSES };

static const enum outcome status_outcomes[VOTE_STATUSES] = {
    [VOTE_UNCHANGED] = OK,   [VOTE_CHANGED] = OK,      [VOTE_RETRY] = UNAVAILABLE,
    [VOTE_CLASH] = ID_CLASH, [VOTE_BROKEN] = INTERNAL, [VOTE_NO_CARD] = UNKNOWN_ITEM,
};

static bool take(struct store *store, struct queued *write, struct reader *results) {
    struct vote_call *vote = vote_of(write);
    uint8_t status = read_u8(results), kind = read_u8(results);
    uint32_t buckets = read_u32(results), voters = read_u32(results);
    memset(vote->votes, 0, sizeof vote->votes);
    for (uint32_t i = 0; i < store->settings->kind_count; i++)
        vote->votes[i] = read_u64(results);
    vote->outcome = status < VOTE_STATUSES ? status_outcomes[status] : INTERNAL;
    vote->changed = status == VOTE_CHANGED;
    vote->kind_now = kind < MAX_KINDS ? kind : -1;
    if (!vote->changed)
        vote->entry = (struct log_id){0, 0};
    if (status == VOTE_RETRY)
        levels_set(store->levels, vote->item, buckets);
    else if (vote->changed && voters_split_due(voters, buckets))
        split_buckets(store, vote->item, voters, buckets);
    return status != VOTE_RETRY;
}

static void set_entry(struct queued *write, struct log_id entry) {
    vote_of(write)->entry = entry;
}

static void finish(struct store *store, struct queued *write, enum outcome outcome) {
    (void)store;
    struct vote_call *vote = vote_of(write);
    if (outcome != OK)
        vote->outcome = outcome;
    else if (vote->outcome == OK)
        metric_add(vote->changed ? METRIC_VOTES_ACCEPTED : METRIC_VOTES_UNCHANGED, 1);
    vote->on_done(vote);
}

const struct lane_kind vote_lane = {
    .script = SCRIPT_VOTE,
    .keys_each = 2,
    .order = order,
    .add_keys = add_keys,
    .add_head = add_head,
    .add_arguments = add_arguments,
    .take = take,
    .set_entry = set_entry,
    .finish = finish,
};

void store_vote(struct store *store, struct vote_call *call) {
    lane_add(&store->votes, &call->queued, partition_of(call->item, keys_partitions()));
}
