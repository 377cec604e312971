// SPDX-License-Identifier: MIT
// Write queues (write_queue.h): the lists of waiting writes, whose turn it is, and the writes that are tried again.
//
// While Redis 7 moves a slot to another node, its keys are there one by one. A call whose keys are on both nodes is
// refused by TRYAGAIN, and nothing of it is done. A batch of many items meets that nearly always, one item seldom. So
// the writes of a refused batch are sent again at once, in calls of one subject each, PROBES_MAX at a time. Subjects
// that are refused then rest for 5 ms, doubling to 80 ms, and are tried again until their writes are overdue. The other
// writes of the partition do not wait for them.
#include "ops/metrics.h"
#include "store/store_inside.h"
#include <stdlib.h>

enum { PROBES_MAX = 16, REST_LEAST_MS = 5, REST_MAX_MS = 80, WORD = 64 };
enum { TURN_MS = 20 }; // a call that takes longer, as its partition moves, does not keep those of the node's others

bool write_queue_init(struct write_queue *queue, struct store *store, const struct write_kind *kind) {
    uint32_t count = store_cuts_by_partition(store) ? keys_partitions() : 1;
    *queue = (struct write_queue){.kind = kind, .store = store, .list_count = count};
    queue->lists = calloc(count, sizeof *queue->lists);
    queue->busy = calloc((count + WORD - 1) / WORD, sizeof *queue->busy);
    chain_init(&queue->refused);
    for (uint32_t i = 0; queue->lists && i < count; i++) {
        chain_init(&queue->lists[i].fresh);
        chain_init(&queue->lists[i].retried);
    }
    return queue->lists && queue->busy;
}

void write_queue_release(struct write_queue *queue) {
    free(queue->lists);
    free(queue->busy);
}

// ---- Chains and lists

static struct queued *take_first(struct write_chain *chain) {
    struct queued *write = chain->first;
    chain->first = write->next;
    if (!chain->first)
        chain->end = &chain->first;
    return write;
}

static void insert(struct write_chain *chain, struct queued **at, struct queued *write) {
    write->next = *at;
    *at = write;
    if (!write->next)
        chain->end = &write->next;
}

static struct queued *take_out(struct write_chain *chain, struct queued **at) {
    struct queued *write = *at;
    *at = write->next;
    if (!*at)
        chain->end = at;
    return write;
}

static void note_waiting(struct write_queue *queue, struct write_list *list, int more) {
    uint32_t at = (uint32_t)(list - queue->lists);
    list->waiting += (uint32_t)more;
    queue->waiting += (uint32_t)more;
    if (list->waiting)
        queue->busy[at / WORD] |= UINT64_C(1) << at % WORD;
    else
        queue->busy[at / WORD] &= ~(UINT64_C(1) << at % WORD);
}

// In a Cluster the writes of one node may fill half of the queue, so that a dead node leaves room for the others'.
static bool has_its_share(const struct write_queue *queue, uint32_t partition) {
    const struct router *router = queue->store->router;
    const struct node *node = router_node_of(router, partition);
    uint32_t waiting = 0, most = (uint32_t)queue->store->settings->redis_queue / 2;
    if (queue->waiting < most || !router_is_cluster(router))
        return false;
    for (uint32_t i = 0; i < queue->list_count; i++)
        if (queue->lists[i].waiting && router_node_of(router, i) == node)
            waiting += queue->lists[i].waiting;
    return waiting >= most;
}

static bool is_full(const struct write_queue *queue, uint32_t partition) {
    return queue->waiting >= (uint32_t)queue->store->settings->redis_queue || has_its_share(queue, partition);
}

void write_queue_add(struct write_queue *queue, struct queued *write, uint32_t partition) {
    struct write_list *list = &queue->lists[queue->list_count > 1 ? partition : 0];
    write->partition = partition;
    write->tries = 0;
    write->since_ms = uv_now(queue->store->loop);
    if (!write->patient && is_full(queue, partition)) {
        chain_add(&queue->refused, write);
        metric_add(METRIC_REDIS_SHED, 1);
        return;
    }
    chain_add(&list->fresh, write);
    note_waiting(queue, list, 1);
}

void finish_all(struct write_queue *queue, struct write_chain *chain, enum outcome outcome) {
    struct queued *write = chain->first;
    chain_init(chain);
    while (write) {
        struct queued *next = write->next; // `finish` may free the call
        queue->kind->finish(queue->store, write, outcome);
        write = next;
    }
}

// ---- Writes that come back

void put_back(struct write_batch *batch, struct queued *write) {
    metric_add(METRIC_WRITE_RETRIES, 1);
    chain_add(&batch->list->retried, write);
    note_waiting(batch->queue, batch->list, 1);
}

static bool is_about(const struct write_queue *queue, const struct queued *write, uint64_t subject) {
    return queue->kind->subject(write) == subject;
}

// Before the first write of the same subject, else at the end.
static void put_to_rest(struct write_batch *batch, struct queued *write) {
    struct write_chain *chain = &batch->list->retried;
    struct queued **at = &chain->first;
    uint64_t subject = batch->queue->kind->subject(write);
    while (*at && !is_about(batch->queue, *at, subject))
        at = &(*at)->next;
    insert(chain, at, write);
}

// Several calls that are refused in one turn make one rest.
static void rest(struct write_list *list, uint64_t now) {
    if (list->rest_ms && now < list->rest_until_ms)
        return;
    uint32_t doubled = list->rest_ms * 2 > REST_MAX_MS ? REST_MAX_MS : list->rest_ms * 2;
    list->rest_ms = doubled > REST_LEAST_MS ? doubled : REST_LEAST_MS;
    list->rest_until_ms = now + list->rest_ms;
}

// Redis has taken writes that had been refused: the others that rest are tried at once.
void end_rest(struct write_list *list) {
    list->rest_ms = 1;
    list->rest_until_ms = 0;
}

static bool has_one_subject(const struct write_batch *batch) {
    const struct write_kind *kind = batch->queue->kind;
    return kind->subject(batch->writes[0]) == kind->subject(batch->writes[batch->count - 1]); // they are sorted
}

void put_back_all(struct write_batch *batch) {
    struct write_list *list = batch->list;
    bool alone = has_one_subject(batch);
    for (uint32_t i = batch->count; i-- > 0;)
        if (alone)
            put_to_rest(batch, batch->writes[i]);
        else
            insert(&list->fresh, &list->fresh.first, batch->writes[i]);
    if (alone)
        rest(list, uv_now(batch->queue->store->loop));
    else
        list->singly = batch->count;
    note_waiting(batch->queue, list, (int)batch->count);
}

// ---- Sending

static void put_in(struct write_batch *batch, struct queued *write) {
    batch->writes[batch->count++] = write;
    note_waiting(batch->queue, batch->list, -1);
}

// While freeing writes are sent apart, a batch ends where the other sort begins, so the order of arrival is kept.
static bool goes_with(const struct write_batch *batch, const struct queued *write) {
    const struct write_queue *queue = batch->queue;
    if (batch->count == 0 || queue->apart_until_ms < uv_now(queue->store->loop) || !queue->kind->frees)
        return true;
    return queue->kind->frees(write) == queue->kind->frees(batch->writes[0]);
}

static void put_retried_first(struct write_list *list) {
    if (!list->retried.first)
        return;
    *list->retried.end = list->fresh.first;
    if (!list->fresh.first)
        list->fresh.end = list->retried.end;
    list->fresh.first = list->retried.first;
    chain_init(&list->retried);
}

// False without memory: the writes wait for the next turn.
static bool send_batch(struct write_queue *queue, struct write_list *list, struct write_turn *turn) {
    struct write_batch *batch = batch_new(queue, list);
    if (!batch)
        return false;
    batch->turn = turn;
    while (list->fresh.first && batch->count < BATCH_MAX && goes_with(batch, list->fresh.first))
        put_in(batch, take_first(&list->fresh));
    batch_send(batch);
    return true;
}

// Sends the first write of a chain with the others of its subject. False if no more may be sent in this turn: without
// memory, and when others of the subject may be left, as two refused calls would come back in the wrong order.
static bool send_probe(struct write_queue *queue, struct write_list *list, struct write_turn *turn,
                       struct write_chain *chain) {
    struct write_batch *batch = batch_new(queue, list);
    if (!batch)
        return false;
    batch->turn = turn;
    batch->again = chain == &list->retried;
    uint64_t subject = queue->kind->subject(chain->first);
    struct queued **at = &chain->first;
    while (*at && batch->count < BATCH_MAX)
        if (!is_about(queue, *at, subject))
            at = &(*at)->next;
        else if (goes_with(batch, *at))
            put_in(batch, take_out(chain, at));
        else
            break;
    bool all = !*at;
    if (!batch->again)
        list->singly -= list->singly < batch->count ? list->singly : batch->count;
    batch_send(batch);
    return all;
}

// A write waits behind those of its subject that rest.
static bool waits_behind(const struct write_queue *queue, struct write_list *list) {
    uint64_t subject = queue->kind->subject(list->fresh.first);
    const struct queued *resting = list->retried.first;
    while (resting && !is_about(queue, resting, subject))
        resting = resting->next;
    if (!resting)
        return false;
    list->singly -= list->singly > 0;
    chain_add(&list->retried, take_first(&list->fresh));
    return true;
}

// Half of the calls are left to those that rest when their time has come.
static void send_probes(struct write_queue *queue, struct write_list *list, struct write_turn *turn) {
    bool rests = uv_now(queue->store->loop) < list->rest_until_ms, sent = true;
    uint32_t most = rests || !list->retried.first ? PROBES_MAX : PROBES_MAX / 2;
    while (sent && list->fresh.first && list->in_flight < most)
        if (!waits_behind(queue, list))
            sent = send_probe(queue, list, turn, &list->fresh);
    while (sent && !rests && list->retried.first && list->in_flight < PROBES_MAX)
        sent = send_probe(queue, list, turn, &list->retried);
}

static void send_list(struct write_queue *queue, struct write_list *list, struct write_turn *turn) {
    if (!list->retried.first)
        list->rest_ms = 0;
    if (list->singly || list->rest_ms) {
        send_probes(queue, list, turn);
        return;
    }
    put_retried_first(list);
    bool all = queue->list_count == 1;
    while (list->fresh.first && send_batch(queue, list, turn) && all)
        ;
}

// ---- The end of a turn

// Those that rest are in no order of age. The others nearly are: what comes back from a rest is older.
static void take_overdue(struct write_list *list, uint64_t before_ms, struct write_chain *overdue) {
    for (struct queued **at = &list->retried.first; *at;)
        if ((*at)->since_ms < before_ms)
            chain_add(overdue, take_out(&list->retried, at));
        else
            at = &(*at)->next;
    while (list->fresh.first && list->fresh.first->since_ms < before_ms)
        chain_add(overdue, take_first(&list->fresh));
}

static void fail_overdue(struct write_queue *queue, struct write_list *list, uint64_t before_ms) {
    struct write_chain overdue;
    chain_init(&overdue);
    take_overdue(list, before_ms, &overdue);
    for (const struct queued *write = overdue.first; write; write = write->next)
        note_waiting(queue, list, -1);
    finish_all(queue, &overdue, UNAVAILABLE);
}

static struct write_turn *turn_of(struct write_queue *queue, uint32_t partition) {
    const struct node *node = router_node_of(queue->store->router, partition);
    return &queue->turns[node ? node->number % TURNS : 0];
}

// False while batches of the list, or of its node, are under way.
static bool begin_turn(struct write_queue *queue, const struct write_list *list, struct write_turn *turn) {
    uint64_t now = uv_now(queue->store->loop);
    if (list->in_flight > 0)
        return false;
    if (turn->walk == queue->walk)
        return true;
    if (turn->in_flight > 0 && now - turn->began_ms < TURN_MS)
        return false;
    turn->walk = queue->walk;
    turn->began_ms = now;
    return true;
}

static void list_turn(struct write_queue *queue, uint32_t at) {
    uint64_t now = uv_now(queue->store->loop), timeout = (uint64_t)queue->store->settings->redis_timeout_ms;
    struct write_list *list = &queue->lists[at];
    struct write_turn *turn = turn_of(queue, at);
    bool away = router_is_cluster(queue->store->router) && !router_is_open(queue->store->router, at);
    bool begins = !away && begin_turn(queue, list, turn);
    if ((!begins || list->rest_ms) && now > timeout)
        fail_overdue(queue, list, now - timeout);
    if (begins)
        send_list(queue, list, turn);
}

void write_queue_turn(struct write_queue *queue) {
    if (queue->refused.first)
        finish_all(queue, &queue->refused, OVERLOADED);
    if (queue->waiting == 0)
        return;
    queue->walk++;
    for (uint32_t word = 0; word * WORD < queue->list_count; word++)
        for (uint64_t busy = queue->busy[word]; busy; busy &= busy - 1)
            list_turn(queue, word * WORD + (uint32_t)__builtin_ctzll(busy));
}

void write_queue_fail(struct write_queue *queue) {
    for (uint32_t i = 0; i < queue->list_count; i++)
        fail_overdue(queue, &queue->lists[i], UINT64_MAX);
    finish_all(queue, &queue->refused, OVERLOADED);
}
