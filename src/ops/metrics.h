// SPDX-License-Identifier: MIT
// Counters, gauges and histograms in memory that all processes of one service share: one row of cells per process,
// summed on reading. metrics.def has a row for each, with kind, Prometheus name, labels and help; /metrics and docs
// come from it. To add one, add its row; a family (one for each pair of two labels) also needs a function below that
// counts.
//
// What labels may be is fixed before anybody calls: routes are the application's table, statuses those of
// base/statuses.def, sites those of the configuration. So no client can make a new time series. METRIC_SITES_MAX and
// METRIC_ROUTES_MAX bound the rows; unit tests render all of it.
#pragma once
#include "base/buffer.h"
#include <stdint.h>

enum metric {
#define METRIC(id, kind, name, label, help) METRIC_##id,
#include "ops/metrics.def"
    METRIC_COUNT
};

enum metric_call {
#define CALL(id, text) ROUND_TRIP_##id,
#include "ops/metric_labels.def"
    ROUND_TRIP_COUNT
};

enum metric_reason {
#define REASON(id, text) DROPPED_##id,
#include "ops/metric_labels.def"
    METRIC_REASON_COUNT
};

enum { METRICS_ROWS = 1024, METRIC_ROUTES_MAX = 80, METRIC_SITES_MAX = 64, METRIC_TEXT_MAX = 1 << 20 };

// Maps the shared rows (fd: a memfd of metrics_create, or -1 for private memory) and uses row `row`. Rows outlive a
// process: a restarted worker continues to count in its row.
int metrics_create(void);                 // an fd, or -1
int metrics_attach(int fd, unsigned row); // 0, or -1: no memory, or made by a program that counts other things
int64_t *metrics_clock_offset(void);      // the shared cell for clock_share
int64_t *metrics_rule_ms(void);           // when the last editorial rule was set
uint64_t *metrics_generation(void);       // the shared cell for generation_share …
uint64_t *metrics_instance(void);         // … and for the number that the supervisor draws at its start
// What the projector says of the machines, for /readyz. One process writes it, once a second; all may read it. It holds
// for METRICS_NOTE_MS.
enum { METRICS_NOTE_SIZE = 512, METRICS_NOTE_MS = 5000 };
struct metrics_note {
    char named[METRICS_NOTE_SIZE], unnamed[METRICS_NOTE_SIZE]; // the latter is for readers: it names no machine
};
void metrics_note(const struct metrics_note *note);
const struct metrics_note *metrics_noted(void); // NULL: nothing that still holds, so no projector is at work
uint64_t *metric_cell(enum metric metric);      // this process's cell
static inline void metric_add(enum metric metric, uint64_t by) {
    *metric_cell(metric) += by;
}
static inline void metric_set(enum metric metric, uint64_t to) {
    *metric_cell(metric) = to;
}
// The count of that row's process.
uint64_t metric_read(enum metric metric, unsigned row);
uint64_t metric_total(enum metric metric); // of all processes
// An age is a gauge whose cell holds an instant (clock_now_ms). /metrics shows the seconds since the latest instant of
// all rows, also while the process that sets it hangs or has ended. A process that has ended has gauges of 0; its
// counters stay.
void metrics_forget_gauges(unsigned row);

// The application's routes, before metrics_attach: label pairs, such as `method="GET",route="/healthz"`. They have the
// numbers from 0 on in metric_requests, and are at most METRIC_ROUTES_MAX.
void metrics_set_routes(const char *const *pairs, unsigned count);
// The number of a site of the configuration in metric_drop. 0: other sites, as of those beyond METRIC_SITES_MAX.
unsigned metric_site(const char *name);
void metric_requests(unsigned route, unsigned status, uint64_t took_ns, uint32_t times);
void metric_round_trip(enum metric_call call, uint64_t took_ns);
void metric_drop(unsigned site, enum metric_reason reason);

// The whole of /metrics, all rows summed.
void metrics_render(struct buffer *text);
