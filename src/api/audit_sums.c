// SPDX-License-Identifier: MIT
// Calls with a key that the audit log only counts: added up in a small table, which goes to Redis a second after its
// first call, when it is full, and when the worker ends. What a process that is killed has counted since then is lost.
#include "api/audit.h"
#include "base/clock.h"
#include "ops/metrics.h"
#include "store/audit_log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COUNTED_MAX = 128, FLUSH_MS = 1000 };

struct key_count {
    char site[NAME_SIZE], name[AUDIT_NAME_MAX];
    const char *key_name; // of the settings
    const struct route *route;
    uint64_t count;
    int64_t first_ms, last_ms;
};

// Of this worker.
static struct {
    struct key_count at[COUNTED_MAX];
    size_t count;
    struct read_call timer;
    bool timed;
    size_t writing; // entries and counts that are being written
    void (*on_done)(void *context);
    void *context;
} sums;

// ---- Writes under way

void audit_write_begins(void) {
    sums.writing++;
}

void audit_write_ends(void) {
    void (*on_done)(void *) = sums.on_done;
    if (--sums.writing || !on_done)
        return;
    sums.on_done = NULL;
    on_done(sums.context);
}

bool api_finish(struct api *api, void (*on_done)(void *context), void *context) {
    audit_flush(api);
    if (!sums.writing)
        return false;
    sums.on_done = on_done;
    sums.context = context;
    return true;
}

// ---- Sending

struct sums_write {
    struct read_call write;
    uint64_t calls;
};

static void on_written(struct read_call *read, enum outcome outcome) {
    struct sums_write *write = read->context;
    metric_add(METRIC_AUDIT_LOST, outcome == OK ? 0 : write->calls);
    free(write);
    audit_write_ends();
}

// Takes the counts of the first one's site out of the table. Returns how many.
static size_t take_site(struct key_count taken[static COUNTED_MAX]) {
    size_t count = 0, kept = 0;
    for (size_t i = 0; i < sums.count; i++)
        if (count == 0 || strcmp(sums.at[i].site, taken[0].site) == 0)
            taken[count++] = sums.at[i];
        else
            sums.at[kept++] = sums.at[i];
    sums.count = kept;
    return count;
}

static void send_site(struct api *api) {
    static struct key_count taken[COUNTED_MAX];
    struct audit_sum sent[COUNTED_MAX];
    struct sums_write *write = calloc(1, sizeof *write);
    size_t count = take_site(taken);
    uint64_t calls = 0;
    for (size_t i = 0; i < count; i++) {
        sent[i] = (struct audit_sum){.key = bytes_of(taken[i].key_name),
                                     .call = bytes_of(taken[i].name),
                                     .count = taken[i].count,
                                     .first_ms = taken[i].first_ms,
                                     .last_ms = taken[i].last_ms};
        calls += taken[i].count;
    }
    if (!write) {
        metric_add(METRIC_AUDIT_LOST, calls);
        return;
    }
    write->calls = calls;
    write->write = (struct read_call){.on_done = on_written, .context = write};
    audit_write_begins();
    store_add_audit_sums(api->store, &write->write, site_ref(api->hash_key, bytes_of(taken[0].site)), sent, count);
}

void audit_flush(struct api *api) {
    while (sums.count)
        send_site(api);
}

// ---- Counting

static void on_due(struct read_call *read, enum outcome outcome) {
    sums.timed = false;
    if (outcome == OK) // else the worker ends, and has sent them
        audit_flush(read->context);
}

static struct key_count *find(const struct call *call) {
    for (size_t i = 0; i < sums.count; i++) {
        struct key_count *counted = &sums.at[i];
        if (counted->route == call->route && counted->key_name == call->key_name &&
            bytes_eq(call->site, bytes_of(counted->site)))
            return counted;
    }
    return NULL;
}

static struct key_count *add(struct call *call) {
    if (sums.count == COUNTED_MAX)
        audit_flush(call->api);
    struct key_count *counted = &sums.at[sums.count++];
    *counted = (struct key_count){.key_name = call->key_name, .route = call->route, .first_ms = clock_now_ms()};
    snprintf(counted->site, sizeof counted->site, "%.*s", (int)call->site.len, call->site.at);
    audit_name(call->route, counted->name);
    return counted;
}

void audit_count(struct call *call) {
    struct key_count *counted = find(call);
    if (!counted)
        counted = add(call);
    counted->count++;
    counted->last_ms = clock_now_ms();
    if (sums.timed)
        return;
    sums.timed = true;
    sums.timer = (struct read_call){.on_done = on_due, .context = call->api};
    store_wait_ms(call->api->store, &sums.timer, FLUSH_MS);
}
