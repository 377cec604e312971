// SPDX-License-Identifier: MIT
// Reading a target partition for the projector: version and marks first, then tombstones, states, and what the lists
// must know of the items. The version comes in the same pipeline before the states, so a write under it is safe.
#include "model/sums.h"
#include "store/gather.h"
#include "store/store_inside.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

// The order of the commands: three or four of the partition, then one or two per item, then one per site.
enum { AT_MARKS, AT_FLOORS, AT_DEAD, AT_ITEMS };

static uint32_t commands_per_item(const struct target_call *call) {
    return call->projection == PROJECTION_SUMS ? 2 : 1;
}

static void on_target_failed(struct deferred *deferred) {
    struct target_call *call = (struct target_call *)((char *)deferred - offsetof(struct target_call, deferred));
    call->on_done(call, UNAVAILABLE);
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

enum { INFO_ID, INFO_SITE, INFO_CATEGORIES, INFO_PUBLISHED, INFO_COUNT };

static void take_info(const struct gathered *at, struct target_item *item) {
    const redisReply *info = at->reply;
    item->torn |= at->outcome != OK || info->type != REDIS_REPLY_ARRAY || info->elements != INFO_COUNT;
    if (item->torn)
        return;
    item->id = reply_text(info->element[INFO_ID]);
    item->site = reply_text(info->element[INFO_SITE]);
    item->categories = reply_text(info->element[INFO_CATEGORIES]);
    item->published_ms = reply_int(info->element[INFO_PUBLISHED]);
    item->known = item->id.len > 0;
}

static void give_items(struct target_call *call, const struct gather *gather) {
    const redisReply *dead = gather->at[AT_DEAD].reply;
    for (size_t i = 0; i < call->item_count; i++) {
        const struct gathered *at = &gather->at[AT_ITEMS + i * commands_per_item(call)];
        struct target_item item = {.state = reply_text(at->reply), .torn = at->outcome != OK};
        if (dead->type == REDIS_REPLY_ARRAY && i < dead->elements)
            item.deleted_ms = reply_double(dead->element[i]);
        if (call->projection == PROJECTION_SUMS)
            take_info(at + 1, &item);
        call->on_item(call, i, &item);
    }
}

static void give_totals(struct target_call *call, const struct gather *gather) {
    size_t first = AT_ITEMS + call->item_count * commands_per_item(call);
    for (size_t i = 0; i < call->site_count; i++)
        call->on_total(call, i, reply_text(gather->at[first + i].reply));
}

// A foreign type under an item's key is that item's own trouble; any other failure is the whole read's.
static enum outcome target_outcome(const struct gather *gather) {
    for (uint32_t i = 0; i < gather->count; i++) {
        bool own = i >= AT_ITEMS && gather->at[i].outcome == INTERNAL;
        if (gather->at[i].outcome != OK && !own)
            return gather->at[i].outcome;
    }
    return OK;
}

static void on_target(struct gather *gather) {
    struct target_call *call = gather->context;
    enum outcome outcome = target_outcome(gather);
    if (outcome == OK) {
        take_marks(call, gather->at[AT_MARKS].reply);
        take_floors(call, gather->at[AT_FLOORS].reply);
        give_items(call, gather);
        give_totals(call, gather);
    }
    call->on_done(call, outcome);
    gather_free(gather);
}

// ---- Questions

static void ask(struct store *store, struct gather *gather, const char *name, const struct key *key) {
    begin_command(store, name);
    add_key(store, key);
    gather_add(gather, store->link, &store->command, -1);
}

// Tombstones of all items in one call. Without items something harmless takes its place.
static void ask_dead(struct store *store, struct gather *gather, const struct target_call *call) {
    struct key key;
    key_dead(&key, call->partition);
    begin_command(store, call->item_count ? "ZMSCORE" : "EXISTS");
    add_key(store, &key);
    for (size_t i = 0; i < call->item_count; i++)
        command_add_ref(&store->command, call->items[i]);
    gather_add(gather, store->link, &store->command, -1);
}

static void ask_item(struct store *store, struct gather *gather, const struct target_call *call, ref_t item) {
    static const char *const names[INFO_COUNT] = {"id", "site", "cats", "published"};
    struct key key;
    if (call->projection == PROJECTION_NEIGHBOURS) {
        key_neighbours(&key, item);
        ask(store, gather, "GET", &key);
        return;
    }
    key_sums(&key, item);
    ask(store, gather, "GET", &key);
    key_item(&key, item);
    begin_command(store, "HMGET");
    add_key(store, &key);
    for (size_t i = 0; i < INFO_COUNT; i++)
        command_add_text(&store->command, names[i]);
    gather_add(gather, store->link, &store->command, -1);
}

void store_read_target(struct store *store, struct target_call *call) {
    size_t count = AT_ITEMS + call->item_count * commands_per_item(call) + call->site_count;
    struct gather *gather = gather_new((uint32_t)count, on_target, call);
    struct key key;
    if (!gather) {
        store_defer(store, &call->deferred, on_target_failed);
        return;
    }
    key_marks(&key, call->partition, call->projection);
    ask(store, gather, "HGETALL", &key);
    key_floors(&key, call->partition);
    ask(store, gather, "HGETALL", &key);
    ask_dead(store, gather, call);
    for (size_t i = 0; i < call->item_count; i++)
        ask_item(store, gather, call, call->items[i]);
    for (size_t i = 0; i < call->site_count; i++) {
        key_site_total(&key, call->partition, call->sites[i]);
        ask(store, gather, "GET", &key);
    }
}
