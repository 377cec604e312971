// SPDX-License-Identifier: MIT
// Reads the states of many items: record, card and sums of each, and its number of visitors.
//
// What costs Redis is the number of commands, so the four keys of all items are one MGET, or where a call may touch
// one partition only (a Cluster) one for each partition. MGET takes a key of a wrong type for one that is not there,
// and a Cluster that moves a slot refuses it (TRYAGAIN). So a second round asks for single keys: those that were not
// found though they may be there, and those of a refused MGET.
//
// Of those that Redis is to watch (store/tracking.h) it watches two keys, record and sums, as it pays for each:
// whatever writes a card writes the record, too, and the visitors count with the sums. These two are read before the
// others, so what is written between changes a key that is watched. Nothing is promised of what a second round finds.
//
// Whoever has read an item before passes what was read (`known`): a card that has the same bytes is not checked again,
// and the visitors of the same sums and the same sketch are not counted again.
#include "model/item.h"
#include "ops/metrics.h"
#include "redis/redirect.h"
#include "store/item_take.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { TEXTS_MAX = 1 << 20 };

struct items_state {
    struct read_state read; // first
    void (*on_item)(struct read_call *call, size_t index, const struct item_state *item);
    struct pipeline *first; // while the second round is under way
    bool urgent;            // it is not held with the reads when the queue is full
    size_t count;
    struct item_read items[]; // those of one command stand together
};

static int by_index(const void *a, const void *b) {
    const struct item_read *left = a, *right = b;
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
        item_take_sketch(state->read.store, &state->items[i]);
        item_take(state->read.store, &state->items[i], &texts, &sums, &item);
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

static void key_of(const struct item_read *one, int which, struct key *key) {
    static void (*const keys[KEYS_PER_ITEM])(struct key *, ref_t) = {
        [AT_RECORD] = key_item, [AT_CARD] = key_card, [AT_SUMS] = key_sums, [AT_VISITORS] = key_uniques};
    keys[which](key, one->item);
}

static void promise_nothing(const struct item_read *one) {
    if (one->track)
        one->track->session = 0;
}

// What was not there when it was watched, and is not there now, is as Redis has promised.
static void take_again(struct item_read *one, int which, const struct pipelined *answer) {
    bool good = answer->outcome == OK;
    one->bad |= !good;
    one->at[which] = good ? answer->reply : NULL;
    if (!good || answer->reply->type != REDIS_REPLY_NIL)
        promise_nothing(one);
}

static void on_second(struct pipeline *pipeline) {
    struct items_state *state = pipeline->context;
    uint32_t next = 0;
    for (size_t i = 0; i < state->count; i++)
        for (int which = 0; which < KEYS_PER_ITEM; which++)
            if (state->items[i].asked[which])
                take_again(&state->items[i], which, &pipeline->at[next++]);
    end(pipeline, read_outcome(pipeline));
}

// Decides what is still to be asked of an item. Returns how much.
static uint32_t look_again(struct item_read *one) {
    const redisReply *found = one->at[AT_RECORD];
    struct item record;
    if (!found) { // its MGET was refused
        memset(one->asked, true, sizeof one->asked);
        return KEYS_PER_ITEM;
    }
    bool usable = is_text(found) && item_unpack(reply_text(found), &record);
    one->asked[AT_RECORD] = !is_text(found);
    one->asked[AT_CARD] = usable && record.has_card && !is_text(one->at[AT_CARD]);
    one->asked[AT_SUMS] = usable && !is_text(one->at[AT_SUMS]) && !item_same_sums(one);
    bool told = is_text(one->at[AT_VISITORS]) || (item_same_sums(one) && !one->known->sketch) ||
                sums_tell_visitors(reply_text(one->at[AT_SUMS]));
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
    const struct item_read *items = state->items;
    if (!store_cuts_by_partition(state->read.store))
        return state->count;
    uint32_t partition = partition_of(items[begin].item, keys_partitions());
    size_t end = begin + 1;
    while (end < state->count && partition_of(items[end].item, keys_partitions()) == partition)
        end++;
    return end;
}

// Whether a key of the item is in the command of those that are watched, or in the other one.
static bool is_in(const struct item_read *one, int which, bool watched) {
    return (one->track && which < KEYS_WATCHED) == watched;
}

// Returns how many keys of the answer were there to be taken.
static size_t take_keys(struct items_state *state, size_t begin, size_t end, bool watched,
                        const struct pipelined *answer) {
    size_t taken = 0;
    for (size_t i = begin; i < end; i++)
        for (int which = 0; which < KEYS_PER_ITEM; which++)
            if (is_in(&state->items[i], which, watched)) {
                const redisReply *reply = answer->outcome == OK ? reply_at(answer->reply, taken) : NULL;
                state->items[i].at[which] = reply;
                state->items[i].bad |= !reply && !is_divided(answer);
                taken++;
            }
    return taken;
}

// Returns the next answer.
static const struct pipelined *take_run(struct items_state *state, size_t begin, size_t end,
                                        const struct pipelined *answer) {
    answer += take_keys(state, begin, end, true, answer) > 0;
    take_keys(state, begin, end, false, answer);
    return answer + 1;
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
    const struct pipelined *answer = pipeline->at;
    for (size_t begin = 0; outcome == OK && begin < state->count;) {
        size_t end = end_of_run(state, begin);
        answer = take_run(state, begin, end, answer);
        for (; begin < end; begin++) {
            struct item_read *one = &state->items[begin];
            if (one->bad || !one->at[AT_RECORD])
                promise_nothing(one);
            more += one->bad ? 0 : look_again(one);
        }
    }
    struct pipeline *second = outcome == OK && more ? begin_second(state, pipeline, more) : NULL;
    if (second)
        ask_again(second);
    else
        end(pipeline, more && outcome == OK ? UNAVAILABLE : outcome);
}

static void ask_keys(struct pipeline *pipeline, const struct item_read *items, size_t count, bool watched) {
    struct store *store = ((struct read_state *)pipeline->context)->store;
    begin_command(store, "MGET");
    for (size_t i = 0; i < count; i++)
        for (int which = 0; which < KEYS_PER_ITEM; which++)
            if (is_in(&items[i], which, watched)) {
                struct key key;
                key_of(&items[i], which, &key);
                add_key(store, &key);
            }
    store->command.divisible = true;
    store->command.tracked = watched;
    if (command_count(&store->command) > 1)
        read_add(pipeline);
}

static void ask_run(struct pipeline *pipeline, const struct item_read *items, size_t count) {
    ask_keys(pipeline, items, count, true);
    ask_keys(pipeline, items, count, false);
}

static int by_partition(const void *a, const void *b) {
    const struct item_read *left = a, *right = b;
    uint32_t one = partition_of(left->item, keys_partitions()), other = partition_of(right->item, keys_partitions());
    return one != other ? (one > other) - (one < other) : by_index(a, b);
}

// NULL: there is nothing to read, or no memory; then the call ends without it.
static struct items_state *state_new(struct store *store, struct read_call *call, size_t count,
                                     void (*on_item)(struct read_call *call, size_t index,
                                                     const struct item_state *item)) {
    struct items_state *state = count ? calloc(1, sizeof *state + count * sizeof state->items[0]) : NULL;
    metric_add(METRIC_ITEM_READS, count);
    if (!state) {
        count ? read_fail(store, call) : read_nothing(store, call);
        return NULL;
    }
    state->read = (struct read_state){store, call};
    state->on_item = on_item;
    state->count = count;
    for (size_t i = 0; i < count; i++)
        state->items[i].index = (uint32_t)i;
    return state;
}

// Two for a run of which some are tracked.
static uint32_t count_commands(const struct items_state *state) {
    uint32_t commands = 0;
    for (size_t begin = 0, run_end; begin < state->count; begin = run_end, commands++) {
        run_end = end_of_run(state, begin);
        bool watched = false;
        for (size_t i = begin; i < run_end; i++)
            watched |= state->items[i].track != NULL;
        commands += watched;
    }
    return commands;
}

static void begin(struct items_state *state) {
    struct store *store = state->read.store;
    if (store_cuts_by_partition(store))
        qsort(state->items, state->count, sizeof state->items[0], by_partition);
    struct pipeline *pipeline = pipeline_new(count_commands(state), on_first, state);
    if (!pipeline) {
        read_fail(store, state->read.call);
        free(state);
        return;
    }
    pipeline->urgent = state->urgent;
    for (size_t at = 0, run_end; at < state->count; at = run_end) {
        run_end = end_of_run(state, at);
        ask_run(pipeline, state->items + at, run_end - at);
    }
}

static void read_refs(struct store *store, struct read_call *call, const ref_t *items, size_t count, bool urgent,
                      void (*on_item)(struct read_call *call, size_t index, const struct item_state *item)) {
    struct items_state *state = state_new(store, call, count, on_item);
    if (!state)
        return;
    state->urgent = urgent;
    for (size_t i = 0; i < count; i++)
        state->items[i].item = items[i];
    begin(state);
}

void store_read_items(struct store *store, struct read_call *call, const ref_t *items, size_t count,
                      void (*on_item)(struct read_call *call, size_t index, const struct item_state *item)) {
    read_refs(store, call, items, count, false, on_item);
}

void store_look_item(struct store *store, struct read_call *call, const ref_t *item,
                     void (*on_item)(struct read_call *call, size_t index, const struct item_state *item)) {
    read_refs(store, call, item, 1, true, on_item);
}

void store_reread_items(struct store *store, struct read_call *call, struct item_again *items, size_t count,
                        void (*on_item)(struct read_call *call, size_t index, const struct item_state *item)) {
    struct items_state *state = state_new(store, call, count, on_item);
    if (!state)
        return;
    for (size_t i = 0; i < count; i++) {
        state->items[i].item = items[i].item;
        state->items[i].known = items[i].known;
        state->items[i].track = items[i].track.session ? &items[i].track : NULL;
    }
    begin(state);
}
