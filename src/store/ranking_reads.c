// SPDX-License-Identifier: MIT
// Reads over all partitions: the top of a ranking, the number of cards, a site's total popularity, its series.
#include "base/clock.h"
#include "model/sums.h"
#include "ops/metrics.h"
#include "store/list_reads.h"
#include "store/reads.h"
#include <stdlib.h>

static void add_ranking_key(struct store *store, uint32_t partition, const struct ranking_at *at) {
    struct key key;
    ranking_key(at, partition, &key);
    add_key(store, &key);
}

// ---- The top of a ranking

struct top_state {
    struct read_state read;
    size_t max, each, kept; // numbers of items: asked for, asked of one set, kept in one set
    void (*on_top)(struct read_call *call, const struct ranked *list, size_t count, bool whole);
};

// Reads the members and scores of one partition, which alternate. A score is minus the value. Leaves out a score that
// is not a number.
static size_t take_list(const redisReply *reply, struct ranked *ret_list) {
    size_t count = 0;
    for (size_t i = 0; reply && reply->type == REDIS_REPLY_ARRAY && i + 1 < reply->elements; i += 2) {
        double value = -reply_double(reply->element[i + 1]);
        if (isfinite(value))
            ret_list[count++] = (struct ranked){reply_text(reply->element[i]), value};
    }
    return count;
}

static size_t merge(const struct pipeline *pipeline, size_t max, struct ranked *capacity, struct ranked *ret_list) {
    const struct ranked *lists[pipeline->count];
    size_t lengths[pipeline->count];
    for (uint32_t i = 0; i < pipeline->count; i++) {
        lists[i] = capacity;
        lengths[i] = take_list(pipeline->at[i].reply, capacity);
        capacity += lengths[i];
    }
    return merge_tops(lists, lengths, pipeline->count, ret_list, max);
}

static void on_tops(struct pipeline *pipeline) {
    struct top_state *state = pipeline->context;
    enum outcome outcome = read_outcome(pipeline); // a key of a wrong type leaves its partition out
    size_t elements = 0;
    bool whole = true;
    for (uint32_t i = 0; i < pipeline->count; i++) {
        size_t places = pipeline->at[i].reply ? pipeline->at[i].reply->elements / 2 : 0;
        elements += places;
        whole &= places < state->each && places < state->kept;
    }
    whole &= elements < state->max;
    struct ranked *capacity = malloc((elements + state->max + 1) * sizeof *capacity);
    if (!capacity)
        outcome = UNAVAILABLE;
    if (outcome == OK) {
        struct ranked *merged = capacity + elements;
        size_t count = merge(pipeline, state->max, capacity, merged);
        state->on_top(state->read.call, merged, count, whole);
    }
    free(capacity);
    read_end(pipeline, outcome);
}

static void ask_tops(struct top_state *state, struct pipeline *pipeline, const struct ranking_at *at) {
    struct store *store = state->read.store;
    for (uint32_t i = 0; i < keys_partitions(); i++) {
        begin_command(store, "ZRANGE");
        add_ranking_key(store, i, at);
        command_add_int(&store->command, 0);
        command_add_int(&store->command, (int64_t)state->each - 1);
        command_add_text(&store->command, "WITHSCORES");
        read_add(pipeline);
    }
}

uint32_t newest_kept(void) {
    return ranking_bound(NEWEST_DEPTH, keys_partitions());
}

// How many items a set has for certain, if there are so many.
static uint32_t kept_of(struct bytes ranking, const ref_t *category) {
    bool by_author = bytes_eq(ranking, BYTES(AUTHOR_NAME)) || bytes_eq(ranking, BYTES(UNREAD_NAME));
    if (bytes_eq(ranking, BYTES(NEWEST_NAME)))
        return newest_kept();
    return ranking_bound(category && !by_author ? CATEGORY_DEPTH : RANKING_DEPTH, keys_partitions());
}

void store_read_top(struct store *store, struct read_call *call, ref_t site, struct bytes ranking,
                    const ref_t *category, bool cards_only, size_t max,
                    void (*on_top)(struct read_call *call, const struct ranked *list, size_t count, bool whole)) {
    struct ranking_at at = {.site = site, .name = ranking, .category = category};
    bool both = !cards_only && !category;
    uint32_t sets = (both ? 2 : 1) * keys_partitions();
    struct pipeline *pipeline = read_begin(store, call, sets, sizeof(struct top_state), on_tops);
    if (!pipeline)
        return;
    struct top_state *state = pipeline->context;
    size_t bound = ranking_bound(RANKING_DEPTH, keys_partitions()), kept = kept_of(ranking, category);
    size_t deepest = kept > bound ? kept : bound; // a set may lack items below this rank
    state->max = max;
    state->each = max < deepest ? max : deepest;
    state->kept = kept;
    state->on_top = on_top;
    ask_tops(state, pipeline, &at);
    at.no_card = true;
    if (both)
        ask_tops(state, pipeline, &at);
}

// ---- The number of a site's cards

struct cards_state {
    struct read_state read;
    void (*on_count)(struct read_call *call, uint64_t cards);
};

static void on_cards(struct pipeline *pipeline) {
    struct cards_state *state = pipeline->context;
    enum outcome outcome = read_outcome(pipeline);
    uint64_t cards = 0;
    for (uint32_t i = 0; outcome == OK && i < pipeline->count; i++)
        cards += (uint64_t)reply_int(pipeline->at[i].reply);
    if (outcome == OK)
        state->on_count(state->read.call, cards);
    read_end(pipeline, outcome);
}

void store_count_cards(struct store *store, struct read_call *call, ref_t site,
                       void (*on_count)(struct read_call *call, uint64_t cards)) {
    struct ranking_at at = {.site = site, .name = BYTES(NEWEST_NAME)};
    struct pipeline *pipeline = read_begin(store, call, keys_partitions(), sizeof(struct cards_state), on_cards);
    if (!pipeline)
        return;
    ((struct cards_state *)pipeline->context)->on_count = on_count;
    for (uint32_t i = 0; i < keys_partitions(); i++) {
        begin_command(store, "ZCARD");
        add_ranking_key(store, i, &at);
        read_add(pipeline);
    }
}

// ---- Wrong places in rankings

static void on_logged_again(struct redis_call *call) {
    freeReplyObject(call->reply);
    free(call);
}

// Writes the log record of a card whose categories have not changed (model/entry.h).
void store_log_card_again(struct store *store, ref_t item) {
    struct redis_call *call = malloc(sizeof *call);
    struct key key;
    char record[sizeof(double) + 1 + sizeof item + sizeof(uint16_t)] = {0};
    double now_ms = (double)clock_now_ms();
    if (!call)
        return;
    call->on_reply = on_logged_again;
    memcpy(record, &now_ms, sizeof now_ms);
    record[sizeof now_ms] = 'C';
    memcpy(record + sizeof now_ms + 1, &item, sizeof item);
    key_log(&key, partition_of(item, keys_partitions()));
    begin_command(store, "XADD");
    add_key(store, &key);
    store->command.needs_open = true;
    command_add_text(&store->command, "*");
    command_add_text(&store->command, "1");
    command_add(&store->command, (struct bytes){record, sizeof record});
    send_command(store, call);
}

// ---- A site's total popularity

struct total_state {
    struct read_state read;
    void (*on_total)(struct read_call *call, double total);
};

static void on_totals(struct pipeline *pipeline) {
    struct total_state *state = pipeline->context;
    const struct plan *plan = &state->read.store->plan;
    enum outcome outcome = read_outcome(pipeline);
    double total = DECAY_EMPTY;
    for (uint32_t i = 0; i < pipeline->count; i++) {
        struct sums sums;
        if (sums_unpack(reply_text(pipeline->at[i].reply), &plan->lives, &sums) && sums.signals[SIGNAL_VIEWS].count > 0)
            total = decay_add(total, sums.signals[SIGNAL_VIEWS].sum[plan->popular_life]);
    }
    if (outcome == OK)
        state->on_total(state->read.call, total);
    read_end(pipeline, outcome);
}

static void ask_totals(struct pipeline *pipeline, ref_t site) {
    for (uint32_t i = 0; i < keys_partitions(); i++) {
        struct key key;
        key_site_total(&key, i, site);
        read_ask(pipeline, "GET", &key);
    }
}

void store_read_site_total(struct store *store, struct read_call *call, ref_t site,
                           void (*on_total)(struct read_call *call, double total)) {
    struct pipeline *pipeline = read_begin(store, call, keys_partitions(), sizeof(struct total_state), on_totals);
    if (!pipeline)
        return;
    ((struct total_state *)pipeline->context)->on_total = on_total;
    ask_totals(pipeline, site);
}

// ---- A site's counts by time

struct site_series_state {
    struct read_state read;
    void (*on_series)(struct read_call *call, const struct series *series);
};

// A partition that does not answer fails the read: a sum without it would be wrong and not look so.
static void on_site_series(struct pipeline *pipeline) {
    struct site_series_state *state = pipeline->context;
    enum outcome outcome = read_outcome(pipeline);
    for (uint32_t i = 0; outcome == OK && i < pipeline->count; i++) {
        struct sums sums;
        bool usable = pipeline->at[i].outcome == OK &&
                      sums_unpack(reply_text(pipeline->at[i].reply), &state->read.store->plan.lives, &sums);
        if (!usable)
            metric_add(METRIC_BAD_STATES, 1);
        state->on_series(state->read.call, usable ? &sums.series : NULL);
    }
    read_end(pipeline, outcome);
}

void store_read_site_series(struct store *store, struct read_call *call, ref_t site,
                            void (*on_series)(struct read_call *call, const struct series *series)) {
    struct pipeline *pipeline =
        read_begin(store, call, keys_partitions(), sizeof(struct site_series_state), on_site_series);
    if (!pipeline)
        return;
    ((struct site_series_state *)pipeline->context)->on_series = on_series;
    ask_totals(pipeline, site);
}
