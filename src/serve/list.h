// SPDX-License-Identifier: MIT
// Lists: from the question to placed entries, and how they are written.
//
// sources.c and ranking_source.c read candidates, supply.c and candidates.c keep them in order, list.c reads their
// states and places them by the rules of editors and settings, filling.c fills up what is short, render.c, fragment.c
// and rss.c write the result.
#pragma once
#include "model/related.h"
#include "serve/editorial_rules.h"
#include "serve/snapshot.h"

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

// One list, from the question to its placed entries. The caller fills the question; list.c owns the rest.
struct list {
    // The question
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

    // Who may be in it
    int64_t now_ms;        // when it began
    struct made_age age;   // began at now_ms; its first part has max_ms
    struct buffer without; // ref_t of each item that the list must not contain
    struct rules *rules;
    struct list_rules filter;
    struct spread *spread; // of the first spread_count placed entries; NULL: the rules want none
    bool left_short;       // a rule has left out an item

    // Reads under way
    struct shared_wait rules_wait, snapshot_wait;
    struct read_call call; // of the history
    struct items_read items;
    struct tables_read tables_read;
    ref_t *refs;                  // what is read of the batch of candidates
    uint32_t *numbers, ref_count; // of each: its number in the batch; how many

    // What its ranking has given
    struct snapshot_entries **snapshots; // whose entries became candidates; those of its ranking first
    uint32_t snapshot_count;
    uint32_t own_next;                             // which of the categories that it asks for is read
    bool own_cut;                                  // there is more than was read
    uint32_t rest_first;                           // of `snapshots`: the first deep one of its ranking
    enum { READ_BEST, READ_ALL, READ_ENDED } read; // how much of it was read
    bool has_window;                               // of a window ranking, once its sets were read
    struct window_facts window;                    // what was read
    bool exact;                                    // nothing is missing in the list

    // What the visitor has read last, and the tables of neighbours
    ref_t recent[COVIEW_ITEMS];
    size_t recent_count;
    int64_t latest_ms; // when recent[0] was read
    struct neighbours *tables;
    size_t table_count, tables_asked;

    // What fills it up
    struct buffer own_category;      // the first one of `item`, if its popular items fill the list up
    bool knows_category, fills_deep; // what that is; the step of filling.c was read, but not its rest
    uint32_t next_filling;           // which step of filling.c

    // Candidates
    struct supply supply;
    struct candidate *candidates;
    uint16_t *slots; // hash table of the candidates by item: index plus 1; 0: free
    size_t slot_count;
    size_t candidate_count, candidate_next, batch;
    double least;     // what its source has read so far is complete down to this value, before boosts
    bool sources_end; // nothing is left to read but what comes last

    // Placed entries
    struct placed *placed;
    size_t placed_count, spread_count, pin_count;
    size_t wanted;           // places to be computed: those before the offset, those that are shown, and one more
    bool goes_on;            // more places follow
    struct window_set spans; // of the windows whose counts they have
    struct buffer texts;     // their JSON, if they have windows
    uint32_t logged_again;   // how many wrong places in rankings were told to the projector
};
void list_init(struct list *list);                           // the question is filled by then
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

// render.c
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
