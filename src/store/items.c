// SPDX-License-Identifier: MIT
// What the writes of one item share (store/items.h), and the write of its card (lua/put.lua).
#include "store/items.h"
#include "base/clock.h"
#include "base/keyed.h"
#include "model/item.h"
#include "redis/pipeline.h"
#include "store/list_reads.h"
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

enum { SUMS_MAX = 64 << 10 };

void item_write_end(struct item_write *write, enum outcome outcome) {
    struct item_call *item = write->item;
    freeReplyObject(write->call.reply);
    buffer_release(&write->sums);
    buffer_release(&write->sums_now);
    free(write);
    item->outcome = outcome;
    item->on_done(item);
}

// Without memory the call still ends, at the end of the turn.
static void on_no_memory(struct deferred *deferred) {
    struct item_call *item = (struct item_call *)((char *)deferred - offsetof(struct item_call, deferred));
    item->outcome = UNAVAILABLE;
    item->on_done(item);
}

struct item_write *item_write_begin(struct store *store, struct item_call *call,
                                    void (*on_reply)(struct redis_call *)) {
    struct item_write *write = malloc(sizeof *write);
    call->existed = false;
    call->entry = (struct log_id){0, 0};
    if (!write) {
        store_defer(store, &call->deferred, on_no_memory);
        return NULL;
    }
    *write = (struct item_write){.call.on_reply = on_reply, .store = store, .item = call};
    buffer_init(&write->sums, SUMS_MAX);
    buffer_init(&write->sums_now, SUMS_MAX);
    return write;
}

void add_next_version(struct store *store) {
    command_add_int(&store->command, (int64_t)version_new());
}

void add_newest_key(struct store *store, const struct item_call *call, uint32_t partition) {
    struct key key;
    key_ranking(&key, partition, site_ref(store->hash_key, call->site), BYTES(NEWEST_NAME), NULL);
    add_key(store, &key);
}

void add_identity(struct store *store, const struct item_call *call) {
    command_add(&store->command, call->id);
    item_pack_name(call->site, call->id, &store->command.bytes);
    command_end_argument(&store->command);
    command_add_ref(&store->command, call->item);
}

// ---- Cards

enum { PUT_NEW, PUT_EXISTED, PUT_CLASH };

static void on_put(struct redis_call *call) {
    struct item_write *write = (struct item_write *)call;
    if (call->outcome != OK) {
        item_write_end(write, call->outcome);
        return;
    }
    int64_t status = call->reply->elements == 2 ? reply_int(call->reply->element[0]) : -1;
    write->item->existed = status == PUT_EXISTED;
    write->item->entry = log_id_parse(reply_text_at(call->reply, 1));
    item_write_end(write, status == PUT_NEW || status == PUT_EXISTED ? OK : ID_CLASH);
}

static void add_card_base(struct store *store, const struct card *card) {
    char text[32 * (KINDS_MAX + 1)];
    int len = 0;
    if (card->has_base) {
        len = snprintf(text, sizeof text, "%llu", (unsigned long long)card->base_views);
        for (uint32_t i = 0; i < store->settings->kind_count; i++)
            len += snprintf(text + len, sizeof text - (size_t)len, " %llu", (unsigned long long)card->base_votes[i]);
    }
    command_add(&store->command, (struct bytes){text, (size_t)len});
}

void add_card(struct store *store, const struct item_call *call) {
    command_add_int(&store->command, clock_now_ms());
    command_add_int(&store->command, store->settings->kind_count);
    add_identity(store, call);
    command_add(&store->command, call->card.json);
    command_add(&store->command, call->card.groups);
    command_add_int(&store->command, call->card.published_ms);
    add_card_base(store, &call->card);
    command_add_int(&store->command, newest_kept());
}

void add_put_keys(struct store *store, const struct item_call *call) {
    uint32_t partition = partition_of(call->item, keys_partitions());
    struct key key;
    key_item(&key, call->item);
    add_key(store, &key);
    key_card(&key, call->item);
    add_key(store, &key);
    key_log(&key, partition);
    add_key(store, &key);
    key_applied(&key, partition, PROJECTION_SUMS);
    add_key(store, &key);
    add_newest_key(store, call, partition);
}

void store_put_item(struct store *store, struct item_call *call) {
    struct item_write *write = item_write_begin(store, call, on_put);
    if (!write)
        return;
    script_begin(&store->command, SCRIPT_PUT, 5);
    add_put_keys(store, call);
    add_card(store, call);
    add_next_version(store);
    send_patient(store, &write->call);
}
