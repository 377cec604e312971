// SPDX-License-Identifier: MIT
// Lanes: queue, cut into batches, send them pipelined, hand out the results, put back what must be tried again.
#include "store/batch.h"
#include "base/clock.h"
#include "ops/metrics.h"
#include "store/gather.h"
#include "store/store_inside.h"
#include <stdlib.h>
#include <string.h>

enum { TRIES_MOST = 16, APART_MS = 1000 };

// One script call: its writes in the order of their groups.
struct batch {
    struct link_call call; // first: the link's view of it
    struct lane *lane;
    uint32_t count, log;
    struct queued *writes[BATCH_MOST];
};

void lane_init(struct lane *lane, struct store *store, const struct lane_kind *kind) {
    *lane = (struct lane){.kind = kind, .store = store};
    lane->end = &lane->first;
    lane->retried_end = &lane->retried;
}

void lane_add(struct lane *lane, struct queued *write, uint32_t partition) {
    write->partition = partition;
    write->tries = 0;
    write->since_ms = uv_now(lane->store->loop);
    write->next = NULL;
    if (!write->patient && lane->waiting >= (uint32_t)lane->store->settings->redis_queue) {
        write->next = lane->refused;
        lane->refused = write;
        metric_add(METRIC_REDIS_SHED, 1);
        return;
    }
    *lane->end = write;
    lane->end = &write->next;
    lane->waiting++;
}

// ---- Results

static void finish_all(struct lane *lane, struct queued *list, enum outcome outcome) {
    while (list) {
        struct queued *next = list->next; // the call may be gone once it is finished
        lane->kind->finish(lane->store, list, outcome);
        list = next;
    }
}

static void try_again(struct lane *lane, struct queued *write) {
    metric_add(METRIC_WRITE_RETRIES, 1);
    write->next = NULL;
    *lane->retried_end = write;
    lane->retried_end = &write->next;
    lane->waiting++;
}

// The id before the next space; what is left of `ids` begins behind it.
static struct log_id next_entry(struct bytes *ids) {
    const char *space = ids->len ? memchr(ids->at, ' ', ids->len) : NULL;
    size_t len = space ? (size_t)(space - ids->at) : ids->len, step = space ? len + 1 : len;
    struct log_id entry = log_id_parse((struct bytes){ids->at, len});
    *ids = (struct bytes){ids->at + step, ids->len - step};
    return entry;
}

// Puts those that must be tried again back into the lane, and completes the others.
static void hand_out(struct batch *batch, const bool *again, enum outcome outcome) {
    struct lane *lane = batch->lane;
    struct queued *done = NULL, **end = &done;
    for (uint32_t i = 0; i < batch->count; i++) {
        struct queued *write = batch->writes[i];
        write->next = NULL;
        if (again[i] && ++write->tries < TRIES_MOST)
            try_again(lane, write);
        else {
            *end = write;
            end = &write->next;
        }
    }
    finish_all(lane, done, outcome);
}

// At its memory limit Redis lets votes be taken back, but none be given: of a call that holds both it refuses all.
// Then, and for a while, those that free are sent apart from the others.
static bool send_apart(struct batch *batch, const redisReply *reply) {
    struct lane *lane = batch->lane;
    bool frees[BATCH_MOST];
    uint32_t freeing = 0;
    if (!lane->kind->frees || !reply || reply->type != REDIS_REPLY_ERROR || strncmp(reply->str, "OOM", 3) != 0)
        return false;
    lane->apart_until_ms = uv_now(lane->store->loop) + APART_MS;
    for (uint32_t i = 0; i < batch->count; i++)
        freeing += frees[i] = lane->kind->frees(batch->writes[i]);
    if (freeing == 0 || freeing == batch->count)
        return false;
    hand_out(batch, frees, UNAVAILABLE);
    return true;
}

// Entries are one per group, results one per write. Everything is read before a write is put back or completed: a reply
// that is not whole leaves all of them to the caller.
static bool take_results(struct batch *batch, const redisReply *reply) {
    struct lane *lane = batch->lane;
    struct reader results = reader_of(reply_text_at(reply, 0));
    struct bytes ids = reply_text_at(reply, 1);
    struct log_id entry = {0, 0};
    bool again[BATCH_MOST], one_log = lane->kind->one_log;
    for (uint32_t i = 0; i < batch->count; i++) {
        struct queued *write = batch->writes[i];
        if (one_log ? i == 0 : begins_group(batch->writes, i))
            entry = next_entry(&ids);
        lane->kind->set_entry(write, one_log ? batch->log : write->partition, entry);
        again[i] = !lane->kind->take(lane->store, write, &results);
        if (results.failed)
            return false;
    }
    hand_out(batch, again, OK);
    return true;
}

static void on_batch(struct link_call *call) {
    struct batch *batch = (struct batch *)call;
    struct lane *lane = batch->lane;
    enum outcome outcome = call->outcome;
    redisReply *reply = call->reply;
    lane->in_flight--;
    if (outcome == OK && !take_results(batch, reply))
        outcome = INTERNAL;
    if (outcome != OK && !send_apart(batch, reply))
        for (uint32_t i = 0; i < batch->count; i++)
            lane->kind->finish(lane->store, batch->writes[i], outcome);
    freeReplyObject(reply);
    free(batch);
}

// ---- Sending

static bool goes_before(const struct batch *batch, const struct queued *a, const struct queued *b) {
    if (a->partition != b->partition)
        return a->partition < b->partition;
    return batch->lane->kind->order(a) < batch->lane->kind->order(b);
}

// Stable: by insertion, as there are few.
static void sort(struct batch *batch) {
    for (uint32_t i = 1; i < batch->count; i++) {
        struct queued *write = batch->writes[i];
        uint32_t at = i;
        for (; at > 0 && goes_before(batch, write, batch->writes[at - 1]); at--)
            batch->writes[at] = batch->writes[at - 1];
        batch->writes[at] = write;
    }
}

static struct queued *take_first(struct lane *lane) {
    struct queued *write = lane->first;
    lane->first = write->next;
    if (!lane->first)
        lane->end = &lane->first;
    lane->waiting--;
    return write;
}

// What was queued first stays first: a call ends where the other kind begins.
static bool goes_with(const struct lane *lane, const struct batch *batch) {
    if (batch->count == 0 || lane->apart_until_ms < uv_now(lane->store->loop) || !lane->kind->frees)
        return true;
    return lane->kind->frees(lane->first) == lane->kind->frees(batch->writes[0]);
}

// False without memory: what is left waits for the next turn.
static bool send_batch(struct lane *lane) {
    struct batch *batch = malloc(sizeof *batch);
    if (!batch)
        return false;
    batch->lane = lane;
    batch->call.on_reply = on_batch;
    batch->count = 0;
    while (lane->first && batch->count < BATCH_MOST && goes_with(lane, batch))
        batch->writes[batch->count++] = take_first(lane);
    sort(batch);
    batch->log = lane->next_log++ % keys_partitions();
    lane->kind->compose(lane->store, batch->writes, batch->count, batch->log);
    lane->in_flight++;
    metric_add(METRIC_BATCHES, 1);
    metric_add(METRIC_BATCHED_WRITES, batch->count);
    send_script(lane->store, &batch->call, lane->kind->script);
    return true;
}

static void put_retried_first(struct lane *lane) {
    if (!lane->retried)
        return;
    *lane->retried_end = lane->first;
    if (!lane->first)
        lane->end = lane->retried_end;
    lane->first = lane->retried;
    lane->retried = NULL;
    lane->retried_end = &lane->retried;
}

static void fail_overdue(struct lane *lane, uint64_t before_ms) {
    struct queued *overdue = NULL, **end = &overdue;
    while (lane->first && lane->first->since_ms < before_ms) {
        struct queued *write = take_first(lane);
        write->next = NULL;
        *end = write;
        end = &write->next;
    }
    finish_all(lane, overdue, UNAVAILABLE);
}

void lane_turn(struct lane *lane) {
    struct queued *refused = lane->refused;
    uint64_t now = uv_now(lane->store->loop), timeout = (uint64_t)lane->store->settings->redis_timeout_ms;
    lane->refused = NULL;
    finish_all(lane, refused, OVERLOADED);
    if (lane->in_flight == 0) {
        put_retried_first(lane);
        while (lane->first && send_batch(lane))
            ;
    } else if (now > timeout)
        fail_overdue(lane, now - timeout);
}

void lane_fail(struct lane *lane) {
    put_retried_first(lane);
    fail_overdue(lane, UINT64_MAX);
    struct queued *refused = lane->refused;
    lane->refused = NULL;
    finish_all(lane, refused, OVERLOADED);
}
