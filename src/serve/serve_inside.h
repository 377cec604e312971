// SPDX-License-Identifier: MIT
// What the files of this room share.
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
#include "model/list_filter.h"
#include "model/period_ranking.h"
#include "model/related.h"
#include "serve/flight.h"
#include "serve/item_cache.h"
#include "serve/serve.h"
#include "serve/turns.h"
#include <uv.h>

enum {
    SNAPSHOT_DEPTH = 256,       // entries; enough for most lists
    SNAPSHOT_DEPTH_DEEP = 2000, // entries, for a list that the first 256 do not fill
    ALIASES_MAX = 8,            // of one body
    WAIT_MAX_MS = 250,          // a reader waits so long if there is an old body
    SWEEP_MS = 50,
    AWAY_MS = 1000, // for so long after a failed refresh nobody waits
    RETRY_LEAST_MS = 100,
    RETRY_MAX_MS = 1000,
    CARDS_ENOUGH = 20 // a site with so many cards lists only items that have one
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

// ---- Ranking snapshots

struct snapshot_entry {
    ref_t item;
    double value;
    struct bytes id;
    bool unfit;                // no list that is made from this snapshot may contain it
    struct known_facts *facts; // what its rules have left it out for, in an earlier list; NULL: not known
    double share;              // of the popular: of the site's popularity
};
struct known_facts {
    struct facts facts; // views of the text
    char text[];
};
// What lists say of the window that they were counted in.
struct window_facts {
    int64_t now_ms, from_ms;
    struct period period; // of a sliding window: none
    double left_out;      // an item that is not among the entries is worth at most so much
    bool complete;        // that is certain
    bool floored;         // the ranking's floor has left out an item
};
// A snapshot's value: the entries that were read of a ranking. Lists that are made from them hold them.
struct snapshot_entries {
    struct shared_value value;  // first
    bool whole;                 // the ranking has no more entries
    struct window_facts window; // of a window ranking
    size_t size, count;         // size: bytes of all of it
    char *text_end;
    struct snapshot_entry at[]; // then their ids
};
// Room for so many entries, whose ids have so many bytes together. Its holder is the caller. NULL without memory.
struct snapshot_entries *snapshot_entries_new(size_t count, size_t text_size);
void snapshot_entries_add(struct snapshot_entries *entries, ref_t item, double value, struct bytes id);
// What is known of one of the entries. It counts as memory of the snapshot.
void snapshot_note_facts(struct snapshot_entries *entries, struct snapshot_entry *entry, const struct facts *facts);

struct snapshot {
    struct shared_fetch shared; // first; its value is struct snapshot_entries
    UT_hash_handle hh;
    const struct ranking *ranking;
    ref_t site, category;
    char *site_name;                                      // for the references of its entries
    bool has_category, by_author, cards_only, deep, past; // by_author: an author stands for the category
    int32_t period;                                       // past: its number
    struct read_call call;
    struct snapshot_entries *reading;
    char key[48 + NAME_SIZE];
};
// Which snapshot is wanted: of a site or of one of its categories, with or without the items that have no card.
struct snapshot_question {
    struct bytes site;
    const struct ranking *ranking;
    const ref_t *category; // NULL: the whole site
    bool by_author;        // it is not a category but an author
    bool cards_only;
    bool deep; // SNAPSHOT_DEPTH_DEEP entries, else SNAPSHOT_DEPTH
    bool past; // of a window ranking: the list of this period
    int32_t period;
};
// Calls back now or later, with struct snapshot_entries.
void snapshot_get(struct serve *serve, const struct snapshot_question *question, struct shared_wait *wait);
bool author_snapshot_start(struct snapshot *snapshot); // author_snapshot.c: the same for an author
bool window_snapshot_start(struct snapshot *snapshot); // window_snapshot.c: begins to read it; then shared_done comes

// ---- Editorial rules

struct rule {
    ref_t item;
    int64_t until_ms, set_ms;
    uint32_t pin; // slot, from 1; 0: not pinned
    double boost; // 1: not boosted
    bool bury, block;
    unsigned lists; // bits of list_kind
};
// A site's editorial rules, sorted by item. Lists that they are applied to hold them.
struct rules {
    struct shared_value value; // first
    bool cards_only;           // items without a card are not listed
    size_t count;
    struct rule at[];
};
void rules_get(struct serve *serve, struct bytes site, struct shared_wait *wait); // of struct rules
const struct rule *rules_find(const struct rules *rules, ref_t item);             // NULL: none

// ---- Lists

// A list shows its groups in this order. Buried items come after all others.
// A pin to a place behind the last one that the list needs comes last: it is shown only in a list that is too short.
// But where a pin counts for the spread, all come first: they leave the same room whatever the list needs.
enum { GROUP_PINNED, GROUP_SOURCE, GROUP_POPULAR, GROUP_FILLING, GROUP_BURIED = 10000, GROUP_PINNED_BEHIND = 20000 };

struct candidate {
    ref_t item;
    double value; // sorts the group, higher first
    double score; // shown to the reader
    uint32_t group;
    const char *reason;
    struct snapshot_entry *entry; // of the snapshot that it was found in; NULL: found elsewhere
    bool left_out;                // by the rules, as is known without reading it; it counts as read
};

// Where entries come from: their ranking, the group that they are in, and the reason that readers are told.
struct origin {
    const struct ranking *ranking;
    uint32_t group;
    const char *reason;
};
// What its source has found and what is no candidate yet: suggestions, a heap that the list owns, then the entries of a
// snapshot (supply.c).
struct supply {
    struct suggestion *suggestions;
    size_t suggestion_count;
    struct snapshot_entry *next, *end;
    struct origin origin; // of the entries
    double last;          // the value of the last that became a candidate
};

struct placed {
    struct candidate candidate;
    const struct rule *pin;   // NULL: not pinned
    struct recent_item *item; // held
    size_t json_at, json_len; // into texts, of a list with windows
    uint64_t digest;          // of the JSON
};

// One list, from the question to its placed entries. The caller fills the first part; list.c owns the rest.
struct list {
    struct serve *serve;
    enum list_kind kind;
    struct bytes site, item, category, author; // views of what outlives the list; but the site all may be absent
    const struct ranking *ranking;             // of LIST_RANKING
    const ref_t *visitor;         // of LIST_RECOMMENDATION: for this visitor; NULL: for readers of `item`, if any
    const struct bytes *excluded; // the ids as the request named them; of a shared list
    uint32_t excluded_count;
    uint32_t limit, offset; // how many places it shows, and how many come before them
    bool paged;             // it says whether more places follow
    struct asked_age max_age;
    bool filled; // filled up to the limit while the site has items, if its rules do not say no
    bool past;   // of a window ranking: the list of this period
    int32_t period;
    unsigned windows; // whose counts each entry has
    void (*on_done)(struct list *list, enum outcome outcome);
    void *context;

    int64_t now_ms;
    struct window_set spans;
    struct buffer without; // ref_t of each item that the list must not contain
    struct rules *rules;
    struct list_rules filter;
    struct spread *spread;           // of the first spread_count placed entries; NULL: the rules want none
    struct buffer own_category;      // the first one of `item`, if its popular items fill the list up
    bool knows_category, fills_deep; // what that is; the step of filling.c was read, but not its rest
    struct shared_wait rules_wait, snapshot_wait;
    struct read_call call; // of the history
    struct items_read items;
    struct tables_read tables_read;
    struct made_age age; // began at now_ms; its first part has max_ms
    struct supply supply;
    struct candidate *candidates;
    uint16_t *slots; // hash table of the candidates by item: index plus 1; 0: free
    size_t slot_count;
    size_t candidate_count, candidate_next, batch;
    struct snapshot_entries **snapshots; // whose entries became candidates; those of its ranking first
    uint32_t snapshot_count;
    uint32_t own_next;                             // of its ranking: which of the categories that it asks for is read
    bool own_cut;                                  // of its ranking: there is more than was read
    uint32_t rest_first;                           // of `snapshots`: the first deep one of its ranking
    enum { READ_BEST, READ_ALL, READ_ENDED } read; // how much of its ranking was read
    bool has_window;                               // of a window ranking, once its sets were read
    struct window_facts window;                    // what was read
    bool left_short;                               // a rule has left out an item
    bool exact;                                    // nothing is missing
    uint32_t logged_again;
    ref_t *refs;                  // what is read of the batch
    uint32_t *numbers, ref_count; // of each: its number in the batch; how many
    struct placed *placed;
    size_t placed_count, spread_count, pin_count;
    size_t wanted;         // places to be computed: those before the offset, those that are shown, and one more
    double least;          // what its source has read so far is complete down to this value, before boosts
    bool sources_end;      // nothing is left to read but what comes last
    bool goes_on;          // more places follow
    struct buffer texts;   // JSON of the placed entries, if they have windows
    uint32_t next_filling; // which step of filling.c
    ref_t recent[COVIEW_ITEMS];
    size_t recent_count;
    int64_t latest_ms; // when recent[0] was read
    struct neighbours *tables;
    size_t table_count, tables_asked;
};
void list_init(struct list *list);                           // the first part is filled by then
void list_fill_of(struct list *list, struct bytes category); // `item` has this category; before list_start
void list_without(struct list *list, ref_t item);            // excludes an item; before list_start
void list_start(struct list *list);
void list_release(struct list *list);
void list_place(struct list *list); // places the new candidates, then asks for more, or ends the list
void list_end(struct list *list, enum outcome outcome);
void list_sort(struct list *list, size_t first); // the placed entries from that one on

// list_rules.c
void list_rules_init(struct list *list);
struct facts list_facts(const struct item_state *state); // views of it
bool list_has_room(const struct list *list, const struct facts *facts);
bool list_spread(struct list *list); // leaves out new entries that are too many of a kind; false without memory

// candidates.c: adds a candidate unless it is there already, blocked or excluded; boosts and buries it by its rule.
bool candidate_add(struct list *list, struct candidate candidate, bool logarithmic); // false without memory
bool candidate_is_there(const struct list *list, ref_t item);
bool candidates_are_full(const struct list *list); // no more are added
bool candidates_settle(struct list *list);         // sorts the new candidates; false without memory
int candidate_cmp(const struct candidate *left, const struct candidate *right); // by group and value
bool candidate_is_pinned(const struct candidate *candidate);
bool candidate_has_id(const struct candidate *candidate);          // its id settles its order before its state is read
bool rule_holds(const struct list *list, const struct rule *rule); // it is in force, and for this kind of list
bool rule_lifts(const struct list *list, const struct rule *rule); // it holds, and moves the item up
bool rule_moves(const struct list *list, const struct rule *rule); // it holds, and gives the item another place

// window_exact.c: what the sets of a window say of a list.
void window_take(struct list *list, const struct window_facts *read);
bool window_is_exact(const struct list *list); // when its entries are placed, before its page is cut out

// sources.c: reads candidates, adds them, then calls list_place.
void source_start(struct list *list);
void ranking_source_start(struct list *list);
bool source_read_on(struct list *list); // false: its ranking has been read to the end
// The list holds the entries until it ends; NULL: they could not be read, or there is no memory.
struct snapshot_entries *list_keep_entries(struct list *list, struct shared_value *read);
bool list_add_entry(struct list *list, const struct origin *origin,
                    struct snapshot_entry *entry); // false without memory

// supply.c: what is to become candidates, in the order of its worth. False without memory.
bool supply_suggestions(struct list *list, struct suggestion *suggestions, size_t count); // the list frees them
bool supply_entries(struct list *list, const struct origin *origin, struct snapshot_entries *entries);
bool supply_take(struct list *list, size_t wanted); // until so many are ready to be placed, and sorts them
size_t list_count_ready(const struct list *list);   // list.c: how many candidates may be placed now

// filling.c: adds what fills the list up, then calls list_place.
bool source_fill(struct list *list); // false: nothing is left to fill with
const struct ranking *filling_of_categories(const struct plan *plan);

// render.c: an item's members, without the braces around them. Returns where in the buffer the card begins.
size_t item_members(struct json_out *json, const struct settings *settings, struct bytes id,
                    const struct item_state *state, const struct window_set *spans);
// The others have none, so what is asked makes no other body of them.
static inline unsigned windows_shown(const struct list_query *query) {
    return query->format == FORMAT_JSON || query->format == FORMAT_FEED ? query->windows : 0;
}
// by_time.c: the member "windows". `series` NULL: nothing was counted. `spans` NULL or empty: no such member.
void windows_member(struct json_out *json, const struct settings *settings, const struct series *series,
                    const struct window_set *spans);
void list_render(const struct list *list, enum list_format format, struct buffer *out);
// Adds to `fingerprint` the parts that the ETag depends on (order, reasons, counts, cards), and to `values` the parts
// of the rest that change only when data changes. While both are equal the old body stays.
void list_fingerprint(const struct list *list, struct buffer *fingerprint, struct buffer *values);
void list_render_html(const struct list *list, struct buffer *out); // fragment.c
void list_render_feed(const struct list *list, struct buffer *out);
void list_render_rss(const struct list *list, struct buffer *out); // rss.c
struct bytes placed_json(const struct list *list, const struct placed *placed);
static inline struct bytes placed_id(const struct placed *placed) {
    return placed->item->state.id;
}

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

struct body_builder;

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
