// SPDX-License-Identifier: MIT
// The editorial rules of a site: one small hash per site, written by lua/editorial.lua and read whole.
#include "store/rules.h"
#include "base/clock.h"
#include "store/reads.h"
#include <inttypes.h>
#include <stdlib.h>

// ---- Writing

struct editorial_state {
    struct read_state read;
};

static void on_written(struct pipeline *pipeline) {
    enum outcome outcome = pipeline->at[0].outcome;
    if (outcome == OK && reply_int(pipeline->at[0].reply) != 1)
        outcome = EDITORIAL_FULL;
    read_end(pipeline, outcome);
}

static void add_value(struct store *store, const struct editorial_call *editorial) {
    struct buffer value;
    buffer_init(&value, EDITORIAL_JSON_MAX + 32);
    if (editorial->keeps_block)
        buffer_add_bytes(&value, BYTES("block"));
    if (editorial->json.len) {
        buffer_addf(&value, "%" PRId64 " ", editorial->until_ms);
        buffer_add_bytes(&value, editorial->json);
    }
    command_add(&store->command, buffer_bytes(&value));
    store->command.bytes.failed |= value.failed; // an incomplete value must not be sent
    buffer_release(&value);
}

void store_set_editorial(struct store *store, struct read_call *call, const struct editorial_call *editorial) {
    struct pipeline *pipeline = read_begin(store, call, 1, sizeof(struct editorial_state), on_written);
    char field[17];
    struct key key;
    if (!pipeline)
        return;
    snprintf(field, sizeof field, "%016" PRIx64, editorial->item);
    script_begin(&store->command, SCRIPT_EDITORIAL, 1);
    key_editorial(&key, editorial->site);
    add_key(store, &key);
    command_add_text(&store->command, field);
    command_add_int(&store->command, clock_now_ms());
    command_add_int(&store->command, EDITORIAL_MAX);
    add_value(store, editorial);
    pipeline_add_write(pipeline, store->router, &store->command);
}

// ---- Reading

struct rules_state {
    struct read_state read;
    void (*on_rule)(struct read_call *call, ref_t item, int64_t until_ms, struct bytes json);
};

static void take_rule(struct rules_state *state, struct bytes field, struct bytes value) {
    char *end;
    if (field.len != 16 || value.len == 0)
        return;
    int64_t until_ms = strtoll(value.at, &end, 10);
    size_t taken = (size_t)(end - value.at);
    if (taken == 0 || taken + 2 > value.len || *end != ' ')
        return;
    struct bytes json = {end + 1, value.len - taken - 1};
    state->on_rule(state->read.call, strtoull(field.at, NULL, 16), until_ms, json);
}

static void on_rules(struct pipeline *pipeline) {
    struct rules_state *state = pipeline->context;
    const redisReply *reply = pipeline->at[0].reply;
    enum outcome outcome = pipeline->at[0].outcome;
    size_t count = outcome == OK && reply->type == REDIS_REPLY_ARRAY ? reply->elements : 0;
    for (size_t i = 0; i + 1 < count; i += 2)
        take_rule(state, reply_text_at(reply, i), reply_text_at(reply, i + 1));
    read_end(pipeline, outcome == INTERNAL ? OK : outcome); // a key of a wrong type counts as no rules
}

void store_read_editorial(struct store *store, struct read_call *call, ref_t site,
                          void (*on_rule)(struct read_call *call, ref_t item, int64_t until_ms, struct bytes json)) {
    struct pipeline *pipeline = read_begin(store, call, 1, sizeof(struct rules_state), on_rules);
    struct key key;
    if (!pipeline)
        return;
    ((struct rules_state *)pipeline->context)->on_rule = on_rule;
    key_editorial(&key, site);
    begin_command(store, "HGETALL");
    add_key(store, &key);
    read_add(pipeline);
}
