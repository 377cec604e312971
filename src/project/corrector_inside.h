// SPDX-License-Identifier: MIT
// What the files of the corrector share. No other file includes it.
//
//   corrector.c   reads the corrections that wait, gives them turns, start and stop
//   pass.c        one pass over all items, for all visitors and erasures that wait
//   pass_end.c    the progress of a pass, and its end
//   retract.c     retracts the votes that were found
//   tidy.c        removes records of done corrections when they are old, or too many
//
// One step is under way at a time. Each step ends with a call of the next one or of corrector_rest. A step that fails
// ends with corrector_restart, which continues from what Redis has recorded.
#pragma once
#include "project/correction_list.h"
#include "project/projector.h"
#include "store/writes.h"
#include <uv.h>

enum { PASS_PAUSE_MS = 2, IDLE_MS = 500, RETRY_MS = 1000, BUCKETS_AT_ONCE = 16 };

// A vote that falls under a correction.
struct found {
    struct vote_call vote;
    struct corrector *corrector;
    struct correction *correction; // the one that counts it
};

// The members of a pass, sorted by site, then visitor, to look up voters.
struct member {
    ref_t site, visitor;
    struct correction *correction;
};

// An item of the page whose voters are in buckets.
struct big_item {
    ref_t item, site;
    struct bytes site_name, id;
    bool few; // the site has so few members that the vote of each is read alone
    uint32_t bucket, buckets;
};

enum { ITEMS_AT_ONCE = 128 };

struct pass {
    bool running;
    char id[CORRECTION_ID_SIZE];
    struct scan scan;
    struct corrections members;
    size_t publishers; // how many of publishers; they come first
    struct member *index;
    uint64_t told_ns; // when the progress of all was written last
    bool tells_all;
    // The page.
    ref_t *items;
    size_t item_count, item_capacity, next_item;
    struct big_item big[ITEMS_AT_ONCE];
    size_t big_count, next_big, next_member;
    ref_t asked[ITEMS_AT_ONCE];
    size_t asked_big[ITEMS_AT_ONCE], asked_count;
    bool failed;
    // The records that are being written.
    size_t next_written;
};

struct done;
struct tidy {
    struct done *at;
    size_t count, capacity, next;
    uint64_t cursor, next_ns;
    bool failed;
};

struct corrector {
    struct store *store;
    const struct projector *projector;
    const struct settings *settings;
    const struct secret_key *hash_key;
    uv_timer_t timer;
    bool stopping, busy;
    void (*on_stopped)(void *context);
    void *stopped_context;
    struct read_call call;
    struct arena texts; // of the present step
    struct buffer json; // the records that are being written
    // The corrections that wait, as they were read last, in this generation of the store.
    bool known;
    uint64_t generation, began_ns, read_ns; // began to read, had read
    char run[RUN_ID_SIZE];
    struct corrections waiting;
    uint64_t running;
    uint64_t cursor;
    struct bytes stored_pass, stored_members; // notes of the pass that was under way; in the texts of `waiting`
    // Turns.
    bool after_item;
    char last_site[SITE_NAME_MAX + 1];
    struct correction *item; // the item's correction whose turn it is
    uint32_t buckets;
    struct pass pass;
    struct tidy tidy;
    // The votes that were found.
    struct found *found;
    size_t found_count, found_capacity, next_found, sent;
    bool lacking; // there was no memory for one
    enum outcome outcome;
    void (*on_retracted)(struct corrector *corrector);
};

// corrector.c
struct read_call *corrector_call(struct corrector *corrector,
                                 void (*on_done)(struct read_call *call, enum outcome outcome));
// Whether the step may continue. If not, the corrector restarts.
bool corrector_goes_on(struct corrector *corrector, enum outcome outcome);
void corrector_restart(struct corrector *corrector);
void corrector_rest(struct corrector *corrector, uint64_t ms);
// Adds its record as a row, rendered into `json`. False without room.
bool corrector_add_record(struct corrector *corrector, const struct correction *correction);

// pass.c
void pass_init(struct pass *pass);
void pass_release(struct pass *pass);
void pass_forget(struct pass *pass);
void pass_begin(struct corrector *corrector); // with the corrections of `waiting`
void pass_page(struct corrector *corrector);
// pass_end.c: writes the progress, and ends the pass
void pass_keep(struct corrector *corrector);

// retract.c
void found_clear(struct corrector *corrector);
void found_add(struct corrector *corrector, struct correction *correction, ref_t item, const struct voter *voter,
               struct bytes site, struct bytes id);
// Retracts all votes that were found, then calls `on_done`; or the corrector restarts.
void retract_found(struct corrector *corrector, void (*on_done)(struct corrector *corrector));

// tidy.c
bool tidy_is_due(const struct corrector *corrector);
void tidy_soon(struct corrector *corrector);
void tidy_begin(struct corrector *corrector);
