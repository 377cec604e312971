// SPDX-License-Identifier: MIT
// Reads the states of many items: record, card and sums of each, and its number of visitors.
//
// What costs Redis is the number of commands, so the four keys of all items are one MGET, or where a call may touch
// one partition only (a Cluster) one for each partition. MGET takes a key of a wrong type for one that is not there,
// and a Cluster that moves a slot refuses it (TRYAGAIN). So a second round asks for single keys: those that were not
// found though they may be there, and those of a refused MGET.
//
// Whoever has read an item before passes what was read (`known`): a card that has the same bytes is not checked again,
// and the visitors of the same sums are not counted again.
#include "model/first_event.h"
#include "model/item.h"
#include "model/sketch.h"
#include "model/sums.h"
#include "ops/json_in.h"
#include "ops/metrics.h"
#include "redis/redirect.h"
#include "store/reads.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { AT_RECORD, AT_CARD, AT_SUMS, AT_VISITORS, KEYS_PER_ITEM };
enum { TEXTS_MAX = 1 << 20 };

struct one {
    ref_t item;
    uint32_t index; // among the items of the call
    const struct item_state *known;
    bool bad;                            // a key of it can't be read
    uint64_t visitors;                   // by its sketch; 0: it has none
    bool asked[KEYS_PER_ITEM];           // in the second round
    const redisReply *at[KEYS_PER_ITEM]; // NULL: not asked, or no answer
};

struct items_state {
    struct read_state read; // first
    void (*on_item)(struct read_call *call, size_t index, const struct item_state *item);
    struct pipeline *first; // while the second round is under way
    bool urgent;
    size_t count;
    struct one items[]; // those of one command stand together
};

// Adds the base, "views votes votes …" as lua/put.lua stores it.
void add_base(struct bytes base, struct item_state *item) {
    const char *at = base.at;
    char *end;
    if (base.len == 0)
        return;
    item->views += strtoull(at, &end, 10);
    for (size_t i = 0; i < KINDS_MAX && end != at; i++) {
        at = end;
        item->votes[i] += strtoull(at, &end, 10);
    }
}

// ---- One item

static bool is_text(const redisReply *reply) {
    return reply && reply->type == REDIS_REPLY_STRING;
}

// INTERNAL when the record is not usable, UNAVAILABLE without memory for the check.
static enum outcome take_record(const struct one *one, struct arena *texts, struct item_state *item) {
    struct item record;
    item->known = is_text(one->at[AT_RECORD]);
    if (!item->known)
        return OK;
    if (!item_unpack(reply_text(one->at[AT_RECORD]), &record))
        return INTERNAL;
    item->id = record.id;
    item->site = record.site;
    struct groups groups = groups_split(record.groups);
    item->categories = groups.categories;
    item->author = groups.author;
    item->published_ms = record.published_ms;
    item->has_card = record.has_card && is_text(one->at[AT_CARD]);
    item->card = item->has_card ? reply_text(one->at[AT_CARD]) : NO_BYTES;
    memcpy(item->votes, record.votes, sizeof item->votes);
    add_base(record.base, item);
    bool checked = one->known && bytes_eq(one->known->card, item->card);
    enum outcome outcome = checked ? OK : json_check_members(item->card); // invalid JSON would break every list with it
    if (outcome == OK && !groups.has_author)
        outcome = card_author(item->card, texts, &item->author);
    return outcome == OK || outcome == UNAVAILABLE ? outcome : INTERNAL;
}

static bool same_sums(const struct one *one) {
    return one->known && one->known->known && bytes_eq(one->known->sums, reply_text(one->at[AT_SUMS]));
}

static uint64_t visitors_of(const struct one *one, const struct sums *sums) {
    return same_sums(one) ? one->known->visitors : one->visitors ? one->visitors : sums->early.count;
}

static bool take_sums(const struct store *store, const struct one *one, struct sums *sums, struct item_state *item) {
    item->sums = reply_text(one->at[AT_SUMS]);
    if (!sums_unpack(item->sums, &store->plan.lives, sums))
        return false;
    item->views += sums->signals[SIGNAL_VIEWS].count;
    item->visitors = visitors_of(one, sums);
    item->series = &sums->series;
    if (item->published_ms == 0) // else nobody asks
        item->first_ms = first_event_ms(&sums->series);
    return true;
}

static void take_item(const struct store *store, const struct one *one, struct arena *texts, struct sums *sums,
                      struct item_state *item) {
    *item = (struct item_state){.outcome = OK};
    item->outcome = one->bad ? INTERNAL : take_record(one, texts, item);
    if (item->outcome == OK && item->known && !take_sums(store, one, sums, item))
        item->outcome = INTERNAL;
    if (item->outcome == INTERNAL)
        metric_add(METRIC_BAD_STATES, 1);
}

// Counts the visitors of the sketch, unless they were counted already.
static void take_sketch(struct one *one) {
    if (is_text(one->at[AT_VISITORS]) && !same_sums(one) &&
        !sketch_count(reply_text(one->at[AT_VISITORS]), &one->visitors))
        one->bad = true;
}

static int by_index(const void *a, const void *b) {
    const struct one *left = a, *right = b;
    return (left->index > right->index) - (left->index < right->index);
}

static void end(struct pipeline *last, enum outcome outcome) {
    struct items_state *state = last->context;
    struct arena texts;
    arena_init(&texts, TEXTS_MAX);
    if (store_cuts_by_partition(state->read.store))
        qsort(state->items, state->count, sizeof state->items[0], by_index);
    for (size_t i = 0; outcome == OK && i < state->count; i++) {
        struct item_state item;
        struct sums sums;
        take_sketch(&state->items[i]);
        take_item(state->read.store, &state->items[i], &texts, &sums, &item);
        if (item.outcome == UNAVAILABLE)
            outcome = UNAVAILABLE;
        else
            state->on_item(state->read.call, state->items[i].index, &item);
    }
    arena_release(&texts);
    if (state->first)
        pipeline_free(state->first);
    read_end(last, outcome);
}

// ---- The second round

static void key_of(const struct one *one, int which, struct key *key) {
    static void (*const keys[KEYS_PER_ITEM])(struct key *, ref_t) = {
        [AT_RECORD] = key_item, [AT_CARD] = key_card, [AT_SUMS] = key_sums, [AT_VISITORS] = key_uniques};
    keys[which](key, one->item);
}

static void on_second(struct pipeline *pipeline) {
    struct items_state *state = pipeline->context;
    uint32_t next = 0;
    for (size_t i = 0; i < state->count; i++)
        for (int which = 0; which < KEYS_PER_ITEM; which++)
            if (state->items[i].asked[which]) {
                const struct pipelined *answer = &pipeline->at[next++];
                state->items[i].bad |= answer->outcome != OK;
                state->items[i].at[which] = answer->outcome == OK ? answer->reply : NULL;
            }
    end(pipeline, read_outcome(pipeline));
}

// Decides what is still to be asked of an item. Returns how much.
static uint32_t look_again(struct one *one) {
    const redisReply *found = one->at[AT_RECORD];
    struct item record;
    if (!found) { // its MGET was refused
        memset(one->asked, true, sizeof one->asked);
        return KEYS_PER_ITEM;
    }
    bool usable = is_text(found) && item_unpack(reply_text(found), &record);
    one->asked[AT_RECORD] = !is_text(found);
    one->asked[AT_CARD] = usable && record.has_card && !is_text(one->at[AT_CARD]);
    one->asked[AT_SUMS] = usable && !is_text(one->at[AT_SUMS]) && !same_sums(one);
    bool told = is_text(one->at[AT_VISITORS]) || same_sums(one) || sums_tell_visitors(reply_text(one->at[AT_SUMS]));
    one->asked[AT_VISITORS] = !is_text(one->at[AT_VISITORS]) && (one->asked[AT_SUMS] || (usable && !told));
    uint32_t count = 0;
    for (int which = 0; which < KEYS_PER_ITEM; which++)
        count += one->asked[which];
    return count;
}

static struct pipeline *begin_second(struct items_state *state, struct pipeline *first, uint32_t commands) {
    struct pipeline *pipeline = pipeline_new(commands, on_second, state);
    if (!pipeline)
        return NULL;
    pipeline->urgent = state->urgent;
    state->first = first;
    return pipeline;
}

static void ask_again(struct pipeline *pipeline) {
    struct items_state *state = pipeline->context;
    for (size_t i = 0; i < state->count; i++)
        for (int which = 0; which < KEYS_PER_ITEM; which++)
            if (state->items[i].asked[which]) {
                struct key key;
                key_of(&state->items[i], which, &key);
                read_ask(pipeline, "GET", &key);
            }
}

// ---- The first round

static bool is_divided(const struct pipelined *answer) {
    const redisReply *reply = answer->reply;
    return answer->outcome != OK && reply && reply->type == REDIS_REPLY_ERROR &&
           error_meaning_of(reply->str)->kind == ERROR_TRYAGAIN;
}

// Where the items of one command end that begin at `begin`.
static size_t end_of_run(const struct items_state *state, size_t begin) {
    const struct one *items = state->items;
    if (!store_cuts_by_partition(state->read.store))
        return state->count;
    uint32_t partition = partition_of(items[begin].item, keys_partitions());
    size_t end = begin + 1;
    while (end < state->count && partition_of(items[end].item, keys_partitions()) == partition)
        end++;
    return end;
}

static void take_run(struct items_state *state, size_t begin, size_t end, const struct pipelined *answer) {
    for (size_t i = begin; i < end; i++) {
        struct one *one = &state->items[i];
        for (int which = 0; which < KEYS_PER_ITEM; which++)
            one->at[which] =
                answer->outcome == OK ? reply_at(answer->reply, (i - begin) * KEYS_PER_ITEM + (size_t)which) : NULL;
        one->bad = !one->at[AT_SUMS] && !is_divided(answer);
    }
}

// OK when each MGET was answered, or refused because its keys are on two nodes.
static enum outcome first_outcome(const struct pipeline *pipeline) {
    for (uint32_t i = 0; i < pipeline->count; i++) {
        enum outcome outcome = pipeline->at[i].outcome;
        if (outcome != OK && outcome != INTERNAL && !is_divided(&pipeline->at[i]))
            return outcome;
    }
    return OK;
}

static void on_first(struct pipeline *pipeline) {
    struct items_state *state = pipeline->context;
    enum outcome outcome = first_outcome(pipeline);
    uint32_t more = 0;
    size_t begin = 0;
    for (uint32_t i = 0; outcome == OK && i < pipeline->count; i++) {
        size_t end = end_of_run(state, begin);
        take_run(state, begin, end, &pipeline->at[i]);
        for (; begin < end; begin++)
            more += state->items[begin].bad ? 0 : look_again(&state->items[begin]);
    }
    struct pipeline *second = outcome == OK && more ? begin_second(state, pipeline, more) : NULL;
    if (second)
        ask_again(second);
    else
        end(pipeline, more && outcome == OK ? UNAVAILABLE : outcome);
}

static void ask_run(struct pipeline *pipeline, const struct one *items, size_t count) {
    struct store *store = ((struct read_state *)pipeline->context)->store;
    begin_command(store, "MGET");
    for (size_t i = 0; i < count; i++)
        for (int which = 0; which < KEYS_PER_ITEM; which++) {
            struct key key;
            key_of(&items[i], which, &key);
            add_key(store, &key);
        }
    store->command.divisible = true;
    read_add(pipeline);
}

static int by_partition(const void *a, const void *b) {
    const struct one *left = a, *right = b;
    uint32_t one = partition_of(left->item, keys_partitions()), other = partition_of(right->item, keys_partitions());
    return one != other ? (one > other) - (one < other) : by_index(a, b);
}

static struct items_state *state_new(struct store *store, struct read_call *call, const ref_t *items,
                                     const struct item_state *const *known, size_t count) {
    struct items_state *state = calloc(1, sizeof *state + count * sizeof state->items[0]);
    if (!state)
        return NULL;
    state->read = (struct read_state){store, call};
    state->count = count;
    for (size_t i = 0; i < count; i++) {
        state->items[i].item = items[i];
        state->items[i].index = (uint32_t)i;
        state->items[i].known = known ? known[i] : NULL;
    }
    if (store_cuts_by_partition(store))
        qsort(state->items, count, sizeof state->items[0], by_partition);
    return state;
}

static uint32_t count_runs(const struct items_state *state) {
    uint32_t runs = 0;
    for (size_t i = 0; i < state->count; i = end_of_run(state, i))
        runs++;
    return runs;
}

static void read_items(struct items_state *state, struct pipeline *pipeline) {
    pipeline->urgent = state->urgent;
    for (size_t begin = 0, run_end; begin < state->count; begin = run_end) {
        run_end = end_of_run(state, begin);
        ask_run(pipeline, state->items + begin, run_end - begin);
    }
}

static void begin(struct store *store, struct read_call *call, const ref_t *items,
                  const struct item_state *const *known, size_t count, bool urgent,
                  void (*on_item)(struct read_call *call, size_t index, const struct item_state *item)) {
    struct items_state *state = count ? state_new(store, call, items, known, count) : NULL;
    struct pipeline *pipeline = state ? pipeline_new(count_runs(state), on_first, state) : NULL;
    metric_add(METRIC_ITEM_READS, count);
    if (!pipeline) {
        free(state);
        count ? read_fail(store, call) : read_nothing(store, call);
        return;
    }
    state->on_item = on_item;
    state->urgent = urgent;
    read_items(state, pipeline);
}

void store_read_items(struct store *store, struct read_call *call, const ref_t *items, size_t count,
                      void (*on_item)(struct read_call *call, size_t index, const struct item_state *item)) {
    begin(store, call, items, NULL, count, false, on_item);
}

void store_reread_items(struct store *store, struct read_call *call, const ref_t *items,
                        const struct item_state *const *known, size_t count,
                        void (*on_item)(struct read_call *call, size_t index, const struct item_state *item)) {
    begin(store, call, items, known, count, false, on_item);
}

void store_look_item(struct store *store, struct read_call *call, const ref_t *item,
                     void (*on_item)(struct read_call *call, size_t index, const struct item_state *item)) {
    begin(store, call, item, NULL, 1, true, on_item);
}
