// SPDX-License-Identifier: MIT
// Reading a target partition for the projector: version and marks first, then tombstones, states, and what the lists
// must know of the items. The version comes in the same pipeline before the states, so a write under it is safe.
#include "model/item.h"
#include "store/gather.h"
#include "store/store_inside.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

// The commands, in order. MGET takes a foreign type for nothing, so the states are counted with EXISTS as well.
// The life of the master comes last: what was read before it was read in it, or in one before.
enum { AT_MARKS, AT_PLAN, AT_FLOORS, AT_DEAD, AT_STATES, AT_PRESENT, AT_RECORDS, AT_TOTALS, AT_LIFE, COMMANDS };

static void on_target_failed(struct deferred *deferred) {
    struct target_call *call = (struct target_call *)((char *)deferred - offsetof(struct target_call, deferred));
    call->on_done(call, UNAVAILABLE);
}

// ---- Questions

static void key_state(struct key *key, enum projection projection, ref_t item) {
    if (projection == PROJECTION_SUMS)
        key_sums(key, item);
    else
        key_neighbours(key, item);
}

static void ask(struct store *store, struct gather *gather, const char *name, const struct key *key) {
    begin_command(store, name);
    add_key(store, key);
    gather_add(gather, store->link, &store->command, -1);
}

// Without keys something harmless takes a command's place.
static void ask_nothing(struct store *store, struct gather *gather, const struct target_call *call) {
    struct key key;
    key_dead(&key, call->partition);
    ask(store, gather, "EXISTS", &key);
}

// ---- Replies

static void take_marks(struct target_call *call, const redisReply *marks) {
    memset(call->marks, 0, keys_partitions() * sizeof *call->marks);
    call->version = 0;
    for (size_t i = 0; marks->type == REDIS_REPLY_ARRAY && i + 1 < marks->elements; i += 2) {
        struct bytes name = reply_text(marks->element[i]);
        unsigned long long source;
        if (bytes_eq(name, BYTES("version")))
            call->version = (uint64_t)reply_int(marks->element[i + 1]);
        else if (bytes_to_u64(name, keys_partitions() - 1, &source))
            call->marks[source] = log_id_parse(reply_text(marks->element[i + 1]));
    }
}

static void take_floors(struct target_call *call, const redisReply *floors) {
    for (size_t i = 0; call->on_floor && floors->type == REDIS_REPLY_ARRAY && i + 1 < floors->elements; i += 2)
        call->on_floor(call, reply_text(floors->element[i]), -reply_double(floors->element[i + 1]));
}

static bool is_absent(const redisReply *states, size_t i) {
    return reply_text_at(states, i).at == NULL;
}

static void take_record(const redisReply *records, size_t i, struct target_item *item) {
    struct item record;
    if (is_absent(records, i))
        return;
    item->torn |= !item_unpack(reply_text_at(records, i), &record);
    if (item->torn)
        return;
    item->known = true;
    item->id = record.id;
    item->site = record.site;
    item->categories = record.categories;
    item->published_ms = record.published_ms;
}

// `types`: of the keys that MGET found nothing under; NULL: there is nothing.
static void give_items(struct target_call *call, const struct gather *gather, const struct gather *types) {
    const redisReply *dead = gather->at[AT_DEAD].reply, *states = gather->at[AT_STATES].reply;
    for (size_t i = 0, absent = 0; i < call->item_count; i++) {
        struct target_item item = {.state = reply_text_at(states, i)};
        if (types && is_absent(states, i))
            item.torn = !bytes_eq(reply_text(types->at[absent++].reply), BYTES("none"));
        if (dead->type == REDIS_REPLY_ARRAY && i < dead->elements)
            item.deleted_ms = reply_double(dead->element[i]);
        if (call->projection == PROJECTION_SUMS)
            take_record(gather->at[AT_RECORDS].reply, i, &item);
        call->on_item(call, i, &item);
    }
}

static void give_all(struct gather *gather, const struct gather *types) {
    struct target_call *call = gather->context;
    take_marks(call, gather->at[AT_MARKS].reply);
    call->plan = reply_text(gather->at[AT_PLAN].reply);
    take_floors(call, gather->at[AT_FLOORS].reply);
    give_items(call, gather, types);
    for (size_t i = 0; i < call->site_count; i++)
        call->on_total(call, i, reply_text_at(gather->at[AT_TOTALS].reply, i));
    call->on_done(call, OK);
    gather_free(gather);
}

static void fail(struct gather *gather, enum outcome outcome) {
    struct target_call *call = gather->context;
    call->on_done(call, outcome);
    gather_free(gather);
}

static void on_types(struct gather *types) {
    struct gather *gather = types->context;
    enum outcome outcome = gather_outcome(types);
    if (outcome == OK)
        give_all(gather, types);
    else
        fail(gather, outcome);
    gather_free(types);
}

static uint32_t count_absent(const struct target_call *call, const redisReply *states) {
    uint32_t absent = 0;
    for (size_t i = 0; i < call->item_count; i++)
        absent += is_absent(states, i);
    return absent;
}

// A foreign type under an item's key is that item's own trouble: which one it is under is asked for only now.
static void ask_types(struct gather *gather, uint32_t absent) {
    struct target_call *call = gather->context;
    struct gather *types = gather_new(absent, on_types, gather);
    if (!types) {
        fail(gather, UNAVAILABLE);
        return;
    }
    for (size_t i = 0; i < call->item_count; i++) {
        struct key key;
        if (!is_absent(gather->at[AT_STATES].reply, i))
            continue;
        key_state(&key, call->projection, call->items[i]);
        ask(call->store, types, "TYPE", &key);
    }
}

// Another life may have lost some of the entries that are about to be projected.
static enum outcome life_outcome(struct store *store, const redisReply *info) {
    if (!life_is_known(store) || life_goes_on(store, info))
        return OK;
    open_look(store);
    return UNAVAILABLE;
}

static void on_target(struct gather *gather) {
    struct target_call *call = gather->context;
    enum outcome outcome = gather_outcome(gather);
    if (outcome == OK)
        outcome = life_outcome(call->store, gather->at[AT_LIFE].reply);
    if (outcome != OK) {
        fail(gather, outcome);
        return;
    }
    uint32_t absent = count_absent(call, gather->at[AT_STATES].reply);
    // Of states that went in between there is no type to ask for: the version has moved, and nothing is written.
    if (absent && reply_int(gather->at[AT_PRESENT].reply) != (int64_t)(call->item_count - absent))
        ask_types(gather, absent);
    else
        give_all(gather, NULL);
}

// ---- The questions of a target

static void ask_plan(struct store *store, struct gather *gather, const struct target_call *call) {
    struct key key;
    if (call->projection != PROJECTION_SUMS) {
        ask_nothing(store, gather, call);
        return;
    }
    key_position(&key, call->partition);
    begin_command(store, "HGET");
    add_key(store, &key);
    command_add_text(&store->command, "plan");
    gather_add(gather, store->link, &store->command, -1);
}

// Tombstones of all items in one call.
static void ask_dead(struct store *store, struct gather *gather, const struct target_call *call) {
    struct key key;
    if (call->item_count == 0) {
        ask_nothing(store, gather, call);
        return;
    }
    key_dead(&key, call->partition);
    begin_command(store, "ZMSCORE");
    add_key(store, &key);
    for (size_t i = 0; i < call->item_count; i++)
        command_add_ref(&store->command, call->items[i]);
    gather_add(gather, store->link, &store->command, -1);
}

static void ask_items(struct store *store, struct gather *gather, const struct target_call *call, const char *name,
                      bool records) {
    struct key key;
    if (call->item_count == 0 || (records && call->projection != PROJECTION_SUMS)) {
        ask_nothing(store, gather, call);
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
    gather_add(gather, store->link, &store->command, -1);
}

static void ask_totals(struct store *store, struct gather *gather, const struct target_call *call) {
    struct key key;
    if (call->site_count == 0) {
        ask_nothing(store, gather, call);
        return;
    }
    begin_command(store, "MGET");
    for (size_t i = 0; i < call->site_count; i++) {
        key_site_total(&key, call->partition, call->sites[i]);
        add_key(store, &key);
    }
    gather_add(gather, store->link, &store->command, -1);
}

void store_read_target(struct store *store, struct target_call *call) {
    struct gather *gather = gather_new(COMMANDS, on_target, call);
    struct key key;
    call->store = store;
    if (!gather) {
        store_defer(store, &call->deferred, on_target_failed);
        return;
    }
    key_marks(&key, call->partition, call->projection);
    ask(store, gather, "HGETALL", &key);
    ask_plan(store, gather, call);
    key_floors(&key, call->partition);
    ask(store, gather, "HGETALL", &key);
    ask_dead(store, gather, call);
    ask_items(store, gather, call, "MGET", false);
    ask_items(store, gather, call, "EXISTS", false);
    ask_items(store, gather, call, "MGET", true);
    ask_totals(store, gather, call);
    if (life_is_known(store)) {
        ask_for_life(store);
        gather_add(gather, store->link, &store->command, -1);
    } else
        ask_nothing(store, gather, call);
}
