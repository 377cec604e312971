// SPDX-License-Identifier: MIT
// A batch of the write queue (write_queue.h): one script call, its writes in order, and their results.
#include "ops/metrics.h"
#include "redis/pipeline.h"
#include "store/store_inside.h"
#include <stdlib.h>
#include <string.h>

enum { TRIES_MAX = 16, APART_MS = 1000 };

// ---- Results

// Reads the id before the next space, and removes both from `ids`.
static struct log_id next_entry(struct bytes *ids) {
    const char *space = ids->len ? memchr(ids->at, ' ', ids->len) : NULL;
    size_t len = space ? (size_t)(space - ids->at) : ids->len, step = space ? len + 1 : len;
    struct log_id entry = log_id_parse((struct bytes){ids->at, len});
    *ids = (struct bytes){ids->at + step, ids->len - step};
    return entry;
}

// Puts the writes with again[i] back into the queue, and completes the others.
static void hand_out(struct write_batch *batch, const bool *again, enum outcome outcome) {
    struct write_chain done;
    chain_init(&done);
    for (uint32_t i = 0; i < batch->count; i++) {
        struct queued *write = batch->writes[i];
        if (again[i] && ++write->tries < TRIES_MAX)
            put_back(batch, write);
        else
            chain_add(&done, write);
    }
    finish_all(batch->queue, &done, outcome);
}

static bool is_error(const redisReply *reply, const char *prefix) {
    return reply && reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, prefix, strlen(prefix)) == 0;
}

// At its memory limit Redis accepts retractions of votes, but no votes; it refuses a whole call that holds both. For a
// while the writes that free memory are then batched apart from the others.
static bool send_apart(struct write_batch *batch, const redisReply *reply) {
    struct write_queue *queue = batch->queue;
    bool frees[BATCH_MAX];
    uint32_t freeing = 0;
    if (!queue->kind->frees || !is_error(reply, "OOM"))
        return false;
    queue->apart_until_ms = uv_now(queue->store->loop) + APART_MS;
    for (uint32_t i = 0; i < batch->count; i++)
        freeing += frees[i] = queue->kind->frees(batch->writes[i]);
    if (freeing == 0 || freeing == batch->count)
        return false;
    hand_out(batch, frees, UNAVAILABLE);
    return true;
}

// A reply has one entry id per group and one result per write. All of it is read before any write is put back or
// completed: when the reply is too short, none is, and all fail in on_batch.
static bool take_results(struct write_batch *batch, const redisReply *reply) {
    struct write_queue *queue = batch->queue;
    struct reader results = reader_of(reply_text_at(reply, 0));
    struct bytes ids = reply_text_at(reply, 1);
    struct log_id entry = {0, 0};
    bool again[BATCH_MAX], one_log = queue->kind->one_log;
    for (uint32_t i = 0; i < batch->count; i++) {
        struct queued *write = batch->writes[i];
        if (one_log ? i == 0 : begins_group(batch->writes, i))
            entry = next_entry(&ids);
        queue->kind->set_entry(write, one_log ? batch->log : write->partition, entry);
        again[i] = !queue->kind->take(queue->store, write, &results);
        if (results.failed)
            return false;
    }
    hand_out(batch, again, OK);
    return true;
}

static void fail_batch(struct write_batch *batch, enum outcome outcome) {
    struct write_chain all;
    chain_init(&all);
    for (uint32_t i = 0; i < batch->count; i++)
        chain_add(&all, batch->writes[i]);
    finish_all(batch->queue, &all, outcome);
}

static void on_batch(struct redis_call *call) {
    struct write_batch *batch = (struct write_batch *)call;
    enum outcome outcome = call->outcome;
    redisReply *reply = call->reply;
    batch->turn->in_flight--;
    batch->list->in_flight--;
    if (is_error(reply, "TRYAGAIN"))
        put_back_all(batch);
    else {
        if (outcome == OK && call->unreplicated)
            metric_add(METRIC_UNREPLICATED_WRITES, batch->count - 1);
        if (outcome == OK && batch->again)
            end_rest(batch->list);
        if (outcome == OK && !take_results(batch, reply))
            outcome = INTERNAL;
        if (outcome != OK && !send_apart(batch, reply))
            fail_batch(batch, outcome);
    }
    freeReplyObject(reply);
    free(batch);
}

// ---- Sending

static bool goes_before(const struct write_batch *batch, const struct queued *a, const struct queued *b) {
    if (a->partition != b->partition)
        return a->partition < b->partition;
    return batch->queue->kind->subject(a) < batch->queue->kind->subject(b);
}

// Insertion sort: it is stable, and a batch is small.
static void sort(struct write_batch *batch) {
    for (uint32_t i = 1; i < batch->count; i++) {
        struct queued *write = batch->writes[i];
        uint32_t at = i;
        for (; at > 0 && goes_before(batch, write, batch->writes[at - 1]); at--)
            batch->writes[at] = batch->writes[at - 1];
        batch->writes[at] = write;
    }
}

struct write_batch *batch_new(struct write_queue *queue, struct write_list *list) {
    struct write_batch *batch = malloc(sizeof *batch);
    if (!batch)
        return NULL;
    batch->call = (struct redis_call){.on_reply = on_batch};
    batch->queue = queue;
    batch->list = list;
    batch->count = 0;
    batch->again = false;
    return batch;
}

void batch_send(struct write_batch *batch) {
    struct write_queue *queue = batch->queue;
    sort(batch);
    bool cuts = store_cuts_by_partition(queue->store);
    batch->log = cuts ? batch->writes[0]->partition : queue->next_log++ % keys_partitions();
    queue->kind->compose(queue->store, batch->writes, batch->count, batch->log);
    queue->store->command.divisible = true;
    batch->list->in_flight++;
    batch->turn->in_flight++;
    metric_add(METRIC_BATCHES, 1);
    metric_add(METRIC_BATCHED_WRITES, batch->count);
    send_command(queue->store, &batch->call);
}
