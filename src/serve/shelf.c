// SPDX-License-Identifier: MIT
// A body's freshness: sent at once while it is young or was read lately; else the request waits for the refresh.
//
// One refresh is in flight per body. With refresh_interval 0 every read wants a refresh that began after it came: those
// that come while one is in flight wait for the next ("later").
#include "ops/metrics.h"
#include "serve/serve_inside.h"
#include <stdlib.h>

static uint64_t interval(const struct shelf *shelf) {
    return (uint64_t)shelf->serve->settings->refresh_interval_ms;
}

static bool is_fresh(const struct shelf *shelf, uint64_t now) {
    return shelf->body && now - shelf->made_ms < interval(shelf);
}

bool shelf_is_good(const struct shelf *shelf) {
    uint64_t now = uv_now(shelf->serve->loop);
    return is_fresh(shelf, now) || (shelf->body && interval(shelf) && now - shelf->read_ms < UNREAD_MS);
}

// ---- Waiting

static void set_waited(struct shelf *shelf) {
    struct serve *serve = shelf->serve;
    bool waited = shelf->waiters || shelf->later;
    shelf->kept.busy = waited || shelf->in_flight;
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
    if (shelf->body && outcome != INTERNAL) {
        shelf->read_ms = uv_now(shelf->serve->loop);
        http_reply_body(request, shelf->body);
    } else
        shelf->serve->answer_error(request, outcome == OK ? UNAVAILABLE : outcome);
}

// Replies may lead to further requests at once, also for this shelf: the list is taken off first.
static void answer_all(struct shelf *shelf, struct waiter *waiters, enum outcome outcome) {
    while (waiters) {
        struct waiter *waiter = waiters;
        waiters = waiter->next;
        answer_one(shelf, waiter->request, outcome);
    }
}

static void add_waiter(struct shelf *shelf, struct http_request *request) {
    struct waiter *waiter = arena_take(request->arena, sizeof *waiter);
    if (!waiter) {
        shelf->serve->answer_error(request, UNAVAILABLE);
        return;
    }
    struct waiter **list = shelf->in_flight && interval(shelf) == 0 ? &shelf->later : &shelf->waiters;
    waiter->request = request;
    waiter->until_ms = uv_now(shelf->serve->loop) + (uint64_t)shelf->serve->settings->redis_timeout_ms;
    waiter->next = *list;
    *list = waiter;
    set_waited(shelf);
}

// ---- Refreshing

// So many at once as fit into the store's queue: what does not begin now does when another has ended.
static bool is_full(const struct serve *serve) {
    uint32_t most = (uint32_t)serve->settings->redis_queue / REFRESH_CALLS;
    return serve->refreshes >= (most > REFRESHES_LEAST ? most : REFRESHES_LEAST);
}

static void begin(struct shelf *shelf) {
    if (shelf->in_flight || is_full(shelf->serve))
        return;
    shelf->in_flight = shelf->kept.busy = true;
    metric_add(METRIC_BODY_REFRESHES, 1);
    refresh_start(shelf);
}

static bool may_try(const struct shelf *shelf) {
    return !shelf->in_flight && uv_now(shelf->serve->loop) >= shelf->retry_ms;
}

// What was made takes the old one's place, unless only time has passed; false without memory.
static bool put_up(struct shelf *shelf, struct refresh *refresh) {
    struct bytes mark = buffer_bytes(&refresh->marks);
    uint64_t digest = keyed_hash64(shelf->serve->hash_key, 'd', &mark, 1);
    if (!shelf->body || digest != shelf->digest) {
        struct body *made = body_new(buffer_bytes(&refresh->out), format_media_type(shelf->asked.format),
                                     buffer_bytes(&shelf->serve->fields));
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

void shelf_refreshed(struct shelf *shelf, struct refresh *refresh, enum outcome outcome) {
    struct waiter *waiters = shelf->waiters;
    uint64_t pause = interval(shelf) > RETRY_LEAST_MS ? interval(shelf) : RETRY_LEAST_MS;
    if (pause > RETRY_MOST_MS)
        pause = RETRY_MOST_MS;
    if (outcome == OK && !put_up(shelf, refresh))
        outcome = UNAVAILABLE;
    if (outcome != OK)
        shelf->retry_ms = uv_now(shelf->serve->loop) + pause;
    shelf->failure = outcome;
    shelf->waiters = shelf->later;
    shelf->later = NULL;
    shelf->in_flight = false;
    shelf->kept.busy = true; // until all were told
    if (shelf->waiters)
        begin(shelf);
    answer_all(shelf, waiters, outcome);
    set_waited(shelf);
    kept_trim(shelf->serve);
}

// ---- Asking

static void answer_old(struct shelf *shelf, struct http_request *request) {
    shelf->read_ms = uv_now(shelf->serve->loop);
    kept_use(shelf->serve, &shelf->kept);
    metric_add(METRIC_BODY_HITS, 1);
    if (is_fresh(shelf, shelf->read_ms) || !may_try(shelf)) {
        http_reply_body(request, shelf->body);
        return;
    }
    http_reply_body(request, shelf->body);
    begin(shelf);
}

void shelf_answer(struct shelf *shelf, struct http_request *request) {
    if (shelf_is_good(shelf)) {
        answer_old(shelf, request);
        return;
    }
    metric_add(METRIC_BODY_MISSES, 1);
    kept_use(shelf->serve, &shelf->kept);
    if (!shelf->in_flight && !may_try(shelf)) {
        answer_one(shelf, request, shelf->failure); // as the last one that asked was told
        return;
    }
    add_waiter(shelf, request);
    begin(shelf);
}

void shelf_begin_waiting(struct serve *serve) {
    for (struct shelf *shelf = serve->waited_for, *next; shelf && !is_full(serve); shelf = next) {
        next = shelf->next_waited;
        begin(shelf);
    }
}

// ---- Deadlines

static struct waiter *take_overdue(struct waiter **list, uint64_t now, struct waiter *overdue) {
    while (*list) {
        struct waiter *waiter = *list;
        if (waiter->until_ms > now) {
            list = &waiter->next;
            continue;
        }
        *list = waiter->next;
        waiter->next = overdue;
        overdue = waiter;
    }
    return overdue;
}

void shelf_sweep(struct serve *serve) {
    uint64_t now = uv_now(serve->loop);
    for (struct shelf *shelf = serve->waited_for, *next; shelf; shelf = next) {
        next = shelf->next_waited;
        struct waiter *overdue = take_overdue(&shelf->waiters, now, NULL);
        overdue = take_overdue(&shelf->later, now, overdue);
        shelf->kept.busy = true;
        answer_all(shelf, overdue, UNAVAILABLE);
        set_waited(shelf);
    }
}
