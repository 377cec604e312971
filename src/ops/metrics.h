// SPDX-License-Identifier: MIT
// Counters and gauges in memory that all processes of one service share: one row of cells per process, summed on
// reading. metrics.def has a row for each, with kind, Prometheus name, label and help; /metrics and docs come from it.
// To add one, add its row.
#pragma once
#include "base/buffer.h"
#include <stdint.h>

enum metric {
#define METRIC(id, kind, name, label, help) METRIC_##id,
#include "ops/metrics.def"
#undef METRIC
    METRIC_COUNT
};

// Maps the shared rows (fd: a memfd of metrics_create, or -1 for private memory) and uses row `row`. Rows outlive a
// process: a restarted worker continues to count in its row.
int metrics_create(void);                  // an fd, or -1
int metrics_attach(int fd, unsigned row);  // 0, or -1: no memory, or made by a program that counts other things
int64_t *metrics_clock_offset(void);       // the shared cell for clock_share
int64_t *metrics_rule_ms(void);            // when the last editorial rule was set
uint64_t *metrics_generation(void);        // the shared cell for generation_share …
uint64_t *metrics_instance(void);          // … and for the number that the supervisor draws at its start
uint64_t *metric_cell(enum metric metric); // this process's cell
static inline void metric_add(enum metric metric, uint64_t by) {
    *metric_cell(metric) += by;
}
static inline void metric_set(enum metric metric, uint64_t to) {
    *metric_cell(metric) = to;
}
enum { METRICS_ROWS = 1024 };
// The count of that row's process.
uint64_t metric_read(enum metric metric, unsigned row);
uint64_t metric_total(enum metric metric); // of all processes
// An age is a gauge whose cell holds an instant (clock_now_ms). /metrics shows the seconds since the latest instant of
// all rows, also while the process that sets it hangs or has ended. A process that has ended has gauges of 0; its
// counters stay.
void metrics_forget_gauges(unsigned row);
// The whole of /metrics, all rows summed.
void metrics_render(struct buffer *text);
