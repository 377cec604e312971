// SPDX-License-Identifier: MIT
// A refresh runs the builder of a body once. body_builders.c and by_time.c make bodies; cached_body.c starts refreshes.
#pragma once
#include "serve/list.h"

struct refresh {
    struct cached_body *cached;
    struct read_call call;
    struct items_read items;
    struct made_age age;
    struct shared_wait rules_wait;
    int64_t now_ms;          // clock time of its start
    struct window_set spans; // of the question's windows, at its start
    struct list lists[LIST_KINDS];
    uint32_t lists_begun;
    struct buffer category; // the first one of a page's item
    struct buffer out, fingerprint, values;
    struct rules *rules;
    enum outcome outcome;  // of the items that were read
    struct points *points; // of a series
};
void refresh_start(struct cached_body *cached);
// Ends the refresh: `out` is the body, unless `outcome` says that it failed. `fingerprint` and `values`:
// list_fingerprint.
void refresh_end(struct refresh *refresh, enum outcome outcome);
void cached_body_refreshed(struct cached_body *cached, struct refresh *refresh, enum outcome outcome);
