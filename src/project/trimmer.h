// SPDX-License-Identifier: MIT
// Up to where the logs may be trimmed: to what both projections have passed, but not before it is `log_kept` old.
//
// Why entries are kept: a target that fails over may have lost what was projected to it, while the log of the source
// has not. The projection then begins again at the oldest entry that is kept (engine.h).
//
// The age of an entry is never told by its id. The trimmer notes how far both projections are, at most once a second by
// the monotonic clock, in a ring of notes; it trims to the newest note that is old enough. A fresh trimmer has no old
// note, so it trims nothing for `log_kept`. Pure.
#pragma once
#include "store/store.h"

enum { TRIM_NOTES = 64 };

struct trimmer {
    uint32_t partitions;
    uint64_t kept_ns, pause_ns;    // between two notes
    uint64_t generation;           // of the store: in another one all notes are forgotten
    struct log_id *trimmed;        // per log, up to where it has been trimmed
    struct log_id *notes;          // a ring of rows of `partitions`
    uint64_t noted_ns[TRIM_NOTES]; // when each row was noted
    uint32_t first, count;         // the oldest row, and how many there are
};

bool trimmer_init(struct trimmer *trimmer, uint32_t partitions, int64_t kept_ms);
void trimmer_release(struct trimmer *trimmer);
// Fills `below` with the last entry of each log that may go now ({0,0}: none). `passed`: what both projections have
// passed. False when there is nothing to trim.
bool trimmer_below(struct trimmer *trimmer, uint64_t now_ns, uint64_t generation, const struct log_id *passed,
                   struct log_id *below);
void trimmer_doubt(struct trimmer *trimmer); // a trimming may have failed: it is done again
