// SPDX-License-Identifier: MIT
// Ranking snapshots: the best entries of a ranking over all partitions, read at most once in refresh_interval. Many
// lists are made from one.
#pragma once
#include "model/list_filter.h"
#include "model/period_ranking.h"
#include "serve/serve_inside.h"

enum {
    SNAPSHOT_DEPTH = 256,      // entries; enough for most lists
    SNAPSHOT_DEPTH_DEEP = 2000 // entries, for a list that the first 256 do not fill
};

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
