// SPDX-License-Identifier: MIT
// Reads. Finished bodies are cached in memory and refreshed from Redis at most once per refresh_interval, with one
// refresh in flight per body. A read that hits costs no Redis call and no allocation. While Redis is away the old
// bodies are still sent, with the time of their last check. Lists for one visitor are computed in the same way and not
// cached.
//
// A body is found by the raw target first (so a repeated request is one lookup), then by its canonical key: two
// spellings of one query share a body. If the last check is older than stale_limit the request waits for a refresh, at
// most 250 ms, then gets the old body; it does not wait while Redis is away or slow, or while all turns are taken. If
// there is no body the request waits up to redis_timeout, then it is UNAVAILABLE.
//
// The number of reads at once is bounded. The others wait, and networks take turns.
#pragma once
#include "base/json_out.h"
#include "http/body.h"
#include "model/windows.h"
#include "store/item_states.h"
#include "store/plan.h"

struct serve;

enum { PLACES_MAX = 500 }; // the last place of a list that a page of it may show
enum { LIST_LIMIT_MAX = 100, EXCLUDE_MAX = 100, IDS_MAX = 100 };
enum list_kind { LIST_RELATED, LIST_RANKING, LIST_RECOMMENDATION, LIST_KINDS };
enum list_format { FORMAT_JSON, FORMAT_HTML, FORMAT_FEED, FORMAT_RSS, FORMATS };
struct asked_age {
    bool given; // it wins over the rules of the list
    int64_t ms; // 0: any age
};

const char *list_kind_name(enum list_kind kind);
const char *format_name(enum list_format format); // as in a query
const char *format_media_type(enum list_format format);

// `answer_error` renders and sends the problem+json of an outcome (the errors' table is the api room's).
// `network_of` hashes the network that a request comes from.
struct serve *serve_start(void *loop, const struct settings *settings, const struct secret_key *hash_key,
                          const struct plan *plan, struct store *store,
                          void (*answer_error)(struct http_request *request, enum outcome outcome, const char *detail),
                          uint64_t (*network_of)(const struct http_request *request));
// After the last request was answered, before store_stop; refreshes in flight are waited for.
void serve_stop(struct serve *serve, void (*on_stopped)(void *context), void *context);

// Called first for every GET and HEAD: answers from memory if this exact target is known.
bool serve_from_memory(struct serve *serve, struct http_request *request);

// The reads. Arguments are decoded and checked; their bytes need not outlive the call. Each answers the request now or
// later. `target_is_plain`: the query has no unknown parameter, so serve_from_memory may remember the raw target.
struct list_query {
    struct bytes site;
    struct bytes ranking;  // its name
    struct bytes item;     // of related, and of a page
    struct bytes category; // at == NULL: as the rules of the list say
    struct bytes author;   // the same
    struct bytes period;   // of a window ranking; at == NULL: its window of now
    struct asked_age max_age;
    uint32_t limits[LIST_KINDS]; // 0: no such list
    uint32_t offset;             // places before the first one that is shown; not of a page of three lists
    const struct bytes *exclude;
    uint32_t exclude_count;
    enum list_format format;
    unsigned windows; // bits of 1 << enum window
    bool target_is_plain;
};
void serve_ranking(struct serve *serve, struct http_request *request, const struct list_query *query);
void serve_related(struct serve *serve, struct http_request *request, const struct list_query *query);
void serve_page(struct serve *serve, struct http_request *request, const struct list_query *query);
struct items_query {
    struct bytes site;
    const struct bytes *ids;
    size_t count;
    unsigned windows;
    bool target_is_plain;
};
void serve_item(struct serve *serve, struct http_request *request, const struct items_query *query); // its first id
void serve_items(struct serve *serve, struct http_request *request, const struct items_query *query);

// The counts of each hour, day or month, of an item or of the whole site.
enum { SERIES_OPEN = INT32_MIN }; // the oldest that is kept; the present one
struct series_query {
    struct bytes site, item; // item.at == NULL: of the site
    enum grain grain;
    int32_t first, last; // numbers (base/calendar.h), both included; or SERIES_OPEN
    bool target_is_plain;
};
void serve_series(struct serve *serve, struct http_request *request, const struct series_query *query);
bool step_find(struct bytes name, enum grain *ret_grain); // "hour", "day", "month"
// The oldest number that is kept for sure: it is as old as the buckets of an item that was just read.
int32_t step_first_kept(enum grain grain, int64_t now_ms);

// The rankings that the configuration defines.
void serve_rankings(struct serve *serve, struct http_request *request, struct bytes site, bool target_is_plain);
// An item was written or deleted here, so what is remembered of it is not used any more.
void serve_forget_item(struct serve *serve, ref_t item);
// An item as docs/api.md shows it, from the store, for answers of writes (PUT).
void item_render(struct json_out *json, const struct settings *settings, struct bytes id,
                 const struct item_state *state, const struct window_set *spans); // `spans` NULL: none

// A turn among the reads; its memory is the owner's.
struct turn {
    struct turn *next, *before;
    struct turn_queue *queue; // NULL: it does not wait
    void (*on_turn)(struct turn *turn);
};
// Takes a turn for a read whose result is not cached. True: the turn has begun. Else `on_turn` comes later, with OK or
// OVERLOADED. A turn that has begun ends with serve_ask_end.
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

// The list for one visitor. `on_done` runs once, later, with the rendered body (empty unless OK), which is valid until
// it returns. `visitor` NULL: an unknown visitor.
struct personal_call {
    void (*on_done)(struct personal_call *call, enum outcome outcome, struct bytes body);
    void *context;
};
void serve_personal(struct serve *serve, const struct http_request *request, struct personal_call *call,
                    const struct list_query *query, const ref_t *visitor);
