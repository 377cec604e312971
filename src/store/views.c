// SPDX-License-Identifier: MIT
// Views: the lane of lua/view.lua, in the partition of the visitor.
#include "base/clock.h"
#include "ops/metrics.h"
#include "store/store_inside.h"
#include <stddef.h>

#define HISTORY_KEPT_MS (INT64_C(30) * 86400 * 1000)

static struct view_call *view_of(struct queued *write) {
    return (struct view_call *)((char *)write - offsetof(struct view_call, queued));
}

static void add_keys(struct store *store, struct queued *write) {
    const struct view_call *view = view_of(write);
    struct key key;
    key_history(&key, view->visitor, view->anonymous);
    add_key(store, &key);
}

static uint64_t order(const struct queued *write) {
    (void)write;
    return 0; // as they came
}

static void add_head(struct store *store) {
    command_add_int(&store->command, clock_now_ms());
    command_add_int(&store->command, store->settings->view_window_ms);
    command_add_int(&store->command, HISTORY_KEPT_MS);
}

static void add_arguments(struct store *store, struct queued *write) {
    const struct view_call *view = view_of(write);
    struct command *command = &store->command;
    command_add_text(command, view->anonymous ? "1" : "");
    command_add_ref(command, view->item);
    command_add_ref(command, view->visitor);
    command_add_int(command, view->time_ms);
    command_add(command, view->site);
    command_add(command, view->id);
}

enum { VIEW_REPEAT, VIEW_COUNTED };

static bool take(struct store *store, struct queued *write, struct reader *results) {
    (void)store;
    struct view_call *view = view_of(write);
    uint8_t result = read_u8(results);
    view->counted = result == VIEW_COUNTED;
    view->outcome = result <= VIEW_COUNTED ? OK : INTERNAL;
    if (!view->counted)
        view->entry = (struct log_id){0, 0};
    return true;
}

static void set_entry(struct queued *write, struct log_id entry) {
    view_of(write)->entry = entry;
}

static void finish(struct store *store, struct queued *write, enum outcome outcome) {
    (void)store;
    struct view_call *view = view_of(write);
    if (outcome != OK)
        view->outcome = outcome;
    else if (view->outcome == OK)
        metric_add(view->counted ? METRIC_VIEWS_COUNTED : METRIC_VIEWS_REPEAT, 1);
    view->on_done(view);
}

const struct lane_kind view_lane = {
    .script = SCRIPT_VIEW,
    .keys_each = 1,
    .order = order,
    .add_keys = add_keys,
    .add_head = add_head,
    .add_arguments = add_arguments,
    .take = take,
    .set_entry = set_entry,
    .finish = finish,
};

void store_view(struct store *store, struct view_call *call) {
    lane_add(&store->views, &call->queued, partition_of(call->visitor, keys_partitions()));
}
