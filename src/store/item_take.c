// SPDX-License-Identifier: MIT
// Makes the state of an item from its keys (item_take.h).
#include "store/item_take.h"
#include "base/keyed.h"
#include "model/first_event.h"
#include "model/item.h"
#include "model/sketch.h"
#include "model/sums.h"
#include "ops/json_in.h"
#include "ops/metrics.h"
#include <stdlib.h>
#include <string.h>

// Adds the base, "views votes votes …" as lua/put.lua stores it.
void add_base(struct bytes base, struct item_state *item) {
    const char *at = base.at;
    char *end;
    if (base.len == 0)
        return;
    item->views += strtoull(at, &end, 10);
    for (size_t i = 0; i < KINDS_MAX && end != at; i++) {
        at = end;
        item->votes[i] += strtoull(at, &end, 10);
    }
}

// INTERNAL when the record is not usable, UNAVAILABLE without memory for the check.
static enum outcome take_record(const struct item_read *one, struct arena *texts, struct item_state *item) {
    struct item record;
    item->known = is_text(one->at[AT_RECORD]);
    if (!item->known)
        return OK;
    if (!item_unpack(reply_text(one->at[AT_RECORD]), &record))
        return INTERNAL;
    item->id = record.id;
    item->site = record.site;
    struct groups groups = groups_split(record.groups);
    item->categories = groups.categories;
    item->author = groups.author;
    item->published_ms = record.published_ms;
    item->has_card = record.has_card && is_text(one->at[AT_CARD]);
    item->card = item->has_card ? reply_text(one->at[AT_CARD]) : NO_BYTES;
    memcpy(item->votes, record.votes, sizeof item->votes);
    add_base(record.base, item);
    bool checked = one->known && bytes_eq(one->known->card, item->card);
    enum outcome outcome = checked ? OK : json_check_members(item->card); // invalid JSON would break every list with it
    if (outcome == OK && !groups.has_author)
        outcome = card_author(item->card, texts, &item->author);
    return outcome == OK || outcome == UNAVAILABLE ? outcome : INTERNAL;
}

bool item_same_sums(const struct item_read *one) {
    return one->known && one->known->known && bytes_eq(one->known->sums, reply_text(one->at[AT_SUMS]));
}

// An import may set the sketch alone.
static bool has_same_visitors(const struct item_read *one) {
    return item_same_sums(one) && one->known->sketch == one->sketch;
}

static uint64_t visitors_of(const struct item_read *one, const struct sums *sums) {
    return has_same_visitors(one) ? one->known->visitors : one->visitors ? one->visitors : sums->early.count;
}

static bool take_sums(const struct store *store, const struct item_read *one, struct sums *sums,
                      struct item_state *item) {
    item->sums = reply_text(one->at[AT_SUMS]);
    if (!sums_unpack(item->sums, &store->plan.lives, sums))
        return false;
    item->views += sums->signals[SIGNAL_VIEWS].count;
    item->visitors = visitors_of(one, sums);
    item->sketch = one->sketch;
    item->series = &sums->series;
    if (item->published_ms == 0) // else nobody asks
        item->first_ms = first_event_ms(&sums->series);
    return true;
}

void item_take(const struct store *store, const struct item_read *one, struct arena *texts, struct sums *sums,
               struct item_state *item) {
    *item = (struct item_state){.outcome = OK};
    item->outcome = one->bad ? INTERNAL : take_record(one, texts, item);
    if (item->outcome == OK && item->known && !take_sums(store, one, sums, item))
        item->outcome = INTERNAL;
    if (item->outcome == INTERNAL)
        metric_add(METRIC_BAD_STATES, 1);
}

void item_take_sketch(const struct store *store, struct item_read *one) {
    if (!is_text(one->at[AT_VISITORS]))
        return;
    struct bytes sketch = reply_text(one->at[AT_VISITORS]);
    one->sketch = keyed_hash64(store->hash_key, 'k', &sketch, 1) | 1;
    if (!has_same_visitors(one) && !sketch_count(sketch, &one->visitors))
        one->bad = true;
}
