// SPDX-License-Identifier: MIT
// The life of the master (its replication id), and the opening of the logs in it (lua/open.lua). The logs are opened on
// each new connection before anything is written. They are opened again when the master behind the connection has a new
// life (a restore, a promoted replica), which is checked each second. A store that guards the logs opens them each
// second, in case somebody has removed them.
#include "base/clock.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "store/reads.h"
#include <inttypes.h>

enum { AHEAD_MS = 60000 }; // the clocks of all processes that open logs agree within this

// The life of a master whose replication id cannot be read. Only the connection then tells a restart.
static const struct bytes unknown_life = {"unknown", 7};

struct bytes info_value(struct bytes info, const char *name) {
    size_t len = strlen(name);
    const char *at = info.len ? memmem(info.at, info.len, name, len) : NULL;
    if (!at)
        return NO_BYTES;
    struct bytes rest = {at + len, info.len - (size_t)(at - info.at) - len};
    const char *end = memchr(rest.at, '\r', rest.len);
    return end ? (struct bytes){rest.at, (size_t)(end - rest.at)} : NO_BYTES;
}

void ask_for_life(struct store *store) {
    command_add_text(begin_command(store, "INFO"), "replication");
}

static struct bytes life_of(const redisReply *info) {
    struct bytes life = info_value(reply_text(info), "\nmaster_replid:");
    return life.len > 0 && life.len < LIFE_SIZE ? life : unknown_life;
}

bool life_note(struct store_node *at, const redisReply *info) {
    struct bytes life = life_of(info), role = info_value(reply_text(info), "\nrole:");
    snprintf(at->life_found, sizeof at->life_found, "%.*s", (int)life.len, life.at);
    replicas_note(at, info);
    return role.len == 0 || bytes_eq(role, BYTES("master"));
}

bool life_is_known(const struct store_node *at) {
    return !bytes_eq(bytes_of(at->life), unknown_life);
}

bool life_goes_on(const struct store_node *at, const redisReply *info) {
    return bytes_eq(life_of(info), bytes_of(at->life));
}

// ---- Opening

// Adds an id, and "+" for a log that must have an entry.
static void add_above(struct store *store, struct log_id above, struct log_id offset) {
    char text[LOG_ID_TEXT + 1] = "";
    if (!log_id_none(above))
        log_id_format(above, text);
    command_add_text(&store->command, log_id_none(offset) ? strcat(text, "+") : text);
}

static void add_log(struct store *store, uint32_t partition) {
    struct key key;
    key_log(&key, partition);
    add_key(store, &key);
    key_offsets(&key, partition);
    add_key(store, &key);
}

// A node of a Cluster may have become a master since it was asked. Its id stands in for a life that Redis does not
// tell: so at least a failover is another life.
static void add_life(struct store *store, const struct store_node *at) {
    char life[LIFE_SIZE + 1] = ""; // `at` NULL: the router sends it to nobody
    bool known = at && !bytes_eq(bytes_of(at->life_found), unknown_life);
    if (at)
        snprintf(life, sizeof life, "%s%s", known || !at->node->id[0] ? at->life_found : at->node->id,
                 store->cluster ? "?" : "");
    command_add_text(&store->command, life);
    command_add_int(&store->command, clock_now_ms() + AHEAD_MS);
}

void open_begin_one(struct store *store, const struct store_node *at, uint32_t partition) {
    script_begin(&store->command, SCRIPT_OPEN, 2);
    add_log(store, partition);
    add_life(store, at);
}

static void open_all(struct store_node *at, const struct log_id *above, const struct log_id *offsets) {
    struct store *store = at->store;
    uint32_t partitions = keys_partitions();
    script_begin(&store->command, SCRIPT_OPEN, 2 * partitions);
    for (uint32_t i = 0; i < partitions; i++)
        add_log(store, i);
    add_life(store, at);
    for (uint32_t i = 0; above && i < partitions; i++)
        add_above(store, above[i], offsets[i]);
}

int tell_opened(const redisReply *reply) {
    bool whole = reply->type == REDIS_REPLY_ARRAY && reply->elements == 3;
    int opened = whole ? (int)reply_int(reply->element[0]) : 0, behind = whole ? (int)reply_int(reply->element[1]) : 0;
    if (behind > 0)
        log_warn("redis: %d logs were behind the ids of what was projected (data was lost, clocks differ): raised",
                 behind);
    metric_add(METRIC_PROJECTION_GAPS, (uint64_t)behind);
    return opened;
}

static void open_done(struct store_node *at, struct bytes digest) {
    struct store *store = at->store;
    snprintf(at->life, sizeof at->life, "%s", at->life_found);
    if (at->opened > 0)
        log_info("redis: %u logs were opened", at->opened);
    if (bytes_eq(digest, bytes_of(store->lives)))
        return;
    snprintf(store->lives, sizeof store->lives, "%.*s", (int)digest.len, digest.len ? digest.at : "");
    store->generation++;
}

void open_begin(struct store_node *at) {
    at->opening = at->opened = 0;
    at->digests = 0;
    if (store_cuts_by_partition(at->store))
        open_begin_one(at->store, at, 0);
    else
        open_all(at, NULL, NULL);
}

// Where a call may touch one partition only, one after the other is opened.
bool open_next(struct store_node *at, const redisReply *reply) {
    struct bytes digest = reply_text_at(reply, 2);
    char text[LIFE_SIZE];
    at->opened += (uint32_t)tell_opened(reply);
    if (store_cuts_by_partition(at->store)) {
        struct bytes parts[] = {{(const char *)&at->digests, sizeof at->digests}, digest};
        at->digests = keyed_hash64(at->store->hash_key, 'l', parts, 2);
        if (++at->opening < keys_partitions()) {
            open_begin_one(at->store, at, at->opening);
            return true;
        }
        snprintf(text, sizeof text, "%016" PRIx64, at->digests);
        digest = bytes_of(text);
    }
    open_done(at, digest);
    return false;
}

// ---- Opening above applied ids

struct above_state {
    struct read_state read;
    struct apart apart;
};

static void on_opened(struct pipeline *pipeline) {
    enum outcome outcome = pipeline_outcome(pipeline);
    struct store_node *at = ((struct read_state *)pipeline->context)->store->nodes;
    at->opened = 0;
    if (outcome == OK)
        open_next(at, pipeline->at[0].reply);
    read_end(pipeline, outcome);
}

static void on_each_opened(struct pipeline *pipeline) {
    struct above_state *state = pipeline->context;
    enum outcome outcome = read_apart(pipeline, state->apart.on_away);
    for (uint32_t i = 0; outcome == OK && i < pipeline->count; i++)
        if (pipeline->at[i].outcome == OK && tell_opened(pipeline->at[i].reply))
            state->read.store->generation++;
    read_end(pipeline, outcome);
}

static void open_each(struct store *store, struct read_call *call, const struct apart *apart,
                      const struct log_id *applied, const struct log_id *offsets) {
    size_t count = 0;
    for (uint32_t i = 0; i < keys_partitions(); i++)
        count += !apart->skip[i];
    struct pipeline *pipeline = read_begin(store, call, count, sizeof(struct above_state), on_each_opened);
    if (!pipeline)
        return;
    ((struct above_state *)pipeline->context)->apart = *apart;
    for (uint32_t i = 0; i < keys_partitions(); i++) {
        if (apart->skip[i])
            continue;
        script_begin(&store->command, SCRIPT_OPEN, 2);
        add_log(store, i);
        add_life(store, node_of(store, i));
        add_above(store, applied[i], offsets[i]);
        store->command.no_redirect = true; // another node has another life
        pipeline_add(pipeline, store->router, &store->command);
    }
}

void store_open_above(struct store *store, struct read_call *call, const struct apart *apart,
                      const struct log_id *applied, const struct log_id *offsets, bool one_by_one) {
    if (one_by_one || store_cuts_by_partition(store)) {
        open_each(store, call, apart, applied, offsets);
        return;
    }
    struct pipeline *pipeline = read_begin(store, call, 1, sizeof(struct read_state), on_opened);
    if (!pipeline)
        return;
    open_all(store->nodes, applied, offsets);
    pipeline_add(pipeline, store->router, &store->command);
}

// ---- Each second, and when a reply shows another life

static void end_look(struct redis_call *call) {
    ((struct handshake_call *)call)->at->looking = false;
    freeReplyObject(call->reply);
}

static void on_look_opened(struct redis_call *call);

static void send_open(struct store_node *at) {
    at->look = (struct handshake_call){.call.on_reply = on_look_opened, .at = at};
    send_to(at, &at->look.call);
}

static void on_look_opened(struct redis_call *call) {
    struct store_node *at = ((struct handshake_call *)call)->at;
    redisReply *reply = call->reply;
    if (call->outcome != OK || !open_next(at, reply)) {
        end_look(call);
        return;
    }
    send_open(at);
    freeReplyObject(reply);
}

static void open_again(struct store_node *at) {
    open_begin(at);
    send_open(at);
}

static void look_in_cluster(struct store_node *at, const redisReply *info) {
    bool goes_on = life_goes_on(at, info);
    snprintf(at->life, sizeof at->life, "%s", at->life_found);
    if (!goes_on || at->store->guards_logs)
        cluster_open_again(at, !goes_on);
}

// A master that returns after a failover takes writes until a Sentinel demotes it. With min-replicas-to-write it
// refuses them by itself. INFO names good replicas only where that is set.
static void look_at_replicas(struct store_node *at, const redisReply *info) {
    struct bytes text = reply_text(info);
    bool lacks = at->store->address.kind == ADDRESS_SENTINEL && text.len > 0 &&
                 !info_value(text, "\nmin_slaves_good_slaves:").len;
    if (lacks && !at->store->told_replicas)
        log_warn("redis: the master has no min-replicas-to-write: when it returns after a failover, it takes writes of "
                 "others, and they are lost");
    at->store->told_replicas = lacks;
}

static void on_look(struct redis_call *call) {
    struct store_node *at = ((struct handshake_call *)call)->at;
    if (call->outcome == OK && at->store->guards_logs)
        look_at_replicas(at, call->reply);
    bool is_master = call->outcome == OK && life_note(at, call->reply);
    if (is_master && at->store->cluster)
        look_in_cluster(at, call->reply);
    if (!is_master || at->store->cluster) {
        end_look(call);
        return;
    }
    if (life_goes_on(at, call->reply) && !at->store->guards_logs) {
        end_look(call);
        return;
    }
    freeReplyObject(call->reply);
    open_again(at);
}

void store_guard_logs(struct store *store) {
    store->guards_logs = true;
}

void open_look(struct store_node *at) {
    if (at->looking || !redis_is_ready(at->node->redis))
        return;
    at->looking = true;
    if (!life_is_known(at) && !at->store->cluster) {
        open_again(at);
        return;
    }
    at->look = (struct handshake_call){.call.on_reply = on_look, .at = at};
    ask_for_life(at->store);
    send_to(at, &at->look.call);
}
