// SPDX-License-Identifier: MIT
// Decides which items are forgotten: those without a card and without counts of an older system that had only a few
// events, all of them long ago. Anybody can send events for made-up items, so such items must not take memory for ever.
// Pure.
#pragma once
#include "model/item.h"
#include "model/sums.h"

enum { FORGET_EVENTS = 3 }; // an item with so many events stays

// True if the item has fewer than FORGET_EVENTS events and none after `before_ms`. False for data that can't be read.
// The time of the newest event is computed from the sum of the shortest half-life; it may be up to one such half-life
// too late.
bool item_is_forgotten(struct bytes packed_item, struct bytes packed_sums, const struct half_lives *lives,
                       int64_t before_ms);
