// SPDX-License-Identifier: MIT
// The projection of votes and views into decayed sums, views, unique visitors and rankings.
#include "base/clock.h"
#include "project/author_places.h"
#include "project/fold.h"
#include "project/period_places.h"
#include "project/projection_type.h"
#include "project/ref_index.h"
#include "project/sums_deltas.h"
#include <stdlib.h>

enum { TEXTS_MAX = 16 << 20, TEXTS_USUAL = 64 << 10 };
#define DAY_MS INT64_C(86400000)

struct subject {
    ref_t item;
    bool usable, changed, erased;
    struct changed_period *periods;
    double deleted_ms;
    struct placed_item placed; // but for sums and mode, filled when loaded
    struct place *before;
    struct bytes site;
    struct sums *sums;   // among the work's
    struct bytes packed; // as it is written; at == NULL: it is not
};

struct total {
    ref_t site;
    bool changed, erased;
    struct sums sums;
};

struct sums_work {
    const struct plan *plan;
    const struct secret_key *hash_key;
    struct subject *subjects;
    struct sums *sums; // one per subject; they are large, and clearing them all would cost more than a small chunk
    uint32_t subject_count, subject_capacity, sums_capacity;
    struct total *totals;
    uint32_t total_count, total_capacity;
    struct cutoffs cutoffs;
    struct period_cuts period_cuts;
    struct arena texts;
    struct buffer packed;
    bool failed; // no memory for a part of this work
    int64_t now_ms;
};

static void *work_new(const struct plan *plan, const struct secret_key *hash_key) {
    struct sums_work *work = calloc(1, sizeof(*work));
    if (!work)
        return NULL;
    work->plan = plan;
    work->hash_key = hash_key;
    arena_init(&work->texts, TEXTS_MAX);
    arena_take(&work->texts, TEXTS_USUAL); // its first block, which a reset keeps: a chunk hardly ever needs another
    buffer_init(&work->packed, 64 << 10);
    return work;
}

static void work_free(void *context) {
    struct sums_work *work = context;
    if (!work)
        return;
    cutoffs_clear(&work->cutoffs);
    period_cuts_begin(&work->period_cuts, work->plan, 0);
    arena_release(&work->texts);
    buffer_release(&work->packed);
    free(work->subjects);
    free(work->sums);
    free(work->totals);
    free(work);
}

// Grows the array to `count` elements; it never shrinks. False without memory.
static bool make_capacity(void **at, uint32_t *capacity, uint32_t count, size_t size) {
    if (count <= *capacity)
        return true;
    void *grown = realloc(*at, count * size);
    if (!grown)
        return false;
    *at = grown;
    *capacity = count;
    return true;
}

static bool begin(void *context, const ref_t *items, uint32_t item_count, const ref_t *sites, uint32_t site_count) {
    struct sums_work *work = context;
    arena_reset(&work->texts);
    cutoffs_clear(&work->cutoffs);
    work->subject_count = work->total_count = 0;
    work->failed = false;
    work->now_ms = clock_now_ms();
    period_cuts_begin(&work->period_cuts, work->plan, work->now_ms);
    if (!make_capacity((void **)&work->subjects, &work->subject_capacity, item_count, sizeof(*work->subjects)) ||
        !make_capacity((void **)&work->sums, &work->sums_capacity, item_count, sizeof(*work->sums)) ||
        !make_capacity((void **)&work->totals, &work->total_capacity, site_count, sizeof(*work->totals)))
        return false;
    for (uint32_t i = 0; i < item_count; i++)
        work->subjects[i] = (struct subject){.item = items[i], .sums = &work->sums[i]};
    for (uint32_t i = 0; i < site_count; i++) {
        work->totals[i].site = sites[i];
        work->totals[i].changed = work->totals[i].erased = false;
        sums_clear(&work->totals[i].sums);
    }
    work->subject_count = item_count;
    work->total_count = site_count;
    return true;
}

static bool copy_text(struct sums_work *work, struct bytes text, struct bytes *ret_copy) {
    *ret_copy = text.len ? arena_copy(&work->texts, text) : NO_BYTES;
    return text.len == 0 || ret_copy->at != NULL;
}

static bool load(void *context, uint32_t index, const struct partition_item *item) {
    struct sums_work *work = context;
    struct subject *subject = &work->subjects[index];
    subject->usable = !item->corrupt && sums_unpack(item->state, &work->plan->lives, subject->sums);
    if (!subject->usable) {
        bad_state(PROJECTION_SUMS, subject->item);
        return true;
    }
    subject->deleted_ms = item->deleted_ms;
    struct placed_item *placed = &subject->placed;
    *placed = (struct placed_item){.known = item->known,
                                   .has_card = item->has_card,
                                   .had_events = !sums_empty(subject->sums),
                                   .published_ms = item->published_ms};
    subject->before = arena_take(&work->texts, work->plan->count * sizeof(*subject->before));
    if (!subject->before || !copy_text(work, item->id, &placed->id) || !copy_text(work, item->site, &subject->site) ||
        !copy_text(work, item->groups, &placed->groups))
        return false;
    if (item->known)
        placed->site = site_ref(work->hash_key, item->site);
    placed->before = subject->before;
    places_before(work->plan, subject->sums, work->now_ms, subject->before);
    return true;
}

static void load_total(void *context, uint32_t index, struct bytes packed) {
    struct sums_work *work = context;
    struct total *total = &work->totals[index];
    if (!sums_unpack(packed, &work->plan->lives, &total->sums)) {
        bad_state(PROJECTION_SUMS, total->site);
        sums_clear(&total->sums);
    }
}

static bool load_cutoff(void *context, struct bytes name, double value) {
    struct sums_work *work = context;
    return cutoffs_add(&work->cutoffs, name, value);
}

static void note_delta(void *context, const struct delta *delta) {
    period_cuts_want(&((struct sums_work *)context)->period_cuts, delta);
}

static const struct period *periods(void *context, uint32_t *ret_count) {
    struct sums_work *work = context;
    *ret_count = work->period_cuts.count;
    return work->period_cuts.periods;
}

static bool load_cut(void *context, uint32_t period, struct bytes name, double value) {
    struct sums_work *work = context;
    return cutoffs_add(&work->period_cuts.cutoffs[period], name, value);
}

// The text lives as long as the batch, which is longer than the work needs it.
static void know(struct sums_work *work, struct subject *subject, struct bytes site, struct bytes id) {
    if (subject->placed.id.len == 0) {
        subject->placed.site = site_ref(work->hash_key, site);
        subject->placed.id = id;
        subject->site = site;
    }
}

static void note_groups(struct sums_work *work, struct subject *subject, struct bytes joined) {
    struct old_groups *old = joined.len ? arena_take(&work->texts, sizeof(*old)) : NULL;
    work->failed |= joined.len && !old;
    if (!old)
        return;
    *old = (struct old_groups){joined, subject->placed.old};
    subject->placed.old = old;
}

// A view is logged without reading the item, so two ids with one reference are noticed only here.
static bool is_another(const struct subject *subject, const struct delta *delta) {
    return delta->type == DELTA_VIEW && subject->placed.known && !bytes_eq(subject->placed.id, delta->view.id);
}

// The first visitors are in the sums. With the third the sketch begins, and all later ones are added to it.
static void note_visitor(struct subject *subject, ref_t visitor, struct commit *commit) {
    struct early_visitors *early = &subject->sums->early;
    if (early_visitors_add(early, visitor, subject->sums->signals[SIGNAL_VIEWS].count == 1))
        return;
    if (early->count)
        commit_sketch(commit, subject->item, early);
    early->count = 0;
    commit_visitor(commit, subject->item, visitor);
}

static void after_view(struct sums_work *work, struct subject *subject, const struct delta *delta,
                       struct commit *commit) {
    note_visitor(subject, delta->view.visitor, commit);
    know(work, subject, delta->view.site, delta->view.id);
    if (!subject->placed.known)
        commit_item(commit, subject->item, delta->view.site, delta->view.id);
    subject->placed.known = true;
}

// After an erasure or a set the item's places in the rankings are not known, because a script has changed its sums.
static void after_card_delta(struct sums_work *work, struct subject *subject, const struct delta *delta) {
    bool is_card = delta->type == DELTA_CARD;
    note_groups(work, subject, delta->card.groups);
    if (!is_card)
        know(work, subject, delta->card.site, delta->card.id);
    if (!is_card && delta->type != DELTA_IMPORT)
        subject->placed.mode = PLACE_REPAIR;
    else if (is_card && subject->placed.mode != PLACE_REPAIR)
        subject->placed.mode = PLACE_CARD;
}

static bool is_card_delta(const struct delta *delta) {
    return delta->type == DELTA_ERASE || delta->type == DELTA_SET || delta->type == DELTA_CARD ||
           delta->type == DELTA_DELETE || delta->type == DELTA_IMPORT;
}

static void fold(void *context, uint32_t index, uint32_t total_index, const struct delta *delta, double accept_ms,
                 struct commit *commit) {
    struct sums_work *work = context;
    struct subject *subject = &work->subjects[index];
    if (!subject->usable || is_another(subject, delta))
        return;
    struct total *total = total_index == NO_INDEX ? NULL : &work->totals[total_index];
    unsigned effects = sums_fold(subject->sums, total ? &total->sums : NULL, &work->plan->lives, subject->deleted_ms,
                                 delta, accept_ms);
    if (effects & FOLD_CHANGED)
        subject->changed = true;
    if (total && (effects & FOLD_CHANGED_TOTAL))
        total->changed = true;
    if (total && delta->type == DELTA_ERASE)
        total->erased = true;
    if ((effects & FOLD_WIPED_VIEWS) && delta->type != DELTA_IMPORT) // an import has set them already
        commit_visitors_clear(commit, subject->item);
    subject->erased |= delta->type == DELTA_ERASE || delta->type == DELTA_DELETE || (effects & FOLD_WIPED_VIEWS);
    work->failed |= !note_periods(&work->period_cuts, delta, &work->texts, &subject->periods);
    if (effects & FOLD_COUNTED_VIEW)
        after_view(work, subject, delta, commit);
    if (is_card_delta(delta))
        after_card_delta(work, subject, delta);
    if (delta->type == DELTA_REWRITE)
        subject->placed.mode = PLACE_REPAIR;
}

// A state without events is removed.
static struct bytes packed_state(struct sums_work *work, const struct sums *sums) {
    buffer_clear(&work->packed);
    if (!sums_empty(sums))
        sums_pack(sums, &work->plan->lives, &work->packed);
    work->failed |= work->packed.failed;
    return buffer_bytes(&work->packed);
}

static void write_subject(struct sums_work *work, struct subject *subject, struct commit *commit) {
    if (subject->changed) {
        struct bytes packed = packed_state(work, subject->sums);
        commit_state(commit, subject->item, packed);
        subject->packed = packed.len ? arena_copy(&work->texts, packed) : NO_BYTES;
    }
    bool moves = subject->changed || subject->placed.mode != PLACE_CHANGED;
    if (!moves || subject->placed.id.len == 0)
        return;
    subject->placed.sums = subject->sums;
    struct item_sets sets;
    struct placed_item *placed = &subject->placed;
    item_sets_find(placed->has_card, placed->groups, placed->old, work->hash_key, &sets);
    write_places(work->plan, &sets, &work->cutoffs, work->now_ms, placed, commit);
    write_period_places(&work->period_cuts, &sets, placed, subject->periods, subject->erased, commit);
    write_author_places(work->hash_key, &work->cutoffs, work->now_ms, placed, commit);
}

// When the last views of a site are erased, only its series are left. They stay for as long as days are kept; another
// event makes them stay. So nothing is left of a site that was made up.
static void write_total(struct sums_work *work, const struct total *total, struct commit *commit) {
    const struct sums *sums = &total->sums;
    bool fades = total->erased && sums->signals[SIGNAL_VIEWS].count == 0;
    int64_t end_ms = calendar_begin(GRAIN_HOUR, sums->series.newest[GRAIN_HOUR]) + SERIES_DAYS * DAY_MS;
    if (fades && end_ms <= work->now_ms)
        commit_total(commit, total->site, NO_BYTES, 0);
    else
        commit_total(commit, total->site, packed_state(work, sums), fades ? end_ms - work->now_ms : 0);
}

static bool write(void *context, struct commit *commit) {
    struct sums_work *work = context;
    for (uint32_t i = 0; i < work->subject_count; i++)
        if (work->subjects[i].usable)
            write_subject(work, &work->subjects[i], commit);
    for (uint32_t i = 0; i < work->total_count; i++)
        if (work->totals[i].changed)
            write_total(work, &work->totals[i], commit);
    return !work->failed;
}

static bool describe(void *context, uint32_t index, struct partition_item *ret_item) {
    struct sums_work *work = context;
    struct subject *subject = &work->subjects[index];
    if (!subject->usable || !subject->placed.known)
        return false;
    *ret_item =
        (struct partition_item){.state = subject->packed.at ? subject->packed : packed_state(work, subject->sums),
                                .deleted_ms = subject->deleted_ms,
                                .known = true,
                                .has_card = subject->placed.has_card,
                                .id = subject->placed.id,
                                .site = subject->site,
                                .groups = subject->placed.groups,
                                .published_ms = subject->placed.published_ms};
    return !work->packed.failed;
}

static bool delta_site(const struct secret_key *hash_key, const struct delta *delta, ref_t *ret_site) {
    if (delta->type == DELTA_VIEW)
        *ret_site = site_ref(hash_key, delta->view.site);
    else if (delta->type == DELTA_VOTE && delta->vote.site)
        *ret_site = delta->vote.site;
    else if (is_card_delta(delta) && delta->type != DELTA_CARD)
        *ret_site = site_ref(hash_key, delta->card.site);
    else
        return false;
    return true;
}

const struct projection_type sums_projection = {
    .projection = PROJECTION_SUMS,
    .events = METRIC_SUMS_EVENTS,
    .commits = METRIC_SUMS_COMMITS,
    .done_to = METRIC_SUMS_DONE_TO,
    .batch_bytes = 2 << 20,
    .chunk_items = 250, // a busy item is written once a commit; one of 250 makes votes wait for a millisecond
    .make_deltas = sums_deltas,
    .delta_site = delta_site,
    .work_new = work_new,
    .work_free = work_free,
    .begin = begin,
    .load = load,
    .load_total = load_total,
    .load_cutoff = load_cutoff,
    .note_delta = note_delta,
    .periods = periods,
    .load_cut = load_cut,
    .fold = fold,
    .write = write,
    .describe = describe,
};
