// SPDX-License-Identifier: MIT
// Orders: the best of a ranking over all partitions, read at most once per refresh_interval whoever asks. Most lists
// are filled by the first 256; those that are not ask for all that may be read, which is an order of its own.
#include "base/clock.h"
#include "serve/serve_inside.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void snapshot_free(struct kept *kept) {
    struct snapshot *snapshot = (struct snapshot *)kept;
    HASH_DEL(snapshot->shared.serve->snapshots, snapshot);
    value_release(snapshot->shared.value);
    free(snapshot->reading);
    free(snapshot->site_name);
    free(snapshot);
}

// ---- Refreshing

static size_t max_of(const struct snapshot *snapshot) {
    return snapshot->deep ? SNAPSHOT_DEPTH_DEEP : SNAPSHOT_DEPTH;
}

static size_t places_size(const struct ranked *list, size_t count) {
    size_t size = sizeof(struct places) + count * sizeof(struct place);
    for (size_t i = 0; i < count; i++)
        size += list[i].id.len;
    return size;
}

// References once per refresh: every list that is made from the order needs them.
static void fill_places(const struct snapshot *snapshot, const struct ranked *list, size_t count,
                        struct places *places) {
    struct bytes site = bytes_of(snapshot->site_name);
    char *text = (char *)&places->at[count];
    *places = (struct places){.value.holders = 1, .count = count};
    for (size_t i = 0; i < count; i++) {
        struct bytes id = {text, list[i].id.len};
        memcpy(text, list[i].id.at, id.len);
        text += id.len;
        places->at[i] = (struct place){item_ref(snapshot->shared.serve->hash_key, site, id), list[i].value, id, false};
    }
}

static void on_top(struct read_call *call, const struct ranked *list, size_t count, bool whole) {
    struct snapshot *snapshot = call->context;
    snapshot->reading_bytes = places_size(list, count);
    snapshot->reading = malloc(snapshot->reading_bytes);
    if (!snapshot->reading)
        return;
    fill_places(snapshot, list, count, snapshot->reading);
    snapshot->reading->whole = whole;
}

static void on_total(struct read_call *call, double total) {
    struct snapshot *snapshot = call->context;
    snapshot->reading->total = total;
}

static void finish(struct snapshot *snapshot, enum outcome outcome) {
    struct places *read = snapshot->reading;
    snapshot->reading = NULL;
    if (outcome != OK) {
        free(read);
        read = NULL;
    }
    shared_done(&snapshot->shared, read ? &read->value : NULL, snapshot->reading_bytes);
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

static bool start(struct shared *shared) {
    struct snapshot *snapshot = (struct snapshot *)shared;
    snapshot->call = (struct read_call){.on_done = on_top_done, .context = snapshot};
    store_read_top(shared->serve->store, &snapshot->call, snapshot->site, snapshot->ranking->name,
                   snapshot->has_category ? &snapshot->category : NULL, max_of(snapshot), on_top);
    return true;
}

// ---- Asking

static struct snapshot *snapshot_find(struct serve *serve, struct bytes site_name, const struct ranking *ranking,
                                      const ref_t *category, bool deep) {
    ref_t site = site_ref(serve->hash_key, site_name);
    char key[sizeof((struct snapshot *)NULL)->key];
    struct snapshot *snapshot;
    int len = snprintf(key, sizeof key, "%c%016" PRIx64 "%.*s", deep ? 'd' : 't', site, (int)ranking->name.len,
                       ranking->name.at);
    if (category)
        len += snprintf(key + len, sizeof key - (size_t)len, ":%016" PRIx64, *category);
    HASH_FIND_STR(serve->snapshots, key, snapshot);
    if (snapshot || !(snapshot = calloc(1, sizeof *snapshot)))
        return snapshot;
    if (!(snapshot->site_name = strndup(site_name.at, site_name.len))) {
        free(snapshot);
        return NULL;
    }
    memcpy(snapshot->key, key, (size_t)len + 1);
    snapshot->ranking = ranking;
    snapshot->site = site;
    snapshot->has_category = category != NULL;
    snapshot->category = category ? *category : 0;
    snapshot->deep = deep;
    snapshot->shared =
        (struct shared){.kept.free = snapshot_free, .serve = serve, .start = start, .own_bytes = sizeof *snapshot};
    HASH_ADD_STR(serve->snapshots, key, snapshot);
    if (!HASH_HAS_TAKEN(snapshot)) {
        free(snapshot->site_name);
        free(snapshot);
        return NULL;
    }
    lru_add(serve, &snapshot->shared.kept, sizeof *snapshot);
    return snapshot;
}

void snapshot_get(struct serve *serve, struct bytes site, const struct ranking *ranking, const ref_t *category,
                  bool deep, struct shared_wait *wait) {
    struct snapshot *snapshot = snapshot_find(serve, site, ranking, category, deep);
    if (snapshot)
        shared_get(&snapshot->shared, wait);
    else
        wait->on_value(wait, NULL);
}
