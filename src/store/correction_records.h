// SPDX-License-Identifier: MIT
// Corrections: their records by id, waiting or done, and the scans of items and voters that they make, as do an export
// and the sweeper. The calls follow store.h.
#pragma once
#include "model/voters.h"
#include "store/scan.h"
#include "store/store.h"

struct correction_row {
    struct bytes id;
    struct bytes text; // at == NULL: remove the record
    struct bytes site; // the record counts as waiting for this site; at == NULL: for none
};
// Writes or removes records. TOO_MANY_REQUESTS, and nothing is written, when a site has `max` that wait (0: no bound).
// `rows` are copied.
void store_write_corrections(struct store *store, struct read_call *call, bool done, const struct correction_row *rows,
                             size_t count, uint32_t max);
// Reads a page of the records, and the other fields of the hash: the counts of those that wait, and notes of the
// corrector. A record may come twice. `cursor` begins and ends as 0.
void store_scan_corrections(struct store *store, struct read_call *call, bool done, uint64_t *cursor,
                            void (*on_record)(struct read_call *call, struct bytes id, struct bytes text));
// Reads the id of the Redis process (empty where INFO is forbidden). The cursor of a SCAN is valid in one process only:
// another one hashes with another seed. In a Cluster it is a hash of the lives of all partitions.
void store_read_run(struct store *store, struct read_call *call,
                    void (*on_run)(struct read_call *call, struct bytes run));
// Reads a page of about `count` items of all sites. An item may come twice.
void store_scan_items(struct store *store, struct read_call *call, struct scan *scan, uint32_t count,
                      void (*on_item)(struct read_call *call, ref_t item));
// Reads the packed record and the packed sums of each item that is usable. Empty: none.
void store_read_packed(struct store *store, struct read_call *call, const ref_t *items, size_t count,
                       void (*on_item)(struct read_call *call, size_t index, struct bytes item, struct bytes sums));
// The voters of an item according to its record. An item that does not exist, or is not usable, has no name and no
// voters.
struct voted_item {
    struct bytes site, id;
    struct bytes inside; // with 0 buckets: its voters, VOTER_SIZE each
    uint32_t buckets;
    uint64_t voters;
};
void store_read_voted(struct store *store, struct read_call *call, const ref_t *items, size_t count,
                      void (*on_item)(struct read_call *call, size_t index, const struct voted_item *item));
// Reads the voters of `count` buckets from `first` on. *ret_buckets: how many buckets the item has at that instant; 0:
// none after these. A split moves voters only to higher buckets, so reading upwards from 0 to the last misses nobody.
void store_read_voters(struct store *store, struct read_call *call, ref_t item, uint32_t first, uint32_t count,
                       uint32_t *ret_buckets, void (*on_voter)(struct read_call *call, const struct voter *voter));
