// SPDX-License-Identifier: MIT
// Cards, deletion and imported items: lua/put.lua, lua/delete.lua and lua/import.lua.
#include "base/clock.h"
#include "model/item.h"
#include "store/gather.h"
#include "store/levels.h"
#include "store/store_inside.h"
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define TOMBSTONE_KEPT_MS (INT64_C(7) * 86400 * 1000) // longer than a log can lag
enum { TRIES_MOST = 16, DELETE_KEYS = 9, NEWEST_KEPT = 200 };

struct item_write {
    struct link_call call; // first: the link's view of it
    struct store *store;
    struct item_call *item;
};

static void delete_once(struct item_write *write);

static void finish(struct item_write *write, enum outcome outcome) {
    struct item_call *item = write->item;
    freeReplyObject(write->call.reply);
    free(write);
    item->outcome = outcome;
    item->on_done(item);
}

// Without memory the answer still comes later: an empty command is refused by the link.
static void on_no_memory(struct deferred *deferred) {
    struct item_call *item = (struct item_call *)((char *)deferred - offsetof(struct item_call, deferred));
    item->outcome = UNAVAILABLE;
    item->on_done(item);
}

// NULL without memory: the call is answered at the end of the turn.
static struct item_write *begin(struct store *store, struct item_call *call, void (*on_reply)(struct link_call *)) {
    struct item_write *write = malloc(sizeof *write);
    call->existed = false;
    call->entry = (struct log_id){0, 0};
    if (!write) {
        store_defer(store, &call->deferred, on_no_memory);
        return NULL;
    }
    *write = (struct item_write){.call.on_reply = on_reply, .store = store, .item = call};
    return write;
}

// Cards by their age: what fills a list when nothing has been read yet.
static void add_newest_key(struct store *store, const struct item_call *call, uint32_t partition) {
    struct key key;
    key_ranking(&key, partition, site_ref(store->hash_key, call->site), BYTES(NEWEST_NAME), NULL);
    add_key(store, &key);
}

static void add_identity(struct store *store, const struct item_call *call) {
    command_add(&store->command, call->id);
    item_pack_name(call->site, call->id, &store->command.bytes);
    command_end_argument(&store->command);
    command_add_ref(&store->command, call->item);
}

// ---- Cards

enum { PUT_NEW, PUT_EXISTED, PUT_CLASH };

static void on_put(struct link_call *call) {
    struct item_write *write = (struct item_write *)call;
    if (call->outcome != OK) {
        finish(write, call->outcome);
        return;
    }
    int64_t status = call->reply->elements == 2 ? reply_int(call->reply->element[0]) : -1;
    write->item->existed = status == PUT_EXISTED;
    write->item->entry = log_id_parse(reply_text_at(call->reply, 1));
    finish(write, status == PUT_NEW || status == PUT_EXISTED ? OK : ID_CLASH);
}

static void add_card_base(struct store *store, const struct card *card) {
    char text[32 * (MAX_KINDS + 1)];
    int len = 0;
    if (card->has_base) {
        len = snprintf(text, sizeof text, "%llu", (unsigned long long)card->base_views);
        for (uint32_t i = 0; i < store->settings->kind_count; i++)
            len += snprintf(text + len, sizeof text - (size_t)len, " %llu", (unsigned long long)card->base_votes[i]);
    }
    command_add(&store->command, (struct bytes){text, (size_t)len});
}

static void add_card(struct store *store, const struct item_call *call) {
    command_add_int(&store->command, clock_now_ms());
    command_add_int(&store->command, store->settings->kind_count);
    add_identity(store, call);
    command_add(&store->command, call->card.json);
    command_add(&store->command, call->card.categories);
    command_add_int(&store->command, call->card.published_ms);
    add_card_base(store, &call->card);
    command_add_int(&store->command, NEWEST_KEPT);
}

static void add_put_keys(struct store *store, const struct item_call *call) {
    uint32_t partition = partition_of(call->item, keys_partitions());
    struct key key;
    key_item(&key, call->item);
    add_key(store, &key);
    key_card(&key, call->item);
    add_key(store, &key);
    key_log(&key, partition);
    add_key(store, &key);
    key_marks(&key, partition, PROJECTION_SUMS);
    add_key(store, &key);
    add_newest_key(store, call, partition);
}

void store_put_item(struct store *store, struct item_call *call) {
    struct item_write *write = begin(store, call, on_put);
    if (!write)
        return;
    script_begin(&store->command, SCRIPT_PUT, 5);
    add_put_keys(store, call);
    add_card(store, call);
    send_patient(store, &write->call, SCRIPT_PUT);
}

// ---- Items of an export

enum { IMPORT_DONE, IMPORT_BAD_VISITORS = 4 };

static void on_import(struct link_call *call) {
    struct item_write *write = (struct item_write *)call;
    if (call->outcome != OK) {
        finish(write, call->outcome);
        return;
    }
    int64_t status = call->reply->elements == 2 ? reply_int(call->reply->element[0]) : -1;
    write->item->entry = log_id_parse(reply_text_at(call->reply, 1));
    finish(write, status == IMPORT_DONE ? OK : status == IMPORT_BAD_VISITORS ? BAD_FIELD : ID_CLASH);
}

void store_import_item(struct store *store, struct item_call *call, bool has_card, struct bytes views,
                       struct bytes visitors) {
    struct item_write *write = begin(store, call, on_import);
    struct key key;
    if (!write)
        return;
    script_begin(&store->command, SCRIPT_IMPORT, 6);
    add_put_keys(store, call);
    key_uniques(&key, call->item);
    add_key(store, &key);
    add_card(store, call);
    command_add_text(&store->command, has_card ? "1" : "");
    command_add(&store->command, visitors);
    command_add(&store->command, views);
    send_patient(store, &write->call, SCRIPT_IMPORT);
}

// ---- Deletion

enum { DELETE_ABSENT, DELETE_DONE, DELETE_RETRY, DELETE_CLASH };

static void on_delete(struct link_call *call) {
    struct item_write *write = (struct item_write *)call;
    if (call->outcome != OK) {
        finish(write, call->outcome);
        return;
    }
    bool whole = call->reply->elements == 3;
    int64_t status = whole ? reply_int(call->reply->element[0]) : DELETE_CLASH;
    if (status == DELETE_RETRY && ++write->item->tries < TRIES_MOST) {
        write->item->buckets = (uint32_t)reply_int(call->reply->element[1]);
        freeReplyObject(call->reply);
        delete_once(write);
        return;
    }
    write->item->existed = status == DELETE_DONE;
    write->item->entry = log_id_parse(reply_text_at(call->reply, 2));
    levels_set(write->store->levels, write->item->item, 0);
    finish(write, status == DELETE_CLASH ? ID_CLASH : status == DELETE_RETRY ? UNAVAILABLE : OK);
}

static void add_delete_keys(struct store *store, const struct item_call *call) {
    uint32_t partition = partition_of(call->item, keys_partitions());
    struct key key;
    key_item(&key, call->item);
    add_key(store, &key);
    key_card(&key, call->item);
    add_key(store, &key);
    key_log(&key, partition);
    add_key(store, &key);
    key_marks(&key, partition, PROJECTION_SUMS);
    add_key(store, &key);
    key_marks(&key, partition, PROJECTION_NEIGHBOURS);
    add_key(store, &key);
    key_dead(&key, partition);
    add_key(store, &key);
    key_uniques(&key, call->item);
    add_key(store, &key);
    key_neighbours(&key, call->item);
    add_key(store, &key);
    add_newest_key(store, call, partition);
    for (uint32_t i = 0; i < call->buckets; i++) {
        key_voters(&key, call->item, i);
        add_key(store, &key);
    }
}

static void delete_once(struct item_write *write) {
    struct store *store = write->store;
    script_begin(&store->command, SCRIPT_DELETE, DELETE_KEYS + write->item->buckets);
    add_delete_keys(store, write->item);
    command_add_int(&store->command, clock_now_ms());
    add_identity(store, write->item);
    command_add_int(&store->command, TOMBSTONE_KEPT_MS);
    send_script(store, &write->call, SCRIPT_DELETE);
}

void store_delete_item(struct store *store, struct item_call *call) {
    call->tries = 0;
    call->buckets = levels_get(store->levels, call->item);
    struct item_write *write = begin(store, call, on_delete);
    if (write)
        delete_once(write);
}
