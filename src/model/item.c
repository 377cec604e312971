// SPDX-License-Identifier: MIT
// Reads an item's record, and writes a new item's. The scripts of lua/ write all changes.
#include "model/item.h"
#include <math.h>

enum { FORMAT = 1, HAS_CARD = 1, HEAD_SIZE = 15, COUNT_SIZE = 4, EMPTY_TEXTS = 3 };

static struct bytes read_text8(struct reader *reader) {
    return read_bytes(reader, read_u8(reader));
}

static struct bytes read_text16(struct reader *reader) {
    return read_bytes(reader, read_u16(reader));
}

struct groups groups_split(struct bytes joined) {
    const char *mark = joined.len ? memchr(joined.at, GROUPS_AUTHOR, joined.len) : NULL;
    if (!mark)
        return (struct groups){.categories = joined};
    size_t len = (size_t)(mark - joined.at);
    return (struct groups){{joined.at, len}, {mark + 1, joined.len - len - 1}, true};
}

bool item_unpack(struct bytes packed, struct item *ret_item) {
    struct reader reader = reader_of(packed);
    struct item item = {0};
    uint8_t format = read_u8(&reader), flags = read_u8(&reader), kinds = read_u8(&reader);
    item.has_card = flags & HAS_CARD;
    item.buckets = read_u16(&reader);
    uint16_t voters_at = read_u16(&reader);
    double published_ms = read_f64(&reader);
    if (format != FORMAT || kinds > ITEM_KINDS_MAX || !(fabs(published_ms) < 1e15))
        return false;
    item.published_ms = (int64_t)published_ms;
    for (uint8_t i = 0; i < kinds; i++)
        item.votes[i] = read_u32(&reader);
    item.site = read_text8(&reader);
    item.id = read_text16(&reader);
    item.base = read_text8(&reader);
    item.groups = read_text16(&reader);
    item.voters = reader.rest;
    bool whole = !reader.failed && item.id.len && packed.len - item.voters.len == voters_at;
    if (!whole || item.voters.len % VOTER_SIZE || (item.buckets && item.voters.len))
        return false;
    *ret_item = item;
    return true;
}

uint32_t item_read_head(struct reader *reader, uint32_t *ret_buckets) {
    read_u8(reader); // flags
    uint32_t kinds = read_u8(reader);
    *ret_buckets = read_u16(reader);
    read_u16(reader); // where the voters begin
    read_f64(reader); // published
    return kinds;
}

void item_pack_name(struct bytes site, struct bytes id, struct buffer *packed) {
    buffer_add_u8(packed, (uint8_t)site.len);
    buffer_add_bytes(packed, site);
    buffer_add_u16(packed, (uint16_t)id.len);
    buffer_add_bytes(packed, id);
}

void item_pack_new(struct bytes site, struct bytes id, uint32_t kinds, struct buffer *packed) {
    size_t name_size = 1 + site.len + 2 + id.len;
    buffer_add_u8(packed, FORMAT);
    buffer_add_u8(packed, 0);
    buffer_add_u8(packed, (uint8_t)kinds);
    buffer_add_u16(packed, 0);
    buffer_add_u16(packed, (uint16_t)(HEAD_SIZE + COUNT_SIZE * kinds + name_size + EMPTY_TEXTS));
    buffer_add_f64(packed, 0);
    for (uint32_t i = 0; i < kinds; i++)
        buffer_add_u32(packed, 0);
    item_pack_name(site, id, packed);
    buffer_add_u8(packed, 0);
    buffer_add_u16(packed, 0);
}
