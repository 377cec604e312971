// SPDX-License-Identifier: MIT
// What lists were made of: the states of items and their tables of neighbours. Most entries of a page stand on other
// pages too, and a page of the long tail is not in memory itself. So what one page has read serves the others for at
// most ITEM_FRESH_MS, never longer than refresh_interval; and for as long as Redis says that it has not changed
// (store/tracking.h). With refresh_interval 0 nothing is kept.
//
// Watching costs Redis memory and as much as the read. So it is asked to watch what is read for the second time, and
// while what is kept stays for TURNOVER_MS at least: what is trimmed sooner than it is wanted again is not worth it. A
// change takes only the promise away: the state serves on while its own read is young, so an item that is voted a
// thousand times a second is read once a second.
//
// A body is as old as the oldest state in it (`oldest_ms`), so no body gets older than without the cache. What is too
// old is read again, and still saves work: a card with the same bytes is not checked again, and the visitors of the
// same sums are not counted again (store/item_reads.c).
//
// Both kinds are on one LRU list of their own, under one bound of bytes (`item_cache`). So whoever walks over all items
// takes no room from bodies, and what every page shows stays. To keep another kind: a struct that begins with struct
// lru_entry, a table, and a file like item_cache.c (items) or table_cache.c (tables).
#pragma once
#include "base/json_out.h"
#include "model/ref_table.h"
#include "model/windows.h"
#include "serve/lru.h"
#include "store/item_states.h"
#include "store/tracking.h"

struct serve;

enum { ITEM_FRESH_MS = 1000, TURNOVER_MS = 10000, TABLES_AT_ONCE = 10, ITEM_TEXT_MAX = 2 << 20 };

// How old a state may be: for a body that is made for the first time, and for one that is asked for again and again,
// and so would be refreshed more often if it were made of old states.
uint64_t item_age_max(const struct serve *serve, bool first);

// How much of the cache was trimmed in the TURNOVER_MS before `since_ms`, and how much had been until then.
struct turnover {
    uint64_t since_ms;
    size_t last, until;
};
// Before a read of what is known: the promise under which it is read.
struct track track_known(struct serve *serve, ref_t item, enum track_kind kind);

struct recent_item {
    struct lru_entry lru; // first
    struct serve *serve;
    ref_t item;
    uint32_t holders;        // the cache, reads, and entries of lists
    uint64_t read_ms;        // uv_now when it was asked for
    uint64_t generation;     // store_generation then
    struct track track;      // under which promise it was read
    struct item_state state; // its bytes are views of `text`; it has no series
    struct bytes members;    // as answers show them, without windows; empty: nobody has seen the item
    uint64_t digest;         // of the members; the same on all machines
    char text[];
};

// How old something is: a read, a list that is made of reads, a body that is made of lists. All by uv_now.
struct made_age {
    uint64_t max_ms;    // what is taken from memory for it may be so old
    uint64_t began_ms;  // when it was begun
    uint64_t oldest_ms; // when the oldest that it was made of was read
};
struct made_age made_age_begin(const struct serve *serve, uint64_t max_ms);
// Whether a state that was read then is young enough. If so, its age is counted in.
bool made_age_takes(struct made_age *age, const struct serve *serve, const struct track *track, uint64_t read_ms);
// The whole is at least as old as a part of it.
static inline void made_age_join(struct made_age *whole, const struct made_age *part) {
    whole->oldest_ms = part->oldest_ms < whole->oldest_ms ? part->oldest_ms : whole->oldest_ms;
}
// How old it was when it was begun.
static inline int64_t made_age_ms(const struct made_age *age) {
    return (int64_t)(age->began_ms - age->oldest_ms);
}

// A read of items, from memory or from Redis.
struct items_read {
    struct serve *serve;
    struct made_age age; // of the caller: how old what is in memory may be
    // Once per item, in order; then on_done once. Both come later, also if all is in memory.
    void (*on_item)(struct items_read *read, size_t index, struct recent_item *item);
    void (*on_done)(struct items_read *read, enum outcome outcome);
    void *context;
    // Its own.
    struct read_call call;
    struct recent_item **items; // of the read: those that are there, and those that are known and too old
    size_t count, missing;
    struct item_again *again; // those that are missing
    uint32_t *places;         // of each of these: its index in `items`
    bool lacking;             // there was no memory
};
void items_read_start(struct items_read *read, const ref_t *items, size_t count);
// Whoever has counted himself among the holders keeps it beyond on_item.
void recent_item_release(struct recent_item *item);
struct list;
void list_read_items(struct list *list, const ref_t *items, size_t count,
                     void (*on_item)(struct items_read *read, size_t index, struct recent_item *item),
                     void (*on_done)(struct items_read *read, enum outcome outcome)); // list.c: the same for a list
// The item's members, without the braces around them. `id`: of one that nobody has seen.
void recent_item_members(struct json_out *json, const struct recent_item *item, struct bytes id,
                         const struct window_set *spans);
void recent_item_render(struct json_out *json, const struct recent_item *item, struct bytes id,
                        const struct window_set *spans);

// table_cache.c: a read of tables, the same way. `at` has room for all of them; one that can't be read is empty.
struct tables_read {
    struct serve *serve;
    struct made_age age; // the same
    void (*on_done)(struct tables_read *read, enum outcome outcome);
    void *context;
    struct neighbours *at;
    // Its own.
    struct read_call call;
    ref_t missing[TABLES_AT_ONCE];
    struct track tracks[TABLES_AT_ONCE]; // of the missing ones
    size_t places[TABLES_AT_ONCE];
};
void tables_read_start(struct tables_read *read, const ref_t *items, size_t count); // at most TABLES_AT_ONCE
