// SPDX-License-Identifier: MIT
// Export and import of items. The calls follow store.h.
#pragma once
#include "store/writes.h"

struct item_record {
    bool usable, has_card; // a card may be empty
    struct bytes id, site, card;
    struct bytes base;     // "views votes votes …", as lua/put.lua keeps it
    struct bytes views;    // packed sums of the views alone (model/sums.h)
    struct bytes visitors; // HyperLogLog
};
void store_read_records(struct store *store, struct read_call *call, const ref_t *items, size_t count,
                        void (*on_record)(struct read_call *call, size_t index, const struct item_record *record));
bool store_views_valid(const struct store *store, struct bytes views);
// Sets the card (if there is one), the base, the views and the unique visitors, which must be valid. What was
// acknowledged before must be projected already (store_wait_all_projected). Outcomes besides the common ones: ID_CLASH.
void store_import_item(struct store *store, struct item_call *call, bool has_card, struct bytes views,
                       struct bytes visitors);
