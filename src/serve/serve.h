// SPDX-License-Identifier: MIT
// Shared reads: finished bodies in memory, refreshed from Redis at most once per refresh_interval, one refresh in
// flight per body. A read that hits costs no Redis call and no allocation. While Redis is away the old bodies go on,
// dated. Lists for one visitor are put together by the same rules and kept nowhere.
//
// A body is found by the raw target first (so a repeated request is one lookup), then by its canonical query: two
// spellings of one query share a body. A body whose last check is older than stale_limit waits for its refresh, at most
// 250 ms, then goes out old; it does not wait while Redis is away or slow, or more is read already than is good. Where
// there is no body a request waits up to redis_timeout, then it is UNAVAILABLE.
//
// So many reads are in work at once; the others wait, and networks take turns.
#pragma once
#include "base/json_out.h"
#include "http/body.h"
#include "store/plan.h"
#include "store/store.h"

struct serve;

enum { LIST_LIMIT_MAX = 100, EXCLUDE_MAX = 100, IDS_MAX = 100 };
enum list_kind { LIST_RELATED, LIST_RANKING, LIST_RECOMMENDATION, LIST_KINDS };
enum list_format { FORMAT_JSON, FORMAT_HTML, FORMAT_FEED };

const char *list_kind_name(enum list_kind kind);
const char *format_media_type(enum list_format format);

// `answer_error` renders and sends the problem+json of an outcome (the errors' table is the api room's).
// `network_of` hashes the network that a request comes from.
struct serve *serve_start(void *loop, const struct settings *settings, const struct secret_key *hash_key,
                          const struct plan *plan, struct store *store,
                          void (*answer_error)(struct http_request *request, enum outcome outcome),
                          uint64_t (*network_of)(const struct http_request *request));
// After the last request was answered, before store_stop; refreshes in flight are waited for.
void serve_stop(struct serve *serve, void (*on_stopped)(void *context), void *context);

// First thing for every GET and HEAD: answered from memory if this exact target is there and fresh enough.
bool serve_from_memory(struct serve *serve, struct http_request *request);

// The reads. Arguments are decoded and checked; their bytes need not outlive the call. Each answers the request, now or
// later. `target_is_plain`: the query held nothing unknown, so the raw target may be remembered for serve_from_memory.
struct list_query {
    struct bytes site;
    struct bytes ranking;        // its name
    struct bytes item;           // of related, and of a page
    struct bytes category;       // at == NULL: all
    uint32_t limits[LIST_KINDS]; // 0: no such list
    const struct bytes *exclude;
    uint32_t exclude_count;
    enum list_format format;
    bool target_is_plain;
};
void serve_ranking(struct serve *serve, struct http_request *request, const struct list_query *query);
void serve_related(struct serve *serve, struct http_request *request, const struct list_query *query);
void serve_page(struct serve *serve, struct http_request *request, const struct list_query *query);
void serve_item(struct serve *serve, struct http_request *request, struct bytes site, struct bytes id,
                bool target_is_plain);
void serve_items(struct serve *serve, struct http_request *request, struct bytes site, const struct bytes *ids,
                 size_t count, bool target_is_plain);
// The rankings that the configuration defines.
void serve_rankings(struct serve *serve, struct http_request *request, struct bytes site, bool target_is_plain);
// An item as docs/api.md shows it, from the store, for answers of writes (PUT).
void item_render(struct json_out *json, const struct settings *settings, struct bytes id,
                 const struct item_state *state);

// A turn among the reads, in its owner's memory.
struct turn {
    struct turn *next, *before;
    struct turn_queue *queue; // NULL: it does not wait
    void (*on_turn)(struct turn *turn);
};
// A read of Redis that no body is kept of takes its turn: true when it is now, else `on_turn` comes later, with OK or
// OVERLOADED. What has begun ends with serve_ask_end.
struct ask {
    struct turn turn; // first
    struct ask *next, *before;
    struct serve *serve;
    const struct http_request *request;
    uint64_t until_ms;
    void (*on_turn)(struct ask *ask, enum outcome outcome);
};
bool serve_ask(struct serve *serve, const struct http_request *request, struct ask *ask,
               void (*on_turn)(struct ask *ask, enum outcome outcome));
void serve_ask_end(struct serve *serve);

// The list for one visitor: `on_done` once, later, with the rendered body (empty unless OK), which lives until it
// returns. `visitor` NULL: nobody that is known.
struct personal_call {
    void (*on_done)(struct personal_call *call, enum outcome outcome, struct bytes body);
    void *context;
};
void serve_personal(struct serve *serve, const struct http_request *request, struct personal_call *call,
                    const struct list_query *query, const ref_t *visitor);
