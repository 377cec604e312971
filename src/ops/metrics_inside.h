// SPDX-License-Identifier: MIT
// The shared memory of the metrics. No other file than metrics*.c includes it.
#pragma once
#include "ops/metrics.h"
#include <stdbool.h>

enum metric_bucket {
#define BUCKET(ns, text) METRIC_BUCKET_##ns,
#include "ops/metric_labels.def"
    METRIC_BUCKET_OVER,
    METRIC_BUCKET_COUNT
};
enum metric_status {
    METRIC_STATUS_OTHER,
#define STATUS(code, reason) METRIC_STATUS_##code,
#include "base/statuses.def"
#undef STATUS
    STATUS_COUNT
};
// How many values a label may have, by its name in FAMILY (metrics.def).
enum {
    ONE_COUNT = 1,
    ROUTE_COUNT = METRIC_ROUTES_MAX,
    CALL_COUNT = ROUND_TRIP_COUNT,
    SITE_COUNT = 1 + METRIC_SITES_MAX,
    REASON_COUNT = METRIC_REASON_COUNT
};

// How many durations fell into each bucket (not cumulated), and their sum.
struct histogram {
    uint64_t buckets[METRIC_BUCKET_COUNT];
    uint64_t sum_ns;
};
typedef uint64_t counter_cells;
typedef struct histogram histogram_cells;

// What one process counts: whole cache lines.
struct metric_row {
    uint64_t cells[METRIC_COUNT];
#define FAMILY(id, kind, name, outer, inner, help) kind##_cells id[outer##_COUNT][inner##_COUNT];
#include "ops/metrics.def"
} __attribute__((aligned(64)));

// A site of the configuration has the same number in all processes of the service, whatever generation they are of.
struct metric_site {
    uint64_t hash; // of its name; 0: nobody has it
    char name[64]; // empty until it is whole
};

struct metric_memory {
    int64_t clock_offset_ms;
    uint64_t generation;
    uint64_t layout; // of the rows
    uint64_t instance;
    int64_t rule_ms;
    uint64_t rows_used; // one more than the number of the last row that a process had
    uint64_t note;      // which of the two is current: the other one is written, so that a reader has a whole one
    uint64_t noted_ns;  // when it was said last
    struct metrics_note notes[2];
    struct metric_site sites[METRIC_SITES_MAX];
    struct metric_row rows[METRICS_ROWS];
};

extern struct metric_memory *metrics_shared; // NULL until metrics_attach
extern struct metric_row *metrics_row;       // this process's

// The sum over all rows of the cell that is `offset` bytes from the beginning of each.
uint64_t metrics_sum_at(size_t offset);
uint64_t metrics_hash(uint64_t hash, const char *text); // FNV-1a
#define METRICS_HASH_BEGIN UINT64_C(14695981039346656037)
extern const char metrics_revision[]; // the build makes it

// metrics_families.c
uint64_t metrics_hash_families(uint64_t hash);
void metrics_render_families(struct buffer *text);
