// SPDX-License-Identifier: MIT
// Reads a partition for the projector: the version and the applied ids first, then the deletions, the states, and what
// the lists need to know of the items. The version is read before the states, in the same pipeline: so a commit that
// finds it unchanged is based on states that are not older.
#include "model/item.h"
#include "redis/pipeline.h"
#include "store/store_inside.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

// The commands, in order. MGET answers nil for a key of a wrong type, so EXISTS counts the states as well. The life of
// the master comes last: what was read before was read in this life or in an earlier one.
enum { AT_APPLIED, AT_PLAN, AT_CUTOFFS, AT_DEAD, AT_STATES, AT_PRESENT, AT_RECORDS, AT_TOTALS, AT_PERIODS };

static uint32_t at_life(const struct partition_read *call) {
    return AT_PERIODS + (uint32_t)call->period_count;
}
enum { TEXTS_MAX = 4 << 20 };

static void on_partition_failed(struct deferred *deferred) {
    struct partition_read *call =
        (struct partition_read *)((char *)deferred - offsetof(struct partition_read, deferred));
    call->on_done(call, UNAVAILABLE);
}

// ---- Questions

static void key_state(struct key *key, enum projection projection, ref_t item) {
    if (projection == PROJECTION_SUMS)
        key_sums(key, item);
    else
        key_neighbours(key, item);
}

// All of it comes from one node, as the life does.
static void add(struct store *store, struct pipeline *pipeline) {
    store->command.no_redirect = true;
    pipeline_add(pipeline, store->router, &store->command);
}

static void ask(struct store *store, struct pipeline *pipeline, const char *name, const struct key *key) {
    begin_command(store, name);
    add_key(store, key);
    add(store, pipeline);
}

// A command without keys is replaced by a harmless one, so that the order of the replies stays.
static void ask_nothing(struct store *store, struct pipeline *pipeline, const struct partition_read *call) {
    struct key key;
    key_dead(&key, call->partition);
    ask(store, pipeline, "EXISTS", &key);
}

// ---- Replies

// The values of "version" and of the sources that were asked for.
static void take_asked(struct partition_read *call, const redisReply *values) {
    size_t at = 0;
    if (values->type != REDIS_REPLY_ARRAY || values->elements == 0)
        return;
    call->version = (uint64_t)reply_int(values->element[at++]);
    for (uint32_t i = 0; i < keys_partitions(); i++)
        if (!log_id_none(call->sources[i]))
            call->applied[i] = log_id_parse(reply_text_at(values, at++));
}

static void take_applied(struct partition_read *call, const redisReply *applied) {
    memset(call->applied, 0, keys_partitions() * sizeof *call->applied);
    call->version = 0;
    if (call->sources) {
        take_asked(call, applied);
        return;
    }
    for (size_t i = 0; applied->type == REDIS_REPLY_ARRAY && i + 1 < applied->elements; i += 2) {
        struct bytes name = reply_text(applied->element[i]);
        unsigned long long source;
        if (bytes_eq(name, BYTES("version")))
            call->version = (uint64_t)reply_int(applied->element[i + 1]);
        else if (bytes_to_u64(name, keys_partitions() - 1, &source))
            call->applied[source] = log_id_parse(reply_text(applied->element[i + 1]));
    }
}

static void take_cutoffs(struct partition_read *call, const redisReply *floors) {
    for (size_t i = 0; call->on_cutoff && floors->type == REDIS_REPLY_ARRAY && i + 1 < floors->elements; i += 2)
        call->on_cutoff(call, reply_text(floors->element[i]), -reply_double(floors->element[i + 1]));
}

static void take_cuts(struct partition_read *call, size_t period, const redisReply *cuts) {
    for (size_t i = 0; cuts->type == REDIS_REPLY_ARRAY && i + 1 < cuts->elements; i += 2)
        call->on_cut(call, period, reply_text(cuts->element[i]), -reply_double(cuts->element[i + 1]));
}

static bool is_absent(const redisReply *states, size_t i) {
    return reply_text_at(states, i).at == NULL;
}

static void take_record(const redisReply *records, size_t i, struct partition_item *item) {
    struct item record;
    if (is_absent(records, i))
        return;
    item->corrupt |= !item_unpack(reply_text_at(records, i), &record);
    if (item->corrupt)
        return;
    item->known = true;
    item->has_card = record.has_card;
    item->id = record.id;
    item->site = record.site;
    item->groups = record.groups;
    item->published_ms = record.published_ms;
}

// Data of format 3: the author is in the card alone.
static bool lacks_author(const struct partition_item *item) {
    return item->has_card && !groups_split(item->groups).has_author;
}

// False without memory.
static bool add_author(struct bytes card, struct arena *texts, struct partition_item *item) {
    struct bytes author;
    if (card_author(card, texts, &author) != OK)
        return false;
    size_t len = item->groups.len;
    char *at = arena_take(texts, len + 1 + author.len);
    if (!at)
        return false;
    memcpy(at, item->groups.at, len);
    at[len++] = GROUPS_AUTHOR;
    if (author.len)
        memcpy(at + len, author.at, author.len);
    item->groups = (struct bytes){at, len + author.len};
    return true;
}

// Without memory it gives a part of the items only, and is false.
static bool give_items(struct partition_read *call, const struct pipeline *pipeline, struct arena *texts) {
    const redisReply *dead = pipeline->at[AT_DEAD].reply, *states = pipeline->at[AT_STATES].reply;
    for (size_t i = 0, absent = 0, card = 0; i < call->item_count; i++) {
        struct partition_item item = {.state = reply_text_at(states, i)};
        if (call->types && is_absent(states, i))
            item.corrupt = !bytes_eq(reply_text(call->types->at[absent++].reply), BYTES("none"));
        if (dead->type == REDIS_REPLY_ARRAY && i < dead->elements)
            item.deleted_ms = reply_double(dead->element[i]);
        if (call->projection == PROJECTION_SUMS)
            take_record(pipeline->at[AT_RECORDS].reply, i, &item);
        if (lacks_author(&item) && !add_author(reply_text_at(call->cards->at[0].reply, card++), texts, &item))
            return false;
        call->on_item(call, i, &item);
    }
    return true;
}

static void finish(struct pipeline *pipeline, enum outcome outcome) {
    struct partition_read *call = pipeline->context;
    struct pipeline *cards = call->cards, *types = call->types;
    call->on_done(call, outcome);
    pipeline_free(pipeline);
    if (cards)
        pipeline_free(cards);
    if (types)
        pipeline_free(types);
}

static void give_all(struct pipeline *pipeline) {
    struct partition_read *call = pipeline->context;
    struct arena texts;
    arena_init(&texts, TEXTS_MAX);
    take_applied(call, pipeline->at[AT_APPLIED].reply);
    call->life = reply_text_at(pipeline->at[AT_PLAN].reply, 0);
    call->plan = reply_text_at(pipeline->at[AT_PLAN].reply, 1);
    call->begun = reply_text_at(pipeline->at[AT_PLAN].reply, 2);
    take_cutoffs(call, pipeline->at[AT_CUTOFFS].reply);
    for (size_t i = 0; i < call->period_count; i++)
        take_cuts(call, i, pipeline->at[AT_PERIODS + i].reply);
    bool whole = give_items(call, pipeline, &texts);
    for (size_t i = 0; i < call->site_count; i++)
        call->on_total(call, i, reply_text_at(pipeline->at[AT_TOTALS].reply, i));
    arena_release(&texts);
    finish(pipeline, whole ? OK : UNAVAILABLE);
}

static void on_types(struct pipeline *types) {
    struct pipeline *pipeline = types->context;
    enum outcome outcome = pipeline_outcome(types);
    ((struct partition_read *)pipeline->context)->types = types;
    if (outcome == OK)
        give_all(pipeline);
    else
        finish(pipeline, outcome);
}

static uint32_t count_absent(const struct partition_read *call, const redisReply *states) {
    uint32_t absent = 0;
    for (size_t i = 0; i < call->item_count; i++)
        absent += is_absent(states, i);
    return absent;
}

// Some key has a wrong type, which makes only its item corrupt. Asks for the types to find it.
static void ask_types(struct pipeline *pipeline, uint32_t absent) {
    struct partition_read *call = pipeline->context;
    struct pipeline *types = pipeline_new(absent, on_types, pipeline);
    if (!types) {
        finish(pipeline, UNAVAILABLE);
        return;
    }
    for (size_t i = 0; i < call->item_count; i++) {
        struct key key;
        if (!is_absent(pipeline->at[AT_STATES].reply, i))
            continue;
        key_state(&key, call->projection, call->items[i]);
        ask(call->store, types, "TYPE", &key);
    }
}

// In another life some of the entries that are about to be projected may be lost.
static enum outcome life_outcome(struct store_node *at, const redisReply *info) {
    if (at && (!life_is_known(at) || life_goes_on(at, info)))
        return OK;
    if (at)
        open_look(at);
    return UNAVAILABLE;
}

static void settle_types(struct pipeline *pipeline) {
    struct partition_read *call = pipeline->context;
    uint32_t absent = count_absent(call, pipeline->at[AT_STATES].reply);
    // A state that was removed in between has no type. Then the version has changed, and nothing will be written.
    if (absent && reply_int(pipeline->at[AT_PRESENT].reply) != (int64_t)(call->item_count - absent))
        ask_types(pipeline, absent);
    else
        give_all(pipeline);
}

static void on_cards(struct pipeline *cards) {
    struct pipeline *pipeline = cards->context;
    enum outcome outcome = pipeline_outcome(cards);
    ((struct partition_read *)pipeline->context)->cards = cards;
    if (outcome == OK)
        settle_types(pipeline);
    else
        finish(pipeline, outcome);
}

// Begins the command for the cards of the items whose author is in the card alone. Returns how many there are.
static uint32_t compose_cards(const struct partition_read *call, const redisReply *records) {
    uint32_t count = 0;
    for (size_t i = 0; i < call->item_count && call->projection == PROJECTION_SUMS; i++) {
        struct partition_item item = {.known = false};
        struct key key;
        take_record(records, i, &item);
        if (!lacks_author(&item))
            continue;
        if (count++ == 0)
            begin_command(call->store, "MGET");
        key_card(&key, call->items[i]);
        add_key(call->store, &key);
    }
    return count;
}

static void ask_cards(struct pipeline *pipeline) {
    struct partition_read *call = pipeline->context;
    struct pipeline *cards = pipeline_new(1, on_cards, pipeline);
    if (cards)
        add(call->store, cards);
    else
        finish(pipeline, UNAVAILABLE);
}

static void on_partition_replies(struct pipeline *pipeline) {
    struct partition_read *call = pipeline->context;
    enum outcome outcome = pipeline_outcome(pipeline);
    if (outcome == OK)
        outcome = life_outcome(node_of(call->store, call->partition), pipeline->at[at_life(call)].reply);
    if (outcome != OK)
        finish(pipeline, outcome);
    else if (compose_cards(call, pipeline->at[AT_RECORDS].reply))
        ask_cards(pipeline);
    else
        settle_types(pipeline);
}

// ---- The commands of a read

static bool asks_for(const struct partition_read *call, uint32_t source) {
    return !log_id_none(call->sources[source]);
}

// Of many partitions only those are asked for of which the batch has entries.
static void ask_applied(struct store *store, struct pipeline *pipeline, const struct partition_read *call) {
    struct key key;
    key_applied(&key, call->partition, call->projection);
    if (!call->sources) {
        ask(store, pipeline, "HGETALL", &key);
        return;
    }
    begin_command(store, "HMGET");
    add_key(store, &key);
    command_add_text(&store->command, "version");
    for (uint32_t i = 0; i < keys_partitions(); i++)
        if (asks_for(call, i))
            command_add_int(&store->command, i);
    add(store, pipeline);
}

static void ask_plan(struct store *store, struct pipeline *pipeline, const struct partition_read *call) {
    struct key key;
    key_offsets(&key, call->partition);
    begin_command(store, "HMGET");
    add_key(store, &key);
    command_add_text(&store->command, "life");
    for (int i = 0; call->projection == PROJECTION_SUMS && i < 2; i++)
        command_add_text(&store->command, i == 0 ? "plan" : "begun");
    add(store, pipeline);
}

// The deletion times of all items, in one command.
static void ask_dead(struct store *store, struct pipeline *pipeline, const struct partition_read *call) {
    struct key key;
    if (call->item_count == 0) {
        ask_nothing(store, pipeline, call);
        return;
    }
    key_dead(&key, call->partition);
    begin_command(store, "ZMSCORE");
    add_key(store, &key);
    for (size_t i = 0; i < call->item_count; i++)
        command_add_ref(&store->command, call->items[i]);
    add(store, pipeline);
}

static void ask_items(struct store *store, struct pipeline *pipeline, const struct partition_read *call,
                      const char *name, bool records) {
    struct key key;
    if (call->item_count == 0 || (records && call->projection != PROJECTION_SUMS)) {
        ask_nothing(store, pipeline, call);
        return;
    }
    begin_command(store, name);
    for (size_t i = 0; i < call->item_count; i++) {
        if (records)
            key_item(&key, call->items[i]);
        else
            key_state(&key, call->projection, call->items[i]);
        add_key(store, &key);
    }
    add(store, pipeline);
}

static void ask_totals(struct store *store, struct pipeline *pipeline, const struct partition_read *call) {
    struct key key;
    if (call->site_count == 0) {
        ask_nothing(store, pipeline, call);
        return;
    }
    begin_command(store, "MGET");
    for (size_t i = 0; i < call->site_count; i++) {
        key_site_total(&key, call->partition, call->sites[i]);
        add_key(store, &key);
    }
    add(store, pipeline);
}

void store_read_partition(struct store *store, struct partition_read *call) {
    struct pipeline *pipeline = pipeline_new(at_life(call) + 1, on_partition_replies, call);
    struct key key;
    call->store = store;
    call->cards = call->types = NULL;
    if (!pipeline) {
        store_defer(store, &call->deferred, on_partition_failed);
        return;
    }
    ask_applied(store, pipeline, call);
    ask_plan(store, pipeline, call);
    key_cutoffs(&key, call->partition);
    ask(store, pipeline, "HGETALL", &key);
    ask_dead(store, pipeline, call);
    ask_items(store, pipeline, call, "MGET", false);
    ask_items(store, pipeline, call, "EXISTS", false);
    ask_items(store, pipeline, call, "MGET", true);
    ask_totals(store, pipeline, call);
    for (size_t i = 0; i < call->period_count; i++) {
        key_period_cutoffs(&key, call->partition, call->periods[i]);
        ask(store, pipeline, "HGETALL", &key);
    }
    struct store_node *at = node_of(store, call->partition);
    if (at && life_is_known(at)) {
        ask_for_life(store);
        store->command.place = call->partition;
        add(store, pipeline);
    } else
        ask_nothing(store, pipeline, call);
}
