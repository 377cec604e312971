// SPDX-License-Identifier: MIT
// The one place where a Redis key is spelled. Pure.
//
// Every key of a partition has its hash tag, {e0} … {eN}. Tags are chosen so that the partitions are spread evenly over
// the 16,384 slots of a Cluster.
//
// clang-format off
//   {e7}i<ref>                        string  item: name, vote counts, facts of its card that lists need, few voters (model/item.h)
//   {e7}c<ref>                        string  its card: JSON members, ready to be sent
//   {e7}v<ref>:<bucket>               hash    voters of an item that has many (model/voters.h)
//   {e7}s<ref>                        string  sums (model/sums.h)
//   {e7}n<ref>                        string  neighbours (model/neighbours.h)
//   {e7}u<ref>                        HyperLogLog of visitors, from the third on (model/early.h)
//   {e7}h<ref>                        string  a visitor's last views, latest first (lua/view.lua)
//   {e7}r<site>:<name>                zset    ranking: member the item's id, score minus the ranking's value, so ZRANGE 0 9
//                                             is the top ten
//   {e7}r<site>:<name>:<category>     zset    the same for one category
//   {e7}r<site>:.author:<author>      zset    the items of one author that have events, newest first, and `.unread` those
//                                             that have none (project/author_places.h)
//   {e7}r<site>:<name>:no-card        zset    the site's items without a card, which take no place from the others
//   {e7}r<site>:<name>@2026-11-26     zset    the same for a period (a day, 2026-W48, 2026-11), then ":<category>" or
//                                             ":no-card" as above (model/period_ranking.h)
//   {e7}t<site>                       string  sums over the site's items of this partition
//   {e7}e<site>                       hash    editorial rules: item reference in hex → JSON (lua/editorial.lua)
//   {e7}k<site>                       stream  audit log: calls with a key, JSON members (store/audit_log.h)
//   {e7}k<site>:sums                  hash    calls with a key that are only counted: key and call → how often, first, last
//   {e7}dead                          zset    tombstones of format 2: item reference → accept time of the deletion
//   {e7}gone                          zset    items deleted within the view window → when (lua/gone.lua)
//   {e7}log                           stream  what was accepted (model/entry.h)
//   {e7}sums, {e7}near                hash    version and applied ids of the projections (store/projection.h)
//   {e7}pos                           hash    offsets of both projections in this partition's log, each with a hash of the
//                                             lives in which it is valid; the life under which the log was opened
//                                             (lua/open.lua); `plan` and `rankings`: the definitions for which the
//                                             rankings are complete, those that are kept up to date, and
//                                             `since` when they are complete; `begun`: whose rebuild began last
//                                             (project/rebuild.c); `ended`: up to when
//                                             periods were ended (lua/periods.lua); `gap<site>`: from when on all imported
//                                             items are counted by time (store/import_write.c)
//   {e7}floor                         hash    cutoffs of the rankings that were trimmed
//   {e7}floor@2026-11-26              hash    the same of the sets of a period
//   {e7}periods                       zset    keys of the sets and cutoffs of periods → when each is cut or removed
//                                             (lua/commit.lua)
//   engaged:correcting, …:corrected   hash    corrections that wait, and that are done: id → JSON; the first also has the
//                                             number of waiting ones by site, and how far the pass over all items is
//                                             (project/pass.c)
//   engaged:meta                      hash    format, partitions, fingerprint of the hash key, kinds; which service
//                                             projects, its plan, when it renewed its claim
//   engaged:copy{engaged:meta}        hash    the same without the claim, in case somebody deletes it (lua/meta.lua)
//   engaged:machines{engaged:meta}    hash    the machines that are alive, and when their plans were defined
//                                             (lua/machines.lua)
// clang-format on
// References are 16 hex digits.
#pragma once
#include "model/names.h"

enum { KEY_TEXT_MAX = 160, TAG_SIZE = 12 };

// A place is what one node of Redis owns as a whole: partition 0 … P-1, and three more for the keys without a tag. In a
// Cluster each place is one slot.
enum { PLACE_META, PLACE_CORRECTING, PLACE_CORRECTED, PLACES_MORE }; // to be added to P: place_more()

// A key spelled into memory of its own; pass by pointer, use key.at/key.len.
struct key {
    uint16_t len, place;
    char at[KEY_TEXT_MAX];
};

// Makes the table of tags; called once, before any key is spelled.
void keys_init(uint32_t partitions);
uint32_t keys_partitions(void);
uint32_t keys_places(void);                    // P + 3
uint32_t place_more(int which);                // the place of engaged:meta is place_more(PLACE_META)
uint16_t key_place_slot(uint32_t place);       // the slot of all keys of a place
struct bytes key_tag(uint32_t partition);      // "{e7}"
struct bytes key_bytes(const struct key *key); // a view into *key

void key_item(struct key *key, ref_t item);
void key_card(struct key *key, ref_t item);
void key_voters(struct key *key, ref_t item, uint32_t bucket);
void key_sums(struct key *key, ref_t item);
void key_neighbours(struct key *key, ref_t item);
void key_uniques(struct key *key, ref_t item);
void key_history(struct key *key, ref_t visitor,
                 bool anonymous);           // anonymous: 'a' for 'h', kept for one view window only
void key_to_other_history(struct key *key); // from one of a visitor's two to the other
void key_ranking(struct key *key, uint32_t partition, ref_t site, struct bytes name,
                 const ref_t *category); // category NULL: whole site; of a period: `name` is "hot@2026-11-26"
void key_ranking_no_card(struct key *key, uint32_t partition, ref_t site, struct bytes name);
void key_site_total(struct key *key, uint32_t partition, ref_t site);
void key_editorial(struct key *key, ref_t site); // in the partition of the site's reference
void key_audit(struct key *key, ref_t site);     // likewise
void key_audit_counts(struct key *key, ref_t site);
void key_dead(struct key *key, uint32_t partition);
void key_gone(struct key *key, uint32_t partition);
void key_log(struct key *key, uint32_t partition);
enum projection { PROJECTION_SUMS, PROJECTION_NEIGHBOURS, PROJECTION_COUNT };
const char *projection_name(enum projection projection); // in fields of Redis and in the log
void key_applied(struct key *key, uint32_t partition, enum projection projection);
void key_offsets(struct key *key, uint32_t partition);
enum { GAP_FIELD_SIZE = 20 };
void gap_field(ref_t site, char ret_field[static GAP_FIELD_SIZE]); // of a partition's offsets
void key_cutoffs(struct key *key, uint32_t partition);
struct period; // model/period_ranking.h
void key_period_cutoffs(struct key *key, uint32_t partition, struct period period);
void key_periods(struct key *key, uint32_t partition);
void key_absent(struct key *key,
                uint32_t partition); // there is never such a key: whether the slot moves (store/scan_walk.c)
void key_corrections(struct key *key, bool done);
void key_meta(struct key *key);
void key_meta_copy(struct key *key); // these two are in the same slot
void key_machines(struct key *key);
// The hash slot of a key, as Redis Cluster computes it (CRC16 of the tag, mod 16384).
uint16_t key_slot(struct bytes key);
// Reads the reference from a key that SCAN found, if the key is of the kind `letter` ('i', 's' …).
bool key_parse(struct bytes key, char letter, ref_t *ret_ref);

// Reads the partition from a key that SCAN found, if it is of one.
bool key_partition(struct bytes key, uint32_t *ret_partition);
// Reads partition and name from a key that SCAN found, if it is a ranking's (of a site or of one of its categories).
// *ret_period: the name of its period, empty for a set of all times.
bool key_parse_ranking(struct bytes key, uint32_t *ret_partition, struct bytes *ret_name, struct bytes *ret_period);
// Reads what a member of {e7}periods names: a set or the cutoffs of a period. PERIOD_KEY_SET: of the
// whole site, with cards or without. PERIOD_KEY_PART: of a category.
enum period_key { PERIOD_KEY_SET, PERIOD_KEY_PART, PERIOD_KEY_CUTOFFS };
bool key_parse_period(struct bytes key, enum period_key *ret_kind, struct period *ret_period);

// The purpose of a key, for the table of memory by purpose.
enum key_kind {
    KEY_ITEMS,
    KEY_CARDS,
    KEY_VOTERS,
    KEY_SUMS,
    KEY_NEIGHBOURS,
    KEY_UNIQUES,
    KEY_HISTORIES,
    KEY_RANKINGS,
    KEY_TOTALS,
    KEY_EDITORIALS,
    KEY_AUDITS,
    KEY_PARTITION, // logs, applied ids, offsets, cutoffs, tombstones
    KEY_OTHER,
    KEY_KINDS
};
enum key_kind key_kind_of(struct bytes key);
const char *key_kind_name(enum key_kind kind);
