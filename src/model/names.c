// SPDX-License-Identifier: MIT
// Names and references. A letter separates the hashes of each use; the letters are part of the data's format.
#include "model/names.h"
#include "base/netaddr.h"

enum { HASH_SITE = 's', HASH_ITEM = 'i', HASH_VISITOR = 'v', HASH_CATEGORY = 'c', HASH_AUTHOR = 'a', MAC_OPAQUE = 'o' };

static bool is_alphanumeric(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool site_name_valid(struct bytes name) {
    if (name.len == 0 || name.len > SITE_NAME_MAX || !is_alphanumeric(name.at[0]))
        return false;
    for (size_t i = 1; i < name.len; i++)
        if (!is_alphanumeric(name.at[i]) && name.at[i] != '.' && name.at[i] != '-')
            return false;
    return true;
}

bool site_names_host(struct bytes name) {
    struct netaddr address;
    return memchr(name.at, '.', name.len) && !netaddr_parse(name, &address);
}

bool item_id_valid(struct bytes id) {
    if (id.len == 0 || id.len > ITEM_ID_MAX)
        return false;
    if (bytes_eq(id, BYTES("-")) || bytes_eq(id, BYTES(".")) || bytes_eq(id, BYTES("..")))
        return false;
    return bytes_are_text(id);
}

ref_t site_ref(const struct secret_key *hash_key, struct bytes site) {
    return keyed_hash64(hash_key, HASH_SITE, &site, 1);
}

ref_t item_ref(const struct secret_key *hash_key, struct bytes site, struct bytes id) {
    struct bytes parts[] = {site, id};
    return keyed_hash64(hash_key, HASH_ITEM, parts, 2);
}

ref_t visitor_ref(const struct secret_key *hash_key, struct bytes site, const uint8_t id[static VISITOR_ID_SIZE]) {
    struct bytes parts[] = {site, {(const char *)id, VISITOR_ID_SIZE}};
    return keyed_hash64(hash_key, HASH_VISITOR, parts, 2) >> 1;
}

ref_t category_ref(const struct secret_key *hash_key, struct bytes category) {
    return keyed_hash64(hash_key, HASH_CATEGORY, &category, 1);
}

ref_t author_ref(const struct secret_key *hash_key, struct bytes author) {
    return keyed_hash64(hash_key, HASH_AUTHOR, &author, 1);
}

void visitor_id_of_opaque(const struct secret_key *hash_key, struct bytes site, struct bytes opaque,
                          uint8_t ret_id[static VISITOR_ID_SIZE]) {
    _Static_assert((int)MAC_SIZE == (int)VISITOR_ID_SIZE, "an opaque id's MAC stands for it");
    struct bytes parts[] = {site, opaque};
    keyed_mac(hash_key, MAC_OPAQUE, parts, 2, ret_id);
}
