// SPDX-License-Identifier: MIT
// A walk over the keys of Redis, page by page; of a Redis Cluster, over those of all masters.
//
// One Redis: the cursor of SCAN is all there is. A Cluster: each master has its own cursor, and keys move. So a scan
// has a state for each partition. It takes a master, walks it from cursor 0 to 0, and keeps the keys of those
// partitions that this master owned when it began. A partition leaves the walk as soon as it has another owner or
// connection, or when a page shows that its slot is moving away: then the node may lack keys that are there. It is
// walked again later, and pages fail from time to time while nothing is left but what moves. The others are done at the
// end of the walk. So every key that exists from the beginning to the end of the scan comes at least once. A key may
// come twice.
//
// A struct scan that is all zero begins. The verbs with a scan (correction_records.h, operator_reads.h, projection.h)
// read a page. When a page fails it stays the next one.
#pragma once
#include "base/buffer.h"

struct store;
struct scan_part;

struct scan {
    uint64_t cursor; // of the node that is walked
    bool goes_on;    // false: it has not begun, or it has ended
    bool loose;      // set by the caller before it begins: what moves is not walked again, so no key comes again for it
    // In a Cluster:
    uint32_t node, walked;   // the number of that node (redis/router.h), 0: none yet; of the one before
    uint32_t vain;           // how many walks in a row have begun without ending a partition
    struct scan_part *parts; // one for each partition; NULL: it has not begun
};

// Of a scan in a Cluster that goes on: whether all keys of the partition have come.
bool scan_is_done(const struct scan *scan, uint32_t partition);
void scan_restart(struct scan *scan); // back to the beginning; releases its memory
// The place of a scan that goes on, as text for scan_read: "<cursor>" of one Redis, "<cursor> <node> <lives>" of a
// Cluster, with a hash of the life of each partition that is done or being walked.
void scan_write(const struct store *store, const struct scan *scan, struct buffer *out);
// False when the text has no place; the scan then begins. A partition with another life than in the text is walked
// again.
bool scan_read(const struct store *store, struct scan *scan, struct bytes text);
// Whether that place says in which lives it holds: true in a Cluster.
bool store_scan_knows_lives(const struct store *store);
