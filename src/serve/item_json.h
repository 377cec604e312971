// SPDX-License-Identifier: MIT
// An item as JSON, as lists and calls of one item show it.
#pragma once
#include "base/json_out.h"
#include "store/item_states.h"

struct window_set; // model/windows.h

// render.c: an item's members, without the braces around them. Returns where in the buffer the card begins.
size_t item_members(struct json_out *json, const struct settings *settings, struct bytes id,
                    const struct item_state *state, const struct window_set *spans);
// by_time.c: the member "windows". `series` NULL: nothing was counted. `spans` NULL or empty: no such member.
void windows_member(struct json_out *json, const struct settings *settings, const struct series *series,
                    const struct window_set *spans);
