// SPDX-License-Identifier: MIT
// Computes a list from its candidates, in these steps:
//
// 1. list_start asks for the site's editorial rules, then source_start (sources.c) adds the first candidates.
// 2. list_place reads the states of the best candidates from Redis, batch by batch. An eligible one becomes an entry
//    (struct placed); one that is gone, too old or of another category is skipped.
// 3. If there are too few entries, the source reads on, or the list is filled up from other rankings; then step 2
// again.
// 4. The entries are sorted by group, value and id. Pins move into their slots. The entries before the offset go.
//    `on_done` runs. An entry's place does not depend on offset and limit, so that pages of a list fit together.
//
// body_builders.c and personal.c make lists. A new kind of list is a case in source_start and a name in render.c.
#include "serve/list.h"
#include "base/clock.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "store/list_reads.h"
#include <stdlib.h>

enum {
    SLACK = 3, // candidates that are read besides, as some may not be eligible
    TEXTS_MAX = 8 << 20,
    WITHOUT_MAX = 1 << 20,
    BATCH_MAX = 256,
    LOGGED_AGAIN_MAX = 64,
    READ_MAX = 2000,
    CATEGORY_ROOM = 1 << 10
};

// ---- Life

void list_init(struct list *list) {
    list->now_ms = clock_now_ms();
    list->least = -INFINITY;
    list->age = made_age_begin(list->serve, list->age.max_ms);
    list->wanted = list->offset + list->limit + list->paged;
    if (list->wanted > PLACES_MAX)
        list->wanted = PLACES_MAX;
    list->spans = window_set_at(list->windows, list->now_ms);
    buffer_init(&list->without, WITHOUT_MAX);
    buffer_init(&list->texts, TEXTS_MAX);
    buffer_init(&list->own_category, CATEGORY_ROOM);
    list_rules_init(list);
    if (list->item.at && list->kind != LIST_RANKING)
        list_without(list, item_ref(list->serve->hash_key, list->site, list->item));
}

void list_without(struct list *list, ref_t item) {
    buffer_add(&list->without, &item, sizeof item);
}

void list_release(struct list *list) {
    value_release((struct shared_value *)list->rules);
    buffer_release(&list->without);
    buffer_release(&list->texts);
    buffer_release(&list->own_category);
    spread_free(list->spread);
    for (size_t i = 0; i < list->placed_count; i++)
        recent_item_release(list->placed[i].item);
    for (uint32_t i = 0; i < list->snapshot_count; i++)
        value_release((struct shared_value *)list->snapshots[i]);
    free(list->snapshots);
    free(list->supply.suggestions);
    free(list->candidates);
    free(list->slots);
    free(list->refs);
    free(list->numbers);
    free(list->placed);
    free(list->tables);
}

void list_end(struct list *list, enum outcome outcome) {
    if (list->texts.failed || list->without.failed)
        outcome = UNAVAILABLE;
    list->on_done(list, outcome);
}

static void on_rules(struct shared_wait *wait, struct shared_value *rules) {
    struct list *list = (struct list *)((char *)wait - offsetof(struct list, rules_wait));
    list->rules = (struct rules *)rules;
    if (rules)
        source_start(list);
    else
        list_end(list, UNAVAILABLE);
}

void list_start(struct list *list) {
    list->rules_wait.on_value = on_rules;
    rules_get(list->serve, list->site, &list->rules_wait);
}

// ---- States

void list_read_items(struct list *list, const ref_t *items, size_t count,
                     void (*on_item)(struct items_read *read, size_t index, struct recent_item *item),
                     void (*on_done)(struct items_read *read, enum outcome outcome)) {
    list->items = (struct items_read){
        .serve = list->serve, .age.max_ms = list->age.max_ms, .on_item = on_item, .on_done = on_done, .context = list};
    items_read_start(&list->items, items, count);
}

static void log_unusable(void) {
    static uint64_t logged_ns;
    if (log_is_due(&logged_ns))
        log_error("an item's data in Redis is not usable; it is left out of lists");
}

static bool is_too_old(const struct list *list, const struct item_state *state) {
    int64_t oldest_ms = list->kind == LIST_RANKING ? list->ranking->oldest_age_ms : 0;
    return oldest_ms && state->published_ms && list->now_ms - state->published_ms > oldest_ms;
}

static void note_unfit(const struct candidate *candidate) {
    if (candidate->entry)
        candidate->entry->unfit = true;
}

// An item that has grown too old gets no event that would remove it: a record in the log has the projector do so. The
// sets of window rankings have all items.
static void note_too_old(struct list *list, const struct candidate *candidate) {
    if (candidate->group % GROUP_BURIED != GROUP_SOURCE)
        return; // too old for this ranking, but found in another
    list->left_short = true;
    note_unfit(candidate);
    if (list->ranking->kind != RANK_WINDOW && list->logged_again++ < LOGGED_AGAIN_MAX)
        store_log_card_again(list->serve->store, candidate->item);
}

// Lists of the same snapshot then leave it out without reading it.
static void note_facts(struct list *list, struct snapshot_entry *entry, const struct facts *facts) {
    for (uint32_t i = 0; entry && i < list->snapshot_count; i++) {
        struct snapshot_entries *entries = list->snapshots[i];
        if (entry >= entries->at && entry < entries->at + entries->count)
            snapshot_note_facts(entries, entry, facts);
    }
}

static bool is_asked_for(const struct list *list, const struct facts *facts) {
    return (!list->category.at || category_is_among(facts->categories, list->category)) &&
           (!list->author.at || bytes_eq(facts->author, list->author));
}

// A pin makes an item eligible that is too old or against the rules, but not one without a needed card, or of another
// category than the one that is asked for.
static bool is_eligible(struct list *list, const struct candidate *candidate, const struct item_state *state,
                        const struct facts *facts) {
    if (state->outcome != OK) {
        log_unusable();
        return false;
    }
    if (!state->known || !bytes_eq(state->site, list->site) || (list->rules->cards_only && !state->has_card)) {
        note_unfit(candidate);
        return false;
    }
    if (!is_asked_for(list, facts)) {
        note_facts(list, candidate->entry, facts);
        return false;
    }
    if (candidate_is_pinned(candidate))
        return true;
    if (is_too_old(list, state)) {
        note_too_old(list, candidate);
        return false;
    }
    if (rules_allow(&list->filter, facts, list->now_ms) && list_has_room(list, facts))
        return true;
    list->left_short = true;
    if (!rules_allow(&list->filter, facts, list->now_ms))
        note_facts(list, candidate->entry, facts);
    return false;
}

static void add_with_windows(struct list *list, struct placed *placed) {
    struct json_out json = json_out_to(&list->texts);
    placed->json_at = list->texts.len;
    recent_item_members(&json, placed->item, placed_id(placed), &list->spans);
    placed->json_len = list->texts.len - placed->json_at;
    struct bytes members = placed_json(list, placed);
    placed->digest = keyed_hash64(list->serve->hash_key, 'm', &members, 1);
}

static void on_state(struct items_read *read, size_t index, struct recent_item *item) {
    struct list *list = read->context;
    const struct item_state *state = &item->state;
    const struct candidate *candidate = &list->candidates[list->candidate_next + list->numbers[index]];
    struct facts facts = list_facts(state);
    if (!is_eligible(list, candidate, state, &facts))
        return;
    struct placed *placed = &list->placed[list->placed_count++];
    *placed = (struct placed){.candidate = *candidate, .item = item, .digest = item->digest};
    item->holders++;
    if (candidate_is_pinned(candidate)) {
        placed->pin = rules_find(list->rules, candidate->item);
        list->pin_count++;
    }
    if (list->spans.count)
        add_with_windows(list, placed);
}

static void on_states(struct items_read *read, enum outcome outcome) {
    struct list *list = read->context;
    made_age_join(&list->age, &read->age);
    list->candidate_next += list->batch;
    if (outcome == OK && !list->texts.failed && !list_spread(list))
        outcome = UNAVAILABLE;
    if (outcome != OK || list->texts.failed)
        list_end(list, outcome == OK ? UNAVAILABLE : outcome);
    else
        list_place(list);
}

// ---- Order

static int by_id(const struct placed *left, const struct placed *right) {
    return bytes_cmp(placed_id(left), placed_id(right));
}

static int by_place(const void *a, const void *b) {
    const struct placed *left = a, *right = b;
    if (left->pin && right->pin) { // of two in one slot the later pin comes first
        if (left->pin->pin != right->pin->pin)
            return left->pin->pin < right->pin->pin ? -1 : 1;
        if (left->pin->set_ms != right->pin->set_ms)
            return left->pin->set_ms > right->pin->set_ms ? -1 : 1;
        return by_id(left, right);
    }
    int worth = candidate_cmp(&left->candidate, &right->candidate);
    return worth ? worth : by_id(left, right);
}

// The pinned entries are the first ones, by slot. Merges them with the others, so that each takes its slot or the next
// free one.
static bool put_pins_into_slots(struct list *list) {
    size_t pins = 0, next_pin = 0, written = 0, count = list->placed_count;
    while (pins < count && list->placed[pins].pin)
        pins++;
    if (pins == 0)
        return true;
    struct placed *ordered = malloc(count * sizeof *ordered);
    if (!ordered)
        return false;
    for (size_t next = pins; written < count;) {
        bool due = next_pin < pins && (list->placed[next_pin].pin->pin <= written + 1 || next == count);
        ordered[written++] = list->placed[due ? next_pin++ : next++];
    }
    free(list->placed);
    list->placed = ordered;
    return true;
}

// Drops the entries before the offset and those behind the last place that is shown.
static void show_page(struct list *list) {
    size_t before = list->offset < list->placed_count ? list->offset : list->placed_count;
    size_t shown = list->placed_count - before < list->limit ? list->placed_count - before : list->limit;
    for (size_t i = 0; i < list->placed_count; i++)
        if (i < before || i >= before + shown)
            recent_item_release(list->placed[i].item);
    list->goes_on = list->paged && list->placed_count - before > list->limit && list->offset + list->limit < PLACES_MAX;
    if (before)
        memmove(list->placed, list->placed + before, shown * sizeof *list->placed);
    list->placed_count = shown;
}

// Most lists are placed in their order.
void list_sort(struct list *list, size_t first) {
    size_t sorted = first + 1;
    while (sorted < list->placed_count && by_place(&list->placed[sorted - 1], &list->placed[sorted]) <= 0)
        sorted++;
    if (sorted < list->placed_count)
        qsort(list->placed + first, list->placed_count - first, sizeof *list->placed, by_place);
}

static void finish(struct list *list) {
    list_sort(list, 0);
    bool fits = put_pins_into_slots(list);
    list->exact = list->has_window && window_is_exact(list);
    show_page(list);
    list_end(list, fits ? OK : UNAVAILABLE);
}

// ---- Batches

static bool make_capacity(struct list *list) {
    struct placed *placed = realloc(list->placed, (list->placed_count + list->batch) * sizeof *placed);
    if (placed)
        list->placed = placed;
    ref_t *refs = realloc(list->refs, list->batch * sizeof *refs);
    if (refs)
        list->refs = refs;
    uint32_t *numbers = realloc(list->numbers, list->batch * sizeof *numbers);
    if (numbers)
        list->numbers = numbers;
    return placed && refs && numbers;
}

// A batch does not end between candidates of equal value whose ids are not known: their states are needed to sort them.
static size_t batch_size(const struct list *list, size_t left, size_t wanted) {
    const struct candidate *next = list->candidates + list->candidate_next;
    if (wanted >= left)
        return left;
    size_t first = wanted;
    while (first > 0 && candidate_cmp(&next[first - 1], &next[wanted]) == 0)
        first--;
    if (candidate_has_id(&next[first]))
        return wanted;
    while (wanted < left && candidate_cmp(&next[wanted], &next[first]) == 0)
        wanted++;
    return wanted;
}

// How many of the wanted places are filled. A pin fills its slot or the next free one, also behind them.
static size_t count_filled(const struct list *list) {
    uint32_t pins[LIST_LIMIT_MAX + 1] = {0};
    size_t filled = 0, place = 0;
    if (list->pin_count == 0)
        return list->placed_count;
    for (size_t i = 0; i < list->placed_count; i++) {
        const struct rule *pin = list->placed[i].candidate.group == GROUP_PINNED ? list->placed[i].pin : NULL;
        if (pin)
            pins[pin->pin < LIST_LIMIT_MAX ? pin->pin : LIST_LIMIT_MAX]++;
        else
            filled++;
    }
    for (size_t slot = 1; slot <= LIST_LIMIT_MAX; slot++)
        for (; pins[slot]; pins[slot]--) {
            place = place < slot ? slot : place + 1;
            filled += place <= list->wanted;
        }
    return filled;
}

// Batches grow while many candidates are skipped.
static size_t wanted_size(const struct list *list) {
    size_t wanted = list->wanted - count_filled(list) + SLACK, twice = 2 * list->batch;
    return wanted > twice ? wanted : twice < BATCH_MAX ? twice : BATCH_MAX;
}

static void read_batch(struct list *list, size_t left) {
    list->batch = batch_size(list, left, wanted_size(list));
    if (!make_capacity(list)) {
        list_end(list, UNAVAILABLE);
        return;
    }
    list->ref_count = 0;
    for (uint32_t i = 0; i < list->batch; i++) {
        const struct candidate *candidate = &list->candidates[list->candidate_next + i];
        list->numbers[list->ref_count] = i;
        list->refs[list->ref_count] = candidate->item;
        list->ref_count += !candidate->left_out;
    }
    list_read_items(list, list->refs, list->ref_count, on_state, on_states);
}

// Rules may leave out so many candidates that the list stays short: then the metrics say so.
static bool add_more(struct list *list) {
    if (source_read_on(list))
        return true;
    if (list->candidate_next >= READ_MAX) {
        metric_add(METRIC_LISTS_CUT, list->placed_count < list->offset + list->limit);
        return false;
    }
    return list->filled && list->filter.fill != FILL_NONE && source_fill(list);
}

// A longer list would have other entries before it: it is buried, pinned behind, or of a lower value, after its boost,
// than what has not been read.
static bool comes_later(const struct list *list, const struct candidate *candidate) {
    return candidate->group >= GROUP_BURIED || (candidate->group == GROUP_SOURCE && candidate->value < list->least);
}

size_t list_count_ready(const struct list *list) {
    size_t end = list->candidate_count;
    while (!list->sources_end && end > list->candidate_next && comes_later(list, &list->candidates[end - 1]))
        end--;
    end = end < READ_MAX ? end : READ_MAX;
    return end > list->candidate_next ? end - list->candidate_next : 0;
}

void list_place(struct list *list) {
    if (count_filled(list) >= list->wanted) {
        finish(list);
        return;
    }
    if (!supply_take(list, wanted_size(list))) {
        list_end(list, UNAVAILABLE);
        return;
    }
    size_t ready = list_count_ready(list);
    if (ready)
        read_batch(list, ready);
    else if (list->sources_end)
        finish(list);
    else if (!add_more(list)) {
        list->sources_end = true;
        list_place(list);
    }
}
