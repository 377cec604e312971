// SPDX-License-Identifier: MIT
// The write queue of votes and retractions (lua/vote.lua), and the splits of voter buckets that have grown too large
// (lua/split.lua).
#include "base/clock.h"
#include "model/decay.h"
#include "model/entry.h"
#include "model/item.h"
#include "ops/metrics.h"
#include "redis/pipeline.h"
#include "store/bucket_cache.h"
#include "store/store_inside.h"
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

static struct vote_call *vote_of(struct queued *write) {
    return (struct vote_call *)((char *)write - offsetof(struct vote_call, queued));
}

// ---- The call of the script

static uint64_t subject(const struct queued *write) {
    const struct vote_call *vote = (const struct vote_call *)((const char *)write - offsetof(struct vote_call, queued));
    return vote->item;
}

static bool frees(const struct queued *write) {
    return ((const struct vote_call *)((const char *)write - offsetof(struct vote_call, queued)))->kind < 0;
}

static bool begins_item(struct queued *const *writes, uint32_t i) {
    return begins_group(writes, i) || subject(writes[i]) != subject(writes[i - 1]);
}

// The keys: items, logs, then the buckets of the votes.
static void add_keys(struct store *store, struct queued *const *writes, uint32_t count) {
    struct key key;
    for (uint32_t i = 0; i < count; i++)
        if (begins_item(writes, i)) {
            key_item(&key, vote_of(writes[i])->item);
            add_key(store, &key);
        }
    for (uint32_t i = 0; i < count; i++)
        if (begins_group(writes, i)) {
            key_log(&key, writes[i]->partition);
            add_key(store, &key);
        }
    for (uint32_t i = 0; i < count; i++) {
        const struct vote_call *vote = vote_of(writes[i]);
        if (!vote->buckets)
            continue;
        key_voters(&key, vote->item, voters_bucket(vote->visitor, vote->buckets));
        add_key(store, &key);
    }
}

enum { BEGINS_ITEM = 1, BEGINS_GROUP = 2, NEEDS_CARD = 4, DATED = 8 };

static void add_vote(struct store *store, const struct vote_call *vote, int begins, bool names_site) {
    struct command *command = &store->command;
    struct buffer *data = &command->bytes;
    bool retracts = vote->kind < 0;
    item_pack_name(vote->site, vote->id, data);
    command_end_argument(command);
    buffer_add_u8(data, (uint8_t)(begins + (vote->needs_card ? NEEDS_CARD : 0) + (vote->dated ? DATED : 0)));
    buffer_add_u16(data, (uint16_t)vote->buckets);
    buffer_add_char(data, names_site ? 'B' : 'V');
    buffer_add_u64(data, vote->item);
    if (names_site)
        buffer_add_u64(data, site_ref(store->hash_key, vote->site));
    buffer_add_u64(data, vote->visitor);
    vote_add(data, retracts ? ENTRY_NO_KIND : vote->kind, retracts && !vote->dated ? DECAY_EPOCH_MS : vote->time_ms);
    if (retracts && vote->only_if) {
        int64_t time_ms;
        int kind = vote_unpack(vote->only_if, &time_ms);
        vote_add(data, kind, time_ms);
    }
    command_end_argument(command);
}

static void compose(struct store *store, struct queued *const *writes, uint32_t count, uint32_t log) {
    (void)log; // a vote is in the log of its item's partition: votes and their retractions must be folded in order
    struct command *command = &store->command;
    uint32_t items = 0, groups = 0, buckets = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct vote_call *vote = vote_of(writes[i]);
        vote->buckets = bucket_cache_get(store->bucket_cache, vote->item);
        items += begins_item(writes, i);
        groups += begins_group(writes, i);
        buckets += vote->buckets > 0;
    }
    script_begin(command, SCRIPT_VOTE, items + groups + buckets);
    add_keys(store, writes, count);
    command_add_int(command, clock_now_ms());
    command_add_int(command, store->settings->kind_count);
    command_add_int(command, items);
    command_add_int(command, groups);
    // Until series count, an older program may still read the log.
    bool names_site = clock_now_ms() / 1000 >= series_began_s();
    for (uint32_t i = 0; i < count; i++)
        add_vote(store, vote_of(writes[i]),
                 (begins_item(writes, i) ? BEGINS_ITEM : 0) + (begins_group(writes, i) ? BEGINS_GROUP : 0), names_site);
}

// ---- Splits. A process splits at most SPLITS_MAX items at once. It splits an item again and again until the mean
// bucket is under the limit, because votes may come faster than splits. Meanwhile a bucket may hold more than twice the
// mean.

struct split {
    struct redis_call call;
    struct store *store;
    struct split **place; // among those under way
    ref_t item;
    uint64_t voters;
};

static void split_once(struct split *split, uint32_t buckets);

static void on_split(struct redis_call *call) {
    struct split *split = (struct split *)call;
    uint32_t buckets = call->outcome == OK ? (uint32_t)reply_int(call->reply) : 0; // 0: the item no longer exists
    freeReplyObject(call->reply);
    if (buckets) {
        metric_add(METRIC_BUCKET_SPLITS, 1);
        bucket_cache_set(split->store->bucket_cache, split->item, buckets);
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
    send_command(store, &split->call);
}

// NULL: the item is being split already, or SPLITS_MAX items are.
static struct split **free_place(struct store *store, ref_t item) {
    struct split **place = NULL;
    for (size_t i = 0; i < SPLITS_MAX; i++) {
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

// ---- Its results

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
    // A process that started before the kind was added does not know it.
    vote->kind_now = kind < store->settings->kind_count ? kind : -1;
    if (!vote->changed)
        vote->entry = (struct log_id){0, 0};
    if (status == VOTE_RETRY)
        bucket_cache_set(store->bucket_cache, vote->item, buckets);
    else if (vote->changed && voters_split_due(voters, buckets))
        split_buckets(store, vote->item, voters, buckets);
    return status != VOTE_RETRY;
}

static void set_entry(struct queued *write, uint32_t log, struct log_id entry) {
    (void)log;
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

const struct write_kind vote_kind = {
    .subject = subject,
    .compose = compose,
    .take = take,
    .frees = frees,
    .set_entry = set_entry,
    .finish = finish,
};

void store_vote(struct store *store, struct vote_call *call) {
    write_queue_add(&store->votes, &call->queued, partition_of(call->item, keys_partitions()));
}
