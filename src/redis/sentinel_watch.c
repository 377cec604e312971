// SPDX-License-Identifier: MIT
// The rounds of questions to Sentinels, and the list of Sentinels.
#include "ops/log.h"
#include "redis/sentinel_watch_inside.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    TICK_MS = 50,
    ROUND_MS = 300,    // that long a Sentinel may take to answer
    PAUSE_MS = 250,    // from the end of a round to the next, while the data is not served
    TURN_MS = 1000,    // between two questions, while it is served
    SILENT_TURNS = 4,  // more turns than all have: then a Sentinel that has not answered is logged
    OTHERS_TURNS = 10, // with every so many of these the Sentinel is asked for the others as well
    FORGET_MS = 60000, // a Sentinel that only others have named is given up if it does not answer for so long
};

// ---- Rounds

static void begin_round(struct sentinel_watch *watch) {
    watch->round++;
    watch->in_round = true;
    watch->round_end_ms = uv_now(watch->loop) + ROUND_MS;
    for (struct sentinel *one = watch->sentinels; one; one = one->next)
        sentinel_ask_master(one);
}

// The answers of this round.
static uint32_t collect(const struct sentinel_watch *watch, struct sentinel_answer answers[static SENTINELS_MAX]) {
    uint32_t count = 0;
    for (const struct sentinel *one = watch->sentinels; one; one = one->next)
        if (one->answered == watch->round)
            answers[count++] = one->answer;
    return count;
}

static bool is_tls_trouble(const char *trouble) {
    return strncmp(trouble, "TLS: ", 5) == 0;
}

// Without an answer: the trouble of one Sentinel tells it best.
static void explain(struct sentinel_watch *watch, uint32_t answers) {
    snprintf(watch->why, sizeof watch->why,
             answers ? "only Sentinels with an old state answer" : "no Sentinel answers");
    for (const struct sentinel *one = watch->sentinels; one && !answers; one = one->next)
        if (one->trouble[0] || is_tls_trouble(redis_trouble(one->redis))) {
            snprintf(watch->why, sizeof watch->why, "the Sentinel at %.48s:%s %.80s", one->at.host, one->at.port,
                     one->trouble[0] ? one->trouble : redis_trouble(one->redis));
            return;
        }
}

static void take_master(struct sentinel_watch *watch, const struct sentinel_choice *choice) {
    bool is_other = !watch->known || !host_port_eq(&watch->master.at, &choice->master.at);
    watch->known = true;
    watch->master = choice->master;
    if (!is_other)
        return;
    log_info("redis: the master %s is %s:%s (epoch %llu, named by %u of %u Sentinels)", watch->address.master,
             watch->master.at.host, watch->master.at.port, (unsigned long long)watch->master.epoch, choice->votes,
             watch->count);
    watch->hooks.on_master(watch->hooks.context);
}

static void end_round(struct sentinel_watch *watch, const struct sentinel_choice *choice, uint32_t answers) {
    watch->in_round = false;
    watch->round_end_ms = uv_now(watch->loop);
    if (choice)
        take_master(watch, choice);
    else
        explain(watch, answers);
    bool is_served = watch->hooks.is_served(watch->hooks.context);
    if (!choice && !is_served && log_is_due(&watch->logged_ns))
        log_warn("redis: the master %s is not known: %s", watch->address.master, watch->why);
    watch->fresh = choice && !is_served;
}

// True while one that was asked in this round has not answered.
static bool is_waiting(const struct sentinel_watch *watch) {
    for (const struct sentinel *one = watch->sentinels; one; one = one->next)
        if (one->asking_master && one->asked == watch->round)
            return true;
    return false;
}

static void look_at_round(struct sentinel_watch *watch) {
    struct sentinel_answer answers[SENTINELS_MAX] = {{.epoch = 0}};
    struct sentinel_choice choice;
    uint32_t count = collect(watch, answers);
    bool chosen = sentinel_choose(answers, count, watch->count, watch->known ? &watch->master : NULL, &choice);
    bool settled = count > watch->count / 2 && !is_waiting(watch);
    if (settled || uv_now(watch->loop) >= watch->round_end_ms)
        end_round(watch, chosen ? &choice : NULL, count);
}

void sentinel_watch_take_answer(struct sentinel *sentinel) {
    struct sentinel_watch *watch = sentinel->watch;
    bool differs = !watch->known || !host_port_eq(&sentinel->answer.at, &watch->master.at);
    if (watch->in_round)
        look_at_round(watch);
    else if (differs)
        begin_round(watch);
}

const char *sentinel_watch_find(struct sentinel_watch *watch, struct address *address) {
    if (!watch->fresh) {
        if (!watch->in_round)
            begin_round(watch);
        return watch->why;
    }
    watch->fresh = false;
    address_set_host(address, &watch->master.at);
    return NULL;
}

// ---- The list

static void free_closed(struct sentinel_watch *watch) {
    if (watch->open > 0 || !watch->stopping)
        return;
    void (*on_stopped)(void *) = watch->on_stopped;
    void *stopped_context = watch->stopped_context;
    command_release(&watch->command);
    free(watch);
    on_stopped(stopped_context);
}

static void on_sentinel_closed(void *context) {
    struct sentinel *sentinel = context;
    struct sentinel_watch *watch = sentinel->watch;
    free(sentinel);
    watch->open--;
    free_closed(watch);
}

// False without memory.
static bool add(struct sentinel_watch *watch, const struct host_port *at, const char *id, bool of_setting) {
    struct sentinel *sentinel = calloc(1, sizeof *sentinel);
    if (!sentinel)
        return false;
    sentinel->watch = watch;
    sentinel->at = *at;
    sentinel->of_setting = of_setting;
    sentinel->heard_ms = uv_now(watch->loop);
    snprintf(sentinel->id, sizeof sentinel->id, "%s", id);
    if (!sentinel_connect(sentinel)) {
        free(sentinel);
        return false;
    }
    sentinel->next = watch->sentinels;
    watch->sentinels = sentinel;
    watch->count++;
    watch->open++;
    return true;
}

static void leave(struct sentinel_watch *watch, struct sentinel **place) {
    struct sentinel *sentinel = *place;
    *place = sentinel->next;
    watch->count--;
    redis_stop(sentinel->redis, on_sentinel_closed, sentinel);
}

static bool is_known(const struct sentinel_watch *watch, const struct sentinel_other *other) {
    for (const struct sentinel *one = watch->sentinels; one; one = one->next)
        if (strcmp(one->id, other->id) == 0 || host_port_eq(&one->at, &other->at))
            return true;
    return false;
}

void sentinel_watch_add_others(struct sentinel_watch *watch, const redisReply *reply) {
    struct sentinel_other others[SENTINELS_MAX];
    uint32_t count = sentinel_read_others(reply, others);
    for (uint32_t i = 0; i < count && watch->count < SENTINELS_MAX; i++)
        if (!is_known(watch, &others[i]) && add(watch, &others[i].at, others[i].id, false))
            log_info("redis: %s:%s is a Sentinel too", others[i].at.host, others[i].at.port);
}

// One that others have named, and that is silent for long or is one of the setting under another name.
static bool is_superfluous(const struct sentinel *sentinel) {
    const struct sentinel_watch *watch = sentinel->watch;
    if (sentinel->of_setting)
        return false;
    for (const struct sentinel *one = watch->sentinels; one; one = one->next)
        if (one != sentinel && one->of_setting && sentinel->id[0] && strcmp(one->id, sentinel->id) == 0)
            return true;
    return uv_now(watch->loop) - sentinel->heard_ms > FORGET_MS;
}

// Logs once when it falls silent, and once when it answers again.
static void look_at(struct sentinel *sentinel) {
    bool silent =
        uv_now(sentinel->watch->loop) - sentinel->heard_ms > (sentinel->watch->count + SILENT_TURNS) * TURN_MS;
    if (silent != sentinel->silent && silent)
        log_warn("redis: the Sentinel at %s:%s does not answer: %s", sentinel->at.host, sentinel->at.port,
                 redis_trouble(sentinel->redis));
    if (silent != sentinel->silent && !silent)
        log_info("redis: the Sentinel at %s:%s answers again", sentinel->at.host, sentinel->at.port);
    sentinel->silent = silent;
}

// ---- Time

static void ask_next(struct sentinel_watch *watch) {
    struct sentinel *one = watch->sentinels;
    if (!one)
        return; // there was no memory for any
    for (uint32_t i = watch->turn++ % watch->count; i > 0; i--)
        one = one->next;
    sentinel_ask_master(one);
    if (watch->turn % OTHERS_TURNS == 0)
        sentinel_ask_others(one);
}

static void on_tick(uv_timer_t *timer) {
    struct sentinel_watch *watch = timer->data;
    uint64_t now = uv_now(watch->loop);
    if (watch->in_round) {
        look_at_round(watch);
    } else if (!watch->hooks.is_served(watch->hooks.context)) {
        if (now >= watch->round_end_ms + PAUSE_MS)
            begin_round(watch);
    } else if (now >= watch->next_turn_ms) {
        watch->next_turn_ms = now + TURN_MS;
        ask_next(watch);
    }
    watch->fresh &= !watch->hooks.is_served(watch->hooks.context);
    for (struct sentinel **place = &watch->sentinels; *place;) {
        look_at(*place);
        if (is_superfluous(*place))
            leave(watch, place);
        else
            place = &(*place)->next;
    }
}

// ---- Start and stop

static void on_timer_closed(uv_handle_t *handle) {
    struct sentinel_watch *watch = handle->data;
    while (watch->sentinels)
        leave(watch, &watch->sentinels);
    free_closed(watch); // there was no memory for any
}

void sentinel_watch_stop(struct sentinel_watch *watch, void (*on_stopped)(void *context), void *context) {
    watch->stopping = true;
    watch->on_stopped = on_stopped;
    watch->stopped_context = context;
    uv_close((uv_handle_t *)&watch->timer, on_timer_closed);
}

struct sentinel_watch *sentinel_watch_start(uv_loop_t *loop, const struct address *address,
                                            const struct sentinel_watch_hooks *hooks) {
    struct sentinel_watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return NULL;
    watch->loop = loop;
    watch->address = *address;
    watch->hooks = *hooks;
    command_init(&watch->command);
    snprintf(watch->why, sizeof watch->why, "the Sentinels are asked for the master");
    uv_timer_init(loop, &watch->timer);
    watch->timer.data = watch;
    uv_timer_start(&watch->timer, on_tick, TICK_MS, TICK_MS);
    for (uint32_t i = address->host_count; i-- > 0;)
        add(watch, &address->hosts[i], "", true);
    begin_round(watch);
    return watch;
}
