// SPDX-License-Identifier: MIT
// The candidates of a ranking's list: its set for the site, or those for the categories or authors that the list asks
// for. They become candidates together, best first, because a list has room for so many only (candidates.c): if one set
// after the other filled it, the best of the last would be missing.
#include "ops/metrics.h"
#include "serve/list.h"
#include <math.h>

static struct list *list_of_wait(struct shared_wait *wait) {
    return (struct list *)((char *)wait - offsetof(struct list, snapshot_wait));
}

static bool is_by_author(const struct list *list) {
    return !list->past && list->filter.author.count > 0;
}

// What its ranking is read by: the authors, else the categories that it asks for; if there are none the whole site, and
// so for past periods.
static struct rule_words own_words(const struct list *list) {
    if (list->past)
        return (struct rule_words){NULL, 0};
    return is_by_author(list) ? list->filter.author : list->filter.category;
}

static uint32_t own_sets(const struct list *list) {
    uint32_t count = own_words(list).count;
    return count ? count : 1;
}

static void ask_own(struct list *list, bool deep,
                    void (*on_snapshot)(struct shared_wait *wait, struct shared_value *read)) {
    struct rule_words asked = own_words(list);
    ref_t (*ref_of)(const struct secret_key *, struct bytes) = is_by_author(list) ? author_ref : category_ref;
    ref_t ref = asked.count ? ref_of(list->serve->hash_key, asked.at[list->own_next]) : 0;
    struct snapshot_question question = {.site = list->site,
                                         .ranking = list->ranking,
                                         .category = asked.count ? &ref : NULL,
                                         .by_author = is_by_author(list),
                                         .cards_only = list->rules->cards_only,
                                         .deep = deep,
                                         .past = list->past,
                                         .period = list->period};
    list->snapshot_wait.on_value = on_snapshot;
    snapshot_get(list->serve, &question, &list->snapshot_wait);
}

// ---- Several sets become one

enum { SETS_MAX = RULE_WORDS_MAX };

// The set whose next entry is the best; `count` if none has one.
static uint32_t best_of(struct snapshot_entries *const *sets, const size_t *next, uint32_t count) {
    uint32_t best = count;
    for (uint32_t i = 0; i < count; i++)
        if (next[i] < sets[i]->count &&
            (best == count || sets[i]->at[next[i]].value > sets[best]->at[next[best]].value))
            best = i;
    return best;
}

static struct origin own_origin(const struct list *list) {
    return (struct origin){list->ranking, GROUP_SOURCE, "ranked"};
}

// Adds the entries of all snapshots of the list from the number `first` on, until there is no room. What has none is
// worth no more than what has some. Those of a single one are its supply.
static bool add_own(struct list *list, uint32_t first) {
    struct snapshot_entries *const *sets = list->snapshots + first;
    uint32_t count = list->snapshot_count - first, best;
    size_t next[SETS_MAX] = {0};
    struct origin origin = own_origin(list);
    if (count == 1)
        return supply_entries(list, &origin, sets[0]);
    while ((best = best_of(sets, next, count)) < count) {
        struct snapshot_entry *entry = &sets[best]->at[next[best]++];
        if (candidates_are_full(list)) {
            list->own_cut = true;
            list->window.left_out = fmax(list->window.left_out, entry->value);
            return true;
        }
        if (!list_add_entry(list, &origin, entry))
            return false;
    }
    return true;
}

// ---- Reading them

static bool misses_lifted(const struct list *list) {
    for (size_t i = 0; i < list->rules->count; i++)
        if (rule_lifts(list, &list->rules->at[i]) && !candidate_is_there(list, list->rules->at[i].item))
            return true;
    return false;
}

// From `own_next` on, the next set of which there is more than was read.
static bool find_cut(struct list *list) {
    while (list->own_next < own_sets(list) && list->snapshots[list->own_next]->whole)
        list->own_next++;
    return list->own_next < own_sets(list);
}

// Adds only boosted items of the deep snapshot: the boost may put them before the best.
static void on_lifted(struct shared_wait *wait, struct shared_value *read) {
    struct list *list = list_of_wait(wait);
    struct snapshot_entries *entries = list_keep_entries(list, read);
    struct origin origin = own_origin(list);
    bool fits = entries != NULL;
    for (size_t i = 0; fits && i < entries->count; i++)
        if (rule_lifts(list, rules_find(list->rules, entries->at[i].item)))
            fits = list_add_entry(list, &origin, &entries->at[i]);
    list->own_next++;
    if (!fits)
        list_end(list, UNAVAILABLE);
    else if (find_cut(list))
        ask_own(list, true, on_lifted);
    else
        list_place(list);
}

static void on_ranking(struct shared_wait *wait, struct shared_value *read) {
    struct list *list = list_of_wait(wait);
    struct snapshot_entries *entries = list_keep_entries(list, read);
    if (entries && !entries->whole && entries->count && entries->at[entries->count - 1].value > list->least)
        list->least = entries->at[entries->count - 1].value;
    if (entries && list->ranking->kind == RANK_WINDOW)
        window_take(list, &entries->window);
    if (entries && ++list->own_next < own_sets(list)) {
        ask_own(list, false, on_ranking);
        return;
    }
    if (!entries || !add_own(list, 0)) {
        list_end(list, UNAVAILABLE);
        return;
    }
    list->own_next = 0;
    if (misses_lifted(list) && find_cut(list))
        ask_own(list, true, on_lifted);
    else
        list_place(list);
}

void ranking_source_start(struct list *list) {
    ask_own(list, false, on_ranking);
}

// Both snapshots are of one ranking: an entry that is unfit in one is unfit in the other.
static void carry_unfit(const struct snapshot_entries *best, struct snapshot_entries *whole) {
    for (size_t i = 0; i < best->count && i < whole->count; i++)
        if (best->at[i].unfit && best->at[i].item == whole->at[i].item)
            whole->at[i].unfit = true;
}

static void on_rest(struct shared_wait *wait, struct shared_value *read) {
    struct list *list = list_of_wait(wait);
    struct snapshot_entries *entries = list_keep_entries(list, read);
    if (!entries) {
        list_end(list, UNAVAILABLE);
        return;
    }
    carry_unfit(list->snapshots[list->own_next++], entries);
    list->own_cut |= !entries->whole;
    if (find_cut(list))
        ask_own(list, true, on_rest);
    else if (add_own(list, list->rest_first))
        list_place(list);
    else
        list_end(list, UNAVAILABLE);
}

// The ranking has items that are not kept in its sets, or for which there was no room.
static bool has_more(const struct list *list) {
    return list->own_cut || (list->has_window && list->window.left_out > 0);
}

bool source_read_on(struct list *list) {
    if (list->kind != LIST_RANKING || list->read == READ_ENDED)
        return false;
    list->own_next = 0;
    bool more = list->read == READ_BEST && find_cut(list);
    list->read = more ? READ_ALL : READ_ENDED;
    if (!more && has_more(list) && list->placed_count < list->offset + list->limit)
        metric_add(METRIC_SHORT_LISTS, 1);
    list->least = -INFINITY;
    list->rest_first = list->snapshot_count;
    if (more)
        ask_own(list, true, on_rest); // the list may have ended then
    return more;
}
