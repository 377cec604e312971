// SPDX-License-Identifier: MIT
// The packed record of an item: its vote counts, its name, and, while they are few, its voters. Pure. lua/item.lua
// reads and writes the same format.
//
// Packed (little-endian; "text8" is u8 length and bytes, "text16" u16 length and bytes): u8 format (1), u8 flags
// (1: has a card, 2: has a base), u8 kinds, u16 voter buckets, u16 where the voters begin, f64 published in ms (0
// unknown), u32 votes of each kind; text8 site, text16 id, text8 base ("views votes votes …"), text16 groups;
// then, with 0 buckets, the voters, VOTER_SIZE each: u64 visitor and the vote (model/voters.h).
//
// The groups are what a card sorts the item by: its categories, joined by 0x1f, then 0x1e and the author, who is often
// empty. Names have no control characters. A card that data of format 3 has kept has no 0x1e: its author is in the card
// alone (card_author in store/store_inside.h). The log's records of a card have the old groups in the same form.
#pragma once
#include "base/buffer.h"
#include "base/reader.h"
#include "model/voters.h"

enum { ITEM_KINDS_MAX = 8, GROUPS_AUTHOR = 0x1e };

struct groups {
    struct bytes categories; // joined by 0x1f
    struct bytes author;     // empty: none, or not known
    bool has_author;         // the author is known
};
struct groups groups_split(struct bytes joined);

struct item {
    bool has_card;
    uint32_t buckets; // 0: the voters are in `voters`
    int64_t published_ms;
    uint64_t votes[ITEM_KINDS_MAX];
    struct bytes site, id, base, groups, voters; // views of the packed bytes
};

// False for an unknown format or a corrupt record.
bool item_unpack(struct bytes packed, struct item *ret_item);
// Reads a record's head after its format, up to the counts. Returns how many kinds it has.
uint32_t item_read_head(struct reader *reader, uint32_t *ret_buckets);
// The item's name in the form that the scripts compare: text8 site, text16 id.
void item_pack_name(struct bytes site, struct bytes id, struct buffer *packed);
// An item without votes, voters and card.
void item_pack_new(struct bytes site, struct bytes id, uint32_t kinds, struct buffer *packed);
