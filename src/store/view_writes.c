// SPDX-License-Identifier: MIT
// The write queue of views (lua/view.lua). Views are grouped by the visitor's partition, where the view window is kept.
// All records of a batch are one entry: in the log of any partition, or of that one if a call may touch one only.
#include "base/clock.h"
#include "model/item.h"
#include "ops/metrics.h"
#include "store/store_inside.h"
#include "store/writes.h"
#include <stddef.h>

#define HISTORY_KEPT_MS (INT64_C(30) * 86400 * 1000)

static struct view_call *view_of(struct queued *write) {
    return (struct view_call *)((char *)write - offsetof(struct view_call, queued));
}

static uint64_t subject(const struct queued *write) {
    const struct view_call *view = (const struct view_call *)((const char *)write - offsetof(struct view_call, queued));
    return view->visitor;
}

// ---- The call of the script

enum { FLAG_ANONYMOUS = 1, FLAG_ALONE = 2 };

static void add_keys(struct store *store, struct queued *const *writes, uint32_t count, uint32_t log) {
    struct key key;
    key_log(&key, log);
    add_key(store, &key);
    key_gone(&key, log);
    add_key(store, &key);
    for (uint32_t i = 0; i < count; i++) {
        const struct view_call *view = view_of(writes[i]);
        key_history(&key, view->visitor, view->anonymous);
        add_key(store, &key);
        key_to_other_history(&key);
        add_key(store, &key);
    }
}

static void add_view(struct command *command, const struct view_call *view) {
    struct buffer *data = &command->bytes;
    item_pack_name(view->site, view->id, data);
    command_end_argument(command);
    buffer_add_u8(data, (uint8_t)((view->anonymous ? FLAG_ANONYMOUS : 0) | (view->alone ? FLAG_ALONE : 0)));
    buffer_add_char(data, 'W');
    buffer_add_u64(data, view->item);
    buffer_add_u64(data, view->visitor);
    buffer_add_f64(data, (double)view->time_ms);
    command_end_argument(command);
}

static void compose(struct store *store, struct queued *const *writes, uint32_t count, uint32_t log) {
    struct command *command = &store->command;
    script_begin(command, SCRIPT_VIEW, 2 + 2 * count);
    add_keys(store, writes, count, log);
    command_add_int(command, clock_now_ms());
    command_add_int(command, store->settings->view_window_ms);
    command_add_int(command, HISTORY_KEPT_MS);
    command_add_int(command, store->settings->visitor_window_items);
    for (uint32_t i = 0; i < count; i++)
        add_view(command, view_of(writes[i]));
}

// ---- Its results

static const enum metric result_metrics[] = {
    [VIEW_REPEAT] = METRIC_VIEWS_REPEAT, [VIEW_COUNTED] = METRIC_VIEWS_COUNTED, [VIEW_OVER] = METRIC_VIEWS_LIMIT};

static bool take(struct store *store, struct queued *write, struct reader *results) {
    (void)store;
    struct view_call *view = view_of(write);
    uint8_t result = read_u8(results);
    view->outcome = result <= VIEW_OVER ? OK : INTERNAL;
    view->result = result <= VIEW_OVER ? result : VIEW_REPEAT;
    if (view->result != VIEW_COUNTED)
        view->entry = (struct log_id){0, 0};
    return true;
}

static void set_entry(struct queued *write, uint32_t log, struct log_id entry) {
    view_of(write)->entry = entry;
    view_of(write)->log = log;
}

static void finish(struct store *store, struct queued *write, enum outcome outcome) {
    (void)store;
    struct view_call *view = view_of(write);
    if (outcome != OK)
        view->outcome = outcome;
    else if (view->outcome == OK)
        metric_add(result_metrics[view->result], 1);
    view->on_done(view);
}

const struct write_kind view_kind = {
    .one_log = true,
    .subject = subject,
    .compose = compose,
    .take = take,
    .set_entry = set_entry,
    .finish = finish,
};

void store_view(struct store *store, struct view_call *call) {
    write_queue_add(&store->views, &call->queued, partition_of(call->visitor, keys_partitions()));
}
