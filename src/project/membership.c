// SPDX-License-Identifier: MIT
// Beats once a second, several times a second while a program that knows no machines is waited for, and says what has
// changed: in the log, by metrics, and in the text that the workers show at /readyz.
#include "project/membership.h"
#include "base/keyed.h"
#include "ops/generation.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include <stdio.h>
#include <string.h>

enum {
    ASK_MS = 50,        // while this generation is not in charge, or Redis is unreachable
    ASK_AGAIN_MS = 250, // while another program is waited for
    BEAT_MS = 1000,
    WELL_AGAIN_MS = 60000,
    UNTOLD_MS = 10000, // who was not told of our plan is waited for so long
    SURE_MS = 3500,    // an answer holds for this long after it was asked for: less than others take us to be alive
};

static const enum metric active[PROJECTION_COUNT] = {
    [PROJECTION_SUMS] = METRIC_SUMS_ACTIVE, [PROJECTION_NEIGHBOURS] = METRIC_NEIGHBOURS_ACTIVE};

static uint64_t now_of(const struct membership *membership) {
    return uv_now(membership->timer.loop);
}

static bool is_told(const struct membership *membership) {
    return generation_is_current() && now_of(membership) < membership->until_ms;
}

bool membership_works(const struct membership *membership, enum projection projection) {
    return is_told(membership) && membership->works[projection];
}

bool membership_leaves(const struct membership *membership, enum projection projection) {
    return is_told(membership) && !membership->works[projection] && !membership->told.wait_ms;
}

// ---- What is said

static bool is_alone(const struct machines *told) {
    return told->count <= 1 && !told->newest.instance && !told->idle;
}

static void say_who_works(const struct membership *membership, size_t i) {
    const struct machine *now = &membership->told.at_work[i];
    if (now->instance == membership->said.at_work[i].instance || is_alone(&membership->told))
        return;
    if (now->instance == membership->own.instance)
        log_info("%s: this machine projects them from now on", projection_name((enum projection)i));
    else
        log_info("%s: %s projects them from now on", projection_name((enum projection)i), now->name);
}

static void say_plan(struct membership *membership) {
    const struct machines *told = &membership->told;
    bool waits = told->wait_ms > MACHINES_UNTOLD || told->newest.instance;
    if (waits && !membership->waits)
        log_warn("%s projects other [ranking] sections on the same Redis%s: this one serves and does not project",
                 told->newest.instance ? told->newest.name : "a service of an older version",
                 told->newest.instance ? ", which were defined later" : "");
    else if (!waits && membership->waits)
        log_info("the [ranking] sections of this machine are projected");
    membership->waits = waits;
    metric_set(METRIC_PROJECTOR_WAITS, waits);
}

static bool is_passed_over(const struct machines *told) {
    return told->untold && !told->wait_ms;
}

static void say_idle(const struct machines *told, const struct machines *said) {
    if (told->idle && !(said->idle && strcmp(told->idle_name, said->idle_name) == 0))
        log_warn("%s was passed over: its record in the list of machines is fresh, and it does not ask for its turn "
                 "(%u such)",
                 told->idle_name, told->idle);
}

static void say_untold(const struct membership *membership) {
    const struct machines *told = &membership->told, *said = &membership->said;
    say_idle(told, said);
    if (is_passed_over(told) && !(is_passed_over(said) && strcmp(told->untold_name, said->untold_name) == 0))
        log_warn("the [ranking] sections of this machine are projected without waiting longer for %s, which has others "
                 "and was not told of it (%u such in the list of machines)",
                 told->untold_name, told->untold);
    metric_set(METRIC_MACHINES_UNTOLD, told->untold + told->idle);
}

static const char *who(const struct membership *membership, const struct machine *one, bool named) {
    return one->instance == membership->own.instance ? "this machine" : named ? one->name : "another";
}

static void word_more(char text[METRICS_NOTE_SIZE], const char *name, const char *what) {
    size_t len = strlen(text);
    snprintf(text + len, METRICS_NOTE_SIZE - len, "; %s %s", name, what);
}

// Of those at work, and of who was not waited for or passed over.
static void word_usual(const struct membership *membership, bool named, char text[METRICS_NOTE_SIZE]) {
    const struct machines *told = &membership->told;
    const struct machine *at_work = told->at_work;
    snprintf(text, METRICS_NOTE_SIZE, "of %u machines %s projects sums, %s neighbours", told->count,
             who(membership, &at_work[PROJECTION_SUMS], named),
             who(membership, &at_work[PROJECTION_NEIGHBOURS], named));
    if (is_passed_over(told))
        word_more(text, named ? told->untold_name : "another", "was not waited for");
    if (told->idle)
        word_more(text, named ? told->idle_name : "another", "was passed over");
}

static void word(const struct membership *membership, bool named, char text[METRICS_NOTE_SIZE]) {
    const struct machines *told = &membership->told;
    if (told->newest.instance)
        snprintf(text, METRICS_NOTE_SIZE,
                 "its lists are not: %s projects other [ranking] sections on the same Redis, which were defined later",
                 who(membership, &told->newest, named));
    else if (told->wait_ms > MACHINES_UNTOLD)
        snprintf(
            text, METRICS_NOTE_SIZE,
            "its lists are not: a service of an older version projects other [ranking] sections on the same Redis");
    else if (told->wait_ms)
        snprintf(text, METRICS_NOTE_SIZE,
                 "its lists are not yet: %s is still to be told of the [ranking] sections of this machine",
                 named ? told->untold_name : "another machine");
    else if (!is_alone(told))
        word_usual(membership, named, text);
}

static void note(const struct membership *membership) {
    struct metrics_note note = {0};
    word(membership, true, note.named);
    word(membership, false, note.unnamed);
    metrics_note(&note);
}

static void say(struct membership *membership) {
    say_plan(membership);
    say_untold(membership);
    for (size_t i = 0; i < PROJECTION_COUNT; i++) {
        say_who_works(membership, i);
        metric_set(active[i], membership->works[i]);
    }
    metric_set(METRIC_MACHINES, membership->told.count ? membership->told.count : 1);
    note(membership);
    membership->said = membership->told;
}

// Of the two generations of a reload one counts. What was told long ago is no longer so.
static void say_nothing(void) {
    metric_set(METRIC_PROJECTOR_WAITS, 0);
    metric_set(METRIC_MACHINES, 0);
    metric_set(METRIC_MACHINES_UNTOLD, 0);
    for (size_t i = 0; i < PROJECTION_COUNT; i++)
        metric_set(active[i], 0);
}

// ---- The beat

static void on_closed(uv_handle_t *handle) {
    struct membership *membership = handle->data;
    membership->on_stopped(membership->stopped_context);
}

static void close_timer(struct membership *membership) {
    uv_close((uv_handle_t *)&membership->timer, on_closed);
}

static void ask(struct membership *membership);

static void on_timer(uv_timer_t *timer) {
    ask(timer->data);
}

static void on_left(struct read_call *call, enum outcome outcome) {
    (void)outcome;
    close_timer(call->context);
}

static void leave(struct membership *membership) {
    uv_timer_stop(&membership->timer);
    say_nothing();
    if (membership->until_ms == 0 || !store_ready(membership->store, NULL)) {
        close_timer(membership);
        return;
    }
    membership->until_ms = 0;
    membership->call = (struct read_call){.on_done = on_left, .context = membership};
    store_leave(membership->store, &membership->call, &membership->own);
}

static void take(struct membership *membership) {
    const struct machines *told = &membership->told;
    membership->until_ms = membership->sent_ms + SURE_MS;
    if (!told->untold)
        membership->untold_ms = 0;
    else if (!membership->untold_ms)
        membership->untold_ms = membership->sent_ms;
    memcpy(membership->own.plans, told->plans, sizeof told->plans);
    for (size_t i = 0; i < PROJECTION_COUNT; i++)
        membership->works[i] =
            !told->wait_ms && !told->newest.instance && told->at_work[i].instance == membership->own.instance;
    if (generation_is_current())
        say(membership);
}

// Nobody else can read the list either.
static void keep(struct membership *membership) {
    membership->until_ms = now_of(membership) + SURE_MS;
    if (generation_is_current())
        note(membership);
}

static void on_answered(struct read_call *call, enum outcome outcome) {
    struct membership *membership = call->context;
    membership->busy = false;
    if (outcome == OK)
        take(membership);
    else if (membership->until_ms > membership->sent_ms)
        keep(membership);
    if (membership->stopping)
        leave(membership);
    else
        uv_timer_start(&membership->timer, on_timer,
                       outcome != OK              ? ASK_MS
                       : membership->told.wait_ms ? ASK_AGAIN_MS
                                                  : BEAT_MS,
                       0);
}

static void ask(struct membership *membership) {
    bool current = generation_is_current();
    if (!is_told(membership))
        say_nothing();
    if (!current || !store_ready(membership->store, NULL)) {
        uv_timer_start(&membership->timer, on_timer, ASK_MS, 0);
        return;
    }
    membership->busy = true;
    membership->sent_ms = now_of(membership);
    membership->own.waits_no_more = membership->untold_ms && membership->sent_ms - membership->untold_ms >= UNTOLD_MS;
    membership->own.unwell = membership->unwell_ms && membership->sent_ms - membership->unwell_ms < WELL_AGAIN_MS;
    membership->call = (struct read_call){.on_done = on_answered, .context = membership};
    store_beat(membership->store, &membership->call, &membership->own, &membership->told);
}

static void name_own(struct machine_record *own) {
    char host[UV_MAXHOSTNAMESIZE];
    size_t size = sizeof host;
    own->instance = generation_instance();
    own->generation = generation_own();
    if (own->instance == 0) { // a projector without a service
        random_fill(&own->instance, sizeof own->instance);
        return;
    }
    if (uv_os_gethostname(host, &size) != 0)
        snprintf(host, sizeof host, "an unknown host");
    snprintf(own->name, sizeof own->name, "%s %.64s (%08x)", VERSION, host, (unsigned)(own->instance >> 32));
}

void membership_start(struct membership *membership, uv_loop_t *loop, struct store *store, struct bytes plan) {
    *membership = (struct membership){.store = store, .own = {.plan = plan}};
    name_own(&membership->own);
    uv_timer_init(loop, &membership->timer);
    if (generation_follows_crash())
        membership->unwell_ms = uv_now(loop);
    membership->timer.data = membership;
    uv_timer_start(&membership->timer, on_timer, 0, 0);
}

void membership_unwell(struct membership *membership) {
    membership->unwell_ms = now_of(membership);
}

void membership_ask_now(struct membership *membership) {
    if (!membership->busy && !membership->stopping)
        uv_timer_start(&membership->timer, on_timer, 0, 0);
}

void membership_stop(struct membership *membership, void (*on_stopped)(void *context), void *context) {
    membership->stopping = true;
    membership->on_stopped = on_stopped;
    membership->stopped_context = context;
    if (!membership->busy)
        leave(membership);
}
