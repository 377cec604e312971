// SPDX-License-Identifier: MIT
// Where a list's candidates come from. A ranking takes them from its snapshots (ranking_source.c); Related and
// Recommendation take them from tables of neighbours and from the popular items, by the formulas of model/related.h.
// filling.c fills up a list that is still too short.
#include "ops/metrics.h"
#include "serve/list.h"
#include "store/visitor_reads.h"
#include <math.h>
#include <stdlib.h>

static struct list *list_of_wait(struct shared_wait *wait) {
    return (struct list *)((char *)wait - offsetof(struct list, snapshot_wait));
}

static void ask_snapshot(struct list *list, const struct ranking *ranking,
                         void (*on_snapshot)(struct shared_wait *wait, struct shared_value *read)) {
    struct snapshot_question question = {.site = list->site,
                                         .ranking = ranking,
                                         .cards_only =
                                             list->rules->cards_only || ranking == &list->serve->newest_cards};
    list->snapshot_wait.on_value = on_snapshot;
    snapshot_get(list->serve, &question, &list->snapshot_wait);
}

struct snapshot_entries *list_keep_entries(struct list *list, struct shared_value *read) {
    struct snapshot_entries **grown =
        read ? realloc(list->snapshots, (list->snapshot_count + 1) * sizeof *grown) : NULL;
    if (!grown) {
        value_release(read);
        return NULL;
    }
    list->snapshots = grown;
    return list->snapshots[list->snapshot_count++] = (struct snapshot_entries *)read;
}

static bool is_logarithmic(const struct ranking *ranking) {
    return ranking->kind == RANK_DECAYED || ranking->kind == RANK_RISING;
}

bool list_add_entry(struct list *list, const struct origin *origin, struct snapshot_entry *entry) {
    const struct ranking *ranking = origin->ranking;
    double score = origin->group == GROUP_SOURCE ? ranking_score(ranking, entry->value, list->now_ms) : 0;
    struct candidate candidate = {entry->item, entry->value, score, origin->group, origin->reason, entry, false};
    candidate.left_out = entry->facts && !rules_allow(&list->filter, &entry->facts->facts, list->now_ms);
    list->left_short |= candidate.left_out || (entry->unfit && ranking->oldest_age_ms);
    return entry->unfit || candidate_add(list, candidate, is_logarithmic(ranking));
}

// ---- The formulas

static size_t popular_of(const struct snapshot_entries *entries, struct popular ret_popular[static POPULAR_MAX]) {
    size_t count = entries->count < POPULAR_MAX ? entries->count : POPULAR_MAX;
    for (size_t i = 0; i < count; i++)
        ret_popular[i] = (struct popular){entries->at[i].item, entries->at[i].share};
    return count;
}

enum { SUGGESTIONS_MAX = 512 }; // more than the highest limit, exclusions and history can use up together

static size_t suggest(const struct list *list, const struct snapshot_entries *snapshot,
                      struct suggestion ret_list[static SUGGESTIONS_MAX]) {
    struct popular popular[POPULAR_MAX];
    const struct neighbours *tables[COVIEW_ITEMS + STRONGEST_NEIGHBOURS];
    size_t popular_count = popular_of(snapshot, popular);
    for (size_t i = 0; i < list->table_count; i++)
        tables[i] = &list->tables[i];
    if (list->visitor || !list->item.at)
        return recommend_suggest(list->recent, tables, list->table_count, popular, popular_count, ret_list,
                                 SUGGESTIONS_MAX);
    ref_t item = item_ref(list->serve->hash_key, list->site, list->item);
    if (list->kind == LIST_RELATED)
        return related_suggest(item, tables[0], popular, popular_count, ret_list, SUGGESTIONS_MAX);
    return two_step_suggest(item, tables[0], tables + 1, list->table_count - 1, popular, popular_count, ret_list,
                            SUGGESTIONS_MAX);
}

// The popular items of a category come before those of the site: only those of the site that are better than one of the
// neighbours stay. They do because lists without them are worse: on Deskdrop HR@10 falls from 0.559 to 0.540.
static size_t drop_last_popular(struct suggestion *suggestions, size_t count, bool all) {
    struct suggestion last = {.score = INFINITY}; // of those from neighbours
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (suggestions[i].from_neighbours && suggestion_cmp(&suggestions[i], &last) > 0)
            last = suggestions[i];
    for (size_t i = 0; i < count; i++)
        if (suggestions[i].from_neighbours || (!all && suggestion_cmp(&suggestions[i], &last) < 0))
            suggestions[kept++] = suggestions[i];
    return kept;
}

static bool fills_as_site(const struct list *list) {
    return list->filter.fill == FILL_CATEGORY && !list->filter.category.count && !list->own_category.len;
}

static bool add_suggestions(struct list *list, struct snapshot_entries *snapshot) {
    const struct plan *plan = list->serve->plan;
    struct suggestion *suggestions = malloc(SUGGESTIONS_MAX * sizeof *suggestions);
    if (!suggestions)
        return false;
    size_t count = suggest(list, snapshot, suggestions);
    bool fills_by_site = list->filter.fill == FILL_SITE || fills_as_site(list);
    if (!fills_by_site)
        count = drop_last_popular(suggestions, count, list->filter.fill == FILL_NONE);
    struct origin popular = {&plan->rankings[plan->popular], GROUP_POPULAR, "popular"};
    return supply_suggestions(list, suggestions, count) && (!fills_by_site || supply_entries(list, &popular, snapshot));
}

static void on_popular(struct shared_wait *wait, struct shared_value *read) {
    struct list *list = list_of_wait(wait);
    struct snapshot_entries *snapshot = list_keep_entries(list, read);
    if (snapshot && add_suggestions(list, snapshot))
        list_place(list);
    else
        list_end(list, UNAVAILABLE);
}

static void ask_popular(struct list *list) {
    const struct plan *plan = list->serve->plan;
    ask_snapshot(list, &plan->rankings[plan->popular], on_popular);
}

// ---- Tables of neighbours

static void take_tables(struct list *list, const struct tables_read *read, size_t count) {
    made_age_join(&list->age, &read->age);
    while (list->table_count < count)
        neighbours_keep(&list->tables[list->table_count++], list->filter.floor);
}

static void ask_tables(struct list *list, const ref_t *items, size_t count,
                       void (*on_done)(struct tables_read *read, enum outcome outcome)) {
    if (!list->tables)
        list->tables = malloc((COVIEW_ITEMS + STRONGEST_NEIGHBOURS) * sizeof *list->tables);
    if (!list->tables) {
        list_end(list, UNAVAILABLE);
        return;
    }
    list->tables_asked = list->table_count + count;
    list->tables_read = (struct tables_read){.serve = list->serve,
                                             .age.max_ms = list->age.max_ms,
                                             .on_done = on_done,
                                             .context = list,
                                             .at = list->tables + list->table_count};
    tables_read_start(&list->tables_read, items, count);
}

static void on_tables(struct tables_read *read, enum outcome outcome) {
    struct list *list = read->context;
    if (outcome == OK)
        take_tables(list, read, list->tables_asked);
    if (outcome == OK)
        ask_popular(list);
    else
        list_end(list, outcome);
}

// Reads the tables of the item's strongest neighbours, for items that are two steps away.
static void on_first_table(struct tables_read *read, enum outcome outcome) {
    struct list *list = read->context;
    const struct neighbours *first = &list->tables[0]; // strongest first
    ref_t strongest[STRONGEST_NEIGHBOURS];
    size_t count = 0;
    if (outcome != OK) {
        list_end(list, outcome);
        return;
    }
    take_tables(list, read, 1);
    for (; count < first->count && count < STRONGEST_NEIGHBOURS; count++)
        strongest[count] = first->at[count].item;
    ask_tables(list, strongest, count, on_tables);
}

static void ask_item_tables(struct list *list) {
    ref_t item = item_ref(list->serve->hash_key, list->site, list->item);
    if (list->own_category.failed) {
        list_end(list, UNAVAILABLE);
        return;
    }
    ask_tables(list, &item, 1, list->kind == LIST_RELATED ? on_tables : on_first_table);
}

void list_fill_of(struct list *list, struct bytes category) {
    bool fills = list->filled && list->item.at && list->kind != LIST_RANKING && list->filter.fill == FILL_CATEGORY &&
                 list->filter.category.count == 0;
    list->knows_category = true;
    if (fills)
        buffer_add_bytes(&list->own_category, category);
}

static void on_own_item(struct items_read *read, size_t index, struct recent_item *item) {
    (void)index;
    list_fill_of(read->context, first_category(item->state.categories));
}

static void on_own_item_read(struct items_read *read, enum outcome outcome) {
    struct list *list = read->context;
    made_age_join(&list->age, &read->age);
    if (outcome == OK)
        ask_item_tables(list);
    else
        list_end(list, outcome);
}

// The category of the item decides what fills the list up.
static void start_item_list(struct list *list) {
    ref_t item = item_ref(list->serve->hash_key, list->site, list->item);
    if (list->knows_category || list->filter.fill != FILL_CATEGORY || list->filter.category.count) {
        ask_item_tables(list);
        return;
    }
    list_read_items(list, &item, 1, on_own_item, on_own_item_read);
}

// ---- A visitor's history

// Excludes every item that the visitor read. The latest distinct ones, of at most COVIEW_OLDEST_MS, make the list.
static void on_read_item(struct read_call *call, ref_t item, int64_t time_ms) {
    struct list *list = call->context;
    bool seen = false;
    if (list->recent_count == 0)
        list->latest_ms = time_ms;
    if (list->latest_ms - time_ms > COVIEW_OLDEST_MS) {
        list_without(list, item);
        return;
    }
    for (size_t i = 0; i < list->recent_count; i++)
        seen = seen || list->recent[i] == item;
    list_without(list, item);
    if (!seen && list->recent_count < COVIEW_ITEMS)
        list->recent[list->recent_count++] = item;
}

static void on_history(struct read_call *call, enum outcome outcome) {
    struct list *list = call->context;
    if (outcome == OK)
        ask_tables(list, list->recent, list->recent_count, on_tables);
    else
        list_end(list, outcome);
}

static void start_visitor_list(struct list *list) {
    list->call = (struct read_call){.on_done = on_history, .context = list};
    store_read_history(list->serve->store, &list->call, *list->visitor, on_read_item);
}

void source_start(struct list *list) {
    if (list->kind == LIST_RANKING)
        ranking_source_start(list);
    else if (list->visitor)
        start_visitor_list(list);
    else if (list->item.at)
        start_item_list(list);
    else
        ask_popular(list);
}
