// SPDX-License-Identifier: MIT
// Reads for rankings of the type window: the sets of a few periods with what was left out of them, and the sums of many
// items. Both are one pipeline. The sums of a partition are one command.
#include "model/period_ranking.h"
#include "store/list_reads.h"
#include "store/reads.h"
#include <stdlib.h>

// ---- Sets of periods

// A partition is asked for its plan; then for each period for the members of its set of items with a card and of the
// one of those without, if both are wanted, and for what was left out of these sets; then for its plan again, because
// other clients come between the commands of a pipeline: a rebuild may have begun or ended there.
enum { KINDS_OF_SET_MAX = 2 };

struct sets_state {
    struct read_state read;
    struct period at[PERIODS_READ_MAX];
    uint32_t periods, kinds;
    struct window_sets found;
    char gap_field[GAP_FIELD_SIZE];
    void (*on_member)(struct read_call *call, struct bytes id, double value);
    void (*on_sets)(struct read_call *call, const struct window_sets *sets);
};

static uint32_t answers_of(const struct sets_state *state) {
    return 2 + state->periods * (state->kinds + 1);
}

static void take_members(const struct sets_state *state, const struct pipelined *set) {
    const redisReply *reply = set->outcome == OK ? set->reply : NULL;
    for (size_t i = 0; reply && reply->type == REDIS_REPLY_ARRAY && i + 1 < reply->elements; i += 2) {
        double value = -reply_double(reply->element[i + 1]);
        if (isfinite(value) && value > 0)
            state->on_member(state->read.call, reply_text(reply->element[i]), value);
    }
}

// A text: minus the value. No text: nothing was left out.
static double cut_at(const redisReply *cuts, uint32_t kind) {
    const redisReply *text = cuts ? reply_at(cuts, kind) : NULL;
    double cut = text && text->type == REDIS_REPLY_STRING ? -reply_double(text) : 0;
    return isfinite(cut) && cut > 0 ? cut : 0;
}

// Since when the rankings of a partition are complete, in ms. -1: they are not.
static int64_t complete_since(const struct sets_state *state, const struct pipelined *at) {
    const redisReply *reply = at->outcome == OK ? at->reply : NULL;
    bool has_plan = bytes_eq(reply_text_at(reply, 0), bytes_of(state->read.store->plan.fingerprint));
    return has_plan && reply_text_at(reply, 1).len ? reply_int(reply_at(reply, 1)) : -1;
}

// A period that was closed before then was not filled up.
static bool is_complete(const struct sets_state *state, int64_t since_ms) {
    bool complete = since_ms >= 0;
    for (uint32_t i = 0; i < state->periods; i++)
        complete = complete && !period_is_closed(state->at[i], since_ms);
    return complete;
}

static int64_t gap_of(const struct pipelined *at) {
    const redisReply *reply = at->outcome == OK ? at->reply : NULL;
    return reply_text_at(reply, 2).len ? reply_int(reply_at(reply, 2)) : 0;
}

// `at`: the replies of one partition.
static void take_partition(struct sets_state *state, const struct pipelined *at) {
    double cuts[KINDS_OF_SET_MAX][PERIODS_READ_MAX] = {{0}};
    int64_t since_ms = complete_since(state, at), gap_ms = gap_of(at++);
    for (uint32_t period = 0; period < state->periods; period++, at += state->kinds + 1) {
        for (uint32_t i = 0; i <= state->kinds; i++)
            state->found.complete &= at[i].outcome == OK;
        for (uint32_t kind = 0; kind < state->kinds; kind++) {
            take_members(state, &at[kind]);
            cuts[kind][period] = cut_at(at[state->kinds].reply, kind);
        }
    }
    state->found.complete &= is_complete(state, since_ms) && complete_since(state, at) == since_ms;
    if (gap_ms > state->found.gap_ms)
        state->found.gap_ms = gap_ms;
    for (uint32_t kind = 0; kind < state->kinds; kind++)
        state->found.left_out = fmax(state->found.left_out, cuts_sum(cuts[kind], state->periods));
}

static void on_sets(struct pipeline *pipeline) {
    struct sets_state *state = pipeline->context;
    enum outcome outcome = read_outcome(pipeline);
    for (uint32_t i = 0; outcome == OK && i < pipeline->count; i += answers_of(state))
        take_partition(state, &pipeline->at[i]);
    if (outcome == OK)
        state->on_sets(state->read.call, &state->found);
    read_end(pipeline, outcome);
}

static void ask_plan(struct pipeline *pipeline, uint32_t partition) {
    struct sets_state *state = pipeline->context;
    struct store *store = state->read.store;
    struct key key;
    key_offsets(&key, partition);
    begin_command(store, "HMGET");
    add_key(store, &key);
    command_add_text(&store->command, "plan");
    command_add_text(&store->command, "since");
    command_add_text(&store->command, state->gap_field);
    read_add(pipeline);
}

static void ask_members(struct pipeline *pipeline, uint32_t partition, const struct ranking_at *at) {
    struct store *store = ((struct read_state *)pipeline->context)->store;
    struct key key;
    ranking_key(at, partition, &key);
    begin_command(store, "ZRANGE");
    add_key(store, &key);
    command_add_int(&store->command, 0);
    command_add_int(&store->command, -1);
    command_add_text(&store->command, "WITHSCORES");
    read_add(pipeline);
}

static void ask_period(struct pipeline *pipeline, uint32_t partition, struct ranking_at at) {
    struct sets_state *state = pipeline->context;
    struct store *store = state->read.store;
    char names[KINDS_OF_SET_MAX][RANKING_NAME_MAX];
    size_t lengths[KINDS_OF_SET_MAX];
    struct key key;
    for (uint32_t kind = 0; kind < state->kinds; kind++) {
        at.no_card = kind > 0;
        lengths[kind] = ranking_name(&at, names[kind]);
        ask_members(pipeline, partition, &at);
    }
    key_period_cutoffs(&key, partition, at.period);
    begin_command(store, "HMGET");
    add_key(store, &key);
    for (uint32_t kind = 0; kind < state->kinds; kind++)
        command_add(&store->command, (struct bytes){names[kind], lengths[kind]});
    read_add(pipeline);
}

void store_read_window_sets(struct store *store, struct read_call *call, const struct window_sets_question *question,
                            void (*on_member)(struct read_call *call, struct bytes id, double value),
                            void (*on_all)(struct read_call *call, const struct window_sets *sets)) {
    struct sets_state asked = {.periods = question->period_count,
                               .kinds = question->cards_only || question->category ? 1 : KINDS_OF_SET_MAX,
                               .found.complete = true,
                               .on_member = on_member,
                               .on_sets = on_all};
    struct pipeline *pipeline =
        read_begin(store, call, (size_t)keys_partitions() * answers_of(&asked), sizeof asked, on_sets);
    if (!pipeline)
        return;
    struct sets_state *state = pipeline->context;
    asked.read = state->read;
    gap_field(question->site, asked.gap_field);
    memcpy(asked.at, question->periods, question->period_count * sizeof *asked.at);
    *state = asked;
    for (uint32_t partition = 0; partition < keys_partitions(); partition++) {
        ask_plan(pipeline, partition);
        for (uint32_t i = 0; i < question->period_count; i++)
            ask_period(pipeline, partition,
                       (struct ranking_at){.site = question->site,
                                           .name = question->ranking,
                                           .category = question->category,
                                           .period = question->periods[i]});
        ask_plan(pipeline, partition);
    }
}

// ---- Sums of many items: one command for each partition, whose items stand together

struct sums_state {
    struct read_state read;
    const ref_t *items;
    size_t count;
    void (*on_sums)(struct read_call *call, size_t index, const struct sums *sums);
};

// Where the items of one partition end that begin at `begin`.
static size_t end_of_run(const ref_t *items, size_t count, size_t begin) {
    uint32_t partition = partition_of(items[begin], keys_partitions());
    while (begin < count && partition_of(items[begin], keys_partitions()) == partition)
        begin++;
    return begin;
}

static void give_sums(const struct sums_state *state, size_t begin, size_t end, const redisReply *reply) {
    for (size_t i = begin; reply && i < end; i++) {
        struct bytes packed = reply_text_at(reply, i - begin);
        struct sums sums;
        if (packed.at && sums_unpack(packed, &state->read.store->plan.lives, &sums))
            state->on_sums(state->read.call, i, &sums);
    }
}

static void on_sums(struct pipeline *pipeline) {
    struct sums_state *state = pipeline->context;
    enum outcome outcome = read_outcome(pipeline);
    size_t begin = 0;
    for (uint32_t i = 0; outcome == OK && i < pipeline->count; i++) {
        size_t end = end_of_run(state->items, state->count, begin);
        give_sums(state, begin, end, pipeline->at[i].reply);
        begin = end;
    }
    read_end(pipeline, outcome);
}

static void ask_sums(struct pipeline *pipeline, const ref_t *items, size_t count) {
    struct store *store = ((struct read_state *)pipeline->context)->store;
    begin_command(store, "MGET");
    for (size_t i = 0; i < count; i++) {
        struct key key;
        key_sums(&key, items[i]);
        add_key(store, &key);
    }
    read_add(pipeline);
}

void store_read_sums(struct store *store, struct read_call *call, const ref_t *items, size_t count,
                     void (*on_one)(struct read_call *call, size_t index, const struct sums *sums)) {
    size_t runs = 0;
    for (size_t i = 0; i < count; i = end_of_run(items, count, i))
        runs++;
    struct pipeline *pipeline = read_begin(store, call, runs, sizeof(struct sums_state), on_sums);
    if (!pipeline)
        return;
    struct sums_state *state = pipeline->context;
    state->items = items;
    state->count = count;
    state->on_sums = on_one;
    for (size_t i = 0, end; i < count; i = end) {
        end = end_of_run(items, count, i);
        ask_sums(pipeline, items + i, end - i);
    }
}
