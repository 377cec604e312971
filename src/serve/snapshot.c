// SPDX-License-Identifier: MIT
// Ranking snapshots: the top of a ranking, merged from all partitions, read at most once per refresh_interval. The
// first SNAPSHOT_DEPTH entries fill most lists. A list that they do not fill asks for the deep snapshot, which is
// cached separately.
#include "serve/snapshot.h"
#include "base/clock.h"
#include "model/related.h"
#include "store/list_reads.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void snapshot_free(struct lru_entry *entry) {
    struct snapshot *snapshot = (struct snapshot *)entry;
    HASH_DEL(snapshot->shared.serve->snapshots, snapshot);
    shared_release(&snapshot->shared);
    free(snapshot->reading);
    free(snapshot->site_name);
    free(snapshot);
}

// ---- What lists have found out

enum { FACTS_TEXT_MAX = 256, ALLOCATED_BYTES = 16 }; // of each allocation, besides what it holds

void snapshot_note_facts(struct snapshot_entries *entries, struct snapshot_entry *entry, const struct facts *facts) {
    size_t len = facts->categories.len + facts->author.len, size = sizeof *entry->facts + len;
    if (entry->facts || len > FACTS_TEXT_MAX || !(entry->facts = malloc(size)))
        return;
    value_grow(&entries->value, size + ALLOCATED_BYTES);
    char *text = entry->facts->text;
    entry->facts->facts = *facts;
    entry->facts->facts.categories.at = text;
    entry->facts->facts.author.at = text + facts->categories.len;
    if (facts->categories.len)
        memcpy(text, facts->categories.at, facts->categories.len);
    if (facts->author.len)
        memcpy(text + facts->categories.len, facts->author.at, facts->author.len);
}

static void drop_facts(struct shared_value *value) {
    struct snapshot_entries *entries = (struct snapshot_entries *)value;
    for (size_t i = 0; i < entries->count; i++)
        free(entries->at[i].facts);
}

// ---- Entries

struct snapshot_entries *snapshot_entries_new(size_t count, size_t text_size) {
    size_t size = sizeof(struct snapshot_entries) + count * sizeof(struct snapshot_entry) + text_size;
    struct snapshot_entries *entries = malloc(size);
    if (!entries)
        return NULL;
    *entries = (struct snapshot_entries){.value = {.holders = 1, .drop = drop_facts}, .size = size};
    entries->text_end = (char *)&entries->at[count];
    return entries;
}

void snapshot_entries_add(struct snapshot_entries *entries, ref_t item, double value, struct bytes id) {
    struct bytes copy = {entries->text_end, id.len};
    memcpy(entries->text_end, id.at, id.len);
    entries->text_end += id.len;
    entries->at[entries->count++] = (struct snapshot_entry){.item = item, .value = value, .id = copy};
}

// ---- Refreshing

static size_t max_of(const struct snapshot *snapshot) {
    return snapshot->deep ? SNAPSHOT_DEPTH_DEEP : SNAPSHOT_DEPTH;
}

// Hashes each id once per refresh, as every list that is made from the snapshot needs the references.
static void on_top(struct read_call *call, const struct ranked *list, size_t count, bool whole) {
    struct snapshot *snapshot = call->context;
    struct bytes site = bytes_of(snapshot->site_name);
    size_t text_size = 0;
    for (size_t i = 0; i < count; i++)
        text_size += list[i].id.len;
    snapshot->reading = snapshot_entries_new(count, text_size);
    if (!snapshot->reading)
        return;
    for (size_t i = 0; i < count; i++)
        snapshot_entries_add(snapshot->reading, item_ref(snapshot->shared.serve->hash_key, site, list[i].id),
                             list[i].value, list[i].id);
    snapshot->reading->whole = whole;
}

// Both sums decay alike, so an item's share of the site's popularity does not change with time.
static void on_total(struct read_call *call, double total) {
    struct snapshot *snapshot = call->context;
    for (size_t i = 0; i < snapshot->reading->count && i < POPULAR_MAX; i++) {
        struct snapshot_entry *entry = &snapshot->reading->at[i];
        double share = exp2(entry->value - total);
        entry->share = isfinite(share) ? share : 0;
    }
}

static void finish(struct snapshot *snapshot, enum outcome outcome) {
    struct snapshot_entries *read = snapshot->reading;
    snapshot->reading = NULL;
    if (outcome != OK) {
        free(read);
        read = NULL;
    }
    shared_done(&snapshot->shared, read ? &read->value : NULL, read ? read->size : 0);
}

static void on_total_done(struct read_call *call, enum outcome outcome) {
    finish(call->context, outcome);
}

static void on_top_done(struct read_call *call, enum outcome outcome) {
    struct snapshot *snapshot = call->context;
    struct serve *serve = snapshot->shared.serve;
    if (outcome != OK || !snapshot->reading || snapshot->ranking != &serve->plan->rankings[serve->plan->popular]) {
        finish(snapshot, outcome);
        return;
    }
    snapshot->call = (struct read_call){.on_done = on_total_done, .context = snapshot};
    store_read_site_total(serve->store, &snapshot->call, snapshot->site, on_total);
}

static bool start(struct shared_fetch *shared) {
    struct snapshot *snapshot = (struct snapshot *)shared;
    if (snapshot->by_author)
        return author_snapshot_start(snapshot);
    if (snapshot->ranking->kind == RANK_WINDOW)
        return window_snapshot_start(snapshot);
    snapshot->call = (struct read_call){.on_done = on_top_done, .context = snapshot};
    store_read_top(shared->serve->store, &snapshot->call, snapshot->site, snapshot->ranking->name,
                   snapshot->has_category ? &snapshot->category : NULL, snapshot->cards_only, max_of(snapshot), on_top);
    return true;
}

// ---- Asking

enum { SNAPSHOT_KEY_MAX = sizeof((struct snapshot *)NULL)->key };

static void make_key(const struct snapshot_question *question, ref_t site, char ret_key[static SNAPSHOT_KEY_MAX]) {
    struct bytes name = question->ranking->name;
    int len = snprintf(ret_key, SNAPSHOT_KEY_MAX, "%c%c%016" PRIx64 "%.*s", question->deep ? 'd' : 't',
                       question->cards_only ? 'c' : 'a', site, (int)name.len, name.at);
    if (question->past)
        snprintf(ret_key + len, SNAPSHOT_KEY_MAX - (size_t)len, "@%" PRId32, question->period);
    if (question->category)
        snprintf(ret_key + len, SNAPSHOT_KEY_MAX - (size_t)len, "%c%016" PRIx64, question->by_author ? '=' : ':',
                 *question->category);
}

static struct snapshot *snapshot_find(struct serve *serve, const struct snapshot_question *question) {
    ref_t site = site_ref(serve->hash_key, question->site);
    char key[SNAPSHOT_KEY_MAX];
    struct snapshot *snapshot;
    make_key(question, site, key);
    HASH_FIND_STR(serve->snapshots, key, snapshot);
    if (snapshot || !(snapshot = calloc(1, sizeof *snapshot)))
        return snapshot;
    if (!(snapshot->site_name = strndup(question->site.at, question->site.len))) {
        free(snapshot);
        return NULL;
    }
    memcpy(snapshot->key, key, sizeof key);
    snapshot->ranking = question->ranking;
    snapshot->site = site;
    snapshot->has_category = question->category != NULL;
    snapshot->category = question->category ? *question->category : 0;
    snapshot->by_author = question->by_author;
    snapshot->cards_only = question->cards_only;
    snapshot->deep = question->deep;
    snapshot->past = question->past;
    snapshot->period = question->period;
    snapshot->shared =
        (struct shared_fetch){.lru.free = snapshot_free, .serve = serve, .start = start, .own_bytes = sizeof *snapshot};
    HASH_ADD_STR(serve->snapshots, key, snapshot);
    if (!HASH_HAS_TAKEN(snapshot)) {
        free(snapshot->site_name);
        free(snapshot);
        return NULL;
    }
    lru_add(&serve->lru, &snapshot->shared.lru, sizeof *snapshot);
    return snapshot;
}

void snapshot_get(struct serve *serve, const struct snapshot_question *question, struct shared_wait *wait) {
    struct snapshot *snapshot = snapshot_find(serve, question);
    if (snapshot)
        shared_get(&snapshot->shared, wait);
    else
        wait->on_value(wait, NULL);
}
