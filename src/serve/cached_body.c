// SPDX-License-Identifier: MIT
// Decides for each request whether a cached body is sent at once, or the request waits for a refresh:
//
// - fresh (younger than refresh_interval): sent at once.
// - stale, but younger than stale_limit: sent at once, and a refresh begins for the next reader.
// - older: the request waits for the refresh, at most WAIT_MAX_MS, then gets the old body. It does not wait while Redis
// is
//   away or slow, or while all turns are taken.
// - no body yet: the request waits up to redis_timeout, then it is UNAVAILABLE.
//
// One refresh is in flight per body (flight.h), and each takes a turn (turns.c). After a failed refresh the next begins
// `retry_ms` later. serve.c asks; body_builders.c makes the body and calls cached_body_refreshed.
#include "ops/metrics.h"
#include "serve/refresh.h"
#include "serve/serve_inside.h"
#include <stdlib.h>

static uint64_t interval(const struct cached_body *cached) {
    return (uint64_t)cached->serve->settings->refresh_interval_ms;
}

static bool is_fresh(const struct cached_body *cached, uint64_t now) {
    return cached->body && now - cached->made_ms < interval(cached);
}

static uint64_t stale_limit(const struct cached_body *cached) {
    uint64_t limit = (uint64_t)cached->serve->settings->stale_limit_ms, least = 2 * interval(cached);
    return limit > least ? limit : least;
}

static bool is_away(const struct serve *serve, uint64_t now) {
    return !store_ready(serve->store, NULL) || (serve->failed_ms && now - serve->failed_ms < AWAY_MS);
}

// A body that is not fresh may still be sent at once.
static bool is_good(const struct cached_body *cached, uint64_t now) {
    if (!cached->body || interval(cached) == 0)
        return false;
    return now - cached->made_ms < stale_limit(cached) || is_away(cached->serve, now) ||
           turns_are_full(&cached->serve->turns);
}

// ---- Waiting

static void set_waited(struct cached_body *cached) {
    struct serve *serve = cached->serve;
    bool waited = cached->flight.waits || cached->flight.later;
    cached->lru.busy = waited || cached->flight.in_flight || cached->turn.queue;
    if (waited && !cached->waited_link) {
        cached->next_waited = NULL;
        cached->waited_link = serve->waited_end;
        *serve->waited_end = cached;
        serve->waited_end = &cached->next_waited;
    } else if (!waited && cached->waited_link) {
        *cached->waited_link = cached->next_waited;
        *(cached->next_waited ? &cached->next_waited->waited_link : &serve->waited_end) = cached->waited_link;
        cached->waited_link = NULL;
    }
}

static void answer_one(struct cached_body *cached, struct http_request *request, enum outcome outcome) {
    if (cached->body && outcome != INTERNAL && outcome != UNKNOWN_PERIOD)
        http_reply_body(request, cached->body);
    else
        cached->serve->answer_error(request, outcome == OK ? UNAVAILABLE : outcome, NULL);
}

// A reply may lead to another request at once, also for this body, so `waits` is no longer part of the flight.
static void answer_all(struct cached_body *cached, struct flight_wait *waits, enum outcome outcome) {
    for (struct flight_wait *wait = waits; wait; wait = wait->next)
        turn_leave(&cached->serve->turns, &((struct waiter *)wait)->turn);
    while (waits) {
        struct waiter *waiter = (struct waiter *)waits;
        waits = waits->next;
        answer_one(cached, waiter->request, outcome);
    }
}

// ---- Refreshing

// The turn has been taken.
static void begin(struct cached_body *cached) {
    cached->flight.in_flight = cached->lru.busy = true;
    metric_add(METRIC_BODY_REFRESHES, 1);
    refresh_start(cached);
}

static bool may_try(const struct cached_body *cached) {
    return !cached->flight.in_flight && uv_now(cached->serve->loop) >= cached->retry_ms;
}

static void begin_in_turn(struct cached_body *cached) {
    if (!cached->flight.in_flight) {
        begin(cached);
        return;
    }
    turn_end(&cached->serve->turns); // another turn has begun the refresh already
    set_waited(cached);
}

static void on_waiters_turn(struct turn *turn) {
    begin_in_turn(((struct waiter *)((char *)turn - offsetof(struct waiter, turn)))->cached);
}

static void on_own_turn(struct turn *turn) {
    begin_in_turn((struct cached_body *)((char *)turn - offsetof(struct cached_body, turn)));
}

// Begins a refresh for this reader, or takes a place in the queue of its network.
static enum turn_answer want(struct cached_body *cached, struct waiter *waiter) {
    struct serve *serve = cached->serve;
    if (cached->flight.in_flight || waiter->turn.queue)
        return TURN_LATER;
    uint64_t network = serve->network_of(waiter->request);
    enum turn_answer answer = turn_take(&serve->turns, network, &waiter->turn, on_waiters_turn);
    if (answer == TURN_NEVER)
        waiter->until_ms = 0; // the next sweep answers it
    if (answer == TURN_NOW)
        begin(cached);
    return answer;
}

// The same for readers that do not wait. There may be many, so the body itself waits in the shortest of their queues.
static void want_unwaited(struct cached_body *cached, uint64_t network) {
    struct turns *turns = &cached->serve->turns;
    if (cached->turn.queue)
        turn_hasten(turns, network, &cached->turn);
    else if (turn_take(turns, network, &cached->turn, on_own_turn) == TURN_NOW)
        begin(cached);
    else
        set_waited(cached);
}

static void wait_for_refresh(struct cached_body *cached, struct http_request *request) {
    struct waiter *waiter = arena_take(request->arena, sizeof *waiter);
    if (!waiter) {
        answer_one(cached, request, UNAVAILABLE);
        return;
    }
    bool has_old = cached->body && interval(cached);
    uint64_t max = has_old ? WAIT_MAX_MS - SWEEP_MS : (uint64_t)cached->serve->settings->redis_timeout_ms;
    *waiter = (struct waiter){
        .cached = cached, .request = request, .until_ms = uv_now(cached->serve->loop) + max, .has_old = has_old};
    flight_join(&cached->flight, &waiter->wait, interval(cached) > 0);
    set_waited(cached);
    want(cached, waiter);
}

// Replaces the body, unless the new one differs only because time has passed. False without memory.
static bool put_up(struct cached_body *cached, struct refresh *refresh) {
    const struct secret_key *key = cached->serve->hash_key;
    struct bytes fingerprint = buffer_bytes(&refresh->fingerprint);
    uint64_t tag = keyed_hash64(key, 'e', &fingerprint, 1);
    const struct bytes whole[] = {{(const char *)&tag, sizeof tag}, buffer_bytes(&refresh->values)};
    uint64_t digest = keyed_hash64(key, 'd', whole, 2);
    if (!cached->body || digest != cached->digest) {
        struct body *made = body_new(buffer_bytes(&refresh->out), format_media_type(cached->asked.format),
                                     buffer_bytes(&cached->serve->fields), tag);
        if (!made)
            return false;
        if (cached->body) {
            lru_resize(&cached->serve->lru, &cached->lru, cached->lru.bytes - body_size(cached->body));
            body_release(cached->body);
        }
        cached->body = made;
        cached->digest = digest;
        lru_resize(&cached->serve->lru, &cached->lru, cached->lru.bytes + body_size(made));
    }
    cached->made_ms = refresh->age.oldest_ms;
    body_checked(cached->body, refresh->now_ms - made_age_ms(&refresh->age));
    return true;
}

// Requests that came while the refresh was in flight want one that begins after them.
static void want_again(struct cached_body *cached) {
    for (struct flight_wait *wait = cached->flight.waits; wait; wait = wait->next)
        if (want(cached, (struct waiter *)wait) == TURN_NOW)
            return;
}

void cached_body_refreshed(struct cached_body *cached, struct refresh *refresh, enum outcome outcome) {
    struct serve *serve = cached->serve;
    uint64_t now = uv_now(serve->loop);
    uint64_t pause = interval(cached) > RETRY_LEAST_MS ? interval(cached) : RETRY_LEAST_MS;
    if (pause > RETRY_MAX_MS)
        pause = RETRY_MAX_MS;
    if (outcome == OK && !put_up(cached, refresh))
        outcome = UNAVAILABLE;
    cached->retry_ms = outcome == OK ? 0 : now + pause;
    serve->failed_ms = outcome == UNAVAILABLE ? now : 0;
    cached->failure = outcome;
    struct flight_wait *waits = flight_end(&cached->flight);
    cached->lru.busy = true; // until all are answered
    turn_leave(&serve->turns, &cached->turn);
    answer_all(cached, waits, outcome);
    set_waited(cached);
    want_again(cached); // the cached body may be gone then
    lru_trim(&serve->lru);
}

// ---- Asking

// Sends the body, then begins a refresh if one is due. The request must not be used after it is answered.
static void answer_old(struct cached_body *cached, struct http_request *request, uint64_t now) {
    bool wants = !is_fresh(cached, now) && may_try(cached);
    uint64_t network = wants ? cached->serve->network_of(request) : 0;
    lru_use(&cached->serve->lru, &cached->lru);
    metric_add(METRIC_BODY_HITS, 1);
    if (!wants) {
        http_reply_body(request, cached->body);
        return;
    }
    cached->lru.busy = true;
    http_reply_body(request, cached->body);
    set_waited(cached);
    if (may_try(cached)) // the reply may have led to another request for it
        want_unwaited(cached, network);
}

void cached_body_answer(struct cached_body *cached, struct http_request *request) {
    uint64_t now = uv_now(cached->serve->loop);
    if (is_fresh(cached, now) || is_good(cached, now)) {
        answer_old(cached, request, now);
        return;
    }
    metric_add(METRIC_BODY_MISSES, 1);
    lru_use(&cached->serve->lru, &cached->lru);
    if (!cached->flight.in_flight && !may_try(cached))
        answer_one(cached, request, cached->failure); // the outcome that the last waiting request got
    else
        wait_for_refresh(cached, request);
}

// ---- Deadlines

// A request whose client has left is answered as well.
static bool is_overdue(const struct waiter *waiter, uint64_t now) {
    return waiter->until_ms <= now || http_client_gone(waiter->request);
}

static struct flight_wait *take_overdue(struct flight_wait **list, uint64_t now, struct flight_wait *overdue) {
    while (*list) {
        struct flight_wait *wait = *list;
        if (!is_overdue((struct waiter *)wait, now)) {
            list = &wait->next;
            continue;
        }
        *list = wait->next;
        wait->next = overdue;
        overdue = wait;
    }
    return overdue;
}

static bool waited_in_vain(const struct flight_wait *overdue, uint64_t now) {
    for (; overdue; overdue = overdue->next) {
        const struct waiter *waiter = (const struct waiter *)overdue;
        if (waiter->has_old && waiter->until_ms <= now)
            return true;
    }
    return false;
}

void cached_body_sweep(struct serve *serve) {
    uint64_t now = uv_now(serve->loop);
    for (struct cached_body *cached = serve->waited_for, *next; cached; cached = next) {
        next = cached->next_waited;
        struct flight_wait *overdue = take_overdue(&cached->flight.waits, now, NULL);
        overdue = take_overdue(&cached->flight.later, now, overdue);
        if (waited_in_vain(overdue, now))
            serve->failed_ms = now; // Redis is slow: the next readers do not wait
        cached->lru.busy = true;
        answer_all(cached, overdue, UNAVAILABLE);
        set_waited(cached);
    }
}
