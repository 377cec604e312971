// SPDX-License-Identifier: MIT
// The table of partitions that are left behind (behind.h), and the questions to them.
#include "project/behind.h"
#include "base/clock.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include <stdlib.h>

#define MS_NS UINT64_C(1000000)
enum { ASK_FIRST_MS = 100, ASK_MAX_MS = 1000, DOUBTED_MS = 1500 };

bool behind_init(struct behind *behind, struct store *store, uint32_t partitions) {
    *behind = (struct behind){.store = store, .partitions = partitions};
    behind->rows = calloc(partitions, sizeof(*behind->rows));
    for (uint32_t i = 0; behind->rows && i < partitions; i++)
        behind->rows[i] = (struct behind_row){.behind = behind, .partition = i};
    return behind->rows != NULL;
}

void behind_release(struct behind *behind) {
    free(behind->rows);
}

static void set_count(struct behind *behind, uint32_t count) {
    behind->count = count;
    metric_set(METRIC_PARTITIONS_BEHIND, count);
}

static uint64_t pause_ns(const struct behind_row *row) {
    uint64_t ms = row->tries < 4 ? (uint64_t)ASK_FIRST_MS << row->tries : ASK_MAX_MS;
    return ms * MS_NS;
}

void behind_leave(struct behind *behind, uint32_t partition, const char *who) {
    struct behind_row *row = &behind->rows[partition];
    if (row->is)
        return;
    if (row->tries == 0)
        log_warn("%s: partition %u does not answer as it should, the others go on without it", who, partition);
    row->is = true;
    row->since_ms = (double)clock_now_ms();
    row->next_ns = clock_mono_ns() + pause_ns(row);
    row->tries++;
    set_count(behind, behind->count + 1);
}

static void on_asked(struct read_call *call, enum outcome outcome) {
    struct behind_row *row = call->context;
    struct behind *behind = row->behind;
    row->asking = false;
    behind->asking--;
    if (row->is && outcome == OK) {
        row->is = false;
        row->next_ns = clock_mono_ns() + DOUBTED_MS * MS_NS;
        set_count(behind, behind->count - 1);
    } else
        row->next_ns = clock_mono_ns() + pause_ns(row);
    if (behind->on_idle && behind->asking == 0)
        behind->on_idle(behind->idle_context);
}

void behind_ask(struct behind *behind) {
    uint64_t now = behind->count ? clock_mono_ns() : 0;
    for (uint32_t i = 0; behind->count && !behind->on_idle && i < behind->partitions; i++) {
        struct behind_row *row = &behind->rows[i];
        if (!row->is || row->asking || now < row->next_ns)
            continue;
        row->asking = true;
        behind->asking++;
        row->call = (struct read_call){.on_done = on_asked, .context = row};
        store_ask_partition(behind->store, &row->call, i);
    }
}

void behind_well(struct behind *behind) {
    for (uint32_t i = 0; i < behind->partitions; i++) {
        struct behind_row *row = &behind->rows[i];
        if (row->is || row->tries == 0 || clock_mono_ns() < row->next_ns)
            continue;
        row->tries = 0;
        log_info("partition %u answers again", i);
    }
}

void behind_clear(struct behind *behind) {
    for (uint32_t i = 0; i < behind->partitions; i++) {
        behind->rows[i].is = false;
        behind->rows[i].tries = 0;
    }
    set_count(behind, 0);
}

double behind_since_ms(const struct behind *behind) {
    double since_ms = 0;
    for (uint32_t i = 0; behind->count && i < behind->partitions; i++)
        if (behind->rows[i].is && (since_ms == 0 || behind->rows[i].since_ms < since_ms))
            since_ms = behind->rows[i].since_ms;
    return since_ms;
}

void behind_stop(struct behind *behind, void (*on_idle)(void *context), void *context) {
    behind->on_idle = on_idle;
    behind->idle_context = context;
    if (behind->asking == 0)
        on_idle(context);
}
