// SPDX-License-Identifier: MIT
// What becomes of a call that a node of a Cluster has refused without executing it (redirect.h): it goes to the node
// that the refusal names, or it waits at its place and is sent again after a rest. Its deadline stays the same.
#include "model/keys.h"
#include "ops/metrics.h"
#include "redis/router_inside.h"
#include <stdlib.h>

// ---- Calls that end without a reply

void router_fail(struct router *router, struct redis_call *call, enum outcome outcome) {
    call->outcome = outcome;
    call->reply = NULL;
    call->next = NULL;
    *router->failed_end = call;
    router->failed_end = &call->next;
}

void router_tell_failed(struct router *router) {
    struct redis_call *call = router->failed;
    router->failed = NULL;
    router->failed_end = &router->failed;
    while (call) {
        struct redis_call *next = call->next; // on_reply may free the call
        call->on_reply(call);
        call = next;
    }
}

static void fail_held(struct router *router, struct held *held, enum outcome outcome) {
    router_fail(router, held->call, outcome);
    free(held);
}

// ---- Waiting

static void on_rests(uv_timer_t *timer) {
    struct router *router = timer->data;
    router_send_waiting(router, uv_now(router->loop));
}

static void start_rests(struct router *router, uint32_t ms) {
    uint64_t due_in = uv_is_active((uv_handle_t *)&router->rests) ? uv_timer_get_due_in(&router->rests) : UINT64_MAX;
    if (!router->stopping && ms < due_in)
        uv_timer_start(&router->rests, on_rests, ms, 0);
}

static void append(struct router *router, struct router_place *place, struct held *held) {
    held->next = NULL;
    *place->waiting_end = held;
    place->waiting_end = &held->next;
    router->waiting_count++;
}

static struct held *take_waiting(struct router_place *place) {
    struct held *all = place->waiting;
    place->waiting = NULL;
    place->waiting_end = &place->waiting;
    return all;
}

// The rest of a place doubles with each round of probes that comes back.
static void rest(struct router *router, struct router_place *place, uint32_t least_ms) {
    uint64_t now = uv_now(router->loop);
    place->refused = true;
    if (place->rest_until_ms > now)
        return;
    if (now - place->rest_until_ms > REST_FORGOTTEN_MS)
        place->rest_ms = 0;
    place->rest_ms = place->rest_ms * 2 < REST_MAX_MS ? place->rest_ms * 2 : REST_MAX_MS;
    if (place->rest_ms < least_ms)
        place->rest_ms = least_ms;
    place->rest_until_ms = now + place->rest_ms;
    start_rests(router, place->rest_ms);
}

void router_hold(struct router *router, struct held *held, uint32_t rest_ms) {
    struct router_place *place = &router->places[held->place];
    if (router->stopping || router->waiting_count == WAITING_MAX) {
        fail_held(router, held, router->stopping ? UNAVAILABLE : OVERLOADED);
        return;
    }
    append(router, place, held);
    if (rest_ms)
        rest(router, place, rest_ms);
}

// False: it cannot be sent now.
static bool send_one(struct router_place *place, struct held *held) {
    struct node *node = held->to ? held->to : place->owner;
    if (!node || node->leaving || !router_node_serves(node) || (held->needs_open && !held->to && !place->open))
        return false;
    held->asks = held->to != NULL;
    held->to = NULL;
    if (redis_send_held(node->redis, held))
        return true;
    held->to = held->asks ? node : NULL;
    return false;
}

// Tries all calls of a place, but sends at most `most` of them.
static void send_place(struct router *router, struct router_place *place, uint32_t most) {
    struct held *all = take_waiting(place);
    while (all) {
        struct held *held = all;
        all = held->next;
        router->waiting_count--;
        if (most && send_one(place, held))
            most--;
        else
            append(router, place, held);
    }
}

// A round of probes: when none of the last one came back, all may go.
static void probe(struct router *router, struct router_place *place) {
    bool refused = place->refused;
    place->refused = false;
    if (!refused)
        place->rest_ms = 0;
    send_place(router, place, refused ? PROBES_MAX : UINT32_MAX);
    if (place->waiting) {
        uint32_t ms = place->rest_ms ? place->rest_ms : REST_LEAST_MS;
        place->rest_until_ms = uv_now(router->loop) + ms;
        start_rests(router, ms);
    }
}

void router_send_waiting(struct router *router, uint64_t now_ms) {
    uint32_t next_ms = UINT32_MAX;
    for (uint32_t i = 0; router->waiting_count && i < router->place_count; i++) {
        struct router_place *place = &router->places[i];
        if (place->waiting && place->rest_until_ms <= now_ms)
            probe(router, place);
        else if (place->waiting && place->rest_until_ms - now_ms < next_ms)
            next_ms = (uint32_t)(place->rest_until_ms - now_ms);
    }
    if (next_ms != UINT32_MAX)
        start_rests(router, next_ms);
}

void router_fail_waiting(struct router *router, uint64_t before_ms) {
    for (uint32_t i = 0; router->waiting_count && i < router->place_count; i++) {
        struct router_place *place = &router->places[i];
        struct held *all = take_waiting(place);
        while (all) {
            struct held *held = all;
            all = held->next;
            router->waiting_count--;
            if (held->deadline_ms > before_ms) {
                append(router, place, held);
                continue;
            }
            metric_add(METRIC_REDIS_TIMEOUTS, 1);
            fail_held(router, held, UNAVAILABLE);
        }
    }
}

// ---- Refusals

static const enum metric kinds[] = {
    [ERROR_MOVED] = METRIC_REDIRECTS_MOVED,       [ERROR_ASK] = METRIC_REDIRECTS_ASK,
    [ERROR_TRYAGAIN] = METRIC_REDIRECTS_TRYAGAIN, [ERROR_CLUSTERDOWN] = METRIC_REDIRECTS_DOWN,
    [ERROR_READONLY] = METRIC_REDIRECTS_DOWN,     [ERROR_LOADING] = METRIC_REDIRECTS_DOWN,
    [ERROR_MASTERDOWN] = METRIC_REDIRECTS_DOWN,
};

// NULL: the refusal names no node that can be used.
static struct node *named_by(struct router *router, struct node *node, const char *error, uint16_t *ret_slot) {
    struct redirect redirect;
    if (!redirect_parse(error, &node->at, &redirect) || !redirect.to.host[0])
        return NULL;
    *ret_slot = redirect.slot;
    return router_find_node(router, &redirect.to);
}

// The node sends a call away to itself: its name leads elsewhere by now. If it does so again at once, a new connection
// does not help.
static void resolve_anew(struct node *node) {
    uint64_t now = uv_now(node->router->loop), before = node->sent_home_ms;
    node->sent_home_ms = now;
    if (!before || now - before > SENT_HOME_MS)
        redis_drop(node->redis, "the node sends a call away to itself");
}

// Believes a MOVED of the present owner. Another node may be late: it was the owner once, and its answer is old.
static void learn_moved(struct router *router, struct node *node, const char *error) {
    uint16_t slot = 0;
    struct node *to = named_by(router, node, error, &slot);
    for (uint32_t i = 0; to && to != node && i < router->place_count; i++) {
        struct router_place *place = &router->places[i];
        if (router->slots[i] != slot || (place->owner && place->owner != node && redis_is_ready(place->owner->redis)))
            continue;
        router_set_owner(router, i, to);
        place->moved_ms = uv_now(router->loop);
    }
    router_refresh_from(router, to && to != node ? to : NULL);
    if (to == node)
        resolve_anew(node);
}

// The second node that is named may name the first: so the call rests.
static void hop(struct router *router, struct held *held) {
    if (++held->hops > HOPS_MAX)
        fail_held(router, held, UNAVAILABLE);
    else if (held->hops > 1 || !send_one(&router->places[held->place], held))
        router_hold(router, held, held->hops > 1 ? REST_HOP_MS : REST_LEAST_MS);
}

static void follow(struct router *router, struct node *node, struct held *held, enum error_kind kind) {
    struct router_place *place = &router->places[held->place];
    bool elsewhere = held->to || (place->owner && place->owner != node);
    if ((kind == ERROR_MOVED || kind == ERROR_ASK) && elsewhere)
        hop(router, held);
    else {
        held->hops = 0;
        router_hold(router, held, kind == ERROR_TRYAGAIN ? REST_LEAST_MS : REST_DOWN_MS);
    }
}

bool router_on_refused(void *context, struct held *held, const char *error) {
    struct node *node = context;
    struct router *router = node->router;
    enum error_kind kind = error_meaning_of(error)->kind;
    uint16_t slot;
    metric_add(kinds[kind], 1);
    if (kind == ERROR_MOVED)
        learn_moved(router, node, error);
    else if (kind != ERROR_ASK && kind != ERROR_TRYAGAIN)
        router_refresh(router);
    bool stays = !held || held->place >= router->place_count || held->no_redirect || router->stopping ||
                 (kind == ERROR_TRYAGAIN && held->divisible);
    if (stays)
        return false;
    held->to = kind == ERROR_ASK ? named_by(router, node, error, &slot) : NULL;
    follow(router, node, held, kind);
    return true;
}
