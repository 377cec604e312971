// SPDX-License-Identifier: MIT
// The sweeper works page by page: it scans some items, reads their packed records and sums, and removes those to
// forget. Pages are small, because votes wait while Redis scans one. A walk over a million keys takes 16 minutes and a
// 500th of a core for Redis. Walks begin a 720th of the time apart that such items are kept, at most an hour.
#include "project/sweeper.h"
#include "base/arena.h"
#include "base/clock.h"
#include "model/forget.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "store/correction_records.h"
#include "store/plan.h"
#include "store/writes.h"
#include <stdlib.h>
#include <uv.h>

enum {
    PAGE_KEYS = 256,
    PAGE_ITEMS = 1024,
    REMOVED_AT_ONCE = 128,
    PAGE_PAUSE_MS = 250,
    RETRY_MS = 5000,
    WALKS_IN_AN_AGE = 720,
    WALK_LEAST_MS = 1000,
    WALK_MAX_MS = 3600000,
    TEXTS_MAX = 1 << 20
};

struct sweeper {
    struct store *store;
    const struct projector *projector;
    struct plan plan;
    int64_t kept_ms;
    uv_timer_t timer;
    bool stopping, busy;
    uint64_t walk_began_ms;
    void (*on_stopped)(void *context);
    void *stopped_context;
    struct read_call call;
    struct arena texts; // of this page
    struct scan scan;
    uint64_t removed;
    ref_t items[PAGE_ITEMS];
    size_t item_count;
    struct item_call removals[REMOVED_AT_ONCE];
    size_t removal_count, waiting;
    bool more; // there are more than are removed at once: the items of this page are looked at again
    // How many items of this page could not be removed. They come first, and `passed_over` counts them while they are
    // skipped; otherwise one page of such items would be read for ever.
    size_t stayed, passed_over;
    size_t gone; // how many of the present removals have removed an item
    enum outcome outcome;
};

static void on_timer(uv_timer_t *timer);

static void on_closed(uv_handle_t *handle) {
    struct sweeper *sweeper = handle->data;
    void (*on_stopped)(void *) = sweeper->on_stopped;
    void *context = sweeper->stopped_context;
    arena_release(&sweeper->texts);
    scan_restart(&sweeper->scan);
    free(sweeper);
    on_stopped(context);
}

static void rest(struct sweeper *sweeper, uint64_t ms) {
    sweeper->busy = false;
    arena_reset(&sweeper->texts);
    if (sweeper->stopping)
        uv_close((uv_handle_t *)&sweeper->timer, on_closed);
    else
        uv_timer_start(&sweeper->timer, on_timer, ms, 0);
}

static uint64_t until_next_walk_ms(const struct sweeper *sweeper) {
    int64_t apart = sweeper->kept_ms / WALKS_IN_AN_AGE < WALK_MAX_MS ? sweeper->kept_ms / WALKS_IN_AN_AGE : WALK_MAX_MS;
    int64_t ms = apart - (int64_t)(uv_now(sweeper->timer.loop) - sweeper->walk_began_ms);
    return (uint64_t)(ms < WALK_LEAST_MS ? WALK_LEAST_MS : ms);
}

static void end_page(struct sweeper *sweeper) {
    if (sweeper->outcome != OK) {
        sweeper->stayed = 0;
        sweeper->more = false;
        rest(sweeper, RETRY_MS);
        return;
    }
    sweeper->stayed = sweeper->more ? sweeper->stayed + sweeper->removal_count - sweeper->gone : 0;
    if (sweeper->scan.goes_on || sweeper->more) {
        rest(sweeper, PAGE_PAUSE_MS);
        return;
    }
    if (sweeper->removed)
        log_info("%llu items without a card were removed: long ago hardly read", (unsigned long long)sweeper->removed);
    sweeper->removed = 0;
    rest(sweeper, until_next_walk_ms(sweeper));
}

// ---- Removal

static void on_removed(struct item_call *item) {
    struct sweeper *sweeper = item->context;
    if (item->outcome != OK && item->outcome != INTERNAL && item->outcome != ID_CLASH)
        sweeper->outcome = item->outcome;
    if (item->outcome == OK && item->existed) {
        metric_add(METRIC_FORGOTTEN_ITEMS, 1);
        sweeper->gone++;
        sweeper->removed++;
    }
    if (--sweeper->waiting == 0)
        end_page(sweeper);
}

static void on_read(struct read_call *call, enum outcome outcome) {
    struct sweeper *sweeper = call->context;
    sweeper->outcome = outcome;
    sweeper->waiting = sweeper->removal_count;
    if (outcome != OK || sweeper->removal_count == 0) {
        end_page(sweeper);
        return;
    }
    for (size_t i = 0; i < sweeper->removal_count; i++)
        store_remove_unchanged(sweeper->store, &sweeper->removals[i]);
}

static void on_packed(struct read_call *call, size_t index, struct bytes record, struct bytes sums) {
    struct sweeper *sweeper = call->context;
    struct item item;
    if (record.len == 0 || !item_is_forgotten(record, sums, &sweeper->plan.lives, clock_now_ms() - sweeper->kept_ms))
        return;
    if (sweeper->passed_over < sweeper->stayed) {
        sweeper->passed_over++;
        return;
    }
    sweeper->more |= sweeper->removal_count == REMOVED_AT_ONCE;
    struct bytes copy = arena_copy(&sweeper->texts, record);
    struct bytes sums_copy = sums.len ? arena_copy(&sweeper->texts, sums) : NO_BYTES;
    if (sweeper->more || !copy.at || (sums.len && !sums_copy.at) || !item_unpack(copy, &item))
        return;
    sweeper->removals[sweeper->removal_count++] = (struct item_call){.item = sweeper->items[index],
                                                                     .site = item.site,
                                                                     .id = item.id,
                                                                     .record = copy,
                                                                     .sums = sums_copy,
                                                                     .on_done = on_removed,
                                                                     .context = sweeper};
}

// ---- A page

static void on_item(struct read_call *call, ref_t item) {
    struct sweeper *sweeper = call->context;
    if (sweeper->item_count < PAGE_ITEMS)
        sweeper->items[sweeper->item_count++] = item;
}

static void look_at_items(struct sweeper *sweeper) {
    sweeper->more = false;
    sweeper->call = (struct read_call){.on_done = on_read, .context = sweeper};
    store_read_packed(sweeper->store, &sweeper->call, sweeper->items, sweeper->item_count, on_packed);
}

static void on_scanned(struct read_call *call, enum outcome outcome) {
    struct sweeper *sweeper = call->context;
    sweeper->outcome = outcome;
    if (outcome == OK)
        look_at_items(sweeper);
    else
        end_page(sweeper);
}

static void on_timer(uv_timer_t *timer) {
    struct sweeper *sweeper = timer->data;
    sweeper->busy = true;
    if (!projector_works(sweeper->projector, PROJECTION_SUMS)) { // another machine sweeps
        sweeper->stayed = 0;
        sweeper->more = false;
        scan_restart(&sweeper->scan);
        rest(sweeper, WALK_LEAST_MS);
        return;
    }
    sweeper->removal_count = sweeper->passed_over = sweeper->gone = 0;
    if (sweeper->more) {
        look_at_items(sweeper);
        return;
    }
    if (!sweeper->scan.goes_on)
        sweeper->walk_began_ms = uv_now(sweeper->timer.loop);
    sweeper->item_count = 0;
    sweeper->call = (struct read_call){.on_done = on_scanned, .context = sweeper};
    store_scan_items(sweeper->store, &sweeper->call, &sweeper->scan, PAGE_KEYS, on_item);
}

struct sweeper *sweeper_start(void *loop, const struct settings *settings, struct store *store,
                              const struct projector *projector) {
    struct sweeper *sweeper = calloc(1, sizeof *sweeper);
    if (!sweeper || !plan_make(settings, &sweeper->plan)) {
        free(sweeper);
        return NULL;
    }
    sweeper->store = store;
    sweeper->projector = projector;
    sweeper->kept_ms = settings->unknown_items_kept_ms;
    arena_init(&sweeper->texts, TEXTS_MAX);
    uv_timer_init(loop, &sweeper->timer);
    sweeper->timer.data = sweeper;
    if (sweeper->kept_ms)
        uv_timer_start(&sweeper->timer, on_timer, WALK_LEAST_MS, 0);
    return sweeper;
}

void sweeper_stop(struct sweeper *sweeper, void (*on_stopped)(void *context), void *context) {
    sweeper->stopping = true;
    sweeper->on_stopped = on_stopped;
    sweeper->stopped_context = context;
    if (!sweeper->busy)
        uv_close((uv_handle_t *)&sweeper->timer, on_closed);
}
