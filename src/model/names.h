// SPDX-License-Identifier: MIT
// Site names, item ids and references, and the partition of a reference. Pure.
//
// A reference is a 64-bit keyed hash of site and item (or of site and visitor). Keys are named by it, and it picks the
// partition, so no byte from a client ever reaches a Redis key. Visitors' references have 63 bits.
#pragma once
#include "base/bytes.h"
#include "base/keyed.h"
#include <stdbool.h>
#include <stdint.h>

enum { SITE_NAME_MAX = 63, ITEM_ID_MAX = 512, OPAQUE_VISITOR_MAX = 128, VISITOR_ID_SIZE = 16 };

typedef uint64_t ref_t;

bool site_name_valid(struct bytes name); // docs/api.md, "Sites"
// A host name: it has a dot and is no IP address.
bool site_names_host(struct bytes name);
bool item_id_valid(struct bytes id); // 1..512 bytes, UTF-8, no controls, not "-", "." or ".."
ref_t site_ref(const struct secret_key *hash_key, struct bytes site);
ref_t item_ref(const struct secret_key *hash_key, struct bytes site, struct bytes id);
ref_t visitor_ref(const struct secret_key *hash_key, struct bytes site,
                  const uint8_t id[static VISITOR_ID_SIZE]); // 63 bits
ref_t category_ref(const struct secret_key *hash_key, struct bytes category);
ref_t author_ref(const struct secret_key *hash_key, struct bytes author);
// The 16-byte id that stands for a publisher's own opaque visitor id (1..128 bytes).
void visitor_id_of_opaque(const struct secret_key *hash_key, struct bytes site, struct bytes opaque,
                          uint8_t ret_id[static VISITOR_ID_SIZE]);
static inline uint32_t partition_of(ref_t ref, uint32_t partitions) {
    return (uint32_t)(ref % partitions);
}
