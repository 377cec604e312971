// SPDX-License-Identifier: MIT
// What the files of this room share.
//
// Three things are kept in memory: finished bodies (struct cached body), found by a canonical key or by a raw target
// that led to it before; orders (struct order), the top of one ranking, which many bodies are made from; and each
// site's editorial (struct hand). All are `kept`: on one list by last use, within one bound of bytes. A refresh (struct
// refresh) is one run of a body's builder; it puts lists together (struct list), renders them, and ends.
//
//   serve.c    entry points, start and stop          body_cache.c    kept things, keys, aliases, the bound
//   cached_body.c    a body's freshness and waiters        flight.c   one refresh at a time, whoever asks
//   snapshot.c    the top of a ranking                  editorial_rules.c     a site's editorial
//   body_builders.c  what each kind of body is made of     turns.c    how many reads at once, and whose
//   list.c     candidates to placed entries          sources.c  where a list's candidates come from
//   render.c   an item and a list as JSON            fragment.c a list as HTML and as a feed
//   personal.c the list for one visitor
#pragma once
#include "base/buffer.h"
#include "base/hash.h"
#include "model/related.h"
#include "serve/flight.h"
#include "serve/serve.h"
#include <uv.h>

enum {
    SNAPSHOT_DEPTH = 256,       // of a ranking, for most lists
    SNAPSHOT_DEPTH_DEEP = 2000, // for a list that those do not fill
    ALIASES_MAX = 8,
    WAIT_MAX_MS = 250, // of a reader for whom there is an old body
    SWEEP_MS = 50,
    AWAY_MS = 1000, // after a refresh that failed nobody waits this long
    RETRY_LEAST_MS = 100,
    RETRY_MAX_MS = 1000,
    CARDS_ENOUGH = 20 // of a site, to list only items that have one
};

// ---- Turns

struct turns {
    uint32_t running, max;
    bool handing_on;
    struct turn_queue *queues, *ring; // by network; the next to have its turn
};
void turns_init(struct turns *turns, uint32_t redis_queue);
bool turns_are_full(const struct turns *turns);
// NOW: it has begun. LATER: `on_turn` will run, unless turn_leave is called. NEVER: no memory to remember it. What has
// begun ends with turn_end.
enum turn_answer { TURN_NOW, TURN_LATER, TURN_NEVER };
enum turn_answer turn_take(struct turns *turns, uint64_t network, struct turn *turn,
                           void (*on_turn)(struct turn *turn));
void turn_hasten(struct turns *turns, uint64_t network, struct turn *turn); // into this network's queue, if shorter
void turn_leave(struct turns *turns, struct turn *turn);                    // fine for one that does not wait
void turn_end(struct turns *turns);
void asks_sweep(struct serve *serve);

struct serve {
    uv_loop_t *loop;
    const struct settings *settings;
    const struct secret_key *hash_key;
    const struct plan *plan;
    struct ranking newest_cards; // NEWEST_NAME, as a ranking
    struct store *store;
    void (*answer_error)(struct http_request *request, enum outcome outcome);
    uint64_t (*network_of)(const struct http_request *request);
    struct buffer fields; // header lines of every body
    struct cached *cached_bodies;
    struct alias *aliases;
    struct snapshot *snapshots;
    struct site_rules *rules_cached;
    struct kept *newest, *oldest;
    size_t bytes;
    struct turns turns;
    uint64_t failed_ms;                      // when the last refresh failed, or was waited for in vain; 0: it did not
    struct cached *waited_for, **waited_end; // cached bodies that requests wait for, the longest first
    struct ask *first_ask, *last_ask;        // that wait for their turn, the oldest first
    uv_timer_t sweep;
    void (*on_stopped)(void *context);
    void *stopped_context;
};

// ---- Orders

struct place {
    ref_t item;
    double value;
    struct bytes id;
    bool unfit; // no list that is made from this order may have it
};
// What was read of a ranking; held by the lists that are put together from it.
struct places {
    struct value value; // first
    bool whole;         // the ranking has no more
    double total;       // of the site's popularity, for that ranking only
    size_t count;
    struct place at[]; // then their ids
};

struct snapshot {
    struct shared shared; // first; its value is struct places
    UT_hash_handle hh;
    const struct ranking *ranking;
    ref_t site, category;
    char *site_name; // for the references of its entries
    bool has_category, cards_only, deep;
    struct read_call call;
    struct places *reading;
    size_t reading_bytes;
    char key[48 + NAME_SIZE];
};
// What is asked of a ranking: of a site or of one of its categories; with the items without a card or not;
// SNAPSHOT_DEPTH places or, `deep`, SNAPSHOT_DEPTH_DEEP.
struct order_question {
    struct bytes site;
    const struct ranking *ranking;
    const ref_t *category; // NULL: the whole site
    bool cards_only, deep;
};
// Calls back, now or later.
void snapshot_get(struct serve *serve, const struct order_question *question, struct shared_wait *wait);

// ---- An editor's hand

struct mark {
    ref_t item;
    int64_t until_ms, set_ms;
    uint32_t pin; // slot, from 1; 0: none
    double boost; // 1: none
    bool bury, block;
    unsigned lists; // bits of list_kind
};
// What an editor said of a site's items, sorted by reference; held by the lists that are put together from it.
struct marks {
    struct value value; // first
    bool cards_only;    // items without a card are not listed
    size_t count;
    struct mark at[];
};
void rules_get(struct serve *serve, struct bytes site, struct shared_wait *wait); // of struct marks
const struct mark *rules_find(const struct marks *marks, ref_t item);             // NULL: none

// ---- Lists

// Groups stand one behind the other; what an editor buries is behind all sources.
enum { GROUP_PINNED, GROUP_SOURCE, GROUP_POPULAR, GROUP_FILLING, GROUP_BURIED = 1000 };

struct candidate {
    ref_t item;
    double value; // orders a group, higher first
    double score; // as shown
    uint32_t group;
    const char *reason;
    struct place *place; // where it was found in an order, with its id; NULL: elsewhere
};

struct placed {
    struct candidate candidate;
    const struct mark *pin;                  // NULL: it stands where its value puts it
    size_t id_at, id_len, json_at, json_len; // into texts
};

enum { SNAPSHOTS_MAX = RANKINGS_MAX + 8 }; // of a list: its own, the whole of it, those that it is filled from

// One list, from the question to its placed entries. The asker fills the first part, the rest is the list's own.
struct list {
    struct serve *serve;
    enum list_kind kind;
    struct bytes site, item, category; // views that outlive the list; item and category may be absent
    const struct ranking *ranking;     // of LIST_RANKING
    const ref_t *visitor;              // of LIST_RECOMMENDATION: for this one; NULL: for readers of `item`, if any
    const struct bytes *excluded;      // as the asker named them; of a shared list
    uint32_t excluded_count;
    uint32_t limit;
    bool filled; // up to the limit, as long as the site has items
    void (*on_done)(struct list *list, enum outcome outcome);
    void *context;

    int64_t now_ms;
    struct buffer without; // ref_t: never in it
    struct marks *marks;
    struct shared_wait rules_wait, snapshot_wait;
    struct read_call call;
    struct candidate *candidates;
    uint16_t *slots; // candidates by item: index plus 1
    size_t candidate_count, candidate_next, batch;
    struct places *places[SNAPSHOTS_MAX]; // that candidates were taken from
    uint32_t places_count;
    enum { READ_BEST, READ_ALL, READ_ENDED } read; // of its ranking
    uint32_t logged_again;
    ref_t *refs;
    struct placed *placed;
    size_t placed_count;
    struct buffer texts;   // of the placed
    uint32_t next_filling; // rankings of the plan, then the newest cards
    ref_t recent[COVIEW_ITEMS];
    size_t recent_count;
    int64_t latest_ms; // when the first of them was read
    struct neighbours *tables;
    size_t table_count;
};
void list_init(struct list *list);                // after the first part is filled
void list_without(struct list *list, ref_t item); // before it starts
void list_start(struct list *list);
void list_release(struct list *list);
// For sources.c: adds a candidate unless it is there, blocked or excluded; an editor's boost and bury are applied.
bool candidate_add(struct list *list, struct candidate candidate, bool logarithmic); // false without memory
bool candidate_is_there(const struct list *list, ref_t item);
bool rule_holds(const struct list *list, const struct mark *mark); // it is in force, and for this kind of list
void list_place(struct list *list);                                // what was added; then filling up, then the end
void list_end(struct list *list, enum outcome outcome);
// sources.c: asks for the candidates, adds them, then list_place.
void source_start(struct list *list);
bool source_fill(struct list *list);    // false: nothing is left to fill with
bool source_read_on(struct list *list); // false: its ranking has been read to the end

// render.c: an item's members, without braces; a list as JSON; all of it that is not due to time alone.
void item_members(struct json_out *json, const struct settings *settings, struct bytes id,
                  const struct item_state *state);
void list_render(const struct list *list, enum list_format format, struct buffer *out);
void list_fingerprint(const struct list *list, struct buffer *marks, struct buffer *values);
void list_render_html(const struct list *list, struct buffer *out); // fragment.c
void list_render_feed(const struct list *list, struct buffer *out);
struct bytes placed_json(const struct list *list, const struct placed *placed);

// ---- Bodies

struct alias {
    UT_hash_handle hh;
    struct alias *next; // of the same cached body
    struct cached *cached;
    char target[];
};

struct waiter {
    struct flight_wait wait; // first
    struct cached *cached;
    struct http_request *request;
    uint64_t until_ms;
    bool has_old; // body, that is sent then
    struct turn turn;
};

struct builder;

// What is asked for: one body for each.
struct question {
    const struct builder *builder;
    struct bytes site, item, category;
    const struct ranking *ranking;
    uint32_t limits[LIST_KINDS];
    enum list_format format;
    const struct bytes *ids; // excluded, or asked for
    uint32_t id_count;
};

struct cached {
    struct kept kept; // first
    UT_hash_handle hh;
    struct serve *serve;
    struct alias *aliases;
    uint32_t alias_count;
    struct question asked; // its bytes are views of the key
    struct body *body;
    uint64_t digest;
    uint64_t made_ms, retry_ms; // uv_now
    struct turn turn;           // when nobody waits for the refresh
    enum outcome failure;       // of the last refresh; OK: it did not fail
    struct flight flight;       // its waits are struct waiter
    struct cached *next_waited, **place_waited;
    size_t key_len;
    char *key;
};
// Answers from the cached body, now or once it is fresh.
void cached_body_answer(struct cached *cached, struct http_request *request);
void cached_body_sweep(struct serve *serve);
// Finds or makes the cached body; NULL without memory.
struct cached *cached_body_get(struct serve *serve, const struct question *question);
void cached_body_remember_target(struct cached *cached, struct bytes target);

// ---- Refreshes

struct refresh {
    struct cached *cached;
    struct read_call call;
    struct shared_wait rules_wait;
    int64_t now_ms; // of the service's clock, when it began
    uint64_t began_ms;
    struct list lists[LIST_KINDS];
    uint32_t lists_begun;
    struct buffer out, marks, values;
    struct marks *site_rules;
    enum outcome outcome; // of single items
};
struct builder {
    char letter; // of the canonical key
    void (*start)(struct refresh *refresh);
};
extern const struct builder builder_ranking, builder_related, builder_page, builder_item, builder_items,
    builder_rankings;

void refresh_start(struct cached *cached);
// The end: `out` is the body; `marks` is what its ETag is of (order, counts, cards), `values` what else of it is not
// due to time alone; or it failed.
void refresh_end(struct refresh *refresh, enum outcome outcome);
void cached_body_refreshed(struct cached *cached, struct refresh *refresh, enum outcome outcome);
