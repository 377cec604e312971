// SPDX-License-Identifier: MIT
// An item's distinct visitors before there are three of them: as the registers that they set in Redis's HyperLogLog,
// kept in the item's sums (model/sums.h). The key of the sketch itself comes with the third: most of what is ever named
// has fewer, and it is a quarter of what such an item takes. Of the visitors no more can be told than from the sketch.
// Pure.
#pragma once
#include "base/buffer.h"
#include "model/names.h"

enum { EARLY_VISITORS = 2 };

struct early_visitors {
    uint8_t count; // 0: none has come yet, or the sketch is kept in its key
    uint32_t registers[EARLY_VISITORS];
};

// The register that Redis's PFADD sets for a visitor: its index, and in the upper bits what it is set to (1 to 51).
uint32_t sketch_register(ref_t visitor);
bool sketch_register_valid(uint32_t one);
// True when the visitor stands there, now or since before. `first`: nobody has viewed the item before.
bool early_visitors_add(struct early_visitors *early, ref_t visitor, bool first);
// The sketch with these alone, as Redis writes it (sparse, its cached count out of date).
void sketch_pack(const struct early_visitors *early, struct buffer *packed);
