// SPDX-License-Identifier: MIT
// Write queues (write_queue.h): the waiting list, the batches, their results, and the writes that are tried again.
#include "store/write_queue.h"
#include "base/clock.h"
#include "ops/metrics.h"
#include "redis/pipeline.h"
#include "store/store_inside.h"
#include <stdlib.h>
#include <string.h>

enum { TRIES_MAX = 16, APART_MS = 1000 };

// One script call and its writes, sorted by partition and order.
struct write_batch {
    struct redis_call call; // first: the connection's view of it
    struct write_queue *queue;
    uint32_t count, log;
    struct queued *writes[BATCH_MAX];
};

void write_queue_init(struct write_queue *queue, struct store *store, const struct write_kind *kind) {
    *queue = (struct write_queue){.kind = kind, .store = store};
    queue->end = &queue->first;
    queue->retried_end = &queue->retried;
}

void write_queue_add(struct write_queue *queue, struct queued *write, uint32_t partition) {
    write->partition = partition;
    write->tries = 0;
    write->since_ms = uv_now(queue->store->loop);
    write->next = NULL;
    if (!write->patient && queue->waiting >= (uint32_t)queue->store->settings->redis_queue) {
        write->next = queue->refused;
        queue->refused = write;
        metric_add(METRIC_REDIS_SHED, 1);
        return;
    }
    *queue->end = write;
    queue->end = &write->next;
    queue->waiting++;
}

// ---- Results

static void finish_all(struct write_queue *queue, struct queued *list, enum outcome outcome) {
    while (list) {
        struct queued *next = list->next; // `finish` may free the call
        queue->kind->finish(queue->store, list, outcome);
        list = next;
    }
}

static void try_again(struct write_queue *queue, struct queued *write) {
    metric_add(METRIC_WRITE_RETRIES, 1);
    write->next = NULL;
    *queue->retried_end = write;
    queue->retried_end = &write->next;
    queue->waiting++;
}

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
    struct write_queue *queue = batch->queue;
    struct queued *done = NULL, **end = &done;
    for (uint32_t i = 0; i < batch->count; i++) {
        struct queued *write = batch->writes[i];
        write->next = NULL;
        if (again[i] && ++write->tries < TRIES_MAX)
            try_again(queue, write);
        else {
            *end = write;
            end = &write->next;
        }
    }
    finish_all(queue, done, outcome);
}

// At its memory limit Redis accepts retractions of votes, but no votes; it refuses a whole call that holds both. For a
// while the writes that free memory are then batched apart from the others.
static bool send_apart(struct write_batch *batch, const redisReply *reply) {
    struct write_queue *queue = batch->queue;
    bool frees[BATCH_MAX];
    uint32_t freeing = 0;
    if (!queue->kind->frees || !reply || reply->type != REDIS_REPLY_ERROR || strncmp(reply->str, "OOM", 3) != 0)
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

static void on_batch(struct redis_call *call) {
    struct write_batch *batch = (struct write_batch *)call;
    struct write_queue *queue = batch->queue;
    enum outcome outcome = call->outcome;
    redisReply *reply = call->reply;
    queue->in_flight--;
    if (outcome == OK && !take_results(batch, reply))
        outcome = INTERNAL;
    if (outcome != OK && !send_apart(batch, reply))
        for (uint32_t i = 0; i < batch->count; i++)
            queue->kind->finish(queue->store, batch->writes[i], outcome);
    freeReplyObject(reply);
    free(batch);
}

// ---- Sending

static bool goes_before(const struct write_batch *batch, const struct queued *a, const struct queued *b) {
    if (a->partition != b->partition)
        return a->partition < b->partition;
    return batch->queue->kind->order(a) < batch->queue->kind->order(b);
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

static struct queued *take_first(struct write_queue *queue) {
    struct queued *write = queue->first;
    queue->first = write->next;
    if (!queue->first)
        queue->end = &queue->first;
    queue->waiting--;
    return write;
}

// While freeing writes are sent apart, a batch ends where the other sort begins, so the order of arrival is kept.
static bool goes_with(const struct write_queue *queue, const struct write_batch *batch) {
    if (batch->count == 0 || queue->apart_until_ms < uv_now(queue->store->loop) || !queue->kind->frees)
        return true;
    return queue->kind->frees(queue->first) == queue->kind->frees(batch->writes[0]);
}

// False without memory: the writes wait for the next turn.
static bool send_batch(struct write_queue *queue) {
    struct write_batch *batch = malloc(sizeof *batch);
    if (!batch)
        return false;
    batch->queue = queue;
    batch->call.on_reply = on_batch;
    batch->count = 0;
    while (queue->first && batch->count < BATCH_MAX && goes_with(queue, batch))
        batch->writes[batch->count++] = take_first(queue);
    sort(batch);
    batch->log = queue->next_log++ % keys_partitions();
    queue->kind->compose(queue->store, batch->writes, batch->count, batch->log);
    queue->in_flight++;
    metric_add(METRIC_BATCHES, 1);
    metric_add(METRIC_BATCHED_WRITES, batch->count);
    send_command(queue->store, &batch->call);
    return true;
}

static void put_retried_first(struct write_queue *queue) {
    if (!queue->retried)
        return;
    *queue->retried_end = queue->first;
    if (!queue->first)
        queue->end = queue->retried_end;
    queue->first = queue->retried;
    queue->retried = NULL;
    queue->retried_end = &queue->retried;
}

static void fail_overdue(struct write_queue *queue, uint64_t before_ms) {
    struct queued *overdue = NULL, **end = &overdue;
    while (queue->first && queue->first->since_ms < before_ms) {
        struct queued *write = take_first(queue);
        write->next = NULL;
        *end = write;
        end = &write->next;
    }
    finish_all(queue, overdue, UNAVAILABLE);
}

void write_queue_turn(struct write_queue *queue) {
    struct queued *refused = queue->refused;
    uint64_t now = uv_now(queue->store->loop), timeout = (uint64_t)queue->store->settings->redis_timeout_ms;
    queue->refused = NULL;
    finish_all(queue, refused, OVERLOADED);
    if (queue->in_flight == 0) {
        put_retried_first(queue);
        while (queue->first && send_batch(queue))
            ;
    } else if (now > timeout)
        fail_overdue(queue, now - timeout);
}

void write_queue_fail(struct write_queue *queue) {
    put_retried_first(queue);
    fail_overdue(queue, UINT64_MAX);
    struct queued *refused = queue->refused;
    queue->refused = NULL;
    finish_all(queue, refused, OVERLOADED);
}
