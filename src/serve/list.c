// SPDX-License-Identifier: MIT
// From candidates to a list: states are read in batches, what is gone or too old is passed over, until enough are
// placed; then they are put in order (by group, value, and id where values are equal).
#include "base/clock.h"
#include "ops/log.h"
#include "serve/serve_inside.h"
#include <stdlib.h>

enum { CANDIDATES_MOST = 4096, SLACK = 10, LOG_PAUSE_NS = 1000000000 };

static bool is_excluded(const struct refresh *refresh, ref_t item) {
    const struct shelf *shelf = refresh->shelf;
    const struct secret_key *key = shelf->serve->hash_key;
    if (shelf->recipe == &recipe_related && item == item_ref(key, shelf->site, shelf->name))
        return true;
    for (uint32_t i = 0; i < shelf->id_count; i++)
        if (item == item_ref(key, shelf->site, shelf->ids[i]))
            return true;
    return false;
}

static bool is_there(const struct refresh *refresh, ref_t item) {
    for (size_t i = 0; i < refresh->candidate_count; i++)
        if (refresh->candidates[i].item == item)
            return true;
    return false;
}

bool candidate_add(struct refresh *refresh, const struct candidate *candidate) {
    if (refresh->candidate_count == CANDIDATES_MOST || is_excluded(refresh, candidate->item) ||
        is_there(refresh, candidate->item))
        return true;
    if (refresh->candidate_count % 64 == 0) {
        size_t room = refresh->candidate_count + 64;
        struct candidate *grown = realloc(refresh->candidates, room * sizeof *grown);
        if (!grown)
            return false;
        refresh->candidates = grown;
    }
    refresh->candidates[refresh->candidate_count++] = *candidate;
    return true;
}

// ---- States

static void log_unusable(void) {
    static uint64_t logged_ns;
    uint64_t now = clock_mono_ns();
    if (logged_ns && now - logged_ns < 10 * (uint64_t)LOG_PAUSE_NS)
        return;
    logged_ns = now;
    log_error("an item's data in Redis is not usable; it is left out of lists");
}

static bool is_eligible(const struct refresh *refresh, const struct item_state *state) {
    const struct ranking *ranking = refresh->shelf->ranking;
    if (state->outcome != OK) {
        log_unusable();
        return false;
    }
    bool too_old = ranking && ranking->oldest_age_ms && state->published_ms &&
                   refresh->now_ms - state->published_ms > ranking->oldest_age_ms;
    return state->known && bytes_eq(state->site, refresh->shelf->site) && !too_old;
}

static void on_state(struct read_call *call, size_t index, const struct item_state *state) {
    struct refresh *refresh = call->context;
    if (!is_eligible(refresh, state))
        return;
    struct placed *placed = &refresh->placed[refresh->placed_count++];
    struct json_out json = json_out_to(&refresh->texts);
    placed->candidate = refresh->candidates[refresh->candidate_next + index];
    placed->id_at = refresh->texts.len;
    placed->id_len = state->id.len;
    buffer_add_bytes(&refresh->texts, state->id);
    placed->json_at = refresh->texts.len;
    item_members(&json, refresh->shelf->serve->settings, state->id, state);
    placed->json_len = refresh->texts.len - placed->json_at;
}

static const char *sorted_texts; // of the list that is being sorted: qsort has no context

static int by_place(const void *a, const void *b) {
    const struct placed *left = a, *right = b;
    if (left->candidate.group != right->candidate.group)
        return left->candidate.group < right->candidate.group ? -1 : 1;
    if (left->candidate.value != right->candidate.value)
        return left->candidate.value < right->candidate.value ? 1 : -1;
    return bytes_cmp((struct bytes){sorted_texts + left->id_at, left->id_len},
                     (struct bytes){sorted_texts + right->id_at, right->id_len});
}

static void read_batch(struct refresh *refresh);

static void on_states(struct read_call *call, enum outcome outcome) {
    struct refresh *refresh = call->context;
    refresh->candidate_next += refresh->batch;
    if (outcome != OK || refresh->texts.failed)
        refresh_end(refresh, outcome == OK ? UNAVAILABLE : outcome);
    else
        read_batch(refresh);
}

static bool make_room(struct refresh *refresh) {
    struct placed *placed = realloc(refresh->placed, (refresh->placed_count + refresh->batch) * sizeof *placed);
    if (placed)
        refresh->placed = placed;
    ref_t *refs = realloc(refresh->refs, refresh->batch * sizeof *refs);
    if (refs)
        refresh->refs = refs;
    return placed && refs;
}

// Candidates of equal value stay in one batch: their ids, which settle their order, are only known from their states.
static size_t batch_size(const struct refresh *refresh, size_t left, size_t wanted) {
    const struct candidate *next = refresh->candidates + refresh->candidate_next;
    while (wanted < left && next[wanted].group == next[wanted - 1].group &&
           next[wanted].value == next[wanted - 1].value)
        wanted++;
    return wanted < left ? wanted : left;
}

static void read_batch(struct refresh *refresh) {
    uint32_t limit = refresh->shelf->limit;
    size_t left = refresh->candidate_count - refresh->candidate_next;
    if (refresh->placed_count >= limit || left == 0) {
        sorted_texts = refresh->texts.at;
        if (refresh->placed_count)
            qsort(refresh->placed, refresh->placed_count, sizeof *refresh->placed, by_place);
        refresh->on_placed(refresh);
        return;
    }
    refresh->batch = batch_size(refresh, left, limit - refresh->placed_count + SLACK);
    if (!make_room(refresh)) {
        refresh_end(refresh, UNAVAILABLE);
        return;
    }
    for (size_t i = 0; i < refresh->batch; i++)
        refresh->refs[i] = refresh->candidates[refresh->candidate_next + i].item;
    refresh->call = (struct read_call){.on_done = on_states, .context = refresh};
    store_read_items(refresh->shelf->serve->store, &refresh->call, refresh->refs, refresh->batch, on_state);
}

void place_candidates(struct refresh *refresh, void (*on_placed)(struct refresh *refresh)) {
    refresh->on_placed = on_placed;
    read_batch(refresh);
}
