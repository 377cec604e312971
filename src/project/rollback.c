// SPDX-License-Identifier: MIT
// A ring of copies of the applied ids (rollback.h).
#include "project/rollback.h"
#include <stdlib.h>
#include <string.h>

#define MS_NS UINT64_C(1000000)
#define SECOND_NS (1000 * MS_NS)

bool rollback_init(struct rollback *rollback, uint32_t partitions, int64_t kept_ms) {
    *rollback = (struct rollback){.partitions = partitions, .kept_ns = (uint64_t)kept_ms * MS_NS};
    uint64_t share = rollback->kept_ns / (ROLLBACK_COPIES - 2);
    rollback->pause_ns = share > SECOND_NS ? share : SECOND_NS;
    rollback->said_ns = calloc(partitions, sizeof(*rollback->said_ns));
    bool fits = rollback->said_ns != NULL;
    for (int i = 0; i < ROLLBACK_COPIES; i++) {
        struct rollback_copy *copy = &rollback->copies[i];
        copy->applied = calloc((size_t)partitions * partitions, sizeof(*copy->applied));
        copy->life = calloc(partitions, sizeof(*copy->life));
        fits = fits && copy->applied && copy->life;
    }
    return fits;
}

void rollback_release(struct rollback *rollback) {
    for (int i = 0; i < ROLLBACK_COPIES; i++) {
        free(rollback->copies[i].applied);
        free(rollback->copies[i].life);
    }
    free(rollback->said_ns);
}

static const struct rollback_copy *newest(const struct rollback *rollback) {
    return &rollback->copies[(rollback->next + ROLLBACK_COPIES - 1) % ROLLBACK_COPIES];
}

static void note_target(struct rollback_copy *copy, uint32_t target, uint32_t partitions, const struct log_id *applied,
                        const struct life *life) {
    size_t at = (size_t)target * partitions;
    memcpy(&copy->applied[at], &applied[at], partitions * sizeof(*applied));
    copy->life[target] = life[target];
}

void rollback_note(struct rollback *rollback, uint64_t now_ns, const struct log_id *applied, const struct life *life,
                   const bool *behind) {
    const struct rollback_copy *last = newest(rollback);
    if (last->at_ns && now_ns - last->at_ns < rollback->pause_ns)
        return;
    struct rollback_copy *copy = &rollback->copies[rollback->next];
    copy->at_ns = now_ns;
    for (uint32_t i = 0; i < rollback->partitions; i++)
        if (behind[i]) // what it had before it was away
            note_target(copy, i, rollback->partitions, last->applied, last->life);
        else
            note_target(copy, i, rollback->partitions, applied, life);
    rollback->next = (rollback->next + 1) % ROLLBACK_COPIES;
}

// The newest copy of applied ids whose entries may have left the logs; NULL: there is none.
static const struct rollback_copy *old_copy(const struct rollback *rollback, uint64_t now_ns) {
    const struct rollback_copy *found = NULL;
    for (int i = 0; i < ROLLBACK_COPIES; i++) {
        const struct rollback_copy *copy = &rollback->copies[i];
        bool old = copy->at_ns && now_ns - copy->at_ns >= rollback->kept_ns;
        if (old && (!found || copy->at_ns > found->at_ns))
            found = copy;
    }
    return found;
}

// Whether an entry of the source that was applied is neither applied now nor in the log.
static bool is_lost(struct log_id before, struct log_id now, struct log_id first) {
    bool none = first.ms == 0 && first.seq == 0;
    return log_id_order(now, before) < 0 && (none || log_id_order(before, first) < 0);
}

uint32_t rollback_look(struct rollback *rollback, uint64_t now_ns, const struct log_id *applied,
                       const struct life *life, const struct log_id *first, const bool *behind, bool *lost) {
    const struct rollback_copy *old = old_copy(rollback, now_ns);
    uint32_t n = rollback->partitions, count = 0;
    memset(lost, false, n);
    for (uint32_t target = 0; old && target < n; target++) {
        if (behind[target] || life_eq(&old->life[target], &life[target]) || old->at_ns < rollback->said_ns[target])
            continue;
        for (uint32_t source = 0; source < n; source++)
            if (!behind[source] && life_eq(&old->life[source], &life[source]))
                lost[target] |= is_lost(old->applied[target * n + source], applied[target * n + source], first[source]);
        if (lost[target])
            rollback->said_ns[target] = now_ns;
        count += lost[target];
    }
    return count;
}
