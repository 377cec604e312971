// SPDX-License-Identifier: MIT
// The projection of votes and views into decayed sums, views, unique visitors and rankings.
#include "base/clock.h"
#include "project/fold.h"
#include "project/projection_type.h"
#include "project/rankings_writer.h"
#include "project/ref_index.h"
#include <stdlib.h>

enum { TEXTS_MOST = 16 << 20 };

struct subject {
    ref_t item;
    bool usable, changed;
    double deleted_ms;
    struct placed_item placed; // but for sums and mode, filled when loaded
    struct place *before;
    struct bytes site;
    struct sums sums;
};

struct total {
    ref_t site;
    bool changed;
    struct sums sums;
};

struct sums_work {
    const struct plan *plan;
    const struct secret_key *hash_key;
    struct subject *subjects;
    uint32_t subject_count, subject_room;
    struct total *totals;
    uint32_t total_count, total_room;
    struct floors floors;
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
    arena_init(&work->texts, TEXTS_MOST);
    buffer_init(&work->packed, 64 << 10);
    return work;
}

static void work_free(void *context) {
    struct sums_work *work = context;
    if (!work)
        return;
    floors_clear(&work->floors);
    arena_release(&work->texts);
    buffer_release(&work->packed);
    free(work->subjects);
    free(work->totals);
    free(work);
}

// The array grown to `count` elements (never shrunk); false without memory.
static bool make_room(void **at, uint32_t *room, uint32_t count, size_t size) {
    if (count <= *room)
        return true;
    void *grown = realloc(*at, count * size);
    if (!grown)
        return false;
    *at = grown;
    *room = count;
    return true;
}

static bool begin(void *context, const ref_t *items, uint32_t item_count, const ref_t *sites, uint32_t site_count) {
    struct sums_work *work = context;
    arena_reset(&work->texts);
    floors_clear(&work->floors);
    work->subject_count = work->total_count = 0;
    work->failed = false;
    work->now_ms = clock_now_ms();
    if (!make_room((void **)&work->subjects, &work->subject_room, item_count, sizeof(*work->subjects)) ||
        !make_room((void **)&work->totals, &work->total_room, site_count, sizeof(*work->totals)))
        return false;
    for (uint32_t i = 0; i < item_count; i++)
        work->subjects[i] = (struct subject){.item = items[i]};
    for (uint32_t i = 0; i < site_count; i++) {
        work->totals[i].site = sites[i];
        work->totals[i].changed = false;
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

static bool load(void *context, uint32_t index, const struct target_item *item) {
    struct sums_work *work = context;
    struct subject *subject = &work->subjects[index];
    subject->usable = !item->torn && sums_unpack(item->state, &work->plan->lives, &subject->sums);
    if (!subject->usable) {
        bad_state(&sums_projection, subject->item);
        return true;
    }
    subject->deleted_ms = item->deleted_ms;
    struct placed_item *placed = &subject->placed;
    *placed = (struct placed_item){.known = item->known, .published_ms = item->published_ms};
    subject->before = arena_take(&work->texts, work->plan->count * sizeof(*subject->before));
    if (!subject->before || !copy_text(work, item->id, &placed->id) || !copy_text(work, item->site, &subject->site) ||
        !copy_text(work, item->categories, &placed->categories))
        return false;
    if (item->known)
        placed->site = site_ref(work->hash_key, item->site);
    placed->before = subject->before;
    places_before(work->plan, &subject->sums, work->now_ms, subject->before);
    return true;
}

static void load_total(void *context, uint32_t index, struct bytes packed) {
    struct sums_work *work = context;
    struct total *total = &work->totals[index];
    if (!sums_unpack(packed, &work->plan->lives, &total->sums)) {
        bad_state(&sums_projection, total->site);
        sums_clear(&total->sums);
    }
}

static bool load_floor(void *context, struct bytes name, double value) {
    struct sums_work *work = context;
    return floors_add(&work->floors, name, value);
}

// The text lives as long as the batch, which is longer than the work needs it.
static void know(struct sums_work *work, struct subject *subject, struct bytes site, struct bytes id) {
    if (subject->placed.id.len == 0) {
        subject->placed.site = site_ref(work->hash_key, site);
        subject->placed.id = id;
        subject->site = site;
    }
}

static void note_categories(struct sums_work *work, struct subject *subject, struct bytes joined) {
    struct old_categories *old = joined.len ? arena_take(&work->texts, sizeof(*old)) : NULL;
    work->failed |= joined.len && !old;
    if (!old)
        return;
    *old = (struct old_categories){joined, subject->placed.old};
    subject->placed.old = old;
}

// A view is logged without a look at the item, so only here is it seen that two ids have the same reference.
static bool is_another(const struct subject *subject, const struct touch *touch) {
    return touch->type == TOUCH_VIEW && subject->placed.known && !bytes_eq(subject->placed.id, touch->view.id);
}

// The first ones stand in the sums; with the third the sketch begins, and all that come later go there.
static void note_visitor(struct subject *subject, ref_t visitor, struct commit *commit) {
    struct early_visitors *early = &subject->sums.early;
    if (early_visitors_add(early, visitor, subject->sums.signals[SIGNAL_VIEWS].count == 1))
        return;
    if (early->count)
        commit_sketch(commit, subject->item, early);
    early->count = 0;
    commit_visitor(commit, subject->item, visitor);
}

static void after_view(struct sums_work *work, struct subject *subject, const struct touch *touch,
                       struct commit *commit) {
    note_visitor(subject, touch->view.visitor, commit);
    know(work, subject, touch->view.site, touch->view.id);
    if (!subject->placed.known)
        commit_item(commit, subject->item, touch->view.site, touch->view.id);
    subject->placed.known = true;
}

// After an erasure or a set nothing is known of where it stands in the rankings: its sums were changed elsewhere.
static void after_card_touch(struct sums_work *work, struct subject *subject, const struct touch *touch) {
    bool is_card = touch->type == TOUCH_CARD;
    note_categories(work, subject, touch->card.categories);
    if (!is_card)
        know(work, subject, touch->card.site, touch->card.id);
    if (!is_card && touch->type != TOUCH_IMPORT)
        subject->placed.mode = PLACE_REPAIR;
    else if (is_card && subject->placed.mode != PLACE_REPAIR)
        subject->placed.mode = PLACE_ANEW;
}

static bool is_card_touch(const struct touch *touch) {
    return touch->type == TOUCH_ERASE || touch->type == TOUCH_SET || touch->type == TOUCH_CARD ||
           touch->type == TOUCH_DELETE || touch->type == TOUCH_IMPORT;
}

static void fold(void *context, uint32_t index, uint32_t total_index, const struct touch *touch, double accept_ms,
                 struct commit *commit) {
    struct sums_work *work = context;
    struct subject *subject = &work->subjects[index];
    if (!subject->usable || is_another(subject, touch))
        return;
    struct total *total = total_index == NO_INDEX ? NULL : &work->totals[total_index];
    unsigned effects = sums_fold(&subject->sums, total ? &total->sums : NULL, &work->plan->lives, subject->deleted_ms,
                                 touch, accept_ms);
    if (effects & FOLD_CHANGED)
        subject->changed = true;
    if (total && (effects & FOLD_CHANGED_TOTAL))
        total->changed = true;
    if ((effects & FOLD_WIPED_VIEWS) && touch->type != TOUCH_IMPORT) // an import has set them already
        commit_visitors_clear(commit, subject->item);
    if (effects & FOLD_COUNTED_VIEW)
        after_view(work, subject, touch, commit);
    if (is_card_touch(touch))
        after_card_touch(work, subject, touch);
    if (touch->type == TOUCH_REWRITE)
        subject->placed.mode = PLACE_REPAIR;
}

// A state without events goes.
static struct bytes packed_state(struct sums_work *work, const struct sums *sums) {
    buffer_clear(&work->packed);
    if (!sums_empty(sums))
        sums_pack(sums, &work->plan->lives, &work->packed);
    work->failed |= work->packed.failed;
    return buffer_bytes(&work->packed);
}

static void write_subject(struct sums_work *work, struct subject *subject, struct commit *commit) {
    if (subject->changed)
        commit_state(commit, subject->item, packed_state(work, &subject->sums));
    bool moves = subject->changed || subject->placed.mode != PLACE_CHANGED;
    if (!moves || subject->placed.id.len == 0)
        return;
    subject->placed.sums = &subject->sums;
    write_places(work->plan, work->hash_key, &work->floors, work->now_ms, &subject->placed, commit);
}

static bool write(void *context, struct commit *commit) {
    struct sums_work *work = context;
    for (uint32_t i = 0; i < work->subject_count; i++)
        if (work->subjects[i].usable)
            write_subject(work, &work->subjects[i], commit);
    for (uint32_t i = 0; i < work->total_count; i++)
        if (work->totals[i].changed)
            commit_total(commit, work->totals[i].site, packed_state(work, &work->totals[i].sums));
    return !work->failed;
}

static bool describe(void *context, uint32_t index, struct target_item *ret_item) {
    struct sums_work *work = context;
    struct subject *subject = &work->subjects[index];
    if (!subject->usable || !subject->placed.known)
        return false;
    *ret_item = (struct target_item){.state = packed_state(work, &subject->sums),
                                     .deleted_ms = subject->deleted_ms,
                                     .known = true,
                                     .id = subject->placed.id,
                                     .site = subject->site,
                                     .categories = subject->placed.categories,
                                     .published_ms = subject->placed.published_ms};
    return !work->packed.failed;
}

static bool touch_site(const struct secret_key *hash_key, const struct touch *touch, ref_t *ret_site) {
    if (touch->type == TOUCH_VIEW)
        *ret_site = site_ref(hash_key, touch->view.site);
    else if (is_card_touch(touch) && touch->type != TOUCH_CARD)
        *ret_site = site_ref(hash_key, touch->card.site);
    else
        return false;
    return true;
}

static void make_vote(struct batch *batch, uint32_t entry, const struct entry_record *record) {
    struct touch *touch = batch_touch(batch, entry, TOUCH_VOTE, record->item);
    if (!touch)
        return;
    touch->kind = record->kind;
    touch->old_kind = record->old_kind;
    touch->vote.time_ms = record->time_ms;
    touch->vote.old_time_ms = record->old_time_ms;
}

static void make_view(struct batch *batch, uint32_t entry, const struct entry_record *record) {
    struct touch *touch = batch_touch(batch, entry, TOUCH_VIEW, record->item);
    if (!touch)
        return;
    touch->view.visitor = record->visitor;
    touch->view.time_ms = record->time_ms;
    touch->view.site = record->site;
    touch->view.id = record->id;
}

static void make_card(struct batch *batch, uint32_t entry, const struct entry_record *record, enum touch_type type) {
    struct touch *touch = batch_touch(batch, entry, type, record->item);
    if (!touch)
        return;
    touch->card.categories = record->categories;
    touch->card.site = record->site;
    touch->card.id = record->id;
    touch->card.before = record->before;
    touch->card.packed = record->packed;
}

static void make_touches(struct batch *batch, uint32_t entry, const struct entry_record *record) {
    switch (record->type) {
    case 'V':
        make_vote(batch, entry, record);
        break;
    case 'W':
        make_view(batch, entry, record);
        break;
    case 'E':
        make_card(batch, entry, record, TOUCH_ERASE);
        break;
    case 'S':
        make_card(batch, entry, record, TOUCH_SET);
        break;
    case 'C':
        make_card(batch, entry, record, TOUCH_CARD);
        break;
    case 'D':
        make_card(batch, entry, record, TOUCH_DELETE);
        break;
    case 'I':
        make_card(batch, entry, record, TOUCH_IMPORT);
        break;
    default:
        break;
    }
}

const struct projection_type sums_projection = {
    .projection = PROJECTION_SUMS,
    .name = "sums",
    .events = METRIC_SUMS_EVENTS,
    .commits = METRIC_SUMS_COMMITS,
    .done_to = METRIC_SUMS_DONE_TO,
    .batch_bytes = 2 << 20,
    .make_touches = make_touches,
    .touch_site = touch_site,
    .work_new = work_new,
    .work_free = work_free,
    .begin = begin,
    .load = load,
    .load_total = load_total,
    .load_floor = load_floor,
    .fold = fold,
    .write = write,
    .describe = describe,
};
