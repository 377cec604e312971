// SPDX-License-Identifier: MIT
// What the files of this room share.
//
// Three things are kept in memory: finished bodies (struct shelf), found by a canonical key or by a raw target that led
// to it before; and orders (struct order), the top of one ranking, which many bodies are made from. Both are `kept`: on
// one list by last use, within one bound of bytes. A refresh (struct refresh) is one run of a body's recipe: it asks
// for orders and states, puts a list together, renders it, and ends.
//
//   serve.c    entry points, start and stop      cache.c    kept things, keys, aliases, the bound
//   shelf.c    a body's freshness and waiters    order.c    an order's freshness and waiters
//   list.c     candidates to a rendered list     recipes.c  what each kind of body is made of
//   render.c   an item as JSON
#pragma once
#include "base/buffer.h"
#include "serve/serve.h"
#include <uthash.h>
#include <uv.h>

enum { ORDER_MOST = 256, ALIASES_MOST = 8, UNREAD_MS = 10000, RETRY_LEAST_MS = 100, REFRESHES_MOST = 1024 };

struct serve {
    uv_loop_t *loop;
    const struct settings *settings;
    const struct secret_key *hash_key;
    const struct plan *plan;
    struct store *store;
    void (*answer_error)(struct http_request *request, enum outcome outcome);
    struct buffer fields; // header lines of every body
    struct shelf *shelves;
    struct alias *aliases;
    struct order *orders;
    struct kept *newest, *oldest;
    size_t bytes;
    uint32_t refreshes;       // in flight
    struct shelf *waited_for; // shelves that requests wait for
    uv_timer_t sweep;
    void (*on_stopped)(void *context);
    void *stopped_context;
};

// ---- Kept things

struct kept {
    struct kept *newer, *older;
    size_t bytes;
    bool is_order;
    bool busy; // in flight or waited for: must stay
};
void kept_add(struct serve *serve, struct kept *kept, size_t bytes);
void kept_use(struct serve *serve, struct kept *kept);
void kept_resize(struct serve *serve, struct kept *kept, size_t bytes);
void kept_trim(struct serve *serve); // drops the longest unused until the bound is met
void kept_drop_all(struct serve *serve);

// ---- Orders

struct order_wait {
    struct order_wait *next;
    void (*on_order)(struct order_wait *wait, struct order *order); // NULL: Redis is away
};

struct order {
    struct kept kept; // first
    UT_hash_handle hh;
    struct serve *serve;
    const struct ranking *ranking;
    ref_t site, category;
    bool has_category, in_flight, good;
    uint64_t made_ms;                 // uv_now when its refresh began
    struct order_wait *waits, *later; // later: came while a refresh was in flight that began before them
    struct read_call call;
    enum outcome outcome;
    size_t count;
    struct ranked *list; // ids in `text`
    char *text;
    double total; // of the site's popularity, for that ranking only
    char key[48 + NAME_SIZE];
};
// Calls back, now or later; the order stays at least until then.
void order_get(struct serve *serve, ref_t site, const struct ranking *ranking, const ref_t *category,
               struct order_wait *wait);
void order_free(struct order *order);

// ---- Bodies

struct alias {
    UT_hash_handle hh;
    struct alias *next; // of the same shelf
    struct shelf *shelf;
    char target[];
};

struct waiter {
    struct waiter *next;
    struct http_request *request;
    uint64_t until_ms;
};

struct recipe;

struct shelf {
    struct kept kept; // first
    UT_hash_handle hh;
    struct serve *serve;
    struct alias *aliases;
    uint32_t alias_count;
    const struct recipe *recipe;
    struct bytes site, name, category; // into key
    struct bytes *ids;                 // excluded, or asked for
    uint32_t id_count, limit;
    const struct ranking *ranking;
    struct body *body;
    uint64_t digest;
    uint64_t made_ms, read_ms, retry_ms; // uv_now
    bool in_flight;
    struct waiter *waiters, *later;
    struct shelf *next_waited, **place_waited;
    size_t key_len;
    char *key;
};
// Answers from the shelf, now or once it is fresh.
void shelf_answer(struct shelf *shelf, struct http_request *request);
bool shelf_is_good(const struct shelf *shelf); // may be sent at once, fresh or while it is refreshed
void shelf_sweep(struct serve *serve);
void shelf_free(struct shelf *shelf);

// What is asked, before it is known whether a shelf is there.
struct question {
    const struct recipe *recipe;
    struct bytes site, name, category;
    const struct bytes *ids;
    size_t id_count;
    uint32_t limit;
    const struct ranking *ranking;
};
// Finds or makes the shelf; NULL without memory.
struct shelf *shelf_get(struct serve *serve, const struct question *question);
void shelf_remember_target(struct shelf *shelf, struct bytes target);

// ---- Refreshes

struct candidate {
    ref_t item;
    double value; // orders a group, higher first
    double score; // as shown
    uint32_t group;
    const char *reason;
};

struct placed {
    struct candidate candidate;
    size_t id_at, id_len, json_at, json_len; // into texts
};

struct refresh {
    struct shelf *shelf;
    struct order_wait wait;
    struct read_call call;
    int64_t now_ms; // of the service's clock, when it began
    uint64_t began_ms;
    struct candidate *candidates;
    size_t candidate_count, candidate_next, batch;
    ref_t *refs;
    struct placed *placed;
    size_t placed_count;
    struct buffer texts; // of the placed
    struct buffer out, marks;
    uint32_t next_ranking; // fill-up
    struct neighbours table;
    struct order *order;
    enum outcome outcome; // of single items
    void (*on_placed)(struct refresh *refresh);
};
struct recipe {
    char letter; // of the canonical key
    void (*start)(struct refresh *refresh);
};
extern const struct recipe recipe_ranking, recipe_related, recipe_item, recipe_items, recipe_rankings;

void refresh_start(struct shelf *shelf);
// The end: `out` is the body, `marks` what of it is not due to time alone; or it failed.
void refresh_end(struct refresh *refresh, enum outcome outcome);
void shelf_refreshed(struct shelf *shelf, struct refresh *refresh, enum outcome outcome);

// list.c: adds a candidate unless it is there, excluded or the list's own item. False without memory.
bool candidate_add(struct refresh *refresh, const struct candidate *candidate);
// Reads states of candidates until `limit` are placed or none is left; then on_placed, sorted.
void place_candidates(struct refresh *refresh, void (*on_placed)(struct refresh *refresh));

// render.c: an item's members, without braces.
void item_members(struct json_out *json, const struct settings *settings, struct bytes id,
                  const struct item_state *state);
