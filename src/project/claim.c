// SPDX-License-Identifier: MIT
// Asks for the claim several times a second while it is another's, and renews it once a second while it is ours.
#include "project/claim.h"
#include "base/keyed.h"
#include "ops/generation.h"
#include "ops/log.h"
#include "ops/metrics.h"

enum {
    ASK_MS = 50,        // while this generation is not in charge, or Redis is unreachable
    ASK_AGAIN_MS = 250, // while the claim is another's
    RENEW_MS = 1000,
    HOLDS_MS = 5000,
    SURE_MS = 4000, // we act on a claim for this long after it was sent, less than HOLDS_MS, when others may take over
};

static uint64_t now_of(const struct claim *claim) {
    return uv_now(claim->timer.loop);
}

bool claim_is_held(const struct claim *claim) {
    return generation_is_current() && now_of(claim) < claim->held_until_ms;
}

static void say(struct claim *claim, bool waits) {
    if (waits != claim->waits && waits)
        log_warn("another service projects other [ranking] sections on the same Redis: waiting until it has ended");
    else if (waits != claim->waits)
        log_info("the other service has ended: the rankings of this one are projected");
    claim->waits = waits;
    metric_set(METRIC_PROJECTOR_WAITS, waits);
}

static void on_closed(uv_handle_t *handle) {
    struct claim *claim = handle->data;
    claim->on_stopped(claim->stopped_context);
}

static void close_timer(struct claim *claim) {
    uv_close((uv_handle_t *)&claim->timer, on_closed);
}

static void ask(struct claim *claim);

static void on_timer(uv_timer_t *timer) {
    ask(timer->data);
}

static void on_released(struct read_call *call, enum outcome outcome) {
    (void)outcome;
    close_timer(call->context);
}

static void release(struct claim *claim) {
    uv_timer_stop(&claim->timer);
    if (claim->held_until_ms == 0 || !store_ready(claim->store, NULL)) {
        close_timer(claim);
        return;
    }
    claim->held_until_ms = 0;
    claim->call = (struct read_call){.on_done = on_released, .context = claim};
    store_claim(claim->store, &claim->call, &claim->what, true, &claim->other_ms);
}

static void on_answered(struct read_call *call, enum outcome outcome) {
    struct claim *claim = call->context;
    claim->busy = false;
    if (outcome == OK) {
        claim->held_until_ms = claim->other_ms ? 0 : claim->sent_ms + SURE_MS;
        say(claim, claim->other_ms != 0);
    } else if (claim->held_until_ms > claim->sent_ms) // a master of a Cluster is away: nobody else can claim it either
        claim->held_until_ms = now_of(claim) + SURE_MS;
    if (claim->stopping)
        release(claim);
    else
        uv_timer_start(&claim->timer, on_timer, outcome != OK ? ASK_MS : claim->other_ms ? ASK_AGAIN_MS : RENEW_MS, 0);
}

static void ask(struct claim *claim) {
    if (!generation_is_current() || !store_ready(claim->store, NULL)) {
        uv_timer_start(&claim->timer, on_timer, ASK_MS, 0);
        return;
    }
    claim->busy = true;
    claim->sent_ms = now_of(claim);
    claim->call = (struct read_call){.on_done = on_answered, .context = claim};
    store_claim(claim->store, &claim->call, &claim->what, false, &claim->other_ms);
}

void claim_start(struct claim *claim, uv_loop_t *loop, struct store *store, struct bytes plan) {
    *claim = (struct claim){.store = store};
    claim->what = (struct projection_claim){plan, generation_instance(), generation_own(), HOLDS_MS};
    if (claim->what.instance == 0)
        random_fill(&claim->what.instance, sizeof claim->what.instance);
    uv_timer_init(loop, &claim->timer);
    claim->timer.data = claim;
    uv_timer_start(&claim->timer, on_timer, 0, 0);
}

void claim_stop(struct claim *claim, void (*on_stopped)(void *context), void *context) {
    claim->stopping = true;
    claim->on_stopped = on_stopped;
    claim->stopped_context = context;
    if (!claim->busy)
        release(claim);
}
