// SPDX-License-Identifier: MIT
// Writes and reads the audit log of a site: audit_log.h has its form.
#include "store/audit_log.h"
#include "base/clock.h"
#include "store/reads.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

// From when on entries are kept; 0: all are.
static int64_t kept_from(const struct store *store) {
    int64_t kept = store->settings->audit_kept_for_ms, now = clock_now_ms();
    return kept && now > kept ? now - kept : 0;
}

static void add_age(struct store *store) {
    command_add_int(&store->command, kept_from(store));
    command_add_int(&store->command, store->settings->audit_kept_for_ms);
}

// ---- Entries

struct added_state {
    struct read_state read;
    void (*on_id)(struct read_call *call, struct bytes id);
};

static void on_added(struct pipeline *pipeline) {
    struct added_state *state = pipeline->context;
    enum outcome outcome = pipeline->at[0].outcome;
    if (outcome == OK)
        state->on_id(state->read.call, reply_text(pipeline->at[0].reply));
    read_end(pipeline, outcome);
}

void store_add_audit(struct store *store, struct read_call *call, ref_t site, struct bytes replaced, struct bytes json,
                     void (*on_id)(struct read_call *call, struct bytes id)) {
    struct pipeline *pipeline = read_begin(store, call, 1, sizeof(struct added_state), on_added);
    struct key key;
    if (!pipeline)
        return;
    ((struct added_state *)pipeline->context)->on_id = on_id;
    script_begin(&store->command, SCRIPT_AUDIT, 1);
    key_audit(&key, site);
    add_key(store, &key);
    command_add_int(&store->command, store->settings->audit_entries);
    command_add(&store->command, replaced);
    command_add(&store->command, json);
    add_age(store);
    write_add(pipeline);
}

// ---- Counts

static void on_counted(struct pipeline *pipeline) {
    read_end(pipeline, pipeline->at[0].outcome);
}

static void add_field(struct store *store, const struct audit_count *count) {
    char text[256];
    struct buffer field = buffer_over(text, sizeof text);
    buffer_add_bytes(&field, count->key);
    buffer_add_char(&field, ' ');
    buffer_add_bytes(&field, count->call);
    command_add(&store->command, buffer_bytes(&field));
}

void store_add_audit_counts(struct store *store, struct read_call *call, ref_t site, const struct audit_count *counts,
                            size_t count) {
    struct pipeline *pipeline = read_begin(store, call, 1, sizeof(struct read_state), on_counted);
    struct key key;
    if (!pipeline)
        return;
    script_begin(&store->command, SCRIPT_AUDIT_COUNTS, 1);
    key_audit_counts(&key, site);
    add_key(store, &key);
    command_add_int(&store->command, AUDIT_COUNTS_MAX);
    add_age(store);
    for (size_t i = 0; i < count; i++) {
        add_field(store, &counts[i]);
        command_add_int(&store->command, (int64_t)counts[i].calls);
        command_add_int(&store->command, counts[i].first_ms);
        command_add_int(&store->command, counts[i].last_ms);
    }
    write_add(pipeline);
}

// ---- Reading

enum { AT_ENTRIES, AT_COUNTS };

struct audit_state {
    struct read_state read;
    void (*on_entry)(struct read_call *call, struct bytes id, struct bytes json);
    void (*on_count)(struct read_call *call, const struct audit_count *count);
};

static void give_entry(const struct audit_state *state, const redisReply *entry) {
    const redisReply *fields = entry->elements == 2 ? entry->element[1] : NULL;
    bool ours = fields && bytes_eq(reply_text_at(fields, 0), BYTES("j"));
    state->on_entry(state->read.call, reply_text_at(entry, 0), ours ? reply_text_at(fields, 1) : NO_BYTES);
}

// What is not of our form is passed over. hiredis ends every string with a NUL.
static void give_count(const struct audit_state *state, struct bytes field, struct bytes value) {
    struct audit_count count;
    const char *space = field.len ? memchr(field.at, ' ', field.len) : NULL;
    if (!space || !value.len ||
        sscanf(value.at, "%" SCNu64 " %" SCNd64 " %" SCNd64, &count.calls, &count.first_ms, &count.last_ms) != 3 ||
        count.last_ms < kept_from(state->read.store))
        return;
    count.key = (struct bytes){field.at, (size_t)(space - field.at)};
    count.call = (struct bytes){space + 1, field.len - count.key.len - 1};
    state->on_count(state->read.call, &count);
}

static void on_audit(struct pipeline *pipeline) {
    struct audit_state *state = pipeline->context;
    enum outcome outcome = read_outcome(pipeline);
    const redisReply *entries = pipeline->at[AT_ENTRIES].outcome == OK ? pipeline->at[AT_ENTRIES].reply : NULL;
    const redisReply *counts =
        pipeline->count > AT_COUNTS && pipeline->at[AT_COUNTS].outcome == OK ? pipeline->at[AT_COUNTS].reply : NULL;
    for (size_t i = 0; outcome == OK && entries && i < entries->elements; i++)
        give_entry(state, entries->element[i]);
    for (size_t i = 0; outcome == OK && counts && i + 1 < counts->elements; i += 2)
        give_count(state, reply_text_at(counts, i), reply_text_at(counts, i + 1));
    read_end(pipeline, outcome);
}

// The greatest id below this one; "+" where there is none.
static void id_before(struct log_id id, char text[static LOG_ID_TEXT]) {
    if (log_id_none(id))
        snprintf(text, LOG_ID_TEXT, "+");
    else if (id.seq)
        log_id_format((struct log_id){id.ms, id.seq - 1}, text);
    else
        log_id_format((struct log_id){id.ms - 1, UINT64_MAX}, text);
}

static void ask_entries(struct pipeline *pipeline, struct store *store, ref_t site, struct log_id before,
                        uint32_t most) {
    char last[LOG_ID_TEXT], first[LOG_ID_TEXT];
    log_id_format((struct log_id){(uint64_t)kept_from(store), 0}, first);
    struct key key;
    id_before(before, last);
    key_audit(&key, site);
    begin_command(store, "XREVRANGE");
    add_key(store, &key);
    command_add_text(&store->command, last);
    command_add_text(&store->command, first);
    command_add_text(&store->command, "COUNT");
    command_add_int(&store->command, most);
    read_add(pipeline);
}

void store_read_audit(struct store *store, struct read_call *call, ref_t site, struct log_id before, uint32_t most,
                      void (*on_entry)(struct read_call *call, struct bytes id, struct bytes json),
                      void (*on_count)(struct read_call *call, const struct audit_count *count)) {
    struct pipeline *pipeline = read_begin(store, call, on_count ? 2 : 1, sizeof(struct audit_state), on_audit);
    struct key key;
    if (!pipeline)
        return;
    struct audit_state *state = pipeline->context;
    state->on_entry = on_entry;
    state->on_count = on_count;
    ask_entries(pipeline, store, site, before, most);
    key_audit_counts(&key, site);
    if (on_count)
        read_ask(pipeline, "HGETALL", &key);
}
