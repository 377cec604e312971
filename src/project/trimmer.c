// SPDX-License-Identifier: MIT
// The ring of notes of how far both projections were (trimmer.h).
#include "project/trimmer.h"
#include <stdlib.h>
#include <string.h>

#define MS_NS UINT64_C(1000000)
#define SECOND_NS (1000 * MS_NS)

bool trimmer_init(struct trimmer *trimmer, uint32_t partitions, int64_t kept_ms) {
    *trimmer = (struct trimmer){.partitions = partitions, .kept_ns = (uint64_t)kept_ms * MS_NS};
    uint64_t share = trimmer->kept_ns / (TRIM_NOTES - 4);
    trimmer->pause_ns = share > SECOND_NS ? share : SECOND_NS;
    trimmer->trimmed = calloc(partitions, sizeof(*trimmer->trimmed));
    if (kept_ms)
        trimmer->notes = calloc((size_t)partitions * TRIM_NOTES, sizeof(*trimmer->notes));
    return trimmer->trimmed && (trimmer->notes || !kept_ms);
}

void trimmer_release(struct trimmer *trimmer) {
    free(trimmer->trimmed);
    free(trimmer->notes);
}

void trimmer_doubt(struct trimmer *trimmer) {
    memset(trimmer->trimmed, 0, trimmer->partitions * sizeof(*trimmer->trimmed));
}

static uint32_t row_of(const struct trimmer *trimmer, uint32_t i) {
    return (trimmer->first + i) % TRIM_NOTES;
}

static void drop_oldest(struct trimmer *trimmer) {
    trimmer->first = row_of(trimmer, 1);
    trimmer->count--;
}

static void note(struct trimmer *trimmer, uint64_t now_ns, const struct log_id *passed) {
    if (trimmer->count && now_ns - trimmer->noted_ns[row_of(trimmer, trimmer->count - 1)] < trimmer->pause_ns)
        return;
    if (trimmer->count == TRIM_NOTES)
        drop_oldest(trimmer);
    uint32_t row = row_of(trimmer, trimmer->count++);
    trimmer->noted_ns[row] = now_ns;
    memcpy(trimmer->notes + (size_t)row * trimmer->partitions, passed, trimmer->partitions * sizeof(*passed));
}

// The newest note that is old enough; NULL: none is.
static const struct log_id *old_note(struct trimmer *trimmer, uint64_t now_ns) {
    while (trimmer->count > 1 && now_ns - trimmer->noted_ns[row_of(trimmer, 1)] >= trimmer->kept_ns)
        drop_oldest(trimmer);
    bool old = trimmer->count && now_ns - trimmer->noted_ns[trimmer->first] >= trimmer->kept_ns;
    return old ? trimmer->notes + (size_t)trimmer->first * trimmer->partitions : NULL;
}

bool trimmer_below(struct trimmer *trimmer, uint64_t now_ns, uint64_t generation, const struct log_id *passed,
                   struct log_id *below) {
    bool any = false;
    if (trimmer->generation != generation) {
        trimmer_doubt(trimmer);
        trimmer->count = 0;
        trimmer->generation = generation;
    }
    if (trimmer->kept_ns) {
        note(trimmer, now_ns, passed);
        passed = old_note(trimmer, now_ns);
    }
    for (uint32_t i = 0; passed && i < trimmer->partitions; i++) {
        bool further = log_id_order(passed[i], trimmer->trimmed[i]) > 0;
        below[i] = further ? passed[i] : (struct log_id){0, 0};
        if (further)
            trimmer->trimmed[i] = passed[i];
        any |= further;
    }
    return any;
}
