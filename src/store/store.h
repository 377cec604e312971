// SPDX-License-Identifier: MIT
// What the service asks of Redis, in typed verbs. Nobody outside this room sees a reply of Redis, and nothing here
// knows HTTP. projection.h has the verbs of the projector.
//
// Every verb takes a call struct in memory of the caller (often a request's arena). The struct must not move until its
// completion has run. A completion fires exactly once, never before the verb has returned, on shutdown too
// (UNAVAILABLE). A struct bytes in a result is valid until the completion returns.
//
// Outcomes: OK; UNAVAILABLE (Redis is unreachable or too slow; a write may have happened or not, and it is safe to
// repeat); OVERLOADED (the queue was full: nothing was sent); INTERNAL (a key of ours has a wrong type); others as each
// verb says.
#pragma once
#include "base/outcome.h"
#include "model/merge.h"
#include "model/names.h"
#include "model/neighbours.h"
#include "model/voters.h"
#include "ops/settings.h"
#include "store/scan.h"

struct period; // model/period_ranking.h
struct store;
struct sums; // model/sums.h

// Connects in the background, again and again. `loop` is a uv_loop_t *; settings and key must outlive the store.
// When the settings contradict what Redis has recorded (partitions, hash key, kinds), no verb works: `on_refused` gets
// one line, once. A store that has worked before waits instead, and store_ready says why.
struct store *store_start(void *loop, const struct settings *settings, const struct secret_key *hash_key,
                          void (*on_refused)(void *context, const char *line), void *context);
// `on_stopped` fires when all handles are closed; the store is freed by then.
void store_stop(struct store *store, void (*on_stopped)(void *context), void *context);
// True when Redis is connected, the scripts are loaded and the settings agree. *ret_why (may be NULL) is a line for
// /readyz.
bool store_ready(const struct store *store, const char **ret_why);
// How many partitions of a Redis Cluster are not served; 0 with one Redis.
uint32_t store_unserved(const struct store *store);
// Why the writes of callers are UNAVAILABLE although Redis is connected: it may evict what it has acknowledged, or it
// refuses commands to this user. NULL: writes are accepted. Reads still work where Redis allows them.
const char *store_trouble(const struct store *store);
// The commands that some calls need and Redis refuses to this user (such as a scan); NULL: none.
const char *store_lacks(const struct store *store);
const char *store_lacks_scan(const struct store *store); // the same, when a scan is among them
// The error with which Redis refused calls within the last ten seconds (OOM, MISCONF, BUSY, …); NULL: none.
const char *store_complaint(const struct store *store);
// What is wrong at one node of a Cluster while others take writes, with the node's name; NULL: nothing.
const char *store_partly(struct store *store);
// Why a partition is not served, with the name of the node.
const char *store_why_unserved(struct store *store);
// Why a call that has just ended was UNAVAILABLE, if Redis itself is the cause; NULL: not known.
const char *store_why_unavailable(const struct store *store);
// True when the partition can be asked now; in a Cluster another's master may be away.
bool store_serves(const struct store *store, uint32_t partition);
// Rises with every new connection. Redis may be another one now (restarted, failed over, restored), so what was
// remembered of its data is no longer valid.
uint64_t store_generation(const struct store *store);

// The id of a log entry. Lists show a write once the projections have passed its entry.
struct log_id {
    uint64_t ms, seq;
};
// Below 0 when `a` comes before `b` in a log, 0 when they are equal, above 0 when it comes after.
static inline int log_id_order(struct log_id a, struct log_id b) {
    return a.ms != b.ms ? (a.ms > b.ms) - (a.ms < b.ms) : (a.seq > b.seq) - (a.seq < b.seq);
}

// The store's own part of a call, used when the call fails before anything was sent.
struct deferred {
    struct deferred *next;
    void (*tell)(struct deferred *deferred);
};

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

// ---- Reads: one pipeline each, or two

struct read_call {
    void (*on_done)(struct read_call *call, enum outcome outcome);
    void *context;
    // The store's own.
    struct deferred deferred;
    void *private;
};

struct item_state {
    bool known; // it has a vote, a view that is projected, or a card
    // OK, or INTERNAL when its data is not usable: leave the item out, or answer 500 for it alone.
    enum outcome outcome;
    struct bytes id, site;   // as stored
    struct bytes card;       // struct card.json
    struct bytes categories; // joined by 0x1f
    struct bytes author;     // of its card; empty: none
    int64_t published_ms;
    int64_t first_ms; // of the first event, if published_ms is not known (model/first_event.h); 0: none
    bool has_card;
    uint64_t votes[KINDS_MAX]; // with base
    uint64_t views;            // with base
    uint64_t visitors;
    uint64_t sketch;             // hash of that of its visitors; 0: it has none
    struct bytes sums;           // packed (model/sums.h), as stored
    const struct series *series; // counts by time, valid in on_item only; NULL: nothing was counted
};
// Calls `on_item` once per reference, in order, before on_done.
void store_read_items(struct store *store, struct read_call *call, const ref_t *items, size_t count,
                      void (*on_item)(struct read_call *call, size_t index, const struct item_state *item));
// What Redis has promised of a state when it was read (store/tracking.h).
struct track {
    uint32_t session, slot, count; // session 0: nothing
};
struct item_again {
    ref_t item;
    const struct item_state *known; // as it was read before; NULL: it was not
    struct track track;             // its session becomes 0 if a key has to be read by itself
};
// The same. What is known of bytes that are still the same is not found out again. `items` must live until on_done.
void store_reread_items(struct store *store, struct read_call *call, struct item_again *items, size_t count,
                        void (*on_item)(struct read_call *call, size_t index, const struct item_state *item));
// Reads one item for a write that waits for it: it is not held with the reads when the queue is full.
void store_look_item(struct store *store, struct read_call *call, const ref_t *item,
                     void (*on_item)(struct read_call *call, size_t index, const struct item_state *item));

// The newest cards of a site are a ranking of this name; its score is minus the time in ms.
#define NEWEST_NAME ".newest"
enum { NEWEST_DEPTH = 2000 };
uint32_t newest_kept(void); // in each partition
// So are the items of an author that have events, and those that have none. The author stands for the category.
#define AUTHOR_NAME ".author"
#define UNREAD_NAME ".unread"
// Reads the best `max` items of a ranking, merged over all partitions. Calls `on_top` once before on_done, if the
// outcome is OK. `whole`: the list is the whole ranking; neither `max` nor a partition's bound has cut it.
// `cards_only`: leaves out the items without a card; a category has none of them.
void store_read_top(struct store *store, struct read_call *call, ref_t site, struct bytes ranking,
                    const ref_t *category, bool cards_only, size_t max,
                    void (*on_top)(struct read_call *call, const struct ranked *list, size_t count, bool whole));

// The sets of some periods of a ranking of the type window (model/period_ranking.h), over all partitions.
struct window_sets_question {
    ref_t site;
    struct bytes ranking;
    const ref_t *category; // NULL: the whole site
    bool cards_only;       // leaves out the items without a card; a category has none of them
    const struct period *periods;
    uint32_t period_count; // at most PERIODS_READ_MAX
};
struct window_sets {
    bool complete;   // each partition was read, none is in a rebuild, and none was rebuilt when a period was closed
    int64_t gap_ms;  // before then imported items may have counts that nobody knows; 0: there are none
    double left_out; // an item in none of the sets is worth at most so much in all of the periods together
};
// Calls `on_member` for each member of each set, in no order, and then `on_all` once, before on_done, if the outcome is
// OK. An item that is in sets of two periods comes twice.
void store_read_window_sets(struct store *store, struct read_call *call, const struct window_sets_question *question,
                            void (*on_member)(struct read_call *call, struct bytes id, double value),
                            void (*on_all)(struct read_call *call, const struct window_sets *sets));
// Reads the sums of items. Those of one partition must stand together. Calls `on_one` for each item that has sums which
// can be read, in order.
void store_read_sums(struct store *store, struct read_call *call, const ref_t *items, size_t count,
                     void (*on_one)(struct read_call *call, size_t index, const struct sums *sums));

// Counts the cards of a site, exactly while they are few. Calls `on_count` before on_done, if the outcome is OK.
void store_count_cards(struct store *store, struct read_call *call, ref_t site,
                       void (*on_count)(struct read_call *call, uint64_t cards));
// Asks the projector to write the item's places in the rankings again, because a read found a wrong one. Has no
// completion.
void store_log_card_again(struct store *store, ref_t item);

// Reads the neighbours of items; who has none has an empty table. `usable`: it can be read. `tracks`: one of each.
void store_read_neighbours(struct store *store, struct read_call *call, const ref_t *items, const struct track *tracks,
                           size_t count,
                           void (*on_table)(struct read_call *call, size_t index, const struct neighbours *table,
                                            bool usable));

// ---- The editorial rules of a site

enum { EDITORIAL_MAX = 1000, EDITORIAL_JSON_MAX = 8 << 10 };
struct editorial_call {
    ref_t site, item;
    int64_t until_ms;  // 0: until it is removed
    struct bytes json; // the rule as GET shows it; empty: remove the rule. Must live until the verb returns.
    bool keeps_block;  // a removal keeps the rule's `block`
};
// EDITORIAL_FULL when EDITORIAL_MAX rules are in force.
void store_set_editorial(struct store *store, struct read_call *call, const struct editorial_call *editorial);
// Reads all rules of a site, those that have ended too.
void store_read_editorial(struct store *store, struct read_call *call, ref_t site,
                          void (*on_rule)(struct read_call *call, ref_t item, int64_t until_ms, struct bytes json));

// ---- One visitor

struct own_vote {
    int kind;       // -1: none
    int64_t packed; // time and kind, for vote_call.only_if
    int64_t time_ms;
    uint64_t votes[KINDS_MAX];
};
// Reads the visitor's votes, and the items' counts now.
void store_read_votes(struct store *store, struct read_call *call, ref_t visitor, const ref_t *items, size_t count,
                      void (*on_vote)(struct read_call *call, size_t index, const struct own_vote *vote));
// Reads the items that the visitor read last, latest first. An item may come more than once.
void store_read_history(struct store *store, struct read_call *call, ref_t visitor,
                        void (*on_item)(struct read_call *call, ref_t item, int64_t time_ms));
void store_forget_history(struct store *store, struct read_call *call, ref_t visitor);

// What Redis uses. Of the masters of a Cluster `used` and `max` are those of the fullest: the one that uses most of its
// maxmemory; where none has a maxmemory (0: no limit), the one that uses most.
struct redis_memory_use {
    uint64_t used, max, used_by_all;
    uint64_t evicted; // keys since the start, of all masters together
    uint32_t masters; // that have told
    bool all_told;    // no master is away
    bool append_only; // each keeps an append-only file
};
void store_read_memory(struct store *store, struct read_call *call,
                       void (*on_memory)(struct read_call *call, const struct redis_memory_use *use));
// Reads the memory that the logs take, of those partitions that tell.
void store_read_log_bytes(struct store *store, struct read_call *call,
                          void (*on_bytes)(struct read_call *call, uint64_t bytes));

// Reads a page of all keys with the bytes of each (0: the key no longer exists). Of items, voters and visitors it asks
// for every `one_in`th only; the others have UNASKED bytes.
#define UNASKED UINT64_MAX
void store_read_usage(struct store *store, struct read_call *call, struct scan *scan, uint32_t one_in,
                      void (*on_key)(struct read_call *call, struct bytes key, uint64_t bytes));

// What the node of a partition says of it. All zero before the first look.
struct partition_look {
    bool there;              // its node has answered; else the rest is of an earlier look
    char owner[280], id[41]; // its node: host and port or path; its id in a Cluster. Empty: nobody is known
    uint64_t entries;        // that its log has ever had
    struct log_id last;      // the id of the last one
    uint64_t new_entries;    // since the look before
    uint64_t read;           // of these, how many still were in the log, and were read; of them:
    uint64_t votes, views;   // how many votes (or retractions), and views
};
// Looks at each partition; looks[i] of the look before is updated.
void store_look_at_partitions(struct store *store, struct read_call *call, struct partition_look *looks);
// In a Cluster: the text of CLUSTER NODES, for a tool. Not called when the user may not ask for it.
void store_read_cluster_nodes(struct store *store, struct read_call *call,
                              void (*on_text)(struct read_call *call, struct bytes text));

// ---- Corrections: their records by id, waiting or done, and the scans that they make
struct correction_row {
    struct bytes id;
    struct bytes text; // at == NULL: remove the record
    struct bytes site; // the record counts as waiting for this site; at == NULL: for none
};
// Writes or removes records. TOO_MANY_REQUESTS, and nothing is written, when a site has `max` that wait (0: no bound).
// `rows` are copied.
void store_write_corrections(struct store *store, struct read_call *call, bool done, const struct correction_row *rows,
                             size_t count, uint32_t max);
// Reads a page of the records, and the other fields of the hash: the counts of those that wait, and notes of the
// corrector. A record may come twice. `cursor` begins and ends as 0.
void store_scan_corrections(struct store *store, struct read_call *call, bool done, uint64_t *cursor,
                            void (*on_record)(struct read_call *call, struct bytes id, struct bytes text));
// Reads the id of the Redis process (empty where INFO is forbidden). The cursor of a SCAN is valid in one process only:
// another one hashes with another seed. In a Cluster it is a hash of the lives of all partitions.
void store_read_run(struct store *store, struct read_call *call,
                    void (*on_run)(struct read_call *call, struct bytes run));
// True in a Cluster: the place of a scan says in which lives it holds (store/scan.h).
bool store_scan_knows_lives(const struct store *store);
// Reads a page of about `count` items of all sites. An item may come twice.
void store_scan_items(struct store *store, struct read_call *call, struct scan *scan, uint32_t count,
                      void (*on_item)(struct read_call *call, ref_t item));
// Reads the packed record and the packed sums of each item that is usable. Empty: none.
void store_read_packed(struct store *store, struct read_call *call, const ref_t *items, size_t count,
                       void (*on_item)(struct read_call *call, size_t index, struct bytes item, struct bytes sums));
// The voters of an item according to its record. An item that does not exist, or is not usable, has no name and no
// voters.
struct voted_item {
    struct bytes site, id;
    struct bytes inside; // with 0 buckets: its voters, VOTER_SIZE each
    uint32_t buckets;
    uint64_t voters;
};
void store_read_voted(struct store *store, struct read_call *call, const ref_t *items, size_t count,
                      void (*on_item)(struct read_call *call, size_t index, const struct voted_item *item));
// Reads the voters of `count` buckets from `first` on. *ret_buckets: how many buckets the item has at that instant; 0:
// none after these. A split moves voters only to higher buckets, so reading upwards from 0 to the last misses nobody.
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
// Sets the card (if there is one), the base, the views and the unique visitors, which must be valid. What was
// acknowledged before must be projected already (store_wait_all_projected). Outcomes besides the common ones: ID_CLASH.
void store_import_item(struct store *store, struct item_call *call, bool has_card, struct bytes views,
                       struct bytes visitors);

// The site's total popularity: log2 of the decayed sum of its views (model/decay.h, half-life POPULAR_HALF_LIFE_MS).
void store_read_site_total(struct store *store, struct read_call *call, ref_t site,
                           void (*on_total)(struct read_call *call, double total));

// The site's counts by time. Calls `on_series` for each partition, all of them or none; NULL: its data is not usable.
void store_read_site_series(struct store *store, struct read_call *call, ref_t site,
                            void (*on_series)(struct read_call *call, const struct series *series));

// Completes OK after `ms`; UNAVAILABLE, perhaps at once, when the store stops.
void store_wait_ms(struct store *store, struct read_call *call, uint32_t ms);

// Completes OK when both projections have passed these entries (one per partition; {0,0}: none), UNAVAILABLE after
// `timeout_ms`. Wakes the projectors.
void store_wait_projected(struct store *store, struct read_call *call, const struct log_id *entries,
                          uint32_t timeout_ms);
// The same for all entries that are in the logs at the call: what was acknowledged before it is projected then.
void store_wait_all_projected(struct store *store, struct read_call *call, uint32_t timeout_ms);
// Calls `on_wake` whenever somebody waits for the projections. NULL ends that.
void store_on_wake(struct store *store, void (*on_wake)(void *context), void *context);
