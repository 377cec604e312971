// SPDX-License-Identifier: MIT
// What lists are made of besides the states of their items (item_states.h): rankings over all partitions, windows,
// neighbours, and what a site has as a whole. The calls follow store.h.
#pragma once
#include "model/merge.h"
#include "model/neighbours.h"
#include "store/item_states.h"

struct period; // model/period_ranking.h
struct sums;   // model/sums.h

// ---- Rankings

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
// Asks the projector to write the item's places in the rankings again, because a read found a wrong one. Has no
// completion.
void store_log_card_again(struct store *store, ref_t item);

// ---- Neighbours

// Reads the neighbours of items; who has none has an empty table. `usable`: it can be read. `tracks`: one of each.
void store_read_neighbours(struct store *store, struct read_call *call, const ref_t *items, const struct track *tracks,
                           size_t count,
                           void (*on_table)(struct read_call *call, size_t index, const struct neighbours *table,
                                            bool usable));

// ---- A site

// Counts the cards of a site, exactly while they are few. Calls `on_count` before on_done, if the outcome is OK.
void store_count_cards(struct store *store, struct read_call *call, ref_t site,
                       void (*on_count)(struct read_call *call, uint64_t cards));
// The site's total popularity: log2 of the decayed sum of its views (model/decay.h, half-life POPULAR_HALF_LIFE_MS).
void store_read_site_total(struct store *store, struct read_call *call, ref_t site,
                           void (*on_total)(struct read_call *call, double total));

// The site's counts by time. Calls `on_series` for each partition, all of them or none; NULL: its data is not usable.
void store_read_site_series(struct store *store, struct read_call *call, ref_t site,
                            void (*on_series)(struct read_call *call, const struct series *series));
