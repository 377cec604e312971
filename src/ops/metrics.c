// SPDX-License-Identifier: MIT
// Rows of cells in a memfd that all processes of one service map. Before the rows are the shared clock's offset and the
// generation in charge.
#include "base/clock.h"
#include "ops/metrics_inside.h"
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct metric_row own_row; // until metrics_attach
struct metric_memory *metrics_shared;
struct metric_row *metrics_row = &own_row;
static int64_t own_offset, own_rule_ms;
static uint64_t own_generation, own_instance;

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_AGE, METRIC_INFO };

static const struct {
    enum metric_kind kind;
    const char *name, *label, *help;
} metrics[METRIC_COUNT] = {
#define counter METRIC_COUNTER
#define gauge METRIC_GAUGE
#define age METRIC_AGE
#define info METRIC_INFO
#define METRIC(id, kind, name, label, help) {kind, name, label, help},
#include "ops/metrics.def"
#undef counter
#undef gauge
#undef age
#undef info
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

uint64_t metrics_hash(uint64_t hash, const char *text) {
    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * UINT64_C(1099511628211);
    return hash;
}

// A hash of all names: an upgraded program may have other metrics than the supervisor that starts it.
static uint64_t layout_of_rows(void) {
    uint64_t hash = METRICS_HASH_BEGIN;
    for (int i = 0; i < METRIC_COUNT; i++)
        hash = metrics_hash(metrics_hash(hash, metrics[i].name), metrics[i].label);
    return metrics_hash_families(hash);
}

static bool has_size(int fd, size_t size) {
    struct stat file;
    return fstat(fd, &file) == 0 && (size_t)file.st_size == size;
}

// Only rows that a process has had are summed: reading the others would give them memory.
static void use_row(unsigned row) {
    uint64_t used = __atomic_load_n(&metrics_shared->rows_used, __ATOMIC_RELAXED);
    while (used < row + 1u && !__atomic_compare_exchange_n(&metrics_shared->rows_used, &used, row + 1u, true,
                                                           __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
    metrics_row = &metrics_shared->rows[row];
}

int metrics_attach(int fd, unsigned row) {
    uint64_t layout = layout_of_rows();
    size_t size = sizeof *metrics_shared;
    if (row >= METRICS_ROWS || (fd >= 0 && !has_size(fd, size)))
        return -1;
    int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;
    struct metric_memory *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (shared == MAP_FAILED)
        return -1;
    if (!shared->layout)
        shared->layout = layout; // the supervisor, which is the first
    if (shared->layout != layout) {
        munmap(shared, size);
        return -1;
    }
    metrics_shared = shared;
    use_row(row);
    return 0;
}

int64_t *metrics_clock_offset(void) {
    return metrics_shared ? &metrics_shared->clock_offset_ms : &own_offset;
}

int64_t *metrics_rule_ms(void) {
    return metrics_shared ? &metrics_shared->rule_ms : &own_rule_ms;
}

uint64_t *metrics_generation(void) {
    return metrics_shared ? &metrics_shared->generation : &own_generation;
}

uint64_t *metrics_instance(void) {
    return metrics_shared ? &metrics_shared->instance : &own_instance;
}

void metrics_note(const struct metrics_note *note) {
    struct metric_memory *shared = metrics_shared;
    uint64_t next = shared ? !shared->note : 0;
    if (!shared)
        return;
    if (strcmp(shared->notes[!next].named, note->named) != 0) {
        shared->notes[next] = *note;
        __atomic_store_n(&shared->note, next, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&shared->noted_ns, clock_mono_ns(), __ATOMIC_RELEASE);
}

// A worker alone has no projector that it could miss.
const struct metrics_note *metrics_noted(void) {
    static const struct metrics_note none;
    struct metric_memory *shared = metrics_shared;
    uint64_t noted_ns = shared ? __atomic_load_n(&shared->noted_ns, __ATOMIC_ACQUIRE) : 0, now_ns = clock_mono_ns();
    if (noted_ns && (now_ns < noted_ns || now_ns - noted_ns < METRICS_NOTE_MS * UINT64_C(1000000)))
        return &shared->notes[__atomic_load_n(&shared->note, __ATOMIC_ACQUIRE) & 1];
    return *metrics_instance() ? NULL : &none;
}

uint64_t *metric_cell(enum metric metric) {
    return &metrics_row->cells[metric];
}

static unsigned rows_used(void) {
    return metrics_shared ? (unsigned)__atomic_load_n(&metrics_shared->rows_used, __ATOMIC_RELAXED) : 0;
}

uint64_t metric_read(enum metric metric, unsigned row) {
    return row < rows_used() ? __atomic_load_n(&metrics_shared->rows[row].cells[metric], __ATOMIC_RELAXED) : 0;
}

static uint64_t cell_at(const struct metric_row *row, size_t offset) {
    return __atomic_load_n((const uint64_t *)((const char *)row + offset), __ATOMIC_RELAXED);
}

uint64_t metrics_sum_at(size_t offset) {
    uint64_t sum = metrics_shared ? 0 : cell_at(&own_row, offset);
    for (unsigned row = 0; row < rows_used(); row++)
        sum += cell_at(&metrics_shared->rows[row], offset);
    return sum;
}

uint64_t metric_total(enum metric metric) {
    return metrics_sum_at(offsetof(struct metric_row, cells) + sizeof(uint64_t) * metric);
}

void metrics_forget_gauges(unsigned row) {
    for (int i = 0; row < rows_used() && i < METRIC_COUNT; i++)
        if (metrics[i].kind == METRIC_GAUGE)
            metrics_shared->rows[row].cells[i] = 0;
}

static uint64_t latest_of(enum metric metric) {
    uint64_t latest = metrics_shared ? 0 : own_row.cells[metric];
    for (unsigned row = 0; row < rows_used(); row++) {
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
        else if (metrics[i].kind == METRIC_INFO)
            buffer_addf(text, "%s{version=\"%s\",revision=\"%s\"} 1\n", metrics[i].name, VERSION, metrics_revision);
        else
            render_number(text, (enum metric)i);
    }
    metrics_render_families(text);
}
