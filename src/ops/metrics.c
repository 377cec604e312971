// SPDX-License-Identifier: MIT
// Rows of cells in a memfd that all processes of one service map. Before the rows are the shared clock's offset and the
// generation in charge.
#include "ops/metrics.h"
#include "base/clock.h"
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROWS = METRICS_ROWS, CELLS = (METRIC_COUNT + 7) / 8 * 8 }; // a row is whole cache lines

struct metric_memory {
    int64_t clock_offset_ms;
    uint64_t generation;
    uint64_t layout; // of the rows
    uint64_t instance;
    int64_t rule_ms;
    uint64_t padding[3];
    uint64_t rows[ROWS][CELLS];
};

static struct metric_memory *shared;
static uint64_t own_cells[METRIC_COUNT]; // until metrics_attach
static uint64_t *cells = own_cells;
static int64_t own_offset, own_rule_ms;
static uint64_t own_generation, own_instance;

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_AGE };

static const struct {
    enum metric_kind kind;
    const char *name, *label, *help;
} metrics[METRIC_COUNT] = {
#define counter METRIC_COUNTER
#define gauge METRIC_GAUGE
#define age METRIC_AGE
#define METRIC(id, kind, name, label, help) {kind, name, label, help},
#include "ops/metrics.def"
#undef METRIC
#undef counter
#undef gauge
#undef age
};

int metrics_create(void) {
    int fd = memfd_create("engaged-metrics", MFD_CLOEXEC);
    if (fd >= 0 && ftruncate(fd, sizeof(struct metric_memory)) != 0) {
        int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

// A hash of all names (FNV-1a): an upgraded program may have other metrics than the supervisor that starts it.
static uint64_t layout_of_rows(void) {
    uint64_t hash = UINT64_C(14695981039346656037);
    for (int i = 0; i < METRIC_COUNT; i++)
        for (const char *parts[] = {metrics[i].name, metrics[i].label}, **part = parts; part < parts + 2; part++)
            for (const char *c = *part; *c; c++)
                hash = (hash ^ (uint8_t)*c) * UINT64_C(1099511628211);
    return hash;
}

static bool has_size(int fd, size_t size) {
    struct stat file;
    return fstat(fd, &file) == 0 && (size_t)file.st_size == size;
}

int metrics_attach(int fd, unsigned row) {
    uint64_t layout = layout_of_rows();
    if (row >= ROWS || (fd >= 0 && !has_size(fd, sizeof *shared)))
        return -1;
    void *at =
        fd < 0 ? calloc(1, sizeof *shared) : mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (!at || at == MAP_FAILED)
        return -1;
    shared = at;
    if (!shared->layout)
        shared->layout = layout; // the supervisor, which is the first
    if (shared->layout != layout)
        return -1;
    cells = shared->rows[row];
    return 0;
}

int64_t *metrics_clock_offset(void) {
    return shared ? &shared->clock_offset_ms : &own_offset;
}

int64_t *metrics_rule_ms(void) {
    return shared ? &shared->rule_ms : &own_rule_ms;
}

uint64_t *metrics_generation(void) {
    return shared ? &shared->generation : &own_generation;
}

uint64_t *metrics_instance(void) {
    return shared ? &shared->instance : &own_instance;
}

uint64_t *metric_cell(enum metric metric) {
    return &cells[metric];
}

uint64_t metric_read(enum metric metric, unsigned row) {
    return shared && row < ROWS ? __atomic_load_n(&shared->rows[row][metric], __ATOMIC_RELAXED) : 0;
}

uint64_t metric_total(enum metric metric) {
    uint64_t sum = shared ? 0 : own_cells[metric];
    for (unsigned row = 0; shared && row < ROWS; row++)
        sum += metric_read(metric, row);
    return sum;
}

void metrics_forget_gauges(unsigned row) {
    for (int i = 0; shared && row < ROWS && i < METRIC_COUNT; i++)
        if (metrics[i].kind == METRIC_GAUGE)
            shared->rows[row][i] = 0;
}

static uint64_t latest_of(enum metric metric) {
    uint64_t latest = shared ? 0 : own_cells[metric];
    for (unsigned row = 0; shared && row < ROWS; row++) {
        uint64_t value = metric_read(metric, row);
        latest = value > latest ? value : latest;
    }
    return latest;
}

// An instant that is not set yet has no age.
static void render_age(struct buffer *text, enum metric metric) {
    uint64_t since = latest_of(metric), now = (uint64_t)clock_now_ms();
    buffer_addf(text, "%s{%s} ", metrics[metric].name, metrics[metric].label);
    if (since)
        buffer_addf(text, "%.3f\n", since < now ? (double)(now - since) / 1000 : 0.0);
    else
        buffer_addf(text, "NaN\n");
}

static void render_number(struct buffer *text, enum metric metric) {
    buffer_addf(text, metrics[metric].label[0] ? "%s{%s} %llu\n" : "%s%s %llu\n", metrics[metric].name,
                metrics[metric].label, (unsigned long long)metric_total(metric));
}

void metrics_render(struct buffer *text) {
    for (int i = 0; i < METRIC_COUNT; i++) {
        bool first = i == 0 || strcmp(metrics[i].name, metrics[i - 1].name) != 0;
        if (first)
            buffer_addf(text, "# HELP %s %s\n# TYPE %s %s\n", metrics[i].name, metrics[i].help, metrics[i].name,
                        metrics[i].kind == METRIC_COUNTER ? "counter" : "gauge");
        if (metrics[i].kind == METRIC_AGE)
            render_age(text, (enum metric)i);
        else
            render_number(text, (enum metric)i);
    }
}
