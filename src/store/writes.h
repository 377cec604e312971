// SPDX-License-Identifier: MIT
// What callers write: votes and views, cards, deletions. The calls follow store.h.
#pragma once
#include "model/item.h"
#include "store/store.h"

// ---- Votes and views: they are sent in batches, one script call for those of one turn of the loop (write_queue.h)

struct queued { // the write queue's own part of a call
    struct queued *next;
    uint64_t since_ms;
    uint32_t partition, tries;
    bool patient; // of a bulk call, which limits itself: it is not refused when the write queue is full
};

struct vote_call {
    ref_t item, visitor;
    struct bytes site, id;
    int kind;        // index into settings' kinds, or -1 to retract
    int64_t time_ms; // kept to the second
    bool needs_card; // unknown_items = reject
    bool dated;      // the caller gave its time: an existing vote of a later time is kept
    int64_t only_if; // a retraction changes only this vote, packed as it was read; 0: any vote
    void (*on_done)(struct vote_call *call);
    void *context;
    // Results. Outcomes besides the common ones: ID_CLASH, UNKNOWN_ITEM.
    enum outcome outcome;
    bool changed;
    int kind_now;              // -1: none
    uint64_t votes[KINDS_MAX]; // the counts now, base included
    struct log_id entry;       // {0,0} when nothing changed
    // The store's own.
    struct queued queued;
    uint32_t buckets;
};
void store_vote(struct store *store, struct vote_call *call);

// REPEAT: the visitor has read the item within the view window before. COUNTED. OVER: the visitor has read as many
// items in this window as count for one visitor.
enum view_result { VIEW_REPEAT, VIEW_COUNTED, VIEW_OVER };

struct view_call {
    ref_t item, visitor;
    struct bytes site, id;
    int64_t time_ms;
    bool anonymous; // the history is kept for one view window only, and no co-views are learnt
    bool alone;     // no co-views are learnt from this view
    void (*on_done)(struct view_call *call);
    void *context;
    enum outcome outcome;
    enum view_result result;
    struct log_id entry;
    uint32_t log;         // the partition whose log has the entry
    struct queued queued; // the store's own
};
void store_view(struct store *store, struct view_call *call);

// ---- Cards and deletion

struct card {
    // The card's members as JSON without braces, ready for an answer: "title":"…","url":"…". May be empty.
    struct bytes json;
    struct bytes groups;  // categories, at most 8, and author (model/item.h)
    int64_t published_ms; // 0: unknown
    bool has_base;        // false: an earlier base is kept
    uint64_t base_views;
    uint64_t base_votes[KINDS_MAX];
};

struct item_call {
    ref_t item;
    struct bytes site, id;
    struct card card; // for put
    void (*on_done)(struct item_call *call);
    void *context;
    enum outcome outcome; // besides the common ones: ID_CLASH
    bool existed;         // before
    bool hidden;          // a deletion has hidden it, even if its outcome is UNAVAILABLE
    struct log_id entry;
    struct bytes record, sums; // for store_remove_unchanged: packed, as they were read
    // The store's own.
    uint32_t buckets, tries;
    struct deferred deferred;
};
void store_put_item(struct store *store, struct item_call *call);
// Deletes an item: what was acknowledged before the call is gone, and what is sent after the completion counts. It is
// UNAVAILABLE, too, when the projections do not pass the earlier entries within redis_timeout; the item is hidden then,
// and the call is safe to repeat. Deleting an item that does not exist is OK (existed = false).
void store_delete_item(struct store *store, struct item_call *call);
// Removes an item if its record and sums are still those bytes; else existed = false. What was acknowledged before and
// is projected later makes the item exist again and counts.
void store_remove_unchanged(struct store *store, struct item_call *call);
