// SPDX-License-Identifier: MIT
// What the store does beside the handshakes when Redis is a Cluster (redis/router.h).
//
// The settings are compared with the data where engaged:meta is, and again after each change of that place's owner.
// Once they agree, each partition is opened (lua/open.lua) on the connection of its owner before anything that goes
// into its log is sent there. The router closes a place when its owner or that connection changes; the heartbeat closes
// it when the owner has another life. The clock is the median of the masters' clocks.
#include "base/clock.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "redis/pipeline.h"
#include "store/store_inside.h"
#include <stdlib.h>

enum { AGAIN_MS = 50, REFUSED_MS = 1000, CLOCKS_MAX = 512, CLOCK_FRESH_MS = 5000 };

// A partition: whether it is being opened, and in which life its log is open.
struct opening {
    struct redis_call call; // first: the connection's view of it
    struct cluster *cluster;
    uint32_t partition;
    bool asking;
    uint64_t epoch, not_before_ms;
    char life[PARTITION_LIFE_SIZE]; // empty: not known yet
};

struct cluster {
    struct redis_call meta; // first
    struct store *store;
    bool asking_meta, agreed, lives_changed;
    uint32_t opened; // logs, in this turn
    uint64_t meta_epoch, meta_not_before_ms;
    uint64_t look_at_ms; // when something is to be tried again; 0: nothing
    struct opening openings[];
};

struct cluster *cluster_new(struct store *store) {
    uint32_t partitions = keys_partitions();
    struct cluster *cluster = calloc(1, sizeof *cluster + partitions * sizeof cluster->openings[0]);
    for (uint32_t i = 0; cluster && i < partitions; i++) {
        cluster->openings[i].cluster = cluster;
        cluster->openings[i].partition = i;
    }
    if (cluster)
        cluster->store = store;
    return cluster;
}

static void look_again(struct cluster *cluster, uint64_t at_ms) {
    if (!cluster->look_at_ms || at_ms < cluster->look_at_ms)
        cluster->look_at_ms = at_ms;
}

// ---- The settings and the data

void cluster_disagree(struct cluster *cluster) {
    cluster->agreed = false;
    cluster->meta_epoch = 0;
    for (uint32_t i = 0; i < keys_partitions(); i++)
        router_open_place(cluster->store->router, i, false);
    look_again(cluster, cluster->meta_not_before_ms);
}

static void on_meta(struct redis_call *call) {
    struct cluster *cluster = (struct cluster *)call;
    struct store *store = cluster->store;
    uint64_t now = uv_now(store->loop);
    const char *wrong = meta_wrong(store, call);
    cluster->asking_meta = false;
    cluster->meta_not_before_ms = now + (wrong ? REFUSED_MS : AGAIN_MS);
    if (wrong)
        cluster_disagree(cluster);
    else if (call->outcome == OK)
        cluster->agreed = true;
    if (call->outcome != OK)
        cluster->meta_epoch = 0;
    look_again(cluster, call->outcome == OK && !wrong ? now : cluster->meta_not_before_ms);
    freeReplyObject(call->reply);
}

static void compare_meta(struct cluster *cluster) {
    struct store *store = cluster->store;
    uint32_t place = place_more(PLACE_META);
    uint64_t epoch = router_epoch(store->router, place), now = uv_now(store->loop);
    if (cluster->asking_meta || cluster->meta_epoch == epoch || !router_is_ready(store->router, place))
        return;
    if (now < cluster->meta_not_before_ms) {
        look_again(cluster, cluster->meta_not_before_ms);
        return;
    }
    cluster->asking_meta = true;
    cluster->meta_epoch = epoch;
    cluster->meta = (struct redis_call){.on_reply = on_meta};
    meta_begin(store);
    store->command.no_redirect = true;
    send_command(store, &cluster->meta);
}

// ---- Opening

// A wait for the projection must know the life of a partition that is away later on (waits.c).
static void note_life(struct opening *opening, const redisReply *reply) {
    struct bytes life = reply_text_at(reply, 2);
    int opened = tell_opened(reply);
    life_heard(opening->cluster->store, opening->partition, life);
    opening->cluster->opened += (uint32_t)opened;
    if (!opened && bytes_eq(life, bytes_of(opening->life)))
        return;
    metric_add(METRIC_LIVES, opening->life[0] != '\0');
    snprintf(opening->life, sizeof opening->life, "%.*s", (int)life.len, life.len ? life.at : "");
    opening->cluster->lives_changed = true;
}

static void on_opened(struct redis_call *call) {
    struct opening *opening = (struct opening *)call;
    struct store *store = opening->cluster->store;
    bool same = opening->epoch == router_epoch(store->router, opening->partition);
    opening->asking = false;
    if (call->outcome == OK)
        note_life(opening, call->reply);
    if (call->outcome == OK && same)
        router_open_place(store->router, opening->partition, true);
    else
        opening->not_before_ms = uv_now(store->loop) + AGAIN_MS;
    if (call->outcome != OK || !same)
        look_again(opening->cluster, opening->not_before_ms);
    freeReplyObject(call->reply);
}

static void open_partition(struct opening *opening, const struct store_node *at) {
    struct store *store = opening->cluster->store;
    opening->asking = true;
    opening->epoch = router_epoch(store->router, opening->partition);
    opening->call = (struct redis_call){.on_reply = on_opened};
    open_begin_one(store, at, opening->partition);
    store->command.no_redirect = true; // another node has another life
    send_command(store, &opening->call);
}

static void open_partitions(struct cluster *cluster) {
    struct store *store = cluster->store;
    uint64_t now = uv_now(store->loop);
    for (uint32_t i = 0; i < keys_partitions(); i++) {
        struct opening *opening = &cluster->openings[i];
        if (opening->asking || router_is_open(store->router, i) || !router_is_ready(store->router, i))
            continue;
        if (now >= opening->not_before_ms) {
            open_partition(opening, node_of(store, i));
            open_look(node_of(store, i)); // it may just have become a master: its life and its replicas are others
        } else
            look_again(cluster, opening->not_before_ms);
    }
}

// ---- The clock

static int compare_clocks(const void *a, const void *b) {
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

// Of an even number of clocks the lower one of the middle: a clock that is ahead would make ours stand still later.
static int64_t median(int64_t *clocks, uint32_t count) {
    qsort(clocks, count, sizeof clocks[0], compare_clocks);
    return clocks[(count - 1) / 2];
}

// The median of the clocks lies between the medians of their bounds.
static void set_clock(const struct store *store) {
    int64_t least[CLOCKS_MAX], most[CLOCKS_MAX];
    uint64_t now = clock_mono_ns() / 1000000;
    uint32_t heard = 0, masters = 0;
    for (const struct store_node *node = store->nodes; node; node = node->next) {
        if (!node->node->owned)
            continue;
        masters++;
        if (!node->clock_heard_ms || now - node->clock_heard_ms >= CLOCK_FRESH_MS || heard == CLOCKS_MAX)
            continue;
        least[heard] = node->clock_least_ms;
        most[heard++] = node->clock_most_ms;
    }
    if (heard == 0 || heard * 2 < masters)
        return; // one that is wrong must not be the only one
    hear_time(median(least, heard), median(most, heard));
}

void cluster_hear_time(struct store_node *at, int64_t least_ms, int64_t most_ms) {
    at->clock_heard_ms = clock_mono_ns() / 1000000;
    at->clock_least_ms = least_ms;
    at->clock_most_ms = most_ms;
    set_clock(at->store);
}

// ---- When to look

void cluster_look(void *context) {
    struct cluster *cluster = ((struct store *)context)->cluster;
    cluster->look_at_ms = 0;
    set_clock(cluster->store); // who is a master may be known only now
    compare_meta(cluster);
    if (cluster->agreed)
        open_partitions(cluster);
}

// Many partitions may be opened in one turn: that is one change.
void cluster_turn(struct cluster *cluster) {
    if (cluster->look_at_ms && uv_now(cluster->store->loop) >= cluster->look_at_ms)
        cluster_look(cluster->store);
    if (cluster->opened)
        log_info("redis: %u logs were opened", cluster->opened);
    cluster->store->generation += cluster->lives_changed;
    cluster->lives_changed = false;
    cluster->opened = 0;
}

struct bytes cluster_life(const struct cluster *cluster, uint32_t partition) {
    return bytes_of(cluster->openings[partition].life);
}

bool cluster_agrees(const struct cluster *cluster) {
    return cluster->agreed;
}

void cluster_open_again(struct store_node *at, bool close) {
    struct cluster *cluster = at->store->cluster;
    for (uint32_t i = 0; i < keys_partitions(); i++) {
        if (node_of(at->store, i) != at)
            continue;
        if (close)
            router_open_place(at->store->router, i, false);
        else if (router_is_open(at->store->router, i) && !cluster->openings[i].asking)
            open_partition(&cluster->openings[i], at);
    }
}
