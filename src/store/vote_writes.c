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
#include "store/writes.h"
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

enum {
    BEGINS_ITEM = 1,
    BEGINS_GROUP = 2,
    NEEDS_CARD = 4,
    DATED = 8,
    ONLY_ONE = 16,
    RETRACTS = 32,
    HAS_BUCKETS = 64,
    NAMES_ITEM = 128
};

struct batch_shape {
    uint32_t items, groups, names, buckets;
    uint8_t flags[BATCH_MAX]; // of each vote
};

static bool is_named_before(struct queued *const *writes, uint32_t i) {
    const struct vote_call *vote = vote_of(writes[i]), *before = vote_of(writes[i - 1]);
    return bytes_eq(vote->site, before->site) && bytes_eq(vote->id, before->id);
}

static uint8_t flags_of(struct queued *const *writes, uint32_t i) {
    const struct vote_call *vote = vote_of(writes[i]);
    bool item = begins_item(writes, i), retracts = vote->kind < 0;
    return (uint8_t)((item ? BEGINS_ITEM : 0) + (begins_group(writes, i) ? BEGINS_GROUP : 0) +
                     (vote->needs_card ? NEEDS_CARD : 0) + (vote->dated ? DATED : 0) +
                     (retracts && vote->only_if ? ONLY_ONE : 0) + (retracts ? RETRACTS : 0) +
                     (item || !is_named_before(writes, i) ? NAMES_ITEM : 0));
}

// Looks up the buckets of the items, too.
static void shape_batch(struct store *store, struct queued *const *writes, uint32_t count, struct batch_shape *shape) {
    *shape = (struct batch_shape){.items = 0};
    for (uint32_t i = 0, group = 0; i < count; i++) {
        struct vote_call *vote = vote_of(writes[i]);
        uint8_t flags = shape->flags[i] = flags_of(writes, i);
        vote->buckets = bucket_cache_get(store->bucket_cache, vote->item);
        group = flags & BEGINS_GROUP ? i : group;
        shape->flags[group] |= vote->buckets ? HAS_BUCKETS : 0;
        shape->items += (flags & BEGINS_ITEM) != 0;
        shape->groups += (flags & BEGINS_GROUP) != 0;
        shape->names += (flags & NAMES_ITEM) != 0;
        shape->buckets += vote->buckets > 0;
    }
}

static void add_control(struct store *store, struct queued *const *writes, uint32_t count,
                        const struct batch_shape *shape) {
    struct buffer *data = &store->command.bytes;
    buffer_add_u8(data, (uint8_t)store->settings->kind_count);
    buffer_add_u16(data, (uint16_t)shape->items);
    buffer_add_u16(data, (uint16_t)shape->groups);
    buffer_add_u16(data, (uint16_t)shape->names);
    for (uint32_t i = 0; i < count; i++) {
        buffer_add_u8(data, shape->flags[i]);
        buffer_add_u16(data, (uint16_t)vote_of(writes[i])->buckets);
    }
    command_end_argument(&store->command);
}

// A log record of a vote that replaces none. Until series count, an older program may still read the log: then without
// the site.
static void add_record(struct store *store, const struct vote_call *vote, bool names_site) {
    struct buffer *data = &store->command.bytes;
    bool retracts = vote->kind < 0;
    buffer_add_char(data, names_site ? 'B' : 'V');
    buffer_add_u64(data, vote->item);
    if (names_site)
        buffer_add_u64(data, site_ref(store->hash_key, vote->site));
    buffer_add_u64(data, vote->visitor);
    vote_add(data, retracts ? ENTRY_NO_KIND : vote->kind, retracts && !vote->dated ? DECAY_EPOCH_MS : vote->time_ms);
    vote_add(data, ENTRY_NO_KIND, DECAY_EPOCH_MS);
}

static void add_entries(struct store *store, struct queued *const *writes, uint32_t count,
                        const struct batch_shape *shape) {
    struct command *command = &store->command;
    int64_t now_ms = clock_now_ms();
    for (uint32_t i = 0; i < count; i++) {
        if (shape->flags[i] & BEGINS_GROUP)
            buffer_add_f64(&command->bytes, (double)now_ms);
        add_record(store, vote_of(writes[i]), now_ms / 1000 >= series_began_s());
        if (i + 1 == count || shape->flags[i + 1] & BEGINS_GROUP)
            command_end_argument(command);
    }
}

static void add_arguments(struct store *store, struct queued *const *writes, uint32_t count,
                          const struct batch_shape *shape) {
    struct command *command = &store->command;
    add_control(store, writes, count, shape);
    for (uint32_t i = 0; i < count; i++)
        if (shape->flags[i] & NAMES_ITEM) {
            item_pack_name(vote_of(writes[i])->site, vote_of(writes[i])->id, &command->bytes);
            command_end_argument(command);
        }
    add_entries(store, writes, count, shape);
    for (uint32_t i = 0; i < count; i++)
        if (shape->flags[i] & ONLY_ONE) {
            int64_t time_ms;
            int kind = vote_unpack(vote_of(writes[i])->only_if, &time_ms);
            vote_add(&command->bytes, kind, time_ms);
            command_end_argument(command);
        }
}

static void compose(struct store *store, struct queued *const *writes, uint32_t count, uint32_t log) {
    (void)log; // a vote is in the log of its item's partition: votes and their retractions must be folded in order
    struct batch_shape shape;
    shape_batch(store, writes, count, &shape);
    script_begin(&store->command, SCRIPT_VOTE, shape.items + shape.groups + shape.buckets);
    add_keys(store, writes, count);
    add_arguments(store, writes, count, &shape);
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

enum {
    VOTE_UNCHANGED,
    VOTE_STORED, // changed; the beginning of the item's record follows
    VOTE_RETRY,
    VOTE_CLASH,
    VOTE_BROKEN,
    VOTE_NO_CARD,
    VOTE_CHANGED,
    VOTE_STATUSES
};

static const enum outcome status_outcomes[VOTE_STATUSES] = {
    [VOTE_UNCHANGED] = OK,   [VOTE_STORED] = OK,       [VOTE_RETRY] = UNAVAILABLE,
    [VOTE_CLASH] = ID_CLASH, [VOTE_BROKEN] = INTERNAL, [VOTE_NO_CARD] = UNKNOWN_ITEM,
    [VOTE_CHANGED] = OK,
};

struct told {
    uint8_t status, kind;
    uint32_t buckets;
    uint64_t voters;
};

// The beginning of a record without base votes.
static void read_record(struct vote_call *vote, uint32_t kinds, struct reader *results, struct told *told) {
    uint32_t stored = item_read_head(results, &told->buckets);
    results->failed |= stored != kinds;
    told->kind = (uint8_t)vote->kind;
    for (uint32_t i = 0; i < kinds; i++)
        told->voters += vote->votes[i] = read_u32(results);
}

static void read_told(struct vote_call *vote, uint32_t kinds, struct reader *results, struct told *told) {
    told->kind = read_u8(results);
    told->buckets = read_u32(results);
    told->voters = read_u32(results);
    for (uint32_t i = 0; i < kinds; i++)
        vote->votes[i] = read_u64(results);
}

static bool take(struct store *store, struct queued *write, struct reader *results) {
    struct vote_call *vote = vote_of(write);
    uint32_t kinds = store->settings->kind_count;
    struct told told = {.status = read_u8(results)};
    memset(vote->votes, 0, sizeof vote->votes);
    (told.status == VOTE_STORED ? read_record : read_told)(vote, kinds, results, &told);
    vote->outcome = told.status < VOTE_STATUSES ? status_outcomes[told.status] : INTERNAL;
    vote->changed = told.status == VOTE_STORED || told.status == VOTE_CHANGED;
    // A process that started before the kind was added does not know it.
    vote->kind_now = told.kind < kinds ? told.kind : -1;
    if (!vote->changed)
        vote->entry = (struct log_id){0, 0};
    if (told.status == VOTE_RETRY)
        bucket_cache_set(store->bucket_cache, vote->item, told.buckets);
    else if (vote->changed && voters_split_due(told.voters, told.buckets))
        split_buckets(store, vote->item, told.voters, told.buckets);
    return told.status != VOTE_RETRY;
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
