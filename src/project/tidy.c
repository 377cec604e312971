// SPDX-License-Identifier: MIT
// Removes records of done corrections: those older than `corrections_kept_for`, and all but the newest
// `corrections_kept` of each site. It reads all records, some at a time, soon after a correction is done and once an
// hour.
#include "base/array.h"
#include "base/clock.h"
#include "project/corrector_inside.h"
#include "store/correction_records.h"
#include <stdlib.h>
#include <string.h>

#define SECOND_NS (UINT64_C(1000) * 1000 * 1000)
enum { SOON_S = 1, LATER_S = 3600, REMOVED_AT_ONCE = 256 };

struct done {
    ref_t site;
    int64_t done_ms;
    char id[CORRECTION_ID_SIZE];
};

bool tidy_is_due(const struct corrector *corrector) {
    return clock_mono_ns() >= corrector->tidy.next_ns;
}

void tidy_soon(struct corrector *corrector) {
    uint64_t soon = clock_mono_ns() + SOON_S * SECOND_NS;
    if (!corrector->tidy.next_ns || corrector->tidy.next_ns > soon)
        corrector->tidy.next_ns = soon;
}

static void on_record(struct read_call *call, struct bytes id, struct bytes text) {
    struct corrector *corrector = call->context;
    struct tidy *tidy = &corrector->tidy;
    struct correction correction;
    struct done *grown = array_room_for_one(tidy->at, tidy->count, &tidy->capacity, sizeof *grown);
    tidy->failed |= !grown;
    if (!grown)
        return;
    tidy->at = grown;
    if (id.len == CORRECTION_ID_SIZE - 1 && correction_read(text, &corrector->texts, &correction) == OK) {
        struct done *done = &tidy->at[tidy->count++];
        *done = (struct done){.site = site_ref(corrector->hash_key, correction.site), .done_ms = correction.done_ms};
        memcpy(done->id, id.at, id.len);
    }
    arena_reset(&corrector->texts);
}

// By site, the newest first. A record that came twice is side by side with itself.
static int by_site_and_age(const void *a, const void *b) {
    const struct done *left = a, *right = b;
    if (left->site != right->site)
        return left->site < right->site ? -1 : 1;
    if (left->done_ms != right->done_ms)
        return left->done_ms > right->done_ms ? -1 : 1;
    return strcmp(left->id, right->id);
}

// Moves the records to remove to the front.
static void choose(struct corrector *corrector) {
    struct tidy *tidy = &corrector->tidy;
    int64_t oldest = clock_now_ms() - corrector->settings->corrections_kept_for_ms;
    size_t goes = 0, kept = 0;
    ref_t site = 0;
    if (tidy->count)
        qsort(tidy->at, tidy->count, sizeof *tidy->at, by_site_and_age);
    for (size_t i = 0; i < tidy->count; i++) {
        struct done done = tidy->at[i];
        bool other = i == 0 || done.site != site;
        if (!other && strcmp(done.id, tidy->at[i - 1].id) == 0)
            continue;
        kept = other ? 1 : kept + 1;
        site = done.site;
        if (kept > (size_t)corrector->settings->corrections_kept || done.done_ms < oldest)
            tidy->at[goes++] = done;
    }
    tidy->count = goes;
}

static void remove_some(struct corrector *corrector);

static void on_removed(struct read_call *call, enum outcome outcome) {
    struct corrector *corrector = call->context;
    if (corrector_goes_on(corrector, outcome))
        remove_some(corrector);
}

static void remove_some(struct corrector *corrector) {
    struct tidy *tidy = &corrector->tidy;
    struct correction_row rows[REMOVED_AT_ONCE];
    size_t count = 0;
    while (tidy->next < tidy->count && count < REMOVED_AT_ONCE)
        rows[count++] = (struct correction_row){.id = bytes_of(tidy->at[tidy->next++].id)};
    if (count) {
        store_write_corrections(corrector->store, corrector_call(corrector, on_removed), true, rows, count, 0);
        return;
    }
    tidy->next_ns = clock_mono_ns() + LATER_S * SECOND_NS;
    corrector_rest(corrector, PASS_PAUSE_MS);
}

static void read_more(struct corrector *corrector);

static void on_records(struct read_call *call, enum outcome outcome) {
    struct corrector *corrector = call->context;
    if (!corrector_goes_on(corrector, corrector->tidy.failed ? UNAVAILABLE : outcome))
        return;
    if (corrector->tidy.cursor) {
        read_more(corrector);
        return;
    }
    choose(corrector);
    remove_some(corrector);
}

static void read_more(struct corrector *corrector) {
    store_scan_corrections(corrector->store, corrector_call(corrector, on_records), true, &corrector->tidy.cursor,
                           on_record);
}

void tidy_begin(struct corrector *corrector) {
    struct tidy *tidy = &corrector->tidy;
    tidy->count = tidy->next = 0;
    tidy->cursor = 0;
    tidy->failed = false;
    read_more(corrector);
}
