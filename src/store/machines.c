// SPDX-License-Identifier: MIT
// The list of the machines on this store, and who works which projection (lua/machines.lua).
#include "store/machines.h"
#include "base/clock.h"
#include "store/reads.h"
#include <inttypes.h>
#include <stdio.h>

struct beat_state {
    struct read_state read;
    struct machines *told;
};

// In the order of the reply.
enum {
    AT_WAIT,
    AT_NEWEST,
    AT_NEWEST_NAME,
    AT_COUNT,
    AT_UNTOLD,
    AT_UNTOLD_NAME,
    AT_PLANS,
    AT_IDLE,
    AT_IDLE_NAME,
    AT_MACHINES
};

static void read_text(const redisReply *reply, size_t at, char *ret_text, size_t size) {
    struct bytes text = reply_text_at(reply, at);
    size_t len = text.len < size ? text.len : size - 1;
    for (size_t i = 0; i < len; i++)
        ret_text[i] = (char)(text.at[i] >= ' ' && text.at[i] <= '~' ? text.at[i] : '?');
    ret_text[len] = 0;
}

static void read_machine(const redisReply *reply, size_t at, struct machine *ret_machine) {
    struct bytes instance = reply_text_at(reply, at);
    uint64_t id = 0;
    if (instance.len)
        id = strtoull(instance.at, NULL, 16);
    *ret_machine = (struct machine){.instance = id};
    read_text(reply, at + 1, ret_machine->name, sizeof ret_machine->name);
}

static void on_told(struct pipeline *pipeline) {
    struct beat_state *state = pipeline->context;
    enum outcome outcome = pipeline_outcome(pipeline);
    const redisReply *reply = pipeline->at[0].reply;
    struct machines *told = state->told;
    if (outcome == OK && told) {
        told->wait_ms = (uint64_t)reply_int(reply_at(reply, AT_WAIT));
        told->count = (uint32_t)reply_int(reply_at(reply, AT_COUNT));
        told->untold = (uint32_t)reply_int(reply_at(reply, AT_UNTOLD));
        read_text(reply, AT_UNTOLD_NAME, told->untold_name, sizeof told->untold_name);
        read_text(reply, AT_PLANS, told->plans, sizeof told->plans);
        told->idle = (uint32_t)reply_int(reply_at(reply, AT_IDLE));
        read_text(reply, AT_IDLE_NAME, told->idle_name, sizeof told->idle_name);
        read_machine(reply, AT_NEWEST, &told->newest);
        for (size_t i = 0; i < PROJECTION_COUNT; i++)
            read_machine(reply, AT_MACHINES + 2 * i, &told->at_work[i]);
    }
    read_end(pipeline, outcome);
}

static void begin(struct store *store, const struct machine_record *own, bool leaves) {
    struct key key;
    char instance[17];
    snprintf(instance, sizeof instance, "%016" PRIx64, own->instance);
    script_begin(&store->command, SCRIPT_MACHINES, 2);
    key_meta(&key);
    add_key(store, &key);
    key_machines(&key);
    add_key(store, &key);
    command_add_text(&store->command, instance);
    command_add_int(&store->command, (int64_t)own->generation);
    command_add(&store->command, own->plan);
    command_add_int(&store->command, clock_now_ms());
    command_add_int(&store->command, store->settings->kind_count);
    command_add_text(&store->command, own->name);
    command_add_text(&store->command, leaves ? "release" : "");
    command_add_text(&store->command, own->unwell ? "0" : "1");
    command_add_text(&store->command, own->plans);
    command_add_text(&store->command, own->waits_no_more ? "" : "1");
    for (size_t i = 0; i < PROJECTION_COUNT; i++)
        command_add_text(&store->command, projection_name((enum projection)i));
}

static void send_beat(struct store *store, struct read_call *call, const struct machine_record *own,
                      struct machines *ret_told) {
    struct pipeline *pipeline = read_begin(store, call, 1, sizeof(struct beat_state), on_told);
    if (!pipeline)
        return;
    ((struct beat_state *)pipeline->context)->told = ret_told;
    begin(store, own, !ret_told);
    pipeline_add_write(pipeline, store->router, &store->command);
}

void store_beat(struct store *store, struct read_call *call, const struct machine_record *own,
                struct machines *ret_told) {
    send_beat(store, call, own, ret_told);
}

void store_leave(struct store *store, struct read_call *call, const struct machine_record *own) {
    send_beat(store, call, own, NULL);
}
