// SPDX-License-Identifier: MIT
#include "serve/flight.h"
#include "serve/serve_inside.h"
#include <stdlib.h>

void flight_join(struct flight *flight, struct flight_wait *wait, bool joins) {
    struct flight_wait **list = flight->in_flight && !joins ? &flight->later : &flight->waits;
    wait->next = *list;
    *list = wait;
}

struct flight_wait *flight_end(struct flight *flight) {
    struct flight_wait *ended = flight->waits;
    flight->waits = flight->later;
    flight->later = NULL;
    flight->in_flight = false;
    return ended;
}

// ---- Values

void value_hold(struct shared_value *value) {
    if (value)
        value->holders++;
}

void value_release(struct shared_value *value) {
    if (!value || --value->holders > 0)
        return;
    if (value->drop)
        value->drop(value);
    free(value);
}

void value_grow(struct shared_value *value, size_t bytes) {
    struct shared_fetch *shared = value->of;
    if (shared)
        lru_resize(&shared->serve->lru, &shared->lru, shared->lru.bytes + bytes);
}

// ---- Shared values

void shared_release(struct shared_fetch *shared) {
    if (shared->value)
        shared->value->of = NULL;
    value_release(shared->value);
}

static void tell(struct flight_wait *waits, struct shared_value *value) {
    while (waits) {
        struct shared_wait *wait = (struct shared_wait *)waits;
        waits = waits->next;
        value_hold(value);
        wait->on_value(wait, value);
    }
}

static void begin(struct shared_fetch *shared) {
    shared->flight.in_flight = shared->lru.busy = true;
    shared->began_ms = uv_now(shared->serve->loop);
    if (shared->start(shared))
        return;
    shared->good = false;
    tell(flight_end(&shared->flight), NULL);
    shared->lru.busy = shared->flight.in_flight;
}

static void take_value(struct shared_fetch *shared, struct shared_value *value, size_t bytes) {
    shared->good = value != NULL;
    if (!value)
        return;
    shared_release(shared);
    shared->value = value;
    value->of = shared;
    lru_resize(&shared->serve->lru, &shared->lru, shared->own_bytes + bytes);
}

// The state is complete before the callbacks run, as they may ask again.
void shared_done(struct shared_fetch *shared, struct shared_value *value, size_t bytes) {
    take_value(shared, value, bytes);
    struct flight_wait *waits = flight_end(&shared->flight);
    value_hold(value); // while the callbacks run
    if (shared->flight.waits)
        begin(shared);
    shared->lru.busy = true; // until all callbacks have run
    tell(waits, value);
    value_release(value);
    shared->lru.busy = shared->flight.in_flight;
    lru_trim(&shared->serve->lru);
}

static bool is_fresh(const struct shared_fetch *shared) {
    uint64_t age = uv_now(shared->serve->loop) - shared->began_ms;
    return shared->good && age < (uint64_t)shared->serve->settings->refresh_interval_ms;
}

void shared_get(struct shared_fetch *shared, struct shared_wait *wait) {
    lru_use(&shared->serve->lru, &shared->lru);
    if (is_fresh(shared) && !shared->flight.in_flight) {
        value_hold(shared->value);
        wait->on_value(wait, shared->value);
        return;
    }
    flight_join(&shared->flight, &wait->wait, shared->serve->settings->refresh_interval_ms > 0);
    if (!shared->flight.in_flight)
        begin(shared);
}
