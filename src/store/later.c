// SPDX-License-Identifier: MIT
// Calls that only wait for some time. Each has a timer. When the store stops, those that still wait are UNAVAILABLE.
#include "store/store_inside.h"
#include <stdlib.h>

struct later {
    struct later *next, **place; // in the store's list
    struct read_call *call;
    uv_timer_t timer;
};

static void on_failed(struct deferred *deferred) {
    struct read_call *call = (struct read_call *)((char *)deferred - offsetof(struct read_call, deferred));
    call->on_done(call, UNAVAILABLE);
}

static void on_closed(uv_handle_t *handle) {
    free(handle->data);
}

// The call ends at once: when the store stops, what it still sends needs the connections, which are stopped next.
static void later_end(struct later *later, enum outcome outcome) {
    struct read_call *call = later->call;
    *later->place = later->next;
    if (later->next)
        later->next->place = later->place;
    uv_close((uv_handle_t *)&later->timer, on_closed);
    call->on_done(call, outcome);
}

static void on_timer(uv_timer_t *timer) {
    later_end(timer->data, OK);
}

void store_wait_ms(struct store *store, struct read_call *call, uint32_t ms) {
    if (store->on_stopped) { // it stops: a timer would outlive it
        call->on_done(call, UNAVAILABLE);
        return;
    }
    struct later *later = calloc(1, sizeof *later);
    if (!later) {
        store_defer(store, &call->deferred, on_failed);
        return;
    }
    *later = (struct later){.next = store->laters, .place = &store->laters, .call = call};
    if (later->next)
        later->next->place = &later->next;
    store->laters = later;
    uv_timer_init(store->loop, &later->timer);
    later->timer.data = later;
    uv_update_time(store->loop);
    uv_timer_start(&later->timer, on_timer, ms, 0);
}

void laters_end(struct store *store) {
    while (store->laters)
        later_end(store->laters, UNAVAILABLE);
}
