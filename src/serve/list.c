// SPDX-License-Identifier: MIT
// From candidates to a list: states are read in batches, what is gone or too old is passed over, until enough are
// placed; then they are put in order (by group, value, and id where values are equal), and pins into their slots.
#include "base/clock.h"
#include "ops/log.h"
#include "serve/serve_inside.h"
#include <stdlib.h>

enum { CANDIDATES_MAX = 4096, SLACK = 10, TEXTS_MAX = 8 << 20, WITHOUT_MAX = 1 << 20 };
enum { SLOT_COUNT = 2 * CANDIDATES_MAX, BATCH_MAX = 256, LOGGED_AGAIN_MAX = 64 };

// ---- Life

void list_init(struct list *list) {
    list->now_ms = clock_now_ms();
    buffer_init(&list->without, WITHOUT_MAX);
    buffer_init(&list->texts, TEXTS_MAX);
    if (list->item.at && list->kind != LIST_RANKING)
        list_without(list, item_ref(list->serve->hash_key, list->site, list->item));
}

void list_without(struct list *list, ref_t item) {
    buffer_add(&list->without, &item, sizeof item);
}

void list_release(struct list *list) {
    value_release((struct value *)list->marks);
    buffer_release(&list->without);
    buffer_release(&list->texts);
    for (uint32_t i = 0; i < list->places_count; i++)
        value_release((struct value *)list->places[i]);
    free(list->candidates);
    free(list->slots);
    free(list->refs);
    free(list->placed);
    free(list->tables);
}

void list_end(struct list *list, enum outcome outcome) {
    if (list->texts.failed || list->without.failed)
        outcome = UNAVAILABLE;
    list->on_done(list, outcome);
}

static void on_rules(struct shared_wait *wait, struct value *marks) {
    struct list *list = (struct list *)((char *)wait - offsetof(struct list, rules_wait));
    list->marks = (struct marks *)marks;
    if (marks)
        source_start(list);
    else
        list_end(list, UNAVAILABLE);
}

void list_start(struct list *list) {
    list->rules_wait.on_value = on_rules;
    rules_get(list->serve, list->site, &list->rules_wait);
}

// ---- Candidates

static bool is_excluded(const struct list *list, ref_t item) {
    const ref_t *without = (const ref_t *)(const void *)list->without.at;
    for (size_t i = 0; i < list->without.len / sizeof item; i++)
        if (without[i] == item)
            return true;
    return false;
}

// Where an item stands in the slots, or the free one where it would.
static size_t slot_of(const struct list *list, ref_t item) {
    size_t slot = (size_t)(item >> 20) % SLOT_COUNT;
    while (list->slots[slot] && list->candidates[list->slots[slot] - 1].item != item)
        slot = (slot + 1) % SLOT_COUNT;
    return slot;
}

static struct candidate *find(const struct list *list, ref_t item) {
    uint16_t index = list->slots ? list->slots[slot_of(list, item)] : 0;
    return index ? &list->candidates[index - 1] : NULL;
}

bool candidate_is_there(const struct list *list, ref_t item) {
    return find(list, item) != NULL;
}

static bool in_force(const struct list *list, const struct mark *mark) {
    return mark && (mark->until_ms == 0 || mark->until_ms > list->now_ms);
}

bool rule_holds(const struct list *list, const struct mark *mark) {
    return in_force(list, mark) && (mark->lists & 1u << list->kind);
}

static bool is_pinned(const struct list *list, const struct mark *mark) {
    return rule_holds(list, mark) && !mark->block && mark->pin >= 1 && mark->pin <= list->limit;
}

// A factor on a sum is a summand on its logarithm.
static void apply_rule(const struct list *list, const struct mark *mark, struct candidate *candidate,
                       bool logarithmic) {
    if (!rule_holds(list, mark))
        return;
    candidate->score *= mark->boost;
    if (logarithmic)
        candidate->value += log2(mark->boost);
    else
        candidate->value *= mark->boost;
    if (mark->bury)
        candidate->group += GROUP_BURIED;
}

static bool make_slots(struct list *list) {
    if (!list->slots)
        list->slots = calloc(SLOT_COUNT, sizeof *list->slots);
    return list->slots != NULL;
}

static void index_anew(struct list *list) {
    memset(list->slots, 0, SLOT_COUNT * sizeof *list->slots);
    for (size_t i = 0; i < list->candidate_count; i++)
        list->slots[slot_of(list, list->candidates[i].item)] = (uint16_t)(i + 1);
}

static bool append(struct list *list, const struct candidate *candidate) {
    if (!make_slots(list))
        return false;
    if (list->candidate_count % 64 == 0) {
        struct candidate *grown = realloc(list->candidates, (list->candidate_count + 64) * sizeof *grown);
        if (!grown)
            return false;
        list->candidates = grown;
    }
    size_t slot = slot_of(list, candidate->item);
    list->candidates[list->candidate_count++] = *candidate;
    list->slots[slot] = (uint16_t)list->candidate_count;
    return true;
}

bool candidate_add(struct list *list, struct candidate candidate, bool logarithmic) {
    const struct mark *mark = rules_find(list->marks, candidate.item);
    struct candidate *there = find(list, candidate.item);
    if (there && !there->place)
        there->place = candidate.place;
    if (list->candidate_count == CANDIDATES_MAX || there || is_excluded(list, candidate.item))
        return true;
    if (in_force(list, mark) && mark->block)
        return true;
    apply_rule(list, mark, &candidate, logarithmic);
    return append(list, &candidate);
}

// Pinned items come first whatever they are worth; those that no source named are added.
static bool add_pins(struct list *list) {
    for (size_t i = 0; i < list->marks->count; i++) {
        const struct mark *mark = &list->marks->at[i];
        struct candidate pinned = {.item = mark->item};
        if (!is_pinned(list, mark) || is_excluded(list, mark->item))
            continue;
        struct candidate *there = find(list, mark->item);
        if (!there && !append(list, &pinned))
            return false;
        there = there ? there : find(list, mark->item);
        there->group = GROUP_PINNED;
        there->value = -(double)mark->pin;
        there->reason = "pinned";
    }
    return true;
}

static int by_worth(const struct candidate *left, const struct candidate *right) {
    if (left->group != right->group)
        return left->group < right->group ? -1 : 1;
    return (left->value < right->value) - (left->value > right->value);
}

// The ids of what an order named are known beforehand. Of two pins on a slot it is not the id that decides.
static bool has_snapshot(const struct candidate *candidate) {
    return candidate->place && candidate->group != GROUP_PINNED;
}

// Equal ones whose order is not known yet come first.
static int by_worth_and_id(const void *a, const void *b) {
    const struct candidate *left = a, *right = b;
    int worth = by_worth(left, right);
    if (worth || (!has_snapshot(left) && !has_snapshot(right)))
        return worth;
    if (has_snapshot(left) != has_snapshot(right))
        return has_snapshot(left) ? 1 : -1;
    return bytes_cmp(left->place->id, right->place->id);
}

// ---- States

static void log_unusable(void) {
    static uint64_t logged_ns;
    if (log_is_due(&logged_ns))
        log_error("an item's data in Redis is not usable; it is left out of lists");
}

static bool has_category(struct bytes categories, struct bytes wanted) {
    while (categories.len) {
        const char *end = memchr(categories.at, 0x1f, categories.len);
        struct bytes one = {categories.at, end ? (size_t)(end - categories.at) : categories.len};
        if (bytes_eq(one, wanted))
            return true;
        size_t taken = one.len + (end != NULL);
        categories.at += taken;
        categories.len -= taken;
    }
    return false;
}

static bool is_too_old(const struct list *list, const struct item_state *state) {
    int64_t oldest_ms = list->kind == LIST_RANKING ? list->ranking->oldest_age_ms : 0;
    return oldest_ms && state->published_ms && list->now_ms - state->published_ms > oldest_ms;
}

static void note_unfit(const struct candidate *candidate) {
    if (candidate->place)
        candidate->place->unfit = true;
}

// No event comes to an item that has grown too old: the projector is told to take it out of its ranking.
static void note_too_old(struct list *list, const struct candidate *candidate) {
    if (candidate->group % GROUP_BURIED != GROUP_SOURCE)
        return; // it is too old for this ranking, and was found in another
    note_unfit(candidate);
    if (list->logged_again++ < LOGGED_AGAIN_MAX)
        store_log_card_again(list->serve->store, candidate->item);
}

// A pin is an editor's word, but not for an item that has no card or is not in the category.
static bool is_eligible(struct list *list, const struct candidate *candidate, const struct item_state *state) {
    if (state->outcome != OK) {
        log_unusable();
        return false;
    }
    if (!state->known || !bytes_eq(state->site, list->site) || (list->marks->cards_only && !state->has_card)) {
        note_unfit(candidate);
        return false;
    }
    if (list->category.at && !has_category(state->categories, list->category))
        return false;
    if (candidate->group == GROUP_PINNED || !is_too_old(list, state))
        return true;
    note_too_old(list, candidate);
    return false;
}

static void on_state(struct read_call *call, size_t index, const struct item_state *state) {
    struct list *list = call->context;
    const struct candidate *candidate = &list->candidates[list->candidate_next + index];
    if (!is_eligible(list, candidate, state))
        return;
    struct placed *placed = &list->placed[list->placed_count++];
    struct json_out json = json_out_to(&list->texts);
    *placed = (struct placed){.candidate = *candidate, .id_at = list->texts.len, .id_len = state->id.len};
    if (candidate->group == GROUP_PINNED)
        placed->pin = rules_find(list->marks, candidate->item);
    buffer_add_bytes(&list->texts, state->id);
    placed->json_at = list->texts.len;
    item_members(&json, list->serve->settings, state->id, state);
    placed->json_len = list->texts.len - placed->json_at;
}

static void on_states(struct read_call *call, enum outcome outcome) {
    struct list *list = call->context;
    list->candidate_next += list->batch;
    if (outcome != OK || list->texts.failed)
        list_end(list, outcome == OK ? UNAVAILABLE : outcome);
    else
        list_place(list);
}

// ---- Order

static const char *sorted_texts; // of the list that is being sorted: qsort has no context

static int by_id(const struct placed *left, const struct placed *right) {
    return bytes_cmp((struct bytes){sorted_texts + left->id_at, left->id_len},
                     (struct bytes){sorted_texts + right->id_at, right->id_len});
}

static int by_place(const void *a, const void *b) {
    const struct placed *left = a, *right = b;
    if (left->pin && right->pin) { // of two on a slot the later goes first
        if (left->pin->pin != right->pin->pin)
            return left->pin->pin < right->pin->pin ? -1 : 1;
        if (left->pin->set_ms != right->pin->set_ms)
            return left->pin->set_ms > right->pin->set_ms ? -1 : 1;
        return by_id(left, right);
    }
    int worth = by_worth(&left->candidate, &right->candidate);
    return worth ? worth : by_id(left, right);
}

// The pinned stand first, by slot: each goes behind as many others as its slot leaves room for.
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

static void finish(struct list *list) {
    sorted_texts = list->texts.at;
    if (list->placed_count)
        qsort(list->placed, list->placed_count, sizeof *list->placed, by_place);
    bool fits = put_pins_into_slots(list);
    if (list->placed_count > list->limit)
        list->placed_count = list->limit;
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
    return placed && refs;
}

// Candidates of equal value stay in one batch where only their states say what settles their order.
static size_t batch_size(const struct list *list, size_t left, size_t wanted) {
    const struct candidate *next = list->candidates + list->candidate_next;
    if (wanted >= left)
        return left;
    size_t first = wanted;
    while (first > 0 && by_worth(&next[first - 1], &next[wanted]) == 0)
        first--;
    if (has_snapshot(&next[first]))
        return wanted;
    while (wanted < left && by_worth(&next[wanted], &next[first]) == 0)
        wanted++;
    return wanted;
}

// Where many are passed over the batches grow.
static size_t wanted_size(const struct list *list) {
    size_t wanted = list->limit - list->placed_count + SLACK, twice = 2 * list->batch;
    return wanted > twice ? wanted : twice < BATCH_MAX ? twice : BATCH_MAX;
}

static void read_batch(struct list *list, size_t left) {
    list->batch = batch_size(list, left, wanted_size(list));
    if (!make_capacity(list)) {
        list_end(list, UNAVAILABLE);
        return;
    }
    for (size_t i = 0; i < list->batch; i++)
        list->refs[i] = list->candidates[list->candidate_next + i].item;
    list->call = (struct read_call){.on_done = on_states, .context = list};
    store_read_items(list->serve->store, &list->call, list->refs, list->batch, on_state);
}

// The newly added of each source in order; pins with the first.
static bool settle(struct list *list) {
    if (list->candidate_next == 0 && !add_pins(list))
        return false;
    size_t left = list->candidate_count - list->candidate_next;
    if (left > 1) {
        qsort(list->candidates + list->candidate_next, left, sizeof *list->candidates, by_worth_and_id);
        index_anew(list);
    }
    return true;
}

static bool add_more(struct list *list) {
    return source_read_on(list) || (list->filled && source_fill(list));
}

void list_place(struct list *list) {
    if (!settle(list)) {
        list_end(list, UNAVAILABLE);
        return;
    }
    size_t left = list->candidate_count - list->candidate_next;
    if (list->placed_count < list->limit && left)
        read_batch(list, left);
    else if (list->placed_count >= list->limit || !add_more(list))
        finish(list);
}
