// SPDX-License-Identifier: MIT
// Orders: the best of a ranking over all partitions, read at most once per refresh_interval whoever asks. Most lists
// are filled by the first 256; those that are not ask for all that may be read, which is an order of its own.
#include "base/clock.h"
#include "serve/serve_inside.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void order_free(struct kept *kept) {
    struct order *order = (struct order *)kept;
    HASH_DEL(order->shared.serve->orders, order);
    value_release(order->shared.value);
    free(order->reading);
    free(order->site_name);
    free(order);
}

// ---- Refreshing

static size_t most_of(const struct order *order) {
    return order->deep ? ORDER_MOST_DEEP : ORDER_MOST;
}

static size_t places_size(const struct ranked *list, size_t count) {
    size_t size = sizeof(struct places) + count * sizeof(struct place);
    for (size_t i = 0; i < count; i++)
        size += list[i].id.len;
    return size;
}

// References once per refresh: every list that is made from the order needs them.
static void fill_places(const struct order *order, const struct ranked *list, size_t count, struct places *places) {
    struct bytes site = bytes_of(order->site_name);
    char *text = (char *)&places->at[count];
    *places = (struct places){.value.holders = 1, .count = count};
    for (size_t i = 0; i < count; i++) {
        struct bytes id = {text, list[i].id.len};
        memcpy(text, list[i].id.at, id.len);
        text += id.len;
        places->at[i] = (struct place){item_ref(order->shared.serve->hash_key, site, id), list[i].value, id, false};
    }
}

static void on_top(struct read_call *call, const struct ranked *list, size_t count, bool whole) {
    struct order *order = call->context;
    order->reading_bytes = places_size(list, count);
    order->reading = malloc(order->reading_bytes);
    if (!order->reading)
        return;
    fill_places(order, list, count, order->reading);
    order->reading->whole = whole;
}

static void on_total(struct read_call *call, double total) {
    struct order *order = call->context;
    order->reading->total = total;
}

static void finish(struct order *order, enum outcome outcome) {
    struct places *read = order->reading;
    order->reading = NULL;
    if (outcome != OK) {
        free(read);
        read = NULL;
    }
    shared_done(&order->shared, read ? &read->value : NULL, order->reading_bytes);
}

static void on_total_done(struct read_call *call, enum outcome outcome) {
    finish(call->context, outcome);
}

static void on_top_done(struct read_call *call, enum outcome outcome) {
    struct order *order = call->context;
    struct serve *serve = order->shared.serve;
    if (outcome != OK || !order->reading || order->ranking != &serve->plan->rankings[serve->plan->popular]) {
        finish(order, outcome);
        return;
    }
    order->call = (struct read_call){.on_done = on_total_done, .context = order};
    store_read_site_total(serve->store, &order->call, order->site, on_total);
}

static bool start(struct shared *shared) {
    struct order *order = (struct order *)shared;
    order->call = (struct read_call){.on_done = on_top_done, .context = order};
    store_read_top(shared->serve->store, &order->call, order->site, order->ranking->name,
                   order->has_category ? &order->category : NULL, most_of(order), on_top);
    return true;
}

// ---- Asking

static struct order *order_find(struct serve *serve, struct bytes site_name, const struct ranking *ranking,
                                const ref_t *category, bool deep) {
    ref_t site = site_ref(serve->hash_key, site_name);
    char key[sizeof((struct order *)NULL)->key];
    struct order *order;
    int len = snprintf(key, sizeof key, "%c%016" PRIx64 "%.*s", deep ? 'd' : 't', site, (int)ranking->name.len,
                       ranking->name.at);
    if (category)
        len += snprintf(key + len, sizeof key - (size_t)len, ":%016" PRIx64, *category);
    HASH_FIND_STR(serve->orders, key, order);
    if (order || !(order = calloc(1, sizeof *order)))
        return order;
    if (!(order->site_name = strndup(site_name.at, site_name.len))) {
        free(order);
        return NULL;
    }
    memcpy(order->key, key, (size_t)len + 1);
    order->ranking = ranking;
    order->site = site;
    order->has_category = category != NULL;
    order->category = category ? *category : 0;
    order->deep = deep;
    order->shared =
        (struct shared){.kept.free = order_free, .serve = serve, .start = start, .own_bytes = sizeof *order};
    HASH_ADD_STR(serve->orders, key, order);
    if (!HASH_HAS_TAKEN(order)) {
        free(order->site_name);
        free(order);
        return NULL;
    }
    kept_add(serve, &order->shared.kept, sizeof *order);
    return order;
}

void order_get(struct serve *serve, struct bytes site, const struct ranking *ranking, const ref_t *category, bool deep,
               struct shared_wait *wait) {
    struct order *order = order_find(serve, site, ranking, category, deep);
    if (order)
        shared_get(&order->shared, wait);
    else
        wait->on_value(wait, NULL);
}
