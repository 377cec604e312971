// SPDX-License-Identifier: MIT
// Reads the corrections that wait, and carries them out in turns, page by page: corrections of items and the pass take
// turns, and among items the sites do. When a step fails, or the connection is a new one, everything is read again.
#include "project/corrector.h"
#include "base/clock.h"
#include "model/keys.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "project/corrector_inside.h"
#include "store/correction_records.h"
#include <stdlib.h>
#include <string.h>

enum {
    ERASURES_MAX = 65536,     // in one pass; the others wait for the next
    TEXTS_MAX = 64 << 20,     // of all corrections that wait
    STEP_TEXTS_MAX = 8 << 20, // of one page
    JSON_MAX = 1 << 20,
    READ_SHARE = 20 // reading the corrections that wait takes at most a 20th of the time
};

static void on_timer(uv_timer_t *timer);
static void turn(struct corrector *corrector);

// ---- The end of a step

static void on_closed(uv_handle_t *handle) {
    struct corrector *corrector = handle->data;
    void (*on_stopped)(void *) = corrector->on_stopped;
    void *context = corrector->stopped_context;
    arena_release(&corrector->texts);
    buffer_release(&corrector->json);
    corrections_release(&corrector->waiting);
    pass_release(&corrector->pass);
    free(corrector->tidy.at);
    free(corrector->found);
    free(corrector);
    on_stopped(context);
}

void corrector_rest(struct corrector *corrector, uint64_t ms) {
    corrector->busy = false;
    arena_reset(&corrector->texts);
    if (corrector->stopping)
        uv_close((uv_handle_t *)&corrector->timer, on_closed);
    else
        uv_timer_start(&corrector->timer, on_timer, ms, 0);
}

void corrector_restart(struct corrector *corrector) {
    corrector->known = false;
    corrector->generation = 0;
    pass_forget(&corrector->pass);
    corrector_rest(corrector, RETRY_MS);
}

bool corrector_goes_on(struct corrector *corrector, enum outcome outcome) {
    bool same = corrector->generation == store_generation(corrector->store);
    if (outcome == OK && same && !corrector->stopping)
        return true;
    corrector_restart(corrector);
    return false;
}

struct read_call *corrector_call(struct corrector *corrector,
                                 void (*on_done)(struct read_call *call, enum outcome outcome)) {
    corrector->call = (struct read_call){.on_done = on_done, .context = corrector};
    return &corrector->call;
}

bool corrector_add_record(struct corrector *corrector, const struct correction *correction) {
    correction_render(correction, false, &corrector->json);
    return !corrector->json.failed;
}

// ---- An item's votes: some buckets at a time

static void on_item_kept(struct read_call *call, enum outcome outcome) {
    struct corrector *corrector = call->context;
    if (corrector_goes_on(corrector, outcome))
        corrector_rest(corrector, PASS_PAUSE_MS);
}

static void on_item_ended(struct read_call *call, enum outcome outcome) {
    struct corrector *corrector = call->context;
    struct correction *item = corrector->item;
    struct correction_row row = {.id = bytes_of(item->id), .text = NO_BYTES, .site = item->site};
    if (corrector_goes_on(corrector, outcome))
        store_write_corrections(corrector->store, corrector_call(corrector, on_item_kept), false, &row, 1, 0);
}

// A correction that is done is first recorded as done, then removed from those that wait.
static void keep_item(struct corrector *corrector) {
    struct correction *item = corrector->item;
    uint64_t buckets = corrector->buckets ? corrector->buckets : 1; // an item without buckets counts as one bucket
    bool done = item->cursor + BUCKETS_AT_ONCE >= buckets;
    item->scanned += !done ? BUCKETS_AT_ONCE : buckets > item->cursor ? buckets - item->cursor : 0;
    item->cursor += BUCKETS_AT_ONCE;
    if (done) {
        item->done_ms = clock_now_ms();
        log_info("correction %s is done: %llu votes taken back", item->id, (unsigned long long)item->retracted);
        tidy_soon(corrector);
    }
    buffer_clear(&corrector->json);
    if (!corrector_add_record(corrector, item)) {
        corrector_restart(corrector);
        return;
    }
    struct correction_row row = {.id = bytes_of(item->id), .text = buffer_bytes(&corrector->json)};
    row.site = done ? NO_BYTES : item->site;
    struct read_call *call = corrector_call(corrector, done ? on_item_ended : on_item_kept);
    store_write_corrections(corrector->store, call, done, &row, 1, 0);
}

static ref_t ref_of(const struct corrector *corrector, const struct correction *item) {
    return item_ref(corrector->hash_key, item->site, item->item);
}

static void on_voter(struct read_call *call, const struct voter *voter) {
    struct corrector *corrector = call->context;
    struct correction *item = corrector->item;
    if (correction_covers(item, voter->time_ms))
        found_add(corrector, item, ref_of(corrector, item), voter, item->site, item->item);
}

static void on_voters(struct read_call *call, enum outcome outcome) {
    struct corrector *corrector = call->context;
    if (!corrector_goes_on(corrector, outcome))
        return;
    metric_add(METRIC_CORRECTIONS_SCANNED, 1);
    retract_found(corrector, keep_item);
}

static void item_page(struct corrector *corrector) {
    struct correction *item = corrector->item;
    if (strcmp(item->run, corrector->run) != 0) { // this Redis may not have what another one has acknowledged
        item->cursor = item->scanned = 0;
        memcpy(item->run, corrector->run, sizeof item->run);
    }
    found_clear(corrector);
    store_read_voters(corrector->store, corrector_call(corrector, on_voters), ref_of(corrector, item),
                      (uint32_t)item->cursor, BUCKETS_AT_ONCE, &corrector->buckets, on_voter);
}

// ---- Turns

static bool comes_before(const struct correction *a, struct bytes last, const struct correction *b) {
    bool a_later = bytes_cmp(a->site, last) > 0, b_later = bytes_cmp(b->site, last) > 0;
    if (a_later != b_later)
        return a_later;
    return bytes_cmp(a->site, b->site) < 0;
}

// The first correction of the next site after the last one's. The list is in order of time. In a Cluster the items of a
// master that is away hold no others back.
static struct correction *next_item(struct corrector *corrector) {
    struct bytes last = bytes_of(corrector->last_site);
    struct correction *next = NULL;
    for (size_t i = 0; i < corrector->waiting.count; i++) {
        struct correction *one = &corrector->waiting.at[i];
        if (one->kind == CORRECT_ITEM && !one->done_ms && (!next || comes_before(one, last, next)) &&
            store_serves(corrector->store, partition_of(ref_of(corrector, one), keys_partitions())))
            next = one;
    }
    return next;
}

static bool any_for_a_pass(const struct corrector *corrector) {
    for (size_t i = 0; i < corrector->waiting.count; i++)
        if (corrector->waiting.at[i].kind != CORRECT_ITEM)
            return true;
    return false;
}

static void take_turn(struct corrector *corrector) {
    bool for_pass = corrector->pass.running || any_for_a_pass(corrector);
    corrector->item = corrector->after_item && for_pass ? NULL : next_item(corrector);
    corrector->after_item = corrector->item != NULL;
    if (corrector->item) {
        struct bytes site = corrector->item->site;
        memcpy(corrector->last_site, site.at, site.len);
        corrector->last_site[site.len] = '\0';
        item_page(corrector);
    } else if (corrector->pass.running)
        pass_page(corrector);
    else if (for_pass)
        pass_begin(corrector);
    else if (tidy_is_due(corrector))
        tidy_begin(corrector);
    else {
        corrector->known = false;
        corrector_rest(corrector, IDLE_MS);
    }
}

// ---- Reading the corrections that wait

static void note(struct corrector *corrector, struct bytes text, struct bytes *ret_note) {
    *ret_note = arena_copy(&corrector->waiting.texts, text);
}

static void on_record(struct read_call *call, struct bytes id, struct bytes text) {
    struct corrector *corrector = call->context;
    struct correction correction;
    if (bytes_eq(id, BYTES("pass")))
        note(corrector, text, &corrector->stored_pass);
    else if (bytes_eq(id, BYTES("members")))
        note(corrector, text, &corrector->stored_members);
    else if (id.len == CORRECTION_ID_SIZE - 1 && correction_read(text, &corrector->texts, &correction) == OK) {
        bool may = correction.kind != CORRECT_ERASURE || corrector->waiting.count < ERASURES_MAX;
        corrector->running++;
        if (may && !corrections_add(&corrector->waiting, &correction))
            log_debug("corrections: some wait for room");
    }
    arena_reset(&corrector->texts);
}

// A scan may give a record twice: one is dropped.
static void drop_doubles(struct corrections *list) {
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++)
        if (kept == 0 || strcmp(list->at[kept - 1].id, list->at[i].id) != 0)
            list->at[kept++] = list->at[i];
    list->count = kept;
}

static void read_more(struct corrector *corrector);

static void on_records(struct read_call *call, enum outcome outcome) {
    struct corrector *corrector = call->context;
    if (!corrector_goes_on(corrector, outcome))
        return;
    if (corrector->cursor) {
        read_more(corrector);
        return;
    }
    corrections_sort(&corrector->waiting);
    drop_doubles(&corrector->waiting);
    metric_set(METRIC_CORRECTIONS_RUNNING, corrector->running);
    corrector->known = true;
    corrector->read_ns = clock_mono_ns();
    take_turn(corrector);
}

static void read_more(struct corrector *corrector) {
    store_scan_corrections(corrector->store, corrector_call(corrector, on_records), false, &corrector->cursor,
                           on_record);
}

static void read_waiting(struct corrector *corrector) {
    corrections_clear(&corrector->waiting);
    corrector->stored_pass = corrector->stored_members = NO_BYTES;
    corrector->running = corrector->cursor = 0;
    corrector->began_ns = clock_mono_ns();
    read_more(corrector);
}

static void on_run(struct read_call *call, struct bytes run) {
    struct corrector *corrector = call->context;
    size_t len = run.len < RUN_ID_SIZE ? run.len : 0;
    memcpy(corrector->run, run.at, len);
    corrector->run[len] = '\0';
    if (len == 0) // INFO is forbidden: work of an earlier connection is not continued
        correction_new_id(corrector->run);
}

static void on_run_known(struct read_call *call, enum outcome outcome) {
    struct corrector *corrector = call->context;
    if (corrector_goes_on(corrector, outcome))
        read_waiting(corrector);
}

static bool is_to_be_read(const struct corrector *corrector) {
    uint64_t pause = READ_SHARE * (corrector->read_ns - corrector->began_ns);
    if (pause < IDLE_MS * UINT64_C(1000000))
        pause = IDLE_MS * UINT64_C(1000000);
    return !corrector->known || clock_mono_ns() - corrector->read_ns > pause;
}

static void turn(struct corrector *corrector) {
    uint64_t generation = store_generation(corrector->store);
    if (corrector->generation != generation) {
        corrector->generation = generation;
        corrector->known = false;
        pass_forget(&corrector->pass);
        store_read_run(corrector->store, corrector_call(corrector, on_run_known), on_run);
    } else if (is_to_be_read(corrector))
        read_waiting(corrector);
    else if (tidy_is_due(corrector))
        tidy_begin(corrector);
    else
        take_turn(corrector);
}

static void on_timer(uv_timer_t *timer) {
    struct corrector *corrector = timer->data;
    bool works = projector_works(corrector->projector, PROJECTION_SUMS);
    corrector->busy = true;
    if (works) {
        turn(corrector);
        return;
    }
    metric_set(METRIC_CORRECTIONS_RUNNING, 0);
    corrector_restart(corrector); // another machine, or generation, carries them out
}

// ---- Start and stop

struct corrector *corrector_start(void *loop, const struct settings *settings, const struct secret_key *hash_key,
                                  struct store *store, const struct projector *projector) {
    struct corrector *corrector = calloc(1, sizeof *corrector);
    if (!corrector)
        return NULL;
    corrector->store = store;
    corrector->projector = projector;
    corrector->settings = settings;
    corrector->hash_key = hash_key;
    arena_init(&corrector->texts, STEP_TEXTS_MAX);
    buffer_init(&corrector->json, JSON_MAX);
    corrections_init(&corrector->waiting, TEXTS_MAX);
    pass_init(&corrector->pass);
    tidy_soon(corrector);
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
