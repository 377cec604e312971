// SPDX-License-Identifier: MIT
// The import of an item (lua/import.lua). Its new sums have the views of the export and the votes that the present sums
// have. They are computed here, and the script writes them if the present sums have not changed since.
#include "base/clock.h"
#include "base/times.h"
#include "model/sums.h"
#include "redis/pipeline.h"
#include "store/items.h"
#include "store/transfer.h"

enum { TRIES_MAX = 16 };
enum { IMPORT_DONE, IMPORT_RETRY = 2 };

bool store_views_valid(const struct store *store, struct bytes views) {
    struct sums sums;
    int64_t latest_ms = clock_now_ms() + TIME_AHEAD_MS;
    return views.len <= UINT16_MAX && sums_unpack(views, &store->plan.lives, &sums) &&
           sums_lie_before(&sums, &store->plan.lives, SIGNAL_VIEWS, latest_ms) &&
           series_lie_before(&sums.series, SIGNAL_VIEWS, sums.signals[SIGNAL_VIEWS].count, latest_ms);
}

// The hours of views that an older program has exported are not known.
static void read_series(struct sums *sums, const struct sums *given, struct bytes views) {
    series_replace(&sums->series, SIGNAL_VIEWS, &given->series, clock_now_ms());
    if (!sums_have_series(views))
        series_begin_late(&sums->series, clock_now_ms());
}

// From when on the counts of an item by time are known, if that is later than for all others; else 0.
static int64_t gap_of(const struct series *series) {
    int64_t hours_ms = series_since(series, GRAIN_HOUR), days_ms = series_since(series, GRAIN_DAY);
    int64_t known_ms = hours_ms > days_ms ? hours_ms : days_ms;
    uint32_t began_s = series_began_s() > series_days_began_s() ? series_began_s() : series_days_began_s();
    return known_ms > (int64_t)began_s * 1000 ? known_ms : 0;
}

// Computes the new sums. INTERNAL when the present ones cannot be read.
static enum outcome put_together(struct item_write *write) {
    const struct half_lives *lives = &write->store->plan.lives;
    struct sums sums, given;
    if (!sums_unpack(buffer_bytes(&write->sums), lives, &sums) || !sums_unpack(write->views, lives, &given))
        return INTERNAL;
    sums.epoch_ms = 0;
    sums.signals[SIGNAL_VIEWS] = given.signals[SIGNAL_VIEWS];
    sums.early = given.early;
    read_series(&sums, &given, write->views);
    write->gap_ms = sums_empty(&sums) ? 0 : gap_of(&sums.series);
    buffer_clear(&write->sums_now);
    if (!sums_empty(&sums))
        sums_pack(&sums, lives, &write->sums_now);
    return write->sums.failed || write->sums_now.failed ? UNAVAILABLE : OK;
}

// An item whose hours or days are known from an instant on only may be missing in the lists of windows that begin
// before.
static void add_gap(struct item_write *write) {
    struct store *store = write->store;
    char field[GAP_FIELD_SIZE];
    gap_field(site_ref(store->hash_key, write->item->site), field);
    command_add_text(&store->command, field);
    if (write->gap_ms)
        command_add_int(&store->command, write->gap_ms);
    else
        command_add(&store->command, NO_BYTES);
}

static void send_import(struct item_write *write) {
    struct store *store = write->store;
    struct key key;
    script_begin(&store->command, SCRIPT_IMPORT, 9);
    add_put_keys(store, write->item);
    key_uniques(&key, write->item->item);
    add_key(store, &key);
    key_sums(&key, write->item->item);
    add_key(store, &key);
    key_dead(&key, partition_of(write->item->item, keys_partitions()));
    add_key(store, &key);
    key_offsets(&key, partition_of(write->item->item, keys_partitions()));
    add_key(store, &key);
    add_card(store, write->item);
    command_add_text(&store->command, write->has_card ? "1" : "");
    command_add(&store->command, write->visitors);
    add_next_version(store);
    command_add(&store->command, buffer_bytes(&write->sums));
    command_add(&store->command, buffer_bytes(&write->sums_now));
    add_gap(write);
    send_patient(store, &write->call);
}

static void again(struct item_write *write) {
    buffer_clear(&write->sums);
    buffer_add_bytes(&write->sums, reply_text_at(write->call.reply, 1));
    enum outcome outcome = ++write->item->tries < TRIES_MAX ? put_together(write) : UNAVAILABLE;
    if (outcome != OK) {
        item_write_end(write, outcome);
        return;
    }
    freeReplyObject(write->call.reply);
    send_import(write);
}

static void on_reply(struct redis_call *call) {
    struct item_write *write = (struct item_write *)call;
    if (call->outcome != OK) {
        item_write_end(write, call->outcome);
        return;
    }
    int64_t status = call->reply->elements == 2 ? reply_int(call->reply->element[0]) : -1;
    if (status == IMPORT_RETRY) {
        again(write);
        return;
    }
    write->item->entry = log_id_parse(reply_text_at(call->reply, 1));
    item_write_end(write, status == IMPORT_DONE ? OK : ID_CLASH);
}

// The first try assumes that there are no sums yet, which is mostly so. Without memory for the sums nothing is sent:
// command_write refuses the command, and the call fails.
void store_import_item(struct store *store, struct item_call *call, bool has_card, struct bytes views,
                       struct bytes visitors) {
    struct item_write *write = item_write_begin(store, call, on_reply);
    if (!write)
        return;
    call->tries = 0;
    write->has_card = has_card;
    write->views = views;
    write->visitors = visitors;
    if (put_together(write) == OK) {
        send_import(write);
        return;
    }
    command_clear(&store->command);
    send_patient(store, &write->call);
}
