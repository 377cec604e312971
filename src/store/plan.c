// SPDX-License-Identifier: MIT
// Makes the plan (plan.h) from the settings: each half-life once, in ascending order.
#include "store/plan.h"
#include "base/keyed.h"
#include <inttypes.h>
#include <stdio.h>

_Static_assert((int)SETTING_HALF_LIVES_MAX == (int)HALF_LIVES_MAX, "the settings must refuse what does not fit");

static bool add_life(struct half_lives *lives, int64_t ms) {
    uint32_t at = 0;
    while (at < lives->count && lives->ms[at] < ms)
        at++;
    if (at < lives->count && lives->ms[at] == ms)
        return true;
    if (lives->count == HALF_LIVES_MAX)
        return false;
    memmove(&lives->ms[at + 1], &lives->ms[at], (lives->count - at) * sizeof lives->ms[0]);
    lives->ms[at] = ms;
    lives->count++;
    return true;
}

static uint32_t life_index(const struct half_lives *lives, int64_t ms) {
    for (uint32_t i = 0; i < lives->count; i++)
        if (lives->ms[i] == ms)
            return i;
    return 0;
}

static bool decays(const struct ranking_setting *setting) {
    return setting->type == RANKING_DECAYED || setting->type == RANKING_RISING;
}

static bool collect_lives(const struct settings *settings, struct half_lives *lives) {
    bool fits = add_life(lives, POPULAR_HALF_LIFE_MS);
    for (uint32_t i = 0; i < settings->ranking_count; i++) {
        const struct ranking_setting *setting = &settings->rankings[i];
        fits = fits && (!decays(setting) || add_life(lives, setting->half_life_ms));
        fits = fits && (setting->type != RANKING_RISING || add_life(lives, 4 * setting->half_life_ms));
    }
    return fits;
}

static struct ranking ranking_of(const struct half_lives *lives, const struct ranking_setting *setting) {
    static const enum ranking_kind kinds[] = {
        [RANKING_DECAYED] = RANK_DECAYED, [RANKING_RISING] = RANK_RISING, [RANKING_BEST] = RANK_BEST,
        [RANKING_TOTAL] = RANK_TOTAL,     [RANKING_WINDOW] = RANK_WINDOW,
    };
    struct ranking ranking = {.name = bytes_of(setting->name),
                              .kind = kinds[setting->type],
                              .half_life_ms = decays(setting) ? setting->half_life_ms : 0,
                              .floor = setting->floor,
                              .oldest_age_ms = setting->oldest_age_ms};
    ranking.life = life_index(lives, setting->half_life_ms);
    ranking.long_life = life_index(lives, 4 * setting->half_life_ms);
    if (ranking.kind == RANK_WINDOW)
        window_find(bytes_of(setting->window), &ranking.window);
    memcpy(ranking.weight, setting->vote_weight, sizeof setting->vote_weight);
    ranking.weight[SIGNAL_VIEWS] = setting->view_weight;
    return ranking;
}

static void describe(const struct ranking *ranking, struct buffer *text) {
    buffer_add_bytes(text, ranking->name);
    bool has_all = ranking->kind == RANK_WINDOW; // its sets do not depend on floor and oldest_age
    buffer_addf(text, " %d %" PRId64 " %u %" PRId64, (int)ranking->kind, ranking->half_life_ms,
                has_all ? 0 : ranking->floor, has_all ? 0 : ranking->oldest_age_ms);
    for (int i = 0; i < SIGNAL_COUNT; i++)
        buffer_addf(text, " %.17g", ranking->weight[i]);
    if (has_all)
        buffer_addf(text, " %s %s", window_name(ranking->window), calendar_zone());
    buffer_add_char(text, '\n');
}

static bool make_fingerprint(struct plan *plan) {
    static const struct secret_key no_key;
    struct buffer text;
    buffer_init(&text, 64 << 10);
    buffer_add_bytes(&text, BYTES("items without a card have sets of their own, and so have authors\n"));
    // When the format rises, older programs go on for some seconds, until they notice. They must not project beside
    // this one, because they leave out what they cannot read. A plan of another format is another one, so this one
    // waits for them.
    if (DATA_FORMAT > 4)
        buffer_addf(&text, "format %d\n", DATA_FORMAT);
    for (uint32_t i = 0; i < plan->count; i++)
        describe(&plan->rankings[i], &text);
    struct bytes whole = buffer_bytes(&text);
    snprintf(plan->fingerprint, sizeof plan->fingerprint, "%016" PRIx64, keyed_hash64(&no_key, 'P', &whole, 1));
    bool made = !text.failed;
    buffer_release(&text);
    return made;
}

static void note_period_signals(struct plan *plan) {
    for (uint32_t i = 0; i < plan->count; i++)
        for (int signal = 0; signal < SIGNAL_COUNT; signal++)
            if (plan->rankings[i].kind == RANK_WINDOW && plan->rankings[i].weight[signal] > 0)
                plan->period_signals[window_sets(plan->rankings[i].window)] |= 1u << signal;
}

bool plan_make(const struct settings *settings, struct plan *ret_plan) {
    struct plan plan = {.count = settings->ranking_count + 1, .popular = settings->ranking_count};
    if (!collect_lives(settings, &plan.lives))
        return false;
    for (uint32_t i = 0; i < settings->ranking_count; i++)
        plan.rankings[i] = ranking_of(&plan.lives, &settings->rankings[i]);
    plan.popular_life = life_index(&plan.lives, POPULAR_HALF_LIFE_MS);
    struct ranking *popular = &plan.rankings[plan.popular];
    *popular = (struct ranking){.name = BYTES(".popular"),
                                .kind = RANK_DECAYED,
                                .life = plan.popular_life,
                                .half_life_ms = POPULAR_HALF_LIFE_MS};
    popular->weight[SIGNAL_VIEWS] = 1;
    note_period_signals(&plan);
    bool made = make_fingerprint(&plan);
    *ret_plan = plan;
    return made;
}

const struct ranking *plan_find(const struct plan *plan, struct bytes name) {
    for (uint32_t i = 0; i < plan->count; i++)
        if (i != plan->popular && bytes_eq(plan->rankings[i].name, name))
            return &plan->rankings[i];
    return NULL;
}
