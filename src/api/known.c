// SPDX-License-Identifier: MIT
// A table with one place for each hash. Of two items that share a place the later one stays.
#include "api/known.h"
#include "store/item_states.h"
#include <stddef.h>
#include <stdlib.h>

enum { PLACES = 1 << 15 };

struct known_items {
    ref_t items[PLACES];
};

struct known_items *known_items_new(void) {
    return calloc(1, sizeof(struct known_items));
}

void known_items_free(struct known_items *known) {
    free(known);
}

bool known_items_has(const struct known_items *known, ref_t item) {
    return known->items[item % PLACES] == item;
}

void known_items_add(struct known_items *known, ref_t item) {
    known->items[item % PLACES] = item;
}

static void on_state(struct read_call *read, size_t index, const struct item_state *state) {
    struct item_look *look = read->context;
    (void)index;
    look->outcome = state->outcome;
    look->exists = state->known;
    look->has_card = state->has_card;
    memcpy(look->votes, state->votes, sizeof look->votes);
}

static void on_read(struct read_call *read, enum outcome outcome) {
    struct item_look *look = read->context;
    if (outcome != OK)
        look->outcome = outcome;
    look->on_done(look);
}

void item_look_start(struct store *store, struct item_look *look) {
    look->outcome = UNAVAILABLE;
    look->read = (struct read_call){.on_done = on_read, .context = look};
    if (look->patient)
        store_read_items(store, &look->read, &look->item, 1, on_state);
    else
        store_look_item(store, &look->read, &look->item, on_state);
}
