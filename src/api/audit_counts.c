// SPDX-License-Identifier: MIT
// Calls with a key that the audit log only counts, in a small table. It goes to Redis a second after its first call,
// when it is full, and when the worker ends. What a process that is killed has counted since then is lost.
#include "api/audit.h"
#include "base/clock.h"
#include "ops/metrics.h"
#include "store/audit_log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COUNTED_MAX = 128, SEND_MS = 1000 };

struct counted_calls {
    char site[NAME_SIZE], name[AUDIT_NAME_MAX];
    const char *key_name; // of the settings
    const struct route *route;
    uint64_t calls;
    int64_t first_ms, last_ms;
};

// Of this worker.
static struct {
    struct counted_calls at[COUNTED_MAX];
    size_t count;
    struct read_call timer;
    bool timed;
} table;

// Entries and counts that are being written, and who waits for their end: the worker that stops.
static struct {
    size_t count;
    void (*on_none)(void *context);
    void *context;
} writes;

// ---- Writes under way

void audit_write_begins(void) {
    writes.count++;
}

void audit_write_ends(void) {
    void (*on_none)(void *) = writes.on_none;
    if (--writes.count || !on_none)
        return;
    writes.on_none = NULL;
    on_none(writes.context);
}

bool api_finish(struct api *api, void (*on_done)(void *context), void *context) {
    audit_send_counts(api);
    if (!writes.count)
        return false;
    writes.on_none = on_done;
    writes.context = context;
    return true;
}

// ---- Sending

struct counts_write {
    struct read_call write;
    uint64_t calls;
};

static void on_written(struct read_call *read, enum outcome outcome) {
    struct counts_write *write = read->context;
    metric_add(METRIC_AUDIT_LOST, outcome == OK ? 0 : write->calls);
    free(write);
    audit_write_ends();
}

// Takes the counts of the first one's site out of the table. Returns how many.
static size_t take_site(struct counted_calls taken[static COUNTED_MAX]) {
    size_t count = 0, kept = 0;
    for (size_t i = 0; i < table.count; i++)
        if (count == 0 || strcmp(table.at[i].site, taken[0].site) == 0)
            taken[count++] = table.at[i];
        else
            table.at[kept++] = table.at[i];
    table.count = kept;
    return count;
}

static void send_site(struct api *api) {
    static struct counted_calls taken[COUNTED_MAX];
    struct audit_count sent[COUNTED_MAX];
    struct counts_write *write = calloc(1, sizeof *write);
    size_t count = take_site(taken);
    uint64_t calls = 0;
    for (size_t i = 0; i < count; i++) {
        sent[i] = (struct audit_count){.key = bytes_of(taken[i].key_name),
                                       .call = bytes_of(taken[i].name),
                                       .calls = taken[i].calls,
                                       .first_ms = taken[i].first_ms,
                                       .last_ms = taken[i].last_ms};
        calls += taken[i].calls;
    }
    if (!write) {
        metric_add(METRIC_AUDIT_LOST, calls);
        return;
    }
    write->calls = calls;
    write->write = (struct read_call){.on_done = on_written, .context = write};
    audit_write_begins();
    store_add_audit_counts(api->store, &write->write, site_ref(api->hash_key, bytes_of(taken[0].site)), sent, count);
}

void audit_send_counts(struct api *api) {
    while (table.count)
        send_site(api);
}

// ---- Counting

static void on_due(struct read_call *read, enum outcome outcome) {
    table.timed = false;
    if (outcome == OK) // else the worker ends, and has sent them
        audit_send_counts(read->context);
}

static struct counted_calls *find(const struct call *call) {
    for (size_t i = 0; i < table.count; i++) {
        struct counted_calls *counted = &table.at[i];
        if (counted->route == call->route && counted->key_name == call->key_name &&
            bytes_eq(call->site, bytes_of(counted->site)))
            return counted;
    }
    return NULL;
}

static struct counted_calls *add(struct call *call) {
    if (table.count == COUNTED_MAX)
        audit_send_counts(call->api);
    struct counted_calls *counted = &table.at[table.count++];
    *counted = (struct counted_calls){.key_name = call->key_name, .route = call->route, .first_ms = clock_now_ms()};
    snprintf(counted->site, sizeof counted->site, "%.*s", (int)call->site.len, call->site.at);
    audit_name(call->route, counted->name);
    return counted;
}

void audit_count_call(struct call *call) {
    struct counted_calls *counted = find(call);
    if (!counted)
        counted = add(call);
    counted->calls++;
    counted->last_ms = clock_now_ms();
    if (table.timed)
        return;
    table.timed = true;
    table.timer = (struct read_call){.on_done = on_due, .context = call->api};
    store_wait_ms(call->api->store, &table.timer, SEND_MS);
}
