// SPDX-License-Identifier: MIT
// The deletion of an item (lua/delete.lua). What was acknowledged before the call must be gone, what is sent after its
// answer must count, and no clock decides which is which. So the deletion waits until all entries that are in the logs
// are projected, and then removes the item in one script.
//
//   1. If all is projected already, go to step 4.
//   2. Hide the item: remove its card, votes and voters. This frees memory and takes it off the lists in any case.
//   3. Wait. If that takes too long: UNAVAILABLE. The item stays hidden, its views stay, and the call is safe to
//   repeat.
//   4. Remove the whole item. Remember for one view window that it was deleted, so that a view of the item after it
//   counts.
#include "base/clock.h"
#include "store/bucket_cache.h"
#include "store/items.h"
#include "store/reads.h"

enum { TRIES_MAX = 16, DELETE_KEYS = 10, GONE_KEPT = 4096 };
enum { DELETE_ABSENT, DELETE_DONE, DELETE_RETRY, DELETE_CLASH };

static void add_keys(struct store *store, const struct item_call *call) {
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
    key_applied(&key, partition, PROJECTION_NEIGHBOURS);
    add_key(store, &key);
    key_dead(&key, partition);
    add_key(store, &key);
    key_uniques(&key, call->item);
    add_key(store, &key);
    key_neighbours(&key, call->item);
    add_key(store, &key);
    add_newest_key(store, call, partition);
    key_sums(&key, call->item);
    add_key(store, &key);
    for (uint32_t i = 0; i < call->buckets; i++) {
        key_voters(&key, call->item, i);
        add_key(store, &key);
    }
}

static void send_delete(struct item_write *write) {
    struct store *store = write->store;
    script_begin(&store->command, SCRIPT_DELETE, DELETE_KEYS + write->item->buckets);
    add_keys(store, write->item);
    command_add_int(&store->command, clock_now_ms());
    add_identity(store, write->item);
    add_next_version(store);
    add_next_version(store);
    command_add_text(&store->command, write->whole ? "1" : "");
    command_add_text(&store->command, write->item->record.len ? "1" : "");
    command_add(&store->command, write->item->record);
    command_add(&store->command, write->item->sums);
    send_command(store, &write->call);
}

static void take_away(struct item_write *write, bool whole) {
    write->whole = whole;
    write->item->tries = 0;
    write->item->buckets = bucket_cache_get(write->store->bucket_cache, write->item->item);
    send_delete(write);
}

static void on_all_projected(struct read_call *wait, enum outcome outcome) {
    struct item_write *write = wait->context;
    if (outcome == OK)
        take_away(write, true);
    else if (write->hidden)
        item_write_end(write, outcome);
    else
        take_away(write, false);
}

static void wait_for_all(struct item_write *write, uint32_t timeout_ms) {
    write->wait = (struct read_call){.on_done = on_all_projected, .context = write};
    store_wait_all_projected(write->store, &write->wait, timeout_ms);
}

// ---- The readers of the deleted item

static void on_remembered(struct read_call *wait, enum outcome outcome) {
    item_write_end(wait->context, outcome);
}

static void on_all_remembered(struct pipeline *pipeline) {
    read_end(pipeline, pipeline_outcome(pipeline));
}

// These commands are sent as reads, because there may be more of them than the queue has room for.
static void remember(struct item_write *write) {
    struct store *store = write->store;
    uint32_t partitions = store->settings->view_window_ms > 0 ? keys_partitions() : 0;
    write->wait = (struct read_call){.on_done = on_remembered, .context = write};
    struct pipeline *pipeline =
        read_begin(store, &write->wait, partitions, sizeof(struct read_state), on_all_remembered);
    for (uint32_t i = 0; pipeline && i < partitions; i++) {
        struct key key;
        key_gone(&key, i);
        script_begin(&store->command, SCRIPT_GONE, 1);
        add_key(store, &key);
        command_add_ref(&store->command, write->item->item);
        command_add_int(&store->command, write->asked_ms);
        command_add_int(&store->command, store->settings->view_window_ms);
        command_add_int(&store->command, GONE_KEPT);
        pipeline_add(pipeline, store->router, &store->command);
    }
}

// ---- The steps

static void on_done(struct item_write *write, enum outcome outcome) {
    struct store *store = write->store;
    if (outcome == OK && !write->whole) {
        freeReplyObject(write->call.reply);
        write->call.reply = NULL;
        write->hidden = write->item->hidden = true;
        wait_for_all(write, (uint32_t)store->settings->redis_timeout_ms);
        return;
    }
    if (outcome == OK && write->asked_ms)
        remember(write);
    else
        item_write_end(write, outcome);
}

static void on_reply(struct redis_call *call) {
    struct item_write *write = (struct item_write *)call;
    if (call->outcome != OK) {
        item_write_end(write, call->outcome);
        return;
    }
    bool whole = call->reply->elements == 3;
    int64_t status = whole ? reply_int(call->reply->element[0]) : DELETE_CLASH;
    if (status == DELETE_RETRY && ++write->item->tries < TRIES_MAX) {
        write->item->buckets = (uint32_t)reply_int(call->reply->element[1]);
        freeReplyObject(call->reply);
        send_delete(write);
        return;
    }
    write->item->existed |= status == DELETE_DONE;
    write->item->entry = log_id_parse(reply_text_at(call->reply, 2));
    bucket_cache_set(write->store->bucket_cache, write->item->item, 0);
    on_done(write, status == DELETE_CLASH ? ID_CLASH : status == DELETE_RETRY ? UNAVAILABLE : OK);
}

void store_delete_item(struct store *store, struct item_call *call) {
    struct item_write *write = item_write_begin(store, call, on_reply);
    if (!write)
        return;
    write->asked_ms = clock_now_ms();
    wait_for_all(write, 0);
}

void store_remove_unchanged(struct store *store, struct item_call *call) {
    struct item_write *write = item_write_begin(store, call, on_reply);
    if (write)
        take_away(write, true);
}
