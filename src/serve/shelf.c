// SPDX-License-Identifier: MIT
// A body's freshness: sent at once while its last check is younger than stale_limit; else the request waits for the
// refresh, shortly where there is an old body, and not at all while Redis is away or slow or others wait already.
//
// One refresh is in flight per body (flight.h).
#include "ops/metrics.h"
#include "serve/serve_inside.h"
#include <stdlib.h>

static uint64_t interval(const struct shelf *shelf) {
    return (uint64_t)shelf->serve->settings->refresh_interval_ms;
}

static bool is_fresh(const struct shelf *shelf, uint64_t now) {
    return shelf->body && now - shelf->made_ms < interval(shelf);
}

static uint64_t stale_limit(const struct shelf *shelf) {
    uint64_t limit = (uint64_t)shelf->serve->settings->stale_limit_ms, least = 2 * interval(shelf);
    return limit > least ? limit : least;
}

static bool is_away(const struct serve *serve, uint64_t now) {
    return !store_ready(serve->store, NULL) || (serve->failed_ms && now - serve->failed_ms < AWAY_MS);
}

// May be sent at once.
static bool is_good(const struct shelf *shelf, uint64_t now) {
    if (!shelf->body || interval(shelf) == 0)
        return false;
    return now - shelf->made_ms < stale_limit(shelf) || is_away(shelf->serve, now) ||
           turns_are_full(&shelf->serve->turns);
}

// ---- Waiting

static void set_waited(struct shelf *shelf) {
    struct serve *serve = shelf->serve;
    bool waited = shelf->flight.waits || shelf->flight.later;
    shelf->kept.busy = waited || shelf->flight.in_flight || shelf->turn.queue;
    if (waited && !shelf->place_waited) {
        shelf->next_waited = NULL;
        shelf->place_waited = serve->waited_end;
        *serve->waited_end = shelf;
        serve->waited_end = &shelf->next_waited;
    } else if (!waited && shelf->place_waited) {
        *shelf->place_waited = shelf->next_waited;
        *(shelf->next_waited ? &shelf->next_waited->place_waited : &serve->waited_end) = shelf->place_waited;
        shelf->place_waited = NULL;
    }
}

static void answer_one(struct shelf *shelf, struct http_request *request, enum outcome outcome) {
    if (shelf->body && outcome != INTERNAL)
        http_reply_body(request, shelf->body);
    else
        shelf->serve->answer_error(request, outcome == OK ? UNAVAILABLE : outcome);
}

// Replies may lead to further requests at once, also for this shelf: the list is taken off first.
static void answer_all(struct shelf *shelf, struct flight_wait *waits, enum outcome outcome) {
    for (struct flight_wait *wait = waits; wait; wait = wait->next)
        turn_leave(&shelf->serve->turns, &((struct waiter *)wait)->turn);
    while (waits) {
        struct waiter *waiter = (struct waiter *)waits;
        waits = waits->next;
        answer_one(shelf, waiter->request, outcome);
    }
}

// ---- Refreshing

// In a turn that was taken.
static void begin(struct shelf *shelf) {
    shelf->flight.in_flight = shelf->kept.busy = true;
    metric_add(METRIC_BODY_REFRESHES, 1);
    refresh_start(shelf);
}

static bool may_try(const struct shelf *shelf) {
    return !shelf->flight.in_flight && uv_now(shelf->serve->loop) >= shelf->retry_ms;
}

static void begin_in_turn(struct shelf *shelf) {
    if (!shelf->flight.in_flight) {
        begin(shelf);
        return;
    }
    turn_end(&shelf->serve->turns); // another's turn came before
    set_waited(shelf);
}

static void on_waiters_turn(struct turn *turn) {
    begin_in_turn(((struct waiter *)((char *)turn - offsetof(struct waiter, turn)))->shelf);
}

static void on_own_turn(struct turn *turn) {
    begin_in_turn((struct shelf *)((char *)turn - offsetof(struct shelf, turn)));
}

// Begins now, when it is this reader's turn, or never: without memory to remember that.
static enum turn_answer want(struct shelf *shelf, struct waiter *waiter) {
    struct serve *serve = shelf->serve;
    if (shelf->flight.in_flight || waiter->turn.queue)
        return TURN_LATER;
    uint64_t network = serve->network_of(waiter->request);
    enum turn_answer answer = turn_take(&serve->turns, network, &waiter->turn, on_waiters_turn);
    if (answer == TURN_NEVER)
        waiter->until_ms = 0; // the next sweep answers it
    if (answer == TURN_NOW)
        begin(shelf);
    return answer;
}

// The same for a reader that does not wait: many do, so the shelf stands in the shortest of their queues.
static void want_unwaited(struct shelf *shelf, uint64_t network) {
    struct turns *turns = &shelf->serve->turns;
    if (shelf->turn.queue)
        turn_hasten(turns, network, &shelf->turn);
    else if (turn_take(turns, network, &shelf->turn, on_own_turn) == TURN_NOW)
        begin(shelf);
    else
        set_waited(shelf);
}

static void wait_for_refresh(struct shelf *shelf, struct http_request *request) {
    struct waiter *waiter = arena_take(request->arena, sizeof *waiter);
    if (!waiter) {
        answer_one(shelf, request, UNAVAILABLE);
        return;
    }
    bool has_old = shelf->body && interval(shelf);
    uint64_t most = has_old ? WAIT_MOST_MS - SWEEP_MS : (uint64_t)shelf->serve->settings->redis_timeout_ms;
    *waiter = (struct waiter){
        .shelf = shelf, .request = request, .until_ms = uv_now(shelf->serve->loop) + most, .has_old = has_old};
    flight_join(&shelf->flight, &waiter->wait, interval(shelf) > 0);
    set_waited(shelf);
    want(shelf, waiter);
}

// What was made takes the old one's place, unless only time has passed; false without memory.
static bool put_up(struct shelf *shelf, struct refresh *refresh) {
    const struct secret_key *key = shelf->serve->hash_key;
    const struct bytes marks[] = {buffer_bytes(&refresh->marks), buffer_bytes(&refresh->values)};
    uint64_t digest = keyed_hash64(key, 'd', marks, 2);
    if (!shelf->body || digest != shelf->digest) {
        struct body *made = body_new(buffer_bytes(&refresh->out), format_media_type(shelf->asked.format),
                                     buffer_bytes(&shelf->serve->fields), keyed_hash64(key, 'e', marks, 1));
        if (!made)
            return false;
        if (shelf->body) {
            kept_resize(shelf->serve, &shelf->kept, shelf->kept.bytes - body_size(shelf->body));
            body_release(shelf->body);
        }
        shelf->body = made;
        shelf->digest = digest;
        kept_resize(shelf->serve, &shelf->kept, shelf->kept.bytes + body_size(made));
    }
    shelf->made_ms = refresh->began_ms;
    body_checked(shelf->body, refresh->now_ms);
    return true;
}

// Those that came while the refresh was in flight want one of their own.
static void want_again(struct shelf *shelf) {
    for (struct flight_wait *wait = shelf->flight.waits; wait; wait = wait->next)
        if (want(shelf, (struct waiter *)wait) == TURN_NOW)
            return;
}

void shelf_refreshed(struct shelf *shelf, struct refresh *refresh, enum outcome outcome) {
    struct serve *serve = shelf->serve;
    uint64_t now = uv_now(serve->loop);
    uint64_t pause = interval(shelf) > RETRY_LEAST_MS ? interval(shelf) : RETRY_LEAST_MS;
    if (pause > RETRY_MOST_MS)
        pause = RETRY_MOST_MS;
    if (outcome == OK && !put_up(shelf, refresh))
        outcome = UNAVAILABLE;
    shelf->retry_ms = outcome == OK ? 0 : now + pause;
    serve->failed_ms = outcome == UNAVAILABLE ? now : 0;
    shelf->failure = outcome;
    struct flight_wait *waits = flight_end(&shelf->flight);
    shelf->kept.busy = true; // until all were told
    turn_leave(&serve->turns, &shelf->turn);
    answer_all(shelf, waits, outcome);
    set_waited(shelf);
    want_again(shelf); // the shelf may be gone then
    kept_trim(serve);
}

// ---- Asking

// The request is gone once it is answered.
static void answer_old(struct shelf *shelf, struct http_request *request, uint64_t now) {
    bool wants = !is_fresh(shelf, now) && may_try(shelf);
    uint64_t network = wants ? shelf->serve->network_of(request) : 0;
    kept_use(shelf->serve, &shelf->kept);
    metric_add(METRIC_BODY_HITS, 1);
    if (!wants) {
        http_reply_body(request, shelf->body);
        return;
    }
    shelf->kept.busy = true;
    http_reply_body(request, shelf->body);
    set_waited(shelf);
    if (may_try(shelf)) // the reply may have led to another request for it
        want_unwaited(shelf, network);
}

void shelf_answer(struct shelf *shelf, struct http_request *request) {
    uint64_t now = uv_now(shelf->serve->loop);
    if (is_fresh(shelf, now) || is_good(shelf, now)) {
        answer_old(shelf, request, now);
        return;
    }
    metric_add(METRIC_BODY_MISSES, 1);
    kept_use(shelf->serve, &shelf->kept);
    if (!shelf->flight.in_flight && !may_try(shelf))
        answer_one(shelf, request, shelf->failure); // as the last one that asked was told
    else
        wait_for_refresh(shelf, request);
}

// ---- Deadlines

// Those of clients that have left too.
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

void shelf_sweep(struct serve *serve) {
    uint64_t now = uv_now(serve->loop);
    for (struct shelf *shelf = serve->waited_for, *next; shelf; shelf = next) {
        next = shelf->next_waited;
        struct flight_wait *overdue = take_overdue(&shelf->flight.waits, now, NULL);
        overdue = take_overdue(&shelf->flight.later, now, overdue);
        if (waited_in_vain(overdue, now))
            serve->failed_ms = now; // Redis is slow: nobody else waits for it
        shelf->kept.busy = true;
        answer_all(shelf, overdue, UNAVAILABLE);
        set_waited(shelf);
    }
}
