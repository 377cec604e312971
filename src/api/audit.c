// SPDX-License-Identifier: MIT
// The entries of the audit log: audit.h has the rules.
#include "api/audit.h"
#include "base/clock.h"
#include "model/keys.h"
#include "model/names.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "store/audit_log.h"
#include <stdio.h>
#include <stdlib.h>

enum { QUIET_NS = 1000000000 };
enum audit_kind { AUDIT_NONE, AUDIT_COUNTED, AUDIT_ENTRY };

enum entry_state {
    AUDIT_UNWRITTEN, // nothing is on its way to Redis yet; a call that is refused has only the entry with a status
    AUDIT_BEGINS,    // the entry without a status is on its way
    AUDIT_ANSWERED,  // so it is, and the call was answered meanwhile: the status follows
    AUDIT_RUNS,      // that entry is in Redis, or could not be written, and the call runs
    AUDIT_ENDS       // the entry with the status is on its way
};

// The entry of one call. It outlives the call, which ends with its answer.
struct audit {
    enum entry_state state;
    struct read_call write;
    struct api *api;
    struct call *waiting; // AUDIT_BEGINS: the call that starts when the entry is written; NULL: a bulk call, which runs
    const struct route *route;
    const char *key_name;
    ref_t site;
    int64_t began_ms;
    char id[AUDIT_ID_SIZE]; // of the entry that is in Redis; empty: none
    struct buffer entry;
};

static enum audit_kind kind_of(const struct call *call) {
    const struct route *route = call->route;
    if (!route || !call->keyed || !call->api->settings->audit_entries)
        return AUDIT_NONE;
    if (route->kind != ROUTE_PUBLISHER && route->kind != ROUTE_PRIVATE)
        return AUDIT_NONE;
    if (route->start == export_start || route->start == me_delete_start)
        return AUDIT_ENTRY;
    if (route->kind == ROUTE_PRIVATE || route->method == HTTP_METHOD_GET || route->start == events_start)
        return AUDIT_COUNTED;
    return AUDIT_ENTRY;
}

struct bytes audit_name(const struct route *route, char text[static AUDIT_NAME_MAX]) {
    static const char *const methods[] = {[HTTP_METHOD_GET] = "GET",
                                          [HTTP_METHOD_POST] = "POST",
                                          [HTTP_METHOD_PUT] = "PUT",
                                          [HTTP_METHOD_DELETE] = "DELETE"};
    snprintf(text, AUDIT_NAME_MAX, "%s %s", methods[route->method], route->pattern);
    return bytes_of(text);
}

// Members without braces: GET adds the id. Status 0: not known yet.
static void render(struct audit *audit, const struct call *call, int status) {
    char name[AUDIT_NAME_MAX];
    buffer_clear(&audit->entry);
    struct json_out json = json_out_to(&audit->entry);
    json_key(&json, BYTES("time"));
    json_time(&json, audit->began_ms);
    json_key(&json, BYTES("key"));
    json_text(&json, bytes_of(call->key_name));
    json_key(&json, BYTES("call"));
    json_text(&json, audit_name(call->route, name));
    if (call->item.at && !bytes_eq(call->item, BYTES("-")) && item_id_valid(call->item)) {
        json_key(&json, BYTES("item"));
        json_text(&json, call->item);
    }
    if (status && call->route->body == ROUTE_BODY_LINES) {
        json_key(&json, BYTES("accepted"));
        json_int(&json, (int64_t)call->lines_accepted);
    }
    json_key(&json, BYTES("status"));
    if (status)
        json_int(&json, status);
    else
        json_null(&json);
}

static struct audit *audit_new(struct call *call) {
    struct audit *audit = calloc(1, sizeof *audit);
    if (!audit)
        return NULL;
    audit->api = call->api;
    audit->route = call->route;
    audit->key_name = call->key_name;
    audit->site = site_ref(call->api->hash_key, call->site);
    audit->began_ms = clock_now_ms();
    buffer_init(&audit->entry, AUDIT_ENTRY_MAX);
    return audit;
}

static void audit_free(struct audit *audit) {
    buffer_release(&audit->entry);
    free(audit);
}

// ---- Writing

static void on_id(struct read_call *read, struct bytes id) {
    struct audit *audit = read->context;
    snprintf(audit->id, sizeof audit->id, "%.*s", (int)id.len, id.at ? id.at : "");
}

static void write_entry(struct audit *audit, enum entry_state state,
                        void (*on_done)(struct read_call *read, enum outcome outcome)) {
    audit->state = state;
    audit->write = (struct read_call){.on_done = on_done, .context = audit};
    audit_write_begins();
    store_add_audit(audit->api->store, &audit->write, audit->site, bytes_of(audit->id), buffer_bytes(&audit->entry),
                    on_id);
}

// At most a line a second: the metric has the number.
static void tell_lost(const struct route *route, const char *key_name) {
    static uint64_t quiet_until_ns;
    char name[AUDIT_NAME_MAX];
    metric_add(METRIC_AUDIT_LOST, 1);
    if (clock_mono_ns() < quiet_until_ns)
        return;
    quiet_until_ns = clock_mono_ns() + QUIET_NS;
    audit_name(route, name);
    log_warn("the audit log cannot be written: it lacks the key %s: %s, or its status", key_name, name);
}

static void on_finished(struct read_call *read, enum outcome outcome) {
    struct audit *audit = read->context;
    if (outcome != OK)
        tell_lost(audit->route, audit->key_name);
    audit_free(audit);
    audit_write_ends();
}

// ---- Before the call

// Where only the node of the log is away, others may take the change; an export changes nothing.
static bool may_go_on(const struct audit *audit, enum outcome outcome) {
    return outcome == OK || outcome == INTERNAL || audit->route->method == HTTP_METHOD_GET ||
           !store_serves(audit->api->store, partition_of(audit->site, keys_partitions()));
}

// Starts the call that waits, or refuses it.
static void start_waiting(struct audit *audit, enum outcome outcome) {
    struct call *call = audit->waiting;
    audit->waiting = NULL;
    if (call && may_go_on(audit, outcome))
        call->route->start(call);
    else if (call)
        answer_error(call, outcome, NULL);
}

static void on_begun(struct read_call *read, enum outcome outcome) {
    struct audit *audit = read->context;
    if (audit->state == AUDIT_ANSWERED) {
        write_entry(audit, AUDIT_ENDS, on_finished);
    } else {
        audit->state = AUDIT_RUNS; // before the call does anything: it may be answered at once
        start_waiting(audit, outcome);
    }
    audit_write_ends();
}

static enum outcome begin(struct call *call, bool waits) {
    struct audit *audit = audit_new(call);
    if (!audit)
        return UNAVAILABLE;
    render(audit, call, 0);
    if (audit->entry.failed) {
        audit_free(audit);
        return UNAVAILABLE;
    }
    audit->waiting = waits ? call : NULL;
    call->audit = audit;
    write_entry(audit, AUDIT_BEGINS, on_begun);
    return OK;
}

enum outcome audit_body(struct call *call) {
    enum audit_kind kind = kind_of(call);
    call->audited = true;
    if (kind == AUDIT_COUNTED)
        audit_count_call(call);
    return kind == AUDIT_ENTRY ? begin(call, false) : OK;
}

void audit_start(struct call *call) {
    enum audit_kind kind = call->audited ? AUDIT_NONE : kind_of(call);
    call->audited = true;
    if (kind == AUDIT_ENTRY) {
        if (begin(call, true) != OK)
            answer_error(call, UNAVAILABLE, NULL);
        return;
    }
    if (kind == AUDIT_COUNTED)
        audit_count_call(call);
    call->route->start(call);
}

// ---- After it

// It was refused before it began.
static struct audit *take_refused(struct call *call) {
    enum audit_kind kind = kind_of(call);
    struct audit *audit = kind == AUDIT_ENTRY ? audit_new(call) : NULL;
    if (kind == AUDIT_COUNTED)
        audit_count_call(call);
    else if (kind == AUDIT_ENTRY && !audit)
        tell_lost(call->route, call->key_name);
    return audit;
}

void audit_answered(struct call *call, int status) {
    if (!call || !call->keyed)
        return;
    struct audit *audit = call->audit ? call->audit : call->audited ? NULL : take_refused(call);
    call->audited = true;
    call->audit = NULL;
    if (!audit)
        return;
    render(audit, call, status);
    if (audit->state == AUDIT_BEGINS)
        audit->state = AUDIT_ANSWERED;
    else
        write_entry(audit, AUDIT_ENDS, on_finished);
}
