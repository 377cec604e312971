// SPDX-License-Identifier: MIT
// What the files of this room share: the struct of the room, and bodies. snapshot.h has the snapshots of rankings,
// editorial_rules.h the rules of editors, list.h the lists, item_json.h an item as JSON.
//
// Three things are cached on one LRU list (lru.h): finished bodies (struct cached_body); ranking snapshots (struct
// snapshot), the top of one ranking, from which many bodies are made; and each site's editorial rules (struct rules).
// What bodies are made of is on another one (item_cache.h). A refresh (refresh.h) runs a body's builder once: it
// computes lists (struct list), renders them, and replaces the body.
//
//   serve.c           entry points, start and stop         body_cache.c      canonical keys and aliases of bodies
//   cached_body.c     freshness of a body, its waiters     lru.c             the LRU list, its bound of bytes
//   flight.c          single flight                        turns.c           how many reads at once, and whose
//   snapshot.c        the top of a ranking                 editorial_rules.c a site's editorial rules
//   window_snapshot.c the same by window, by period        author_snapshot.c the same for an author
//   window_exact.c    whether such a list lacks anything   card_text.c       the texts of a plain card
//   item_cache.c      states of items                      table_cache.c     tables of neighbours
//   body_builders.c   what each kind of body holds         personal.c        the list for one visitor
//   sources.c         where candidates come from           ranking_source.c  of a ranking: from several sets
//   supply.c          what becomes candidates when needed  candidates.c      a list's candidates, with rules
//   list.c            from candidates to placed entries    list_rules.c      the rules of the settings
//   filling.c         what fills up a short list           by_time.c         windows of an item, series
//   render.c          an item and a list as JSON           fragment.c        a list as HTML and as JSON Feed
//   rss.c             a list as RSS                        feed.h, feed.c    what the forms of a list share
#pragma once
#include "base/buffer.h"
#include "base/hash.h"
#include "serve/flight.h"
#include "serve/item_cache.h"
#include "serve/serve.h"
#include "serve/turns.h"
#include <uv.h>

enum {
    ALIASES_MAX = 8,   // of one body
    WAIT_MAX_MS = 250, // a reader waits so long if there is an old body
    SWEEP_MS = 50,
    AWAY_MS = 1000, // for so long after a failed refresh nobody waits
    RETRY_LEAST_MS = 100,
    RETRY_MAX_MS = 1000
};

struct serve {
    uv_loop_t *loop;
    const struct settings *settings;
    const struct secret_key *hash_key;
    const struct plan *plan;
    struct ranking newest_cards;                // NEWEST_NAME, as a ranking
    struct ranking author_items, author_unread; // AUTHOR_NAME and UNREAD_NAME, the same
    const struct ranking *category_filling;     // stands for the popular of a category
    struct store *store;
    void (*answer_error)(struct http_request *request, enum outcome outcome, const char *detail);
    uint64_t (*network_of)(const struct http_request *request);
    struct buffer fields; // header lines of every body
    struct cached_body *cached_bodies;
    struct alias *aliases;
    struct snapshot *snapshots;
    struct site_rules *rules_cached;
    struct lru lru;
    struct lru items; // of item_cache.h, with the next four
    struct turnover turnover;
    struct ref_table items_cached, tables_cached; // of recent items and tables
    struct buffer item_text;
    struct turns turns;
    uint64_t failed_ms;                           // when the last refresh failed, or a wait for it ran out; 0: neither
    struct cached_body *waited_for, **waited_end; // bodies that requests wait for, longest wait first
    struct ask *first_ask, *last_ask;             // asks that wait for their turn, oldest first
    uv_timer_t sweep;
    void (*on_stopped)(void *context);
    void *stopped_context;
};

// ---- Bodies

struct alias {
    UT_hash_handle hh;
    struct alias *next; // of the same body
    struct cached_body *cached;
    uint16_t route; // of the request that it is of
    char target[];
};

struct waiter {
    struct flight_wait wait; // first
    struct cached_body *cached;
    struct http_request *request;
    uint64_t until_ms;
    bool has_old; // there is an old body, which is sent at `until_ms`
    struct turn turn;
};

struct refresh;
struct body_builder {
    char letter; // in canonical keys
    void (*start)(struct refresh *refresh);
};
extern const struct body_builder builder_ranking, builder_related, builder_page, builder_item, builder_items,
    builder_rankings, builder_series;

// What a request asks for. Each question has one body.
struct question {
    const struct body_builder *builder;
    struct bytes site, item, category, author;
    const struct ranking *ranking;
    bool past; // of a window ranking: the list of this period
    int32_t period;
    uint32_t limits[LIST_KINDS], offset;
    struct asked_age max_age;
    enum list_format format;
    unsigned windows; // whose counts each item has
    enum grain grain; // of a series; and from which number to which, both included
    int32_t first, last;
    const struct bytes *ids; // of items to exclude, or to read
    uint32_t id_count;
};

struct cached_body {
    struct lru_entry lru; // first
    UT_hash_handle hh;
    struct serve *serve;
    struct alias *aliases;
    uint32_t alias_count;
    struct question asked; // its bytes are views of the key
    struct body *body;
    uint64_t digest;
    uint64_t made_ms, retry_ms; // uv_now
    struct turn turn;           // of a refresh that nobody waits for
    enum outcome failure;       // of the last refresh; OK: it did not fail
    struct flight flight;       // its waits are struct waiter
    struct cached_body *next_waited, **waited_link;
    size_t key_len;
    char *key;
};
// Answers from the cached body, now or once it is fresh.
void cached_body_answer(struct cached_body *cached, struct http_request *request);
void cached_body_sweep(struct serve *serve);
void asks_sweep(struct serve *serve); // turns.c
// Finds or makes it; NULL without memory.
struct cached_body *cached_body_get(struct serve *serve, const struct question *question);
void cached_body_remember_target(struct cached_body *cached, const struct http_request *request);
// The windows that the body shows. The other formats have none, so what is asked makes no other body of them.
static inline unsigned windows_shown(const struct list_query *query) {
    return query->format == FORMAT_JSON || query->format == FORMAT_FEED ? query->windows : 0;
}
// filling.c: the ranking that fills a short list of a category.
const struct ranking *filling_of_categories(const struct plan *plan);
