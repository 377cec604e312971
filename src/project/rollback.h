// SPDX-License-Identifier: MIT
// Notices that a partition came back without something that was projected to it so long ago that no log has it any
// more.
//
// A projection keeps copies of all applied ids, some of them older than `log_kept`. When a master has a new life, the
// ids are read again. One that is lower than in the old copy was rolled back by more than `log_kept`. If its entry is
// not in the log any more, and that log is of the same life as before, what it changed there is lost. If the log has
// another life, too, both may have come back from one instant, so nothing is said.
//
// With more partitions than have their applied ids kept (engine.h) nothing is noticed.
#pragma once
#include "project/batch.h"

enum { ROLLBACK_COPIES = 6 };

struct life {
    uint8_t len;
    char text[64];
};
static inline bool life_eq(const struct life *a, const struct life *b) {
    return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

struct rollback {
    uint32_t partitions;
    uint64_t kept_ns, pause_ns; // between two copies
    struct rollback_copy {
        uint64_t at_ns;         // 0: none
        struct log_id *applied; // per partition and source
        struct life *life;      // per partition
    } copies[ROLLBACK_COPIES];
    uint32_t next;     // the copy that is made next: the oldest
    uint64_t *said_ns; // per partition: when its loss was said. What copies of before have is not said again
};

bool rollback_init(struct rollback *rollback, uint32_t partitions, int64_t kept_ms);
void rollback_release(struct rollback *rollback);
// Makes a copy, if the last one is old enough. Of partitions that are `behind` it has what the last one has.
void rollback_note(struct rollback *rollback, uint64_t now_ns, const struct log_id *applied, const struct life *life,
                   const bool *behind);
// After the applied ids were read again: sets lost[partition] for each partition that has lost something, and returns
// how many. `first`: the oldest entry of each log. `behind`: partitions that were not read.
uint32_t rollback_look(struct rollback *rollback, uint64_t now_ns, const struct log_id *applied,
                       const struct life *life, const struct log_id *first, const bool *behind, bool *lost);
