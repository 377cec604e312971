// SPDX-License-Identifier: MIT
// Waits until both projections have passed entries of the logs: for `?wait=true`, and for a deletion or an import,
// which must come after all that was acknowledged before it.
//
// All waits share one poll. It reads the offsets of both projections in every log; if there are new waits, it reads the
// last entry of every log before them. The projectors are woken from time to time while somebody waits.
#include "store/reads.h"
#include <stdlib.h>

enum { POLL_MS = 5, WAKE_AGAIN_MS = 100 };

struct wait {
    struct wait *next;
    struct read_call *call; // of the one who waits
    uint64_t until_ms;
    bool polled; // the poll under way began after this wait
    bool known;  // `entries` are known; if not, the first poll sets them to the ends of the logs
    enum outcome outcome;
    struct log_id entries[];
};

struct waits {
    struct store *store;
    struct wait *first;
    uv_timer_t timer;
    struct read_call poll;
    bool polling, stopping;
    uint64_t woken_ms; // when the projectors were woken last; 0: not for these waits
    void (*on_closed)(struct store *store);
    uint32_t partitions;
    bool *away;           // per partition: it did not answer the last poll
    struct log_id logs[]; // the last entry of each log, then the offset in each log that both projections have passed
};

static void poll_now(struct waits *waits);

static struct log_id *ends_of(struct waits *waits) {
    return waits->logs;
}

static struct log_id *passed_of(struct waits *waits) {
    return waits->logs + waits->partitions;
}

// ---- What a poll has found

static bool has_passed(struct waits *waits, const struct wait *wait) {
    for (uint32_t i = 0; i < waits->partitions; i++)
        if (log_id_order(passed_of(waits)[i], wait->entries[i]) < 0)
            return false;
    return true;
}

// Whether it cannot be told if the wait has passed, because a partition is away. One that waits for all logs needs all.
static bool needs_one_away(const struct waits *waits, const struct wait *wait) {
    for (uint32_t i = 0; i < waits->partitions; i++)
        if (waits->away[i] && (!wait->known || !log_id_none(wait->entries[i])))
            return true;
    return false;
}

// True when the wait has ended; that is at its first poll at the earliest. After OVERLOADED the poll is repeated.
static bool settle(struct waits *waits, struct wait *wait, enum outcome outcome) {
    bool late = wait->polled && uv_now(waits->store->loop) >= wait->until_ms;
    if (outcome == OK && wait->polled && needs_one_away(waits, wait))
        outcome = UNAVAILABLE;
    if (outcome == OK && wait->polled && !wait->known) {
        memcpy(wait->entries, ends_of(waits), waits->partitions * sizeof *wait->entries);
        wait->known = true;
    }
    bool passed = outcome == OK && wait->polled && has_passed(waits, wait);
    bool broken = outcome != OK && outcome != OVERLOADED && wait->polled;
    wait->polled = false;
    wait->outcome = passed ? OK : broken ? outcome : UNAVAILABLE;
    return passed || broken || late;
}

// Takes the ended waits off the list. Their completions run later, when the list is consistent.
static struct wait *take_ended(struct waits *waits, enum outcome outcome) {
    struct wait *ended = NULL, **ended_end = &ended;
    for (struct wait **at = &waits->first; *at;) {
        struct wait *wait = *at;
        if (!waits->stopping && !settle(waits, wait, outcome)) {
            at = &wait->next;
            continue;
        }
        *at = wait->next;
        wait->next = NULL;
        *ended_end = wait;
        ended_end = &wait->next;
    }
    return ended;
}

static void tell(struct wait *ended) {
    while (ended) {
        struct wait *wait = ended;
        struct read_call *call = wait->call;
        enum outcome outcome = wait->outcome;
        ended = wait->next;
        free(wait);
        call->on_done(call, outcome);
    }
}

// ---- Polling

static void on_timer(uv_timer_t *timer) {
    poll_now(timer->data);
}

static bool any_new(const struct waits *waits) {
    for (const struct wait *wait = waits->first; wait; wait = wait->next)
        if (!wait->known)
            return true;
    return false;
}

static void wake(struct waits *waits) {
    uint64_t now_ms = uv_now(waits->store->loop);
    if (waits->woken_ms && now_ms - waits->woken_ms < WAKE_AGAIN_MS)
        return;
    waits->woken_ms = now_ms;
    wake_projectors(waits->store);
}

static void on_poll_done(struct read_call *call, enum outcome outcome) {
    struct waits *waits = call->context;
    waits->polling = false;
    struct wait *ended = take_ended(waits, outcome);
    if (waits->stopping || !waits->first) {
        waits->woken_ms = 0;
    } else {
        wake(waits);
        uv_timer_start(&waits->timer, on_timer, outcome == OK && any_new(waits) ? 0 : POLL_MS, 0);
    }
    tell(ended);
}

struct poll_state {
    struct read_state read;
    bool with_ends;
};

enum { AT_SUMS, AT_NEIGHBOURS, AT_LIFE };

static struct log_id least(struct log_id a, struct log_id b) {
    return log_id_order(a, b) < 0 ? a : b;
}

// An offset that is not valid in the present lives counts as {0,0}.
static void take_offsets(struct waits *waits, const struct pipelined *at) {
    for (uint32_t i = 0; i < waits->partitions; i++)
        if (at[i].outcome == OK)
            life_heard(waits->store, i, reply_text_at(at[i].reply, AT_LIFE));
    uint64_t lives = hash_of_lives(waits->store);
    for (uint32_t i = 0; i < waits->partitions; i++)
        if (at[i].outcome == OK)
            passed_of(waits)[i] = least(offset_in(reply_text_at(at[i].reply, AT_SUMS), lives),
                                        offset_in(reply_text_at(at[i].reply, AT_NEIGHBOURS), lives));
}

static void take_ends(struct waits *waits, const struct pipelined *at) {
    for (uint32_t i = 0; i < waits->partitions; i++) {
        const redisReply *entries = at[i].outcome == OK ? at[i].reply : NULL; // at most one entry: [id, fields]
        bool any = entries && entries->type == REDIS_REPLY_ARRAY && entries->elements;
        ends_of(waits)[i] = any ? log_id_parse(reply_text_at(entries->element[0], 0)) : (struct log_id){0, 0};
    }
}

// In a Cluster a partition may be away. Then the waits end that need it; the others go on.
static void on_away(struct read_call *call, uint32_t partition) {
    struct waits *waits = call->context;
    waits->away[partition] = true;
}

static void on_polled(struct pipeline *pipeline) {
    struct poll_state *state = pipeline->context;
    struct waits *waits = state->read.call->context;
    memset(waits->away, false, waits->partitions);
    enum outcome outcome = read_apart(pipeline, on_away);
    const struct pipelined *at = pipeline->at;
    if (outcome == OK && state->with_ends) {
        take_ends(waits, at);
        at += waits->partitions;
    }
    if (outcome == OK)
        take_offsets(waits, at);
    read_end(pipeline, outcome);
}

// Asks for the last entry. The log's last id would not do: it may be raised above every entry. Entries that were
// trimmed have been projected.
static void ask_end(struct pipeline *pipeline, struct store *store, uint32_t partition) {
    struct key key;
    key_log(&key, partition);
    begin_command(store, "XREVRANGE");
    add_key(store, &key);
    command_add_text(&store->command, "+");
    command_add_text(&store->command, "-");
    command_add_text(&store->command, "COUNT");
    command_add_int(&store->command, 1);
    read_add(pipeline);
}

static void ask_offsets(struct pipeline *pipeline, struct store *store, uint32_t partition) {
    struct key key;
    key_offsets(&key, partition);
    begin_command(store, "HMGET");
    add_key(store, &key);
    command_add_text(&store->command, projection_name(PROJECTION_SUMS));
    command_add_text(&store->command, projection_name(PROJECTION_NEIGHBOURS));
    command_add_text(&store->command, "life");
    read_add(pipeline);
}

static void poll_now(struct waits *waits) {
    struct store *store = waits->store;
    bool with_ends = any_new(waits);
    for (struct wait *wait = waits->first; wait; wait = wait->next)
        wait->polled = true;
    waits->polling = true;
    waits->poll = (struct read_call){.on_done = on_poll_done, .context = waits};
    struct pipeline *pipeline =
        read_begin(store, &waits->poll, waits->partitions * (with_ends ? 2 : 1), sizeof(struct poll_state), on_polled);
    if (!pipeline)
        return;
    ((struct poll_state *)pipeline->context)->with_ends = with_ends;
    for (uint32_t i = 0; with_ends && i < waits->partitions; i++)
        ask_end(pipeline, store, i);
    for (uint32_t i = 0; i < waits->partitions; i++)
        ask_offsets(pipeline, store, i);
}

// ---- Beginning a wait

static void begin(struct store *store, struct read_call *call, const struct log_id *entries, uint32_t timeout_ms) {
    struct waits *waits = store->waits;
    size_t size = waits->partitions * sizeof *entries;
    struct wait *wait = waits->stopping ? NULL : calloc(1, sizeof *wait + size);
    if (!wait) {
        read_fail(store, call);
        return;
    }
    wait->call = call;
    wait->until_ms = uv_now(store->loop) + timeout_ms;
    wait->known = entries != NULL;
    if (entries)
        memcpy(wait->entries, entries, size);
    wait->next = waits->first;
    waits->first = wait;
    if (!waits->polling) {
        uv_timer_stop(&waits->timer);
        poll_now(waits);
    }
}

void store_wait_projected(struct store *store, struct read_call *call, const struct log_id *entries,
                          uint32_t timeout_ms) {
    begin(store, call, entries, timeout_ms);
}

void store_wait_all_projected(struct store *store, struct read_call *call, uint32_t timeout_ms) {
    begin(store, call, NULL, timeout_ms);
}

// ---- Start and stop

struct waits *waits_new(struct store *store) {
    uint32_t partitions = keys_partitions();
    struct waits *waits = calloc(1, sizeof *waits + 2 * partitions * sizeof(struct log_id) + partitions);
    if (!waits)
        return NULL;
    waits->store = store;
    waits->partitions = partitions;
    waits->away = (bool *)(waits->logs + 2 * partitions);
    return waits;
}

void waits_start(struct waits *waits) {
    uv_timer_init(waits->store->loop, &waits->timer);
    waits->timer.data = waits;
}

static void on_timer_closed(uv_handle_t *handle) {
    struct waits *waits = handle->data;
    waits->on_closed(waits->store);
}

void waits_stop(struct waits *waits, void (*on_closed)(struct store *store)) {
    waits->stopping = true;
    waits->on_closed = on_closed;
    struct wait *ended = take_ended(waits, UNAVAILABLE);
    for (struct wait *wait = ended; wait; wait = wait->next)
        wait->outcome = UNAVAILABLE;
    uv_close((uv_handle_t *)&waits->timer, on_timer_closed);
    tell(ended);
}
