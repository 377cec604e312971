// SPDX-License-Identifier: MIT
// What the service asks of Redis, in typed verbs. No reply of Redis is seen outside this room, and nothing here knows
// HTTP.
//
// Every verb takes a call struct of the caller's memory (often a request's arena) that must stay where it is until its
// completion has run. A completion fires exactly once, never before the verb has returned, also on shutdown
// (UNAVAILABLE). Views (struct bytes) in a result live until the completion returns. Outcomes: OK; UNAVAILABLE (away,
// too slow: a write's fate is then unknown, and it is safe to repeat); OVERLOADED (queue full: nothing was sent);
// INTERNAL (a foreign type under one of our keys); others as each verb says.
#pragma once
#include "base/outcome.h"
#include "model/merge.h"
#include "model/names.h"
#include "model/neighbours.h"
#include "model/voters.h"
#include "ops/settings.h"

struct store;

// Connects in the background and goes on trying. `loop` is a uv_loop_t *; settings and key must outlive the store.
// When what Redis has recorded contradicts the settings (partitions, hash key, kinds), nothing works; `on_refused` gets
// one line, once, unless the store has worked before: then it waits, and store_ready says why.
struct store *store_start(void *loop, const struct settings *settings, const struct secret_key *hash_key,
                          void (*on_refused)(void *context, const char *line), void *context);
// `on_stopped` fires when no handle is open any more; the store is freed after it returned.
void store_stop(struct store *store, void (*on_stopped)(void *context), void *context);
// Connected, scripts loaded, settings agreed. If not, *ret_why (may be NULL) is a line for /readyz.
bool store_ready(const struct store *store, const char **ret_why);
// Why a Redis that is connected takes no writes of callers (they are UNAVAILABLE): it would throw away what it
// acknowledged, or refuses commands to this user; NULL: it does take them. Reads go on as far as they can.
const char *store_trouble(const struct store *store);
// What Redis refuses to this user that some calls need (a scan); NULL: nothing.
const char *store_lacks(const struct store *store);
const char *store_lacks_scan(const struct store *store); // the same, where that is a scan
// With what words it refused calls within the last ten seconds (OOM, MISCONF, BUSY, …); NULL: it did not.
const char *store_complaint(const struct store *store);
// Why a call that has just ended was UNAVAILABLE, where Redis itself is the cause; NULL: not known.
const char *store_why_unavailable(const struct store *store);
// Raised whenever a connection was made anew: Redis may be another one since (restarted, failed over, restored), so
// what was remembered of its data holds no more.
uint64_t store_generation(const struct store *store);

// The place of a log entry: what must be projected before a write is visible in lists.
struct log_id {
    uint64_t ms, seq;
};
// Below 0 when `a` comes before `b` in a log, 0 when they are equal, above 0 when it comes after.
static inline int log_id_order(struct log_id a, struct log_id b) {
    return a.ms != b.ms ? (a.ms > b.ms) - (a.ms < b.ms) : (a.seq > b.seq) - (a.seq < b.seq);
}

// The store's own part of a call: for one that failed before anything was sent.
struct deferred {
    struct deferred *next;
    void (*tell)(struct deferred *deferred);
};

// ---- Writes that are committed in groups: one script call for all that a worker read in one turn of its loop.

struct queued { // the batch's own part of a call
    struct queued *next;
    uint64_t since_ms;
    uint32_t partition, tries;
    bool patient; // of a bulk call, which bounds itself: not refused for the length of the write queue
};

struct vote_call {
    ref_t item, visitor;
    struct bytes site, id;
    int kind;        // index into settings' kinds, or -1 to retract
    int64_t time_ms; // kept to the second
    bool needs_card; // unknown_items = reject
    bool dated;      // its time was given: a vote that stands and is later stays
    int64_t only_if; // of a retraction: the vote as it was read (packed), else nothing changes; 0: whatever it is
    void (*on_done)(struct vote_call *call);
    void *context;
    // Results. Outcomes besides the common ones: ID_CLASH, UNKNOWN_ITEM.
    enum outcome outcome;
    bool changed;
    int kind_now;              // -1: none
    uint64_t votes[KINDS_MAX]; // this moment's, base included
    struct log_id entry;       // {0,0} when nothing changed
    // The batch's own.
    struct queued queued;
    uint32_t buckets;
};
void store_vote(struct store *store, struct vote_call *call);

// What became of a view: not the first of its visitor and item within the view window; counted; of one item more than a
// visitor may count in a window.
enum view_result { VIEW_REPEAT, VIEW_COUNTED, VIEW_OVER };

struct view_call {
    ref_t item, visitor;
    struct bytes site, id;
    int64_t time_ms;
    bool anonymous; // no history is kept beyond one view window, no co-views are learnt
    bool alone;     // no co-views are learnt from this one
    void (*on_done)(struct view_call *call);
    void *context;
    enum outcome outcome;
    enum view_result result;
    struct log_id entry;
    uint32_t log;         // of this partition
    struct queued queued; // the batch's own
};
void store_view(struct store *store, struct view_call *call);

// ---- Cards and deletion

struct card {
    // the card's members as JSON, without braces: "title":"…","url":"…" (may be empty), ready to be sent out
    struct bytes json;
    struct bytes categories; // joined by 0x1f, at most 8
    int64_t published_ms;    // 0: unknown
    bool has_base;           // false: a base set earlier stays
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
    bool hidden;          // by a deletion, whatever comes then
    struct log_id entry;
    struct bytes record, sums; // for store_remove_unchanged: packed, as they were read
    // The store's own.
    uint32_t buckets, tries;
    struct deferred deferred;
};
void store_put_item(struct store *store, struct item_call *call);
// Everything that was acknowledged before is gone, everything that is sent after the completion counts. UNAVAILABLE
// also when the projections do not get there within redis_timeout: the item is hidden then, and the call is safe to
// repeat. Deleting what isn't there is fine (existed = false).
void store_delete_item(struct store *store, struct item_call *call);
// Removes an item unless a byte of its record or sums is another by now (existed = false). What is acknowledged and not
// projected yet counts afterwards, on the item made again.
void store_remove_unchanged(struct store *store, struct item_call *call);

// ---- Reads: one pipeline each

struct read_call {
    void (*on_done)(struct read_call *call, enum outcome outcome);
    void *context;
    // The store's own.
    struct deferred deferred;
    void *private;
};

struct item_state {
    bool known; // it has been voted on, viewed (and projected), or has a card
    // OK, or INTERNAL for an item whose data is not usable: leave it out, or answer 500 for it alone
    enum outcome outcome;
    struct bytes id, site;   // as stored
    struct bytes card;       // struct card.json
    struct bytes categories; // joined by 0x1f
    int64_t published_ms;
    bool has_card;
    uint64_t votes[KINDS_MAX]; // with base
    uint64_t views;            // with base
    uint64_t visitors;
};
// `on_item` once per reference, in order, before on_done.
void store_read_items(struct store *store, struct read_call *call, const ref_t *items, size_t count,
                      void (*on_item)(struct read_call *call, size_t index, const struct item_state *item));
// The same of one, for a write that waits for it: not held back with the reads.
void store_look_item(struct store *store, struct read_call *call, const ref_t *item,
                     void (*on_item)(struct read_call *call, size_t index, const struct item_state *item));

// The newest cards of a site stand as a ranking of this name (value: minus the time in ms).
#define NEWEST_NAME ".newest"
// The best `most` of a ranking over all partitions, merged: called once before on_done when the outcome is OK. `whole`:
// no item of the ranking lacks, because of `most` or of what partitions keep. `cards_only`: not the items without a
// card; a category has none of them.
void store_read_top(struct store *store, struct read_call *call, ref_t site, struct bytes ranking,
                    const ref_t *category, bool cards_only, size_t max,
                    void (*on_top)(struct read_call *call, const struct ranked *list, size_t count, bool whole));

// How many of the newest cards of a site are known: exact while there are few. `on_count` before on_done when it is OK.
void store_count_cards(struct store *store, struct read_call *call, ref_t site,
                       void (*on_count)(struct read_call *call, uint64_t cards));
// The projector shall do an item's places in the rankings anew: they were not right when it was read. Nobody is told.
void store_log_card_again(struct store *store, ref_t item);

// The neighbours of items; an item without any has an empty table. `usable` false: its data can't be read.
void store_read_neighbours(struct store *store, struct read_call *call, const ref_t *items, size_t count,
                           void (*on_table)(struct read_call *call, size_t index, const struct neighbours *table,
                                            bool usable));

// ---- An editor's hand on a site's items

enum { EDITORIAL_MAX = 1000, EDITORIAL_JSON_MAX = 8 << 10 };
struct editorial_call {
    ref_t site, item;
    int64_t until_ms;  // 0: until it is removed
    struct bytes json; // what GET shows; empty: it is removed. Lives until the verb returns.
    bool keeps_block;  // of what is removed
};
// EDITORIAL_FULL when EDITORIAL_MAX are in force.
void store_set_editorial(struct store *store, struct read_call *call, const struct editorial_call *editorial);
// All of a site, also those that have ended.
void store_read_editorial(struct store *store, struct read_call *call, ref_t site,
                          void (*on_rule)(struct read_call *call, ref_t item, int64_t until_ms, struct bytes json));

// ---- One visitor

struct own_vote {
    int kind;       // -1: none
    int64_t packed; // time and kind, for vote_call.only_if
    int64_t time_ms;
    uint64_t votes[KINDS_MAX];
};
// Own votes and this moment's counts.
void store_read_votes(struct store *store, struct read_call *call, ref_t visitor, const ref_t *items, size_t count,
                      void (*on_vote)(struct read_call *call, size_t index, const struct own_vote *vote));
// The last items read, latest first; one may come more than once.
void store_read_history(struct store *store, struct read_call *call, ref_t visitor,
                        void (*on_item)(struct read_call *call, ref_t item, int64_t time_ms));
void store_forget_history(struct store *store, struct read_call *call, ref_t visitor);

// Memory that Redis uses, and its maxmemory (0: no limit), in bytes; how many keys it has evicted since its start; and
// whether it keeps an append-only file.
struct redis_memory_use {
    uint64_t used, max, evicted;
    bool append_only;
};
void store_read_memory(struct store *store, struct read_call *call,
                       void (*on_memory)(struct read_call *call, const struct redis_memory_use *use));

// A page of all keys with the bytes each takes (0: it went meanwhile). `cursor` begins and ends as 0.
void store_read_usage(struct store *store, struct read_call *call, uint64_t *cursor,
                      void (*on_key)(struct read_call *call, struct bytes key, uint64_t bytes));

// ---- Corrections: records by id, of those that wait and of those that are done; and the scans they make.
struct correction_row {
    struct bytes id;
    struct bytes text; // at == NULL: the record goes
    struct bytes site; // whose number of waiting ones it counts for; at == NULL: nobody's
};
// TOO_MANY_REQUESTS when a site has `most` that wait (0: no bound): nothing is written then. What `rows` point to is
// copied.
void store_write_corrections(struct store *store, struct read_call *call, bool done, const struct correction_row *rows,
                             size_t count, uint32_t max);
// A page of them, with what else the hash holds: the counts of those that wait, and notes of the corrector. One may
// come twice. `cursor` begins and ends as 0.
void store_scan_corrections(struct store *store, struct read_call *call, bool done, uint64_t *cursor,
                            void (*on_record)(struct read_call *call, struct bytes id, struct bytes text));
// The id of this Redis process (empty where INFO is forbidden): the cursor of a SCAN means nothing to another one,
// whose hash has another seed.
void store_read_run(struct store *store, struct read_call *call,
                    void (*on_run)(struct read_call *call, struct bytes run));
// Some items of all sites (about `count`; one may come twice). `cursor` begins and ends as 0.
void store_scan_items(struct store *store, struct read_call *call, uint64_t *cursor, uint32_t count,
                      void (*on_item)(struct read_call *call, ref_t item));
// Of those that can be read the record and the sums, as they are packed; empty: none.
void store_read_packed(struct store *store, struct read_call *call, const ref_t *items, size_t count,
                       void (*on_item)(struct read_call *call, size_t index, struct bytes item, struct bytes sums));
// What an item's record says of its voters. One that is not there, or not usable, has no name and no voters.
struct voted_item {
    struct bytes site, id;
    struct bytes inside; // with 0 buckets: its voters, VOTER_SIZE each
    uint32_t buckets;
    uint64_t voters;
};
void store_read_voted(struct store *store, struct read_call *call, const ref_t *items, size_t count,
                      void (*on_item)(struct read_call *call, size_t index, const struct voted_item *item));
// The voters of some buckets, from `first` on, and how many there are at that instant (0: none after these). A split
// moves voters to higher buckets only: read from 0 upwards, until there is no further one, none is missed.
void store_read_voters(struct store *store, struct read_call *call, ref_t item, uint32_t first, uint32_t count,
                       uint32_t *ret_buckets, void (*on_voter)(struct read_call *call, const struct voter *voter));

// ---- Export and import
struct item_record {
    bool usable, has_card; // a card may be empty
    struct bytes id, site, card;
    struct bytes base;     // "views votes votes …", as lua/put.lua keeps it
    struct bytes views;    // packed sums of the views alone (model/sums.h)
    struct bytes visitors; // HyperLogLog
};
void store_read_records(struct store *store, struct read_call *call, const ref_t *items, size_t count,
                        void (*on_record)(struct read_call *call, size_t index, const struct item_record *record));
bool store_views_valid(const struct store *store, struct bytes views);
// Sets card (if there is one), base, views and unique visitors, which must be usable. What was acknowledged before must
// be projected (store_wait_all_projected). Outcomes besides the common ones: ID_CLASH.
void store_import_item(struct store *store, struct item_call *call, bool has_card, struct bytes views,
                       struct bytes visitors);

// The site's total popularity: log2 of the decayed sum of its views (model/decay.h, half-life POPULAR_HALF_LIFE_MS).
void store_read_site_total(struct store *store, struct read_call *call, ref_t site,
                           void (*on_total)(struct read_call *call, double total));

// Completes OK after `ms`.
void store_wait_ms(struct store *store, struct read_call *call, uint32_t ms);

// Completes OK when both projections have passed these entries (per partition; {0,0}: none), UNAVAILABLE after
// `timeout_ms`. The projectors are woken for it.
void store_wait_projected(struct store *store, struct read_call *call, const struct log_id *entries,
                          uint32_t timeout_ms);
// The same for all that stood in the logs when it was called: whatever was acknowledged before is then projected.
void store_wait_all_projected(struct store *store, struct read_call *call, uint32_t timeout_ms);
// `on_wake` fires whenever somebody waits for the projections (on_wake NULL: no longer).
void store_on_wake(struct store *store, void (*on_wake)(void *context), void *context);
