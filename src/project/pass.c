// SPDX-License-Identifier: MIT
// A pass over all items retracts the votes of every visitor whose correction or erasure waits (the members of the
// pass). However many there are, each item is read once. A correction that comes during a pass waits for the next one.
//
// A page is the result of one SCAN. The voters in an item's record come with it. For an item with buckets, the vote of
// each member is read if there are few members; else all buckets are read.
#include "base/array.h"
#include "base/clock.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "project/corrector_inside.h"
#include "store/correction_records.h"
#include "store/visitor_reads.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SCAN_ITEMS = 256,
    FOUND_MAX = 1024, // so many votes are retracted before more is read
    WORTH_ASKING = 4  // reading the vote of one member costs as much as reading so many voters of a bucket
};

static void page_next(struct corrector *corrector);

void pass_init(struct pass *pass) {
    corrections_init(&pass->members, 64 << 20);
}

void pass_release(struct pass *pass) {
    scan_restart(&pass->scan);
    corrections_release(&pass->members);
    free(pass->index);
    free(pass->items);
}

void pass_forget(struct pass *pass) {
    pass->running = false;
    corrections_clear(&pass->members);
    free(pass->index);
    pass->index = NULL;
}

// ---- Members

static int by_site_and_visitor(const void *a, const void *b) {
    const struct member *left = a, *right = b;
    if (left->site != right->site)
        return left->site < right->site ? -1 : 1;
    return (left->visitor > right->visitor) - (left->visitor < right->visitor);
}

static bool make_index(struct corrector *corrector) {
    struct pass *pass = &corrector->pass;
    size_t count = pass->members.count;
    pass->index = calloc(count ? count : 1, sizeof *pass->index);
    if (!pass->index)
        return false;
    pass->publishers = 0;
    for (size_t i = 0; i < count; i++) {
        struct correction *member = &pass->members.at[i];
        pass->index[i] = (struct member){site_ref(corrector->hash_key, member->site), member->visitor, member};
        pass->publishers += member->kind != CORRECT_ERASURE;
    }
    qsort(pass->index, count, sizeof *pass->index, by_site_and_visitor);
    return true;
}

// The index of the first member that is not before this site and visitor.
static size_t member_at(const struct pass *pass, ref_t site, ref_t visitor) {
    struct member wanted = {.site = site, .visitor = visitor};
    size_t low = 0, high = pass->members.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (by_site_and_visitor(&pass->index[middle], &wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void look_up(struct corrector *corrector, const struct big_item *item, const struct voter *voter) {
    struct pass *pass = &corrector->pass;
    for (size_t i = member_at(pass, item->site, voter->visitor); i < pass->members.count; i++) {
        const struct member *member = &pass->index[i];
        if (member->site != item->site || member->visitor != voter->visitor)
            return;
        if (!correction_covers(member->correction, voter->time_ms))
            continue;
        found_add(corrector, member->correction, item->item, voter, item->site_name, item->id);
        return;
    }
}

// ---- Beginning a pass, or continuing the one that was under way

static void on_begun(struct read_call *call, enum outcome outcome) {
    struct corrector *corrector = call->context;
    if (!corrector_goes_on(corrector, outcome))
        return;
    corrector->pass.running = true;
    corrector->pass.told_ns = clock_mono_ns();
    pass_page(corrector);
}

// Writes the note of the members, so that after a crash the same ones continue: the ids of the pass and of the members,
// with a space before each member's.
static void begin_new(struct corrector *corrector) {
    struct pass *pass = &corrector->pass;
    struct buffer note;
    correction_new_id(pass->id);
    scan_restart(&pass->scan);
    buffer_init(&note, (pass->members.count + 1) * CORRECTION_ID_SIZE);
    buffer_add_bytes(&note, bytes_of(pass->id));
    for (size_t i = 0; i < pass->members.count; i++) {
        pass->members.at[i].scanned = 0;
        buffer_add_char(&note, ' ');
        buffer_add_bytes(&note, bytes_of(pass->members.at[i].id));
    }
    struct correction_row row = {.id = BYTES("members"), .text = buffer_bytes(&note), .site = NO_BYTES};
    if (note.failed)
        corrector_restart(corrector);
    else
        store_write_corrections(corrector->store, corrector_call(corrector, on_begun), false, &row, 1, 0);
    buffer_release(&note);
}

// Reads "pass run place" from the note that was written after the last page. In a Cluster the place knows the lives.
static bool was_under_way(struct corrector *corrector) {
    struct pass *pass = &corrector->pass;
    char run[RUN_ID_SIZE];
    int at = 0;
    struct bytes members = corrector->stored_members, note = corrector->stored_pass;
    if (!members.len || !note.len || sscanf(note.at, "%32s %40s %n", pass->id, run, &at) != 2)
        return false;
    struct bytes place = {note.at + at, note.len - (size_t)at};
    if (strcmp(run, corrector->run) != 0 && !store_scan_knows_lives(corrector->store))
        return false;
    return bytes_starts(members, bytes_of(pass->id)) && scan_read(corrector->store, &pass->scan, place);
}

static int by_text(const void *a, const void *b) {
    return memcmp(a, b, CORRECTION_ID_SIZE - 1);
}

// Keeps only the members that the note names. The others wait for the next pass.
static bool keep_members(struct corrector *corrector) {
    struct bytes note = corrector->stored_members;
    size_t count = note.len / CORRECTION_ID_SIZE, kept = 0; // the ids without the pass's own
    struct corrections *members = &corrector->pass.members;
    char *ids = arena_take(&corrector->waiting.texts, note.len + 1);
    if (!ids)
        return false;
    memcpy(ids, note.at, note.len);
    char *first = ids + CORRECTION_ID_SIZE;
    if (count)
        qsort(first, count, CORRECTION_ID_SIZE, by_text);
    for (size_t i = 0; count && i < members->count; i++)
        if (bsearch(members->at[i].id, first, count, CORRECTION_ID_SIZE, by_text))
            members->at[kept++] = members->at[i];
    members->count = kept;
    return kept > 0;
}

static bool take_members(struct corrector *corrector) {
    struct corrections *members = &corrector->pass.members;
    pass_forget(&corrector->pass);
    for (size_t i = 0; i < corrector->waiting.count; i++)
        if (corrector->waiting.at[i].kind != CORRECT_ITEM && !corrections_add(members, &corrector->waiting.at[i]))
            break; // the others wait
    return members->count > 0;
}

void pass_begin(struct corrector *corrector) {
    struct pass *pass = &corrector->pass;
    bool any = take_members(corrector), goes_on = any && was_under_way(corrector) && keep_members(corrector);
    if (any && !goes_on)
        any = take_members(corrector);
    if (!any || !make_index(corrector)) {
        corrector_restart(corrector);
        return;
    }
    pass->running = true;
    pass->told_ns = clock_mono_ns();
    if (goes_on)
        pass_page(corrector);
    else
        begin_new(corrector);
}

// ---- The items' records, and the voters in them

static void look_at_inside(struct corrector *corrector, const struct big_item *item, struct bytes inside) {
    for (size_t at = 0; at + VOTER_SIZE <= inside.len; at += VOTER_SIZE) {
        struct voter voter;
        if (voter_unpack((struct bytes){inside.at + at, sizeof(ref_t)},
                         (struct bytes){inside.at + at + sizeof(ref_t), VOTE_SIZE}, &voter))
            look_up(corrector, item, &voter);
    }
}

static void on_voted(struct read_call *call, size_t index, const struct voted_item *voted) {
    struct corrector *corrector = call->context;
    struct pass *pass = &corrector->pass;
    ref_t site = voted->voters ? site_ref(corrector->hash_key, voted->site) : 0;
    size_t first = member_at(pass, site, 0), end = member_at(pass, site, UINT64_MAX);
    if (!voted->voters || first == end)
        return;
    struct big_item *item = &pass->big[pass->big_count];
    *item = (struct big_item){.item = pass->items[pass->next_item + index],
                              .site = site,
                              .site_name = arena_copy(&corrector->texts, voted->site),
                              .id = arena_copy(&corrector->texts, voted->id),
                              .few = (end - first) * WORTH_ASKING <= voted->voters,
                              .buckets = voted->buckets};
    if (!item->site_name.at || !item->id.at)
        pass->failed = true;
    else if (item->buckets)
        pass->big_count++;
    else
        look_at_inside(corrector, item, voted->inside);
}

static void on_all_voted(struct read_call *call, enum outcome outcome) {
    struct corrector *corrector = call->context;
    struct pass *pass = &corrector->pass;
    if (!corrector_goes_on(corrector, pass->failed ? UNAVAILABLE : outcome))
        return;
    size_t left = pass->item_count - pass->next_item;
    pass->next_item += left < ITEMS_AT_ONCE ? left : ITEMS_AT_ONCE;
    page_next(corrector);
}

static void look_at_items(struct corrector *corrector) {
    struct pass *pass = &corrector->pass;
    size_t left = pass->item_count - pass->next_item;
    pass->big_count = pass->next_big = pass->next_member = 0;
    store_read_voted(corrector->store, corrector_call(corrector, on_all_voted), pass->items + pass->next_item,
                     left < ITEMS_AT_ONCE ? left : ITEMS_AT_ONCE, on_voted);
}

// ---- Few members: the votes of each are read, for all such items of its site at once

static void on_asked(struct read_call *call, size_t index, const struct own_vote *vote) {
    struct corrector *corrector = call->context;
    struct pass *pass = &corrector->pass;
    struct voter voter = {.visitor = pass->index[pass->next_member].visitor,
                          .kind = vote->kind,
                          .time_ms = vote->time_ms,
                          .packed = vote->packed};
    if (vote->kind >= 0)
        look_up(corrector, &pass->big[pass->asked_big[index]], &voter);
}

static void on_all_asked(struct read_call *call, enum outcome outcome) {
    struct corrector *corrector = call->context;
    if (!corrector_goes_on(corrector, outcome))
        return;
    corrector->pass.next_member++;
    page_next(corrector);
}

static bool is_new_visitor(const struct pass *pass, size_t member) {
    return member == 0 || by_site_and_visitor(&pass->index[member], &pass->index[member - 1]) != 0;
}

static void collect_asked(struct pass *pass, ref_t site) {
    pass->asked_count = 0;
    for (size_t i = 0; i < pass->big_count; i++)
        if (pass->big[i].few && pass->big[i].site == site) {
            pass->asked_big[pass->asked_count] = i;
            pass->asked[pass->asked_count++] = pass->big[i].item;
        }
}

// False when there is no further member to read.
static bool ask_for_next(struct corrector *corrector) {
    struct pass *pass = &corrector->pass;
    for (; pass->big_count && pass->next_member < pass->members.count; pass->next_member++) {
        const struct member *member = &pass->index[pass->next_member];
        if (!is_new_visitor(pass, pass->next_member))
            continue;
        collect_asked(pass, member->site);
        if (pass->asked_count == 0)
            continue;
        store_read_votes(corrector->store, corrector_call(corrector, on_all_asked), member->visitor, pass->asked,
                         pass->asked_count, on_asked);
        return true;
    }
    return false;
}

// ---- Many members: all buckets are read

static void on_voter(struct read_call *call, const struct voter *voter) {
    struct corrector *corrector = call->context;
    look_up(corrector, &corrector->pass.big[corrector->pass.next_big], voter);
}

static void on_voters(struct read_call *call, enum outcome outcome) {
    struct corrector *corrector = call->context;
    struct pass *pass = &corrector->pass;
    struct big_item *item = &pass->big[pass->next_big];
    if (!corrector_goes_on(corrector, outcome))
        return;
    item->bucket += BUCKETS_AT_ONCE;
    if (item->bucket >= corrector->buckets)
        pass->next_big++;
    page_next(corrector);
}

static bool read_next_buckets(struct corrector *corrector) {
    struct pass *pass = &corrector->pass;
    while (pass->next_big < pass->big_count && pass->big[pass->next_big].few)
        pass->next_big++;
    if (pass->next_big == pass->big_count)
        return false;
    const struct big_item *item = &pass->big[pass->next_big];
    store_read_voters(corrector->store, corrector_call(corrector, on_voters), item->item, item->bucket, BUCKETS_AT_ONCE,
                      &corrector->buckets, on_voter);
    return true;
}

// ---- A page

static void page_next(struct corrector *corrector) {
    struct pass *pass = &corrector->pass;
    bool whole = false;
    if (corrector->found_count < FOUND_MAX && !corrector->lacking) {
        if (ask_for_next(corrector) || read_next_buckets(corrector))
            return;
        whole = pass->next_item == pass->item_count;
        if (!whole) {
            look_at_items(corrector);
            return;
        }
    }
    retract_found(corrector, whole ? pass_keep : page_next);
}

static void on_item(struct read_call *call, ref_t item) {
    struct corrector *corrector = call->context;
    struct pass *pass = &corrector->pass;
    ref_t *grown = array_room_for_one(pass->items, pass->item_count, &pass->item_capacity, sizeof *grown);
    pass->failed |= !grown;
    if (!grown)
        return;
    pass->items = grown;
    pass->items[pass->item_count++] = item;
}

static void on_items(struct read_call *call, enum outcome outcome) {
    struct corrector *corrector = call->context;
    struct pass *pass = &corrector->pass;
    static uint64_t told_ns;
    if (outcome == UNAVAILABLE && store_ready(corrector->store, NULL) && log_is_due(&told_ns))
        log_warn("corrections and erasures wait: not all items can be read");
    if (!corrector_goes_on(corrector, pass->failed ? UNAVAILABLE : outcome))
        return;
    metric_add(METRIC_CORRECTIONS_SCANNED, pass->item_count);
    for (size_t i = 0; i < pass->publishers; i++)
        pass->members.at[i].scanned += pass->item_count;
    page_next(corrector);
}

void pass_page(struct corrector *corrector) {
    struct pass *pass = &corrector->pass;
    found_clear(corrector);
    pass->failed = false;
    pass->item_count = pass->next_item = pass->big_count = pass->next_big = pass->next_member = 0;
    store_scan_items(corrector->store, corrector_call(corrector, on_items), &pass->scan, SCAN_ITEMS, on_item);
}
