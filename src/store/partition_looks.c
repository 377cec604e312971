// SPDX-License-Identifier: MIT
// What a tool asks about each partition: which node has it, and how many votes and views its log gets.
#include "model/entry.h"
#include "store/operator_reads.h"
#include "store/reads.h"
#include <stdio.h>

enum { ENTRIES_MAX = 1000 }; // of a log in one look

struct looks_state {
    struct read_state read;
    struct partition_look *looks;
};

// ---- Replies

// The value behind a name in the reply to XINFO.
static const redisReply *value_of(const redisReply *info, const char *name) {
    for (size_t i = 0; info && info->type == REDIS_REPLY_ARRAY && i + 1 < info->elements; i += 2)
        if (bytes_eq(reply_text(info->element[i]), bytes_of(name)))
            return info->element[i + 1];
    return NULL;
}

static void count_records(struct partition_look *look, struct bytes value) {
    struct entry_record record;
    struct bytes rest;
    double accept_ms;
    if (!entry_open(value, &accept_ms, &rest))
        return;
    while (entry_next(&rest, &record) == 1) {
        look->votes += record.type == 'B' || record.type == 'V';
        look->views += record.type == 'W';
    }
}

static void count_entries(struct partition_look *look, const redisReply *entries) {
    look->read = look->votes = look->views = 0;
    for (size_t i = 0; entries->type == REDIS_REPLY_ARRAY && i < entries->elements; i++) {
        const redisReply *entry = entries->element[i];
        bool whole = entry->type == REDIS_REPLY_ARRAY && entry->elements == 2;
        look->read += whole;
        if (whole)
            count_records(look, reply_text_at(entry->element[1], 1));
    }
}

static void take_info(struct partition_look *look, const redisReply *info) {
    uint64_t entries = (uint64_t)reply_int(value_of(info, "entries-added"));
    look->new_entries = look->there && entries > look->entries ? entries - look->entries : 0;
    look->entries = entries;
    look->last = log_id_parse(reply_text(value_of(info, "last-generated-id")));
}

// For each partition its log's entries, if they were asked for, then the state of the log.
static void on_looked(struct pipeline *pipeline) {
    struct looks_state *state = pipeline->context;
    uint32_t at = 0;
    for (uint32_t i = 0; i < keys_partitions(); i++) {
        struct partition_look *look = &state->looks[i];
        const struct pipelined *entries = look->there ? &pipeline->at[at++] : NULL, *info = &pipeline->at[at++];
        bool there = info->outcome == OK && (!entries || entries->outcome == OK);
        if (there && entries)
            count_entries(look, entries->reply);
        if (there)
            take_info(look, info->reply);
        look->there = there;
    }
    read_end(pipeline, OK);
}

// ---- Questions

static void ask_for_entries(struct pipeline *pipeline, struct store *store, const struct key *log, struct log_id last) {
    char text[1 + LOG_ID_TEXT] = "(";
    log_id_format(last, text + 1);
    begin_command(store, "XRANGE");
    add_key(store, log);
    command_add_text(&store->command, text);
    command_add_text(&store->command, "+");
    command_add_text(&store->command, "COUNT");
    command_add_int(&store->command, ENTRIES_MAX);
    read_add(pipeline);
}

static void ask_for_info(struct pipeline *pipeline, struct store *store, const struct key *log) {
    command_add_text(begin_command(store, "XINFO"), "STREAM");
    add_key(store, log);
    read_add(pipeline);
}

static void note_owner(const struct store *store, uint32_t partition, struct partition_look *look) {
    const struct node *node = router_node_of(store->router, partition);
    snprintf(look->owner, sizeof look->owner, "%s", node ? node->name : "");
    snprintf(look->id, sizeof look->id, "%s", node ? node->id : "");
}

void store_look_at_partitions(struct store *store, struct read_call *call, struct partition_look *looks) {
    uint32_t partitions = keys_partitions(), commands = partitions;
    for (uint32_t i = 0; i < partitions; i++)
        commands += looks[i].there;
    struct pipeline *pipeline = read_begin(store, call, commands, sizeof(struct looks_state), on_looked);
    if (!pipeline)
        return;
    ((struct looks_state *)pipeline->context)->looks = looks;
    for (uint32_t i = 0; i < partitions; i++) {
        struct key log;
        key_log(&log, i);
        note_owner(store, i, &looks[i]);
        if (looks[i].there)
            ask_for_entries(pipeline, store, &log, looks[i].last);
        ask_for_info(pipeline, store, &log);
    }
}

// ---- The nodes of a Cluster

struct nodes_state {
    struct read_state read;
    void (*on_text)(struct read_call *call, struct bytes text);
};

static void on_nodes(struct pipeline *pipeline) {
    struct nodes_state *state = pipeline->context;
    if (pipeline->at[0].outcome == OK)
        state->on_text(state->read.call, reply_text(pipeline->at[0].reply));
    read_end(pipeline, OK);
}

void store_read_cluster_nodes(struct store *store, struct read_call *call,
                              void (*on_text)(struct read_call *call, struct bytes text)) {
    struct pipeline *pipeline = read_begin(store, call, 1, sizeof(struct nodes_state), on_nodes);
    if (!pipeline)
        return;
    ((struct nodes_state *)pipeline->context)->on_text = on_text;
    command_add_text(begin_command(store, "CLUSTER"), "NODES");
    read_add(pipeline);
}
