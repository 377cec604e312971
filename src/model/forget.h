// SPDX-License-Identifier: MIT
// Which items are forgotten: those without a card (and without counts of an older system) that have had next to
// nothing, and that long ago. Anybody can make items up; what stays of them must not. Pure.
#pragma once
#include "model/item.h"
#include "model/sums.h"

enum { FORGET_EVENTS = 3 }; // an item with as many stays

// Of an item as it is packed and its packed sums: fewer than FORGET_EVENTS events, none after `before_ms`. False for
// what can't be read. When the newest event came follows from the sum of the shortest half-life, which may say up to
// one such half-life too late.
bool item_is_forgotten(struct bytes packed_item, struct bytes packed_sums, const struct half_lives *lives,
                       int64_t before_ms);
