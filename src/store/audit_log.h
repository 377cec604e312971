// SPDX-License-Identifier: MIT
// The audit log of a site in Redis: who did what with a key.
//
// A stream, in the partition of the site's reference, holds the newest `audit_entries` entries that are no older
// than `audit_kept_for` (the older ones go with the next entry, and with the whole key, which expires); each is JSON
// members that are ready to be sent. An entry is added before its call does anything and replaced when the call has
// been answered, so a call has one entry and a process that dies leaves it without a status. A hash beside it counts
// the calls that would push the others out: reads, votes and views with a key, events. A field is "key METHOD pattern",
// its value "count first last". api/audit.c decides which calls are which, and calls this.
#pragma once
#include "store/store.h"

enum { AUDIT_ENTRY_MAX = 4096, AUDIT_COUNTS_MAX = 500, AUDIT_ID_SIZE = 48 };

// Adds an entry, in place of the one of this id (empty: of none). Calls `on_id` before on_done, if the outcome is OK.
void store_add_audit(struct store *store, struct read_call *call, ref_t site, struct bytes replaced, struct bytes json,
                     void (*on_id)(struct read_call *call, struct bytes id));

struct audit_count {
    struct bytes key, call; // the key's name; method and pattern
    uint64_t calls;
    int64_t first_ms, last_ms;
};
// Adds to the counts of a site, of which the AUDIT_COUNTS_MAX latest are kept. `counts` are copied.
void store_add_audit_counts(struct store *store, struct read_call *call, ref_t site, const struct audit_count *counts,
                            size_t count);

// Reads the newest `most` entries that come before `before` ({0,0}: of all), newest first, and with `on_count` all
// counts, in no order. An entry that is not of our form is empty.
void store_read_audit(struct store *store, struct read_call *call, ref_t site, struct log_id before, uint32_t most,
                      void (*on_entry)(struct read_call *call, struct bytes id, struct bytes json),
                      void (*on_count)(struct read_call *call, const struct audit_count *count));
