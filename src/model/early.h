// SPDX-License-Identifier: MIT
// The first two distinct visitors of an item, stored in its sums (model/sums.h) as the registers that they set in
// Redis's HyperLogLog. The third visitor makes the key of the HyperLogLog (the sketch). Most items that are ever named
// have fewer visitors, and the key would be a quarter of such an item's memory. The registers tell no more about a
// visitor than the sketch does. Pure.
#pragma once
#include "base/buffer.h"
#include "model/names.h"

enum { EARLY_VISITORS = 2 };

struct early_visitors {
    uint8_t count; // 0: no visitor has come yet, or the sketch has a key
    uint32_t registers[EARLY_VISITORS];
};

// The register that Redis's PFADD sets for a visitor: its index, and in the upper bits its value (1 to 51).
uint32_t sketch_register(ref_t visitor);
bool sketch_register_valid(uint32_t one);
// True if the visitor is among the early ones, added now or before. `first`: the item has had no view before.
bool early_visitors_add(struct early_visitors *early, ref_t visitor, bool first);
// The sketch of these visitors alone, as Redis writes it (sparse, its cached count out of date).
void sketch_pack(const struct early_visitors *early, struct buffer *packed);
