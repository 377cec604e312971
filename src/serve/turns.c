// SPDX-License-Identifier: MIT
// Turns: at most `max` reads run at once, so that each gets its replies soon and their memory is bounded. The others
// wait in queues, one per network, and the queues take turns: a network that asks for much delays only itself.
#include "serve/serve_inside.h"
#include <stdlib.h>

// The waiting turns of one network, first come first served. The queues form a ring.
struct turn_queue {
    UT_hash_handle hh;
    uint64_t network;
    struct turn *first, *last;
    uint32_t count;
    struct turn_queue *next, *before;
};

enum { COMMANDS_EACH = 64, TURNS_LEAST = 4, TURNS_MAX = 1024 };

void turns_init(struct turns *turns, uint32_t redis_queue) {
    uint32_t max = redis_queue / COMMANDS_EACH;
    *turns = (struct turns){.max = max < TURNS_LEAST ? TURNS_LEAST : max > TURNS_MAX ? TURNS_MAX : max};
}

bool turns_are_full(const struct turns *turns) {
    return turns->running >= turns->max || turns->ring;
}

// ---- Queues

static void add_to_ring(struct turns *turns, struct turn_queue *queue) {
    if (!turns->ring) {
        turns->ring = queue->next = queue->before = queue;
        return;
    }
    queue->next = turns->ring; // so it is the last of the round
    queue->before = turns->ring->before;
    queue->before->next = queue->next->before = queue;
}

static void drop_queue(struct turns *turns, struct turn_queue *queue) {
    if (turns->ring == queue)
        turns->ring = queue->next == queue ? NULL : queue->next;
    queue->before->next = queue->next;
    queue->next->before = queue->before;
    HASH_DEL(turns->queues, queue);
    free(queue);
}

// NULL without memory.
static struct turn_queue *queue_of(struct turns *turns, uint64_t network) {
    struct turn_queue *queue;
    HASH_FIND(hh, turns->queues, &network, sizeof network, queue);
    if (queue || !(queue = calloc(1, sizeof *queue)))
        return queue;
    queue->network = network;
    HASH_ADD(hh, turns->queues, network, sizeof queue->network, queue);
    if (!HASH_HAS_TAKEN(queue)) {
        free(queue);
        return NULL;
    }
    add_to_ring(turns, queue);
    return queue;
}

void turn_leave(struct turns *turns, struct turn *turn) {
    struct turn_queue *queue = turn->queue;
    if (!queue)
        return;
    *(turn->next ? &turn->next->before : &queue->last) = turn->before;
    *(turn->before ? &turn->before->next : &queue->first) = turn->next;
    turn->queue = NULL;
    queue->count--;
    if (!queue->first)
        drop_queue(turns, queue);
}

static void join(struct turn_queue *queue, struct turn *turn) {
    turn->queue = queue;
    turn->next = NULL;
    turn->before = queue->last;
    *(queue->last ? &queue->last->next : &queue->first) = turn;
    queue->last = turn;
    queue->count++;
}

void turn_hasten(struct turns *turns, uint64_t network, struct turn *turn) {
    struct turn_queue *queue;
    HASH_FIND(hh, turns->queues, &network, sizeof network, queue);
    if (queue ? queue->count + 1 >= turn->queue->count : turn->queue->count <= 1)
        return;
    if (!queue && !(queue = queue_of(turns, network)))
        return;
    turn_leave(turns, turn);
    join(queue, turn);
}

// ---- Turns

enum turn_answer turn_take(struct turns *turns, uint64_t network, struct turn *turn,
                           void (*on_turn)(struct turn *turn)) {
    *turn = (struct turn){.on_turn = on_turn};
    if (!turns_are_full(turns)) {
        turns->running++;
        return TURN_NOW;
    }
    struct turn_queue *queue = queue_of(turns, network);
    if (!queue)
        return TURN_NEVER;
    join(queue, turn);
    return TURN_LATER;
}

// A turn that begins here may end before on_turn returns. Then the outermost call begins the next one.
void turn_end(struct turns *turns) {
    turns->running--;
    if (turns->handing_on)
        return;
    turns->handing_on = true;
    while (turns->ring && turns->running < turns->max) {
        struct turn *turn = turns->ring->first;
        turns->ring = turns->ring->next;
        turn_leave(turns, turn);
        turns->running++;
        turn->on_turn(turn);
    }
    turns->handing_on = false;
}

// ---- Reads whose result is not cached

static void unlink_ask(struct ask *ask) {
    struct serve *serve = ask->serve;
    *(ask->next ? &ask->next->before : &serve->last_ask) = ask->before;
    *(ask->before ? &ask->before->next : &serve->first_ask) = ask->next;
}

static void on_asks_turn(struct turn *turn) {
    struct ask *ask = (struct ask *)turn;
    unlink_ask(ask);
    ask->on_turn(ask, OK);
}

bool serve_ask(struct serve *serve, const struct http_request *request, struct ask *ask,
               void (*on_turn)(struct ask *ask, enum outcome outcome)) {
    enum turn_answer answer = turn_take(&serve->turns, serve->network_of(request), &ask->turn, on_asks_turn);
    uint64_t timeout_ms = (uint64_t)serve->settings->redis_timeout_ms;
    ask->serve = serve;
    ask->request = request;
    if (answer == TURN_NOW)
        return true;
    ask->on_turn = on_turn;
    ask->until_ms = uv_now(serve->loop) + timeout_ms;
    ask->next = NULL;
    ask->before = serve->last_ask;
    *(ask->before ? &ask->before->next : &serve->first_ask) = ask;
    serve->last_ask = ask;
    return false;
}

void serve_ask_end(struct serve *serve) {
    turn_end(&serve->turns);
}

// Ends asks whose client has left too: else clients that leave could queue asks without bound.
void asks_sweep(struct serve *serve) {
    uint64_t now = uv_now(serve->loop);
    for (struct ask *ask = serve->first_ask, *next; ask; ask = next) {
        next = ask->next;
        if (ask->until_ms > now && !http_client_gone(ask->request))
            continue;
        turn_leave(&serve->turns, &ask->turn);
        unlink_ask(ask);
        ask->on_turn(ask, OVERLOADED);
    }
}
