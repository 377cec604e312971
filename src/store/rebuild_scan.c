// SPDX-License-Identifier: MIT
// Rebuilding rankings from the states: what Redis records of a rebuild, and the scans over sets and states.
#include "base/clock.h"
#include "store/scan_walk.h"

static void on_all_plain(struct pipeline *pipeline) {
    read_end(pipeline, pipeline_outcome(pipeline));
}

// The rankings of the periods that are open are written again, too; what is left out of the others stays left out.
static uint32_t open_periods(const struct plan *plan, struct period ret_periods[static GRAINS * PERIODS_OPEN_MAX]) {
    uint32_t count = 0;
    for (int grain = GRAIN_DAY; grain < GRAINS; grain++)
        if (plan->period_signals[grain])
            count += periods_open((enum grain)grain, clock_now_ms(), &ret_periods[count]);
    return count;
}

// It works at the memory limit too, because nothing is projected before a rebuild has begun.
void store_rebuild_begin(struct store *store, struct read_call *call, uint32_t partition, struct bytes plan,
                         struct bytes rankings) {
    struct pipeline *pipeline = read_begin(store, call, 1, sizeof(struct read_state), on_all_plain);
    struct key key;
    if (!pipeline)
        return;
    struct period periods[GRAINS * PERIODS_OPEN_MAX];
    uint32_t count = open_periods(&store->plan, periods);
    script_begin(&store->command, SCRIPT_REBUILD, 3 + count);
    key_offsets(&key, partition);
    add_key(store, &key);
    key_cutoffs(&key, partition);
    add_key(store, &key);
    key_applied(&key, partition, PROJECTION_SUMS);
    add_key(store, &key);
    for (uint32_t i = 0; i < count; i++) {
        key_period_cutoffs(&key, partition, periods[i]);
        add_key(store, &key);
    }
    command_add(&store->command, rankings);
    command_add_int(&store->command, (int64_t)version_new());
    command_add(&store->command, plan);
    pipeline_add(pipeline, store->router, &store->command);
}

void store_rebuild_end(struct store *store, struct read_call *call, uint32_t partition, struct bytes plan,
                       struct bytes rankings) {
    struct pipeline *pipeline = read_begin(store, call, 1, sizeof(struct read_state), on_all_plain);
    struct key key;
    if (!pipeline)
        return;
    key_offsets(&key, partition);
    script_begin(&store->command, SCRIPT_KEEP, 1);
    add_key(store, &key);
    command_add_text(&store->command, "plan");
    command_add(&store->command, plan);
    command_add_text(&store->command, "begun");
    command_add(&store->command, plan);
    command_add_text(&store->command, "since");
    command_add_int(&store->command, clock_now_ms());
    command_add_text(&store->command, "rankings");
    command_add(&store->command, rankings);
    pipeline_add(pipeline, store->router, &store->command);
}

// ---- Rankings' sets

enum { SWEEP_COUNT = 1000 };

struct sweep_page {
    struct scan_page page;
    bool (*is_stale)(struct read_call *call, uint32_t partition, struct bytes name, struct bytes period);
};

static bool is_to_go(const struct sweep_page *sweep, struct bytes key, uint32_t *ret_partition) {
    struct bytes name, period;
    return key_parse_ranking(key, ret_partition, &name, &period) &&
           sweep->is_stale(sweep->page.read.call, *ret_partition, name, period);
}

static void on_removed(struct pipeline *pipeline) {
    enum outcome outcome = pipeline_outcome(pipeline);
    struct scan_page *page = pipeline->context;
    pipeline_free(pipeline);
    scan_page_end(page, outcome);
}

static uint32_t count_stale(const struct sweep_page *sweep) {
    uint32_t count = 0, partition;
    for (size_t i = 0; i < sweep->page.keys->elements; i++)
        count += is_to_go(sweep, scan_page_key(&sweep->page, i), &partition);
    return count;
}

static void remove_stale(struct scan_page *page) {
    struct sweep_page *sweep = (struct sweep_page *)page;
    struct store *store = page->read.store;
    uint32_t count = count_stale(sweep), partition;
    struct pipeline *pipeline = count ? pipeline_new(count, on_removed, page) : NULL;
    if (!pipeline) {
        scan_page_end(page, count ? UNAVAILABLE : OK);
        return;
    }
    for (size_t i = 0; pipeline->added < count; i++) {
        struct bytes key = scan_page_key(page, i);
        if (!is_to_go(sweep, key, &partition))
            continue;
        command_add(begin_command(store, "UNLINK"), key);
        store->command.place = partition;
        pipeline_add(pipeline, store->router, &store->command);
    }
}

void store_sweep_rankings(struct store *store, struct read_call *call, struct scan *scan,
                          bool (*is_stale)(struct read_call *call, uint32_t partition, struct bytes name,
                                           struct bytes period)) {
    struct sweep_page *sweep = scan_page_begin(store, call, scan, sizeof *sweep, remove_stale);
    if (!sweep)
        return;
    sweep->is_stale = is_stale;
    scan_page_send(&sweep->page, "{e*}r*", SWEEP_COUNT, "zset");
}

// ---- States

enum { SCAN_COUNT = 1000 };

struct state_page {
    struct scan_page page;
    void (*on_state)(struct read_call *call, ref_t item);
};

static void on_states(struct scan_page *page) {
    for (size_t i = 0; i < page->keys->elements; i++) {
        ref_t item;
        if (key_parse(scan_page_key(page, i), 's', &item))
            ((struct state_page *)page)->on_state(page->read.call, item);
    }
    scan_page_end(page, OK);
}

void store_scan_states(struct store *store, struct read_call *call, struct scan *scan,
                       void (*on_state)(struct read_call *call, ref_t item)) {
    struct state_page *states = scan_page_begin(store, call, scan, sizeof *states, on_states);
    if (!states)
        return;
    states->on_state = on_state;
    scan_page_send(&states->page, "{e*}s*", SCAN_COUNT, "string");
}
