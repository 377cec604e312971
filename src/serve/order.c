// SPDX-License-Identifier: MIT
// Orders: the best of a ranking over all partitions, read at most once per refresh_interval whoever asks. Most lists
// are filled by the first 256; those that are not ask for all that may be read, which is an order of its own.
#include "base/clock.h"
#include "serve/serve_inside.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void places_release(struct places *places) {
    if (places && --places->holders == 0)
        free(places);
}

static void order_free(struct kept *kept) {
    struct order *order = (struct order *)kept;
    HASH_DEL(order->serve->orders, order);
    places_release(order->places);
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
    *places = (struct places){.holders = 1, .whole = count < most_of(order), .count = count};
    for (size_t i = 0; i < count; i++) {
        struct bytes id = {text, list[i].id.len};
        memcpy(text, list[i].id.at, id.len);
        text += id.len;
        places->at[i] = (struct place){item_ref(order->serve->hash_key, site, id), list[i].value, id, false};
    }
}

static void on_top(struct read_call *call, const struct ranked *list, size_t count) {
    struct order *order = call->context;
    size_t size = places_size(list, count);
    struct places *places = malloc(size);
    if (!places) {
        order->outcome = UNAVAILABLE;
        return;
    }
    fill_places(order, list, count, places);
    places_release(order->places);
    order->places = places;
    kept_resize(order->serve, &order->kept, sizeof *order + size);
}

static void on_total(struct read_call *call, double total) {
    struct order *order = call->context;
    order->places->total = total;
}

static void refresh(struct order *order);

static void tell(struct order_wait *waits, struct places *places) {
    for (struct order_wait *next; waits; waits = next) {
        next = waits->next;
        if (places)
            places->holders++;
        waits->on_order(waits, places);
    }
}

// State is settled before those who wait are told; the order stays until all were.
static void finish(struct order *order, enum outcome outcome) {
    struct order_wait *waits = order->waits;
    order->good = outcome == OK && order->outcome == OK;
    struct places *places = order->good ? order->places : NULL;
    order->waits = order->later;
    order->later = NULL;
    order->in_flight = order->waits != NULL;
    if (places)
        places->holders++; // ours, while they are told
    if (order->waits)
        refresh(order);
    tell(waits, places);
    places_release(places);
    order->kept.busy = order->in_flight;
    kept_trim(order->serve);
}

static void on_total_done(struct read_call *call, enum outcome outcome) {
    finish(call->context, outcome);
}

static void on_top_done(struct read_call *call, enum outcome outcome) {
    struct order *order = call->context;
    const struct plan *plan = order->serve->plan;
    if (outcome != OK || order->outcome != OK || order->ranking != &plan->rankings[plan->popular]) {
        finish(order, outcome);
        return;
    }
    order->call = (struct read_call){.on_done = on_total_done, .context = order};
    store_read_site_total(order->serve->store, &order->call, order->site, on_total);
}

static void refresh(struct order *order) {
    order->in_flight = order->kept.busy = true;
    order->made_ms = uv_now(order->serve->loop);
    order->outcome = OK;
    order->call = (struct read_call){.on_done = on_top_done, .context = order};
    store_read_top(order->serve->store, &order->call, order->site, order->ranking->name,
                   order->has_category ? &order->category : NULL, most_of(order), on_top);
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
    order->serve = serve;
    order->ranking = ranking;
    order->site = site;
    order->has_category = category != NULL;
    order->category = category ? *category : 0;
    order->deep = deep;
    order->kept.free = order_free;
    HASH_ADD_STR(serve->orders, key, order);
    if (!HASH_HAS_TAKEN(order)) {
        free(order->site_name);
        free(order);
        return NULL;
    }
    kept_add(serve, &order->kept, sizeof *order);
    return order;
}

static bool is_fresh(const struct order *order) {
    uint64_t age = uv_now(order->serve->loop) - order->made_ms;
    return order->good && age < (uint64_t)order->serve->settings->refresh_interval_ms;
}

void order_get(struct serve *serve, struct bytes site, const struct ranking *ranking, const ref_t *category, bool deep,
               struct order_wait *wait) {
    struct order *order = order_find(serve, site, ranking, category, deep);
    if (!order) {
        wait->on_order(wait, NULL);
        return;
    }
    kept_use(serve, &order->kept);
    if (is_fresh(order) && !order->in_flight) {
        order->places->holders++;
        wait->on_order(wait, order->places); // the order may be gone then
        return;
    }
    bool join = !order->in_flight || serve->settings->refresh_interval_ms > 0;
    struct order_wait **list = join ? &order->waits : &order->later;
    wait->next = *list;
    *list = wait;
    if (!order->in_flight)
        refresh(order);
}
