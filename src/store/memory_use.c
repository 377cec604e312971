// SPDX-License-Identifier: MIT
// How much memory Redis uses: of a Cluster each master is asked, and the fullest is told.
#include "store/operator_reads.h"
#include "store/reads.h"
#include <stdlib.h>

enum { AT_MEMORY, AT_STATS, AT_PERSISTENCE, QUESTIONS };
static const char *const sections[QUESTIONS] = {"memory", "stats", "persistence"};

struct memory_state {
    struct read_state read;
    void (*on_memory)(struct read_call *call, const struct redis_memory_use *use);
};

// ---- Replies

// The number of a line "name:number" of INFO; 0 when there is no such line.
static uint64_t info_number(struct bytes text, const char *name) {
    const char *found = text.len ? memmem(text.at, text.len, name, strlen(name)) : NULL;
    return found ? strtoull(found + strlen(name), NULL, 10) : 0;
}

static double part_used(const struct redis_memory_use *use) {
    return use->max ? (double)use->used / (double)use->max : 0;
}

static void add_master(struct redis_memory_use *use, const struct redis_memory_use *one) {
    bool first = use->masters++ == 0;
    double part = part_used(one), most = part_used(use);
    use->used_by_all += one->used;
    use->evicted += one->evicted;
    use->append_only = one->append_only && (first || use->append_only);
    if (!first && (part < most || (part == most && one->used <= use->used)))
        return;
    use->used = one->used;
    use->max = one->max;
}

static void on_info(struct pipeline *pipeline) {
    struct memory_state *state = pipeline->context;
    enum outcome outcome = pipeline_outcome(pipeline);
    struct redis_memory_use use = {.all_told = outcome == OK};
    for (uint32_t i = 0; i + QUESTIONS <= pipeline->count; i += QUESTIONS) {
        struct bytes memory = reply_text(pipeline->at[i + AT_MEMORY].reply);
        struct bytes stats = reply_text(pipeline->at[i + AT_STATS].reply);
        struct bytes persistence = reply_text(pipeline->at[i + AT_PERSISTENCE].reply);
        struct redis_memory_use one = {.used = info_number(memory, "\nused_memory:"),
                                       .max = info_number(memory, "\nmaxmemory:"),
                                       .evicted = info_number(stats, "\nevicted_keys:"),
                                       .append_only = info_number(persistence, "\naof_enabled:") != 0};
        if (memory.len && stats.len && persistence.len)
            add_master(&use, &one);
    }
    if (use.masters)
        state->on_memory(state->read.call, &use);
    read_end(pipeline, outcome);
}

// ---- Questions

static void count_master(void *context, struct node *node) {
    (void)node;
    ++*(uint32_t *)context;
}

static void ask_master(void *context, struct node *node) {
    struct pipeline *pipeline = context;
    struct store *store = ((struct memory_state *)pipeline->context)->read.store;
    for (int i = 0; i < QUESTIONS; i++) {
        command_add_text(begin_command(store, "INFO"), sections[i]);
        pipeline_add_to(pipeline, store->router, node, &store->command);
    }
}

void store_read_memory(struct store *store, struct read_call *call,
                       void (*on_memory)(struct read_call *call, const struct redis_memory_use *use)) {
    uint32_t masters = 0;
    router_each_master(store->router, count_master, &masters);
    if (masters == 0) { // the map of the Cluster is not known yet
        read_fail(store, call);
        return;
    }
    struct pipeline *pipeline =
        read_begin(store, call, (size_t)masters * QUESTIONS, sizeof(struct memory_state), on_info);
    if (!pipeline)
        return;
    ((struct memory_state *)pipeline->context)->on_memory = on_memory;
    router_each_master(store->router, ask_master, pipeline);
}
