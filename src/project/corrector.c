// SPDX-License-Identifier: MIT
// One page at a time: find the first correction under way; read some items (or one bucket of an item); take back what
// falls under it; note how far it is.
#include "project/corrector.h"
#include "base/clock.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "project/correction.h"
#include <stdlib.h>
#include <uv.h>

enum { PAGE_ITEMS = 256, PAGE_MOST = 4096, IDLE_MS = 500, PAGE_PAUSE_MS = 2, RETRY_MS = 1000, TEXTS_MOST = 4 << 20 };

// A vote that falls under the correction.
struct found {
    struct vote_call vote;
    struct corrector *corrector;
    ref_t item;
};

struct corrector {
    struct store *store;
    const struct settings *settings;
    const struct secret_key *hash_key;
    uv_timer_t timer;
    bool stopping, busy;
    void (*on_stopped)(void *context);
    void *stopped_context;
    struct arena texts; // of this page
    struct read_call call;
    struct correction correction;
    bool any, end_of_scan;
    uint32_t running, buckets;
    ref_t items[PAGE_MOST]; // of the page
    size_t item_count;
    struct found *found;
    size_t found_count, found_room, known, waiting;
    enum outcome outcome;
    struct buffer record;
};

static void on_timer(uv_timer_t *timer);

// ---- The end of a page

static void on_closed(uv_handle_t *handle) {
    struct corrector *corrector = handle->data;
    void (*on_stopped)(void *) = corrector->on_stopped;
    void *context = corrector->stopped_context;
    arena_release(&corrector->texts);
    buffer_release(&corrector->record);
    free(corrector->found);
    free(corrector);
    on_stopped(context);
}

static void rest(struct corrector *corrector, uint64_t ms) {
    corrector->busy = false;
    arena_reset(&corrector->texts);
    if (corrector->stopping)
        uv_close((uv_handle_t *)&corrector->timer, on_closed);
    else
        uv_timer_start(&corrector->timer, on_timer, ms, 0);
}

static void on_kept(struct read_call *call, enum outcome outcome) {
    rest(call->context, outcome == OK ? PAGE_PAUSE_MS : RETRY_MS);
}

static void keep(struct corrector *corrector) {
    struct correction *correction = &corrector->correction;
    bool done = corrector->end_of_scan, erasure = correction->kind == CORRECT_ERASURE;
    if (done) {
        correction->done_ms = clock_now_ms();
        log_info("correction %s is done: %llu votes taken back", correction->id,
                 (unsigned long long)correction->retracted);
    }
    buffer_clear(&corrector->record);
    correction_render(correction, false, &corrector->record);
    if (corrector->record.failed) {
        rest(corrector, RETRY_MS);
        return;
    }
    corrector->call = (struct read_call){.on_done = on_kept, .context = corrector};
    struct bytes record = buffer_bytes(&corrector->record);
    if (done)
        store_end_correction(corrector->store, &corrector->call, bytes_of(correction->id), erasure ? NO_BYTES : record);
    else
        store_keep_correction(corrector->store, &corrector->call, bytes_of(correction->id), record);
}

// ---- Taking back

static void on_retracted(struct vote_call *vote) {
    struct found *found = vote->context;
    struct corrector *corrector = found->corrector;
    if (vote->outcome != OK && vote->outcome != INTERNAL && vote->outcome != ID_CLASH)
        corrector->outcome = vote->outcome;
    if (vote->outcome == OK && vote->changed) {
        corrector->correction.retracted++;
        metric_add(METRIC_CORRECTED_VOTES, 1);
    }
    if (--corrector->waiting)
        return;
    if (corrector->outcome == OK)
        keep(corrector);
    else
        rest(corrector, RETRY_MS); // the page is done again
}

static void retract_all(struct corrector *corrector) {
    corrector->outcome = OK;
    corrector->waiting = 0;
    for (size_t i = 0; i < corrector->found_count; i++)
        corrector->waiting += corrector->found[i].vote.id.len > 0;
    if (corrector->waiting == 0) {
        keep(corrector);
        return;
    }
    for (size_t i = 0; i < corrector->found_count; i++)
        if (corrector->found[i].vote.id.len)
            store_vote(corrector->store, &corrector->found[i].vote);
}

static void on_name(struct read_call *call, size_t index, const struct item_state *state) {
    struct corrector *corrector = call->context;
    struct vote_call *vote = &corrector->found[index].vote;
    if (state->outcome != OK || !state->known)
        return;
    vote->id = arena_copy(&corrector->texts, state->id);
    vote->site = arena_copy(&corrector->texts, state->site);
    if (!vote->id.at || !vote->site.at)
        corrector->outcome = UNAVAILABLE; // the page is done again
}

static void on_named(struct read_call *call, enum outcome outcome) {
    struct corrector *corrector = call->context;
    if (outcome == OK && corrector->outcome == OK)
        retract_all(corrector);
    else
        rest(corrector, RETRY_MS);
}

// Whose names they go by: the script compares them.
static void name_found(struct corrector *corrector) {
    for (size_t i = 0; i < corrector->found_count; i++)
        corrector->items[i] = corrector->found[i].item;
    corrector->call = (struct read_call){.on_done = on_named, .context = corrector};
    store_read_items(corrector->store, &corrector->call, corrector->items, corrector->found_count, on_name);
}

static void add_found(struct corrector *corrector, ref_t item, ref_t visitor, int64_t packed) {
    if (corrector->found_count == PAGE_MOST)
        return;
    if (corrector->found_count == corrector->found_room) {
        size_t room = corrector->found_room ? 2 * corrector->found_room : 64;
        struct found *grown = realloc(corrector->found, room * sizeof *grown);
        if (!grown) {
            corrector->outcome = UNAVAILABLE;
            return;
        }
        corrector->found = grown;
        corrector->found_room = room;
    }
    struct found *found = &corrector->found[corrector->found_count++];
    *found = (struct found){.corrector = corrector, .item = item};
    found->vote = (struct vote_call){.item = item,
                                     .visitor = visitor,
                                     .kind = -1,
                                     .time_ms = clock_now_ms(),
                                     .only_if = packed,
                                     .queued.patient = true,
                                     .on_done = on_retracted};
}

// The array has its place now: calls may point into it.
static void on_page(struct corrector *corrector, enum outcome outcome) {
    if (outcome != OK || corrector->outcome != OK) {
        rest(corrector, RETRY_MS);
        return;
    }
    for (size_t i = 0; i < corrector->found_count; i++)
        corrector->found[i].vote.context = &corrector->found[i];
    if (corrector->found_count)
        name_found(corrector);
    else
        keep(corrector);
}

static bool falls_under(const struct correction *correction, int64_t time_ms) {
    int64_t from_s = correction->from_ms / 1000, to_s = correction->to_ms / 1000, s = time_ms / 1000;
    return (!correction->from_ms || s >= from_s) && (!correction->to_ms || s <= to_s);
}

// ---- A visitor's votes: by a scan over all items

static void on_vote(struct read_call *call, size_t index, const struct own_vote *vote) {
    struct corrector *corrector = call->context;
    int64_t time_ms = vote->time_ms;
    if (vote->kind >= 0 && falls_under(&corrector->correction, time_ms))
        add_found(corrector, corrector->items[index], corrector->correction.visitor, vote->packed);
}

static void on_votes(struct read_call *call, enum outcome outcome) {
    on_page(call->context, outcome);
}

static void on_item(struct read_call *call, ref_t item) {
    struct corrector *corrector = call->context;
    if (corrector->item_count < PAGE_MOST)
        corrector->items[corrector->item_count++] = item;
}

static void on_items(struct read_call *call, enum outcome outcome) {
    struct corrector *corrector = call->context;
    if (outcome != OK) {
        rest(corrector, RETRY_MS);
        return;
    }
    corrector->end_of_scan = corrector->correction.cursor == 0;
    corrector->correction.scanned += corrector->item_count;
    metric_add(METRIC_CORRECTIONS_SCANNED, corrector->item_count);
    corrector->call = (struct read_call){.on_done = on_votes, .context = corrector};
    store_read_votes(corrector->store, &corrector->call, corrector->correction.visitor, corrector->items,
                     corrector->item_count, on_vote);
}

static void scan_items(struct corrector *corrector) {
    corrector->item_count = 0;
    corrector->call = (struct read_call){.on_done = on_items, .context = corrector};
    store_scan_items(corrector->store, &corrector->call, &corrector->correction.cursor, PAGE_ITEMS, on_item);
}

// ---- An item's votes: bucket by bucket

static ref_t item_of(const struct corrector *corrector) {
    return item_ref(corrector->hash_key, corrector->correction.site, corrector->correction.item);
}

static void on_voter(struct read_call *call, const struct voter *voter) {
    struct corrector *corrector = call->context;
    if (falls_under(&corrector->correction, voter->time_ms))
        add_found(corrector, item_of(corrector), voter->visitor, voter->packed);
}

static void on_voters(struct read_call *call, enum outcome outcome) {
    struct corrector *corrector = call->context;
    if (outcome == OK) {
        corrector->correction.cursor++;
        corrector->correction.scanned++;
        metric_add(METRIC_CORRECTIONS_SCANNED, 1);
        corrector->end_of_scan = corrector->correction.cursor >= corrector->buckets;
    }
    on_page(corrector, outcome);
}

static void read_bucket(struct corrector *corrector) {
    corrector->call = (struct read_call){.on_done = on_voters, .context = corrector};
    store_read_voters(corrector->store, &corrector->call, item_of(corrector), (uint32_t)corrector->correction.cursor,
                      &corrector->buckets, on_voter);
}

// ---- The next page

static void on_correction(struct read_call *call, struct bytes id, struct bytes json) {
    struct corrector *corrector = call->context;
    (void)id;
    corrector->running++;
    if (!corrector->any)
        corrector->any = correction_read(json, &corrector->texts, &corrector->correction) == OK;
}

static void on_corrections(struct read_call *call, enum outcome outcome) {
    struct corrector *corrector = call->context;
    metric_set(METRIC_CORRECTIONS_RUNNING, corrector->running);
    if (outcome != OK || !corrector->any || corrector->stopping) {
        rest(corrector, outcome == OK ? IDLE_MS : RETRY_MS);
        return;
    }
    corrector->found_count = 0;
    corrector->outcome = OK;
    corrector->end_of_scan = false;
    if (corrector->correction.kind == CORRECT_ITEM)
        read_bucket(corrector);
    else
        scan_items(corrector);
}

static void on_timer(uv_timer_t *timer) {
    struct corrector *corrector = timer->data;
    corrector->busy = true;
    corrector->any = false;
    corrector->running = 0;
    corrector->call = (struct read_call){.on_done = on_corrections, .context = corrector};
    store_read_corrections(corrector->store, &corrector->call, false, on_correction);
}

// ---- Start and stop

struct corrector *corrector_start(void *loop, const struct settings *settings, const struct secret_key *hash_key,
                                  struct store *store) {
    struct corrector *corrector = calloc(1, sizeof *corrector);
    if (!corrector)
        return NULL;
    corrector->store = store;
    corrector->settings = settings;
    corrector->hash_key = hash_key;
    arena_init(&corrector->texts, TEXTS_MOST);
    buffer_init(&corrector->record, CORRECTION_JSON_MAX);
    uv_timer_init(loop, &corrector->timer);
    corrector->timer.data = corrector;
    uv_timer_start(&corrector->timer, on_timer, IDLE_MS, 0);
    return corrector;
}

void corrector_stop(struct corrector *corrector, void (*on_stopped)(void *context), void *context) {
    corrector->stopping = true;
    corrector->on_stopped = on_stopped;
    corrector->stopped_context = context;
    if (!corrector->busy)
        uv_close((uv_handle_t *)&corrector->timer, on_closed);
}
