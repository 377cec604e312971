// SPDX-License-Identifier: MIT
// Ends sets of rankings by period (period_sets.h).
#include "store/period_sets.h"
#include "base/clock.h"
#include "store/reads.h"

struct due_state {
    struct read_state read;
    void (*on_due)(struct read_call *call, struct bytes key);
};

static void on_due_read(struct pipeline *pipeline) {
    struct due_state *state = pipeline->context;
    const redisReply *keys = pipeline->at[0].reply;
    enum outcome outcome = pipeline_outcome(pipeline);
    for (size_t i = 0; outcome == OK && keys->type == REDIS_REPLY_ARRAY && i < keys->elements; i++)
        state->on_due(state->read.call, reply_text(keys->element[i]));
    read_end(pipeline, outcome);
}

void store_read_due(struct store *store, struct read_call *call, uint32_t partition,
                    void (*on_due)(struct read_call *call, struct bytes key)) {
    struct pipeline *pipeline = read_begin(store, call, 1, sizeof(struct due_state), on_due_read);
    struct key key;
    if (!pipeline)
        return;
    ((struct due_state *)pipeline->context)->on_due = on_due;
    key_periods(&key, partition);
    begin_command(store, "ZRANGE");
    add_key(store, &key);
    command_add_text(&store->command, "-inf");
    command_add_int(&store->command, clock_now_ms());
    command_add_text(&store->command, "BYSCORE");
    command_add_text(&store->command, "LIMIT");
    command_add_int(&store->command, 0);
    command_add_int(&store->command, DUE_AT_ONCE);
    read_add(pipeline);
}

// ---- What becomes of them

struct period_end {
    const char *action;
    int64_t due_ms; // again
    struct period period;
};

static struct period_end end_of(struct bytes text, int64_t now_ms) {
    enum period_key kind;
    struct period_end end = {.action = "forget"};
    if (!key_parse_period(text, &kind, &end.period))
        return end;
    int64_t expiry_ms = period_expiry_ms(end.period);
    if (kind == PERIOD_KEY_PART)
        expiry_ms = period_due_ms(end.period);
    end.due_ms = now_ms < period_due_ms(end.period) ? period_due_ms(end.period) : expiry_ms;
    end.action = now_ms >= expiry_ms                                             ? "remove"
                 : kind == PERIOD_KEY_SET && now_ms >= period_due_ms(end.period) ? "cut"
                                                                                 : "keep";
    return end;
}

// The set's name among the cutoffs: what stands behind its tag, without the period.
static void add_name(struct command *command, struct bytes text) {
    char name[KEY_TEXT_MAX];
    const char *begin = memchr(text.at, '}', text.len),
               *at = begin ? memchr(begin, '@', (size_t)(text.at + text.len - begin)) : NULL;
    const char *end = text.at + text.len, *colon = at ? memchr(at, ':', (size_t)(end - at)) : NULL;
    size_t len = at ? (size_t)(at - begin) - 2 : 0, rest = colon ? (size_t)(end - colon) : 0;
    if (at)
        memcpy(name, begin + 2, len);
    if (colon)
        memcpy(name + len, colon, rest);
    command_add(command, (struct bytes){name, len + rest});
}

struct end_state {
    struct read_state read;
    void (*on_lost)(struct read_call *call);
};

static void on_ended(struct pipeline *pipeline) {
    struct end_state *state = pipeline->context;
    enum outcome outcome = pipeline_outcome(pipeline);
    if (outcome == OK && reply_int(pipeline->at[0].reply))
        state->on_lost(state->read.call);
    read_end(pipeline, outcome);
}

void store_end_periods(struct store *store, struct read_call *call, uint32_t partition, const struct due_set *sets,
                       size_t count, void (*on_lost)(struct read_call *call)) {
    struct pipeline *pipeline = read_begin(store, call, 1, sizeof(struct end_state), on_ended);
    int64_t now_ms = clock_now_ms();
    struct key key;
    if (!pipeline)
        return;
    ((struct end_state *)pipeline->context)->on_lost = on_lost;
    script_begin(&store->command, SCRIPT_PERIODS, 3 + 2 * (uint32_t)count);
    key_periods(&key, partition);
    add_key(store, &key);
    key_applied(&key, partition, PROJECTION_SUMS);
    add_key(store, &key);
    key_offsets(&key, partition);
    add_key(store, &key);
    for (size_t i = 0; i < count; i++) {
        struct period_end end = end_of(key_bytes(&sets[i].key), now_ms);
        command_add(&store->command, key_bytes(&sets[i].key));
        if (end.period.grain != GRAIN_HOUR)
            key_period_cutoffs(&key, partition, end.period);
        add_key(store, &key);
    }
    command_add_int(&store->command, (int64_t)version_new());
    command_add_int(&store->command, now_ms);
    for (size_t i = 0; i < count; i++) {
        struct bytes text = key_bytes(&sets[i].key);
        struct period_end end = end_of(text, now_ms);
        command_add_text(&store->command, end.action);
        command_add_int(&store->command, end.due_ms);
        add_name(&store->command, text);
        command_add_int(&store->command, ranking_bound(PERIOD_DEPTH, keys_partitions()));
    }
    pipeline_add(pipeline, store->router, &store->command);
}
