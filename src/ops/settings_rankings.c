// SPDX-License-Identifier: MIT
// The sections [ranking NAME]: their keys, the rankings of a configuration without any, and what is wrong with one as a
// whole.
#include "base/times.h"
#include "ops/settings.h"
#include "ops/settings_inside.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

// A view says less than a vote, and there are ten to a hundred times as many views. With a tenth of a vote's weight
// neither drowns the other.
#define VIEW_WEIGHT 0.1
#define HOUR_MS INT64_C(3600000)

static const struct {
    const char *name;
    enum ranking_type type;
} type_names[] = {{"decayed", RANKING_DECAYED},
                  {"rising", RANKING_RISING},
                  {"best", RANKING_BEST},
                  {"total", RANKING_TOTAL},
                  {"window", RANKING_WINDOW}};
static const char *const window_names[] = {"24h", "7d", "30d", "today", "week", "month"};

// The rankings of a configuration without any [ranking …] section.
static const struct {
    const char *name;
    enum ranking_type type;
    int64_t half_life_ms;
    uint32_t floor;
} default_rankings[] = {{"hot", RANKING_DECAYED, 3 * HOUR_MS, 0},
                        {"day", RANKING_DECAYED, 24 * HOUR_MS, 0},
                        {"week", RANKING_DECAYED, 168 * HOUR_MS, 0},
                        {"rising", RANKING_RISING, 3 * HOUR_MS, 3},
                        {"top", RANKING_TOTAL, 0, 0},
                        {"most-read", RANKING_WINDOW, 0, 0}}; // of 24 hours, views alone

static bool fail(char why[static WHY_SIZE], const char *text) {
    snprintf(why, WHY_SIZE, "%s", text);
    return false;
}

static struct ranking_setting *add_ranking(struct settings *settings, const char *name) {
    struct ranking_setting *ranking = &settings->rankings[settings->ranking_count++];
    *ranking = (struct ranking_setting){
        .type = RANKING_DECAYED, .half_life_ms = 3 * HOUR_MS, .window = "24h", .view_weight = VIEW_WEIGHT};
    snprintf(ranking->name, sizeof ranking->name, "%s", name);
    for (int i = 0; i < KINDS_MAX; i++)
        ranking->vote_weight[i] = 1;
    return ranking;
}

bool ranking_open(struct settings *settings, const char *name, char why[static WHY_SIZE]) {
    for (uint32_t i = 0; i < settings->ranking_count; i++)
        if (strcmp(settings->rankings[i].name, name) == 0)
            return fail(why, "there are two sections of this ranking");
    if (!section_name_valid(name))
        return fail(why, "a ranking's name is 1 to 63 of A-Z a-z 0-9 _ . - and does not begin with a dot");
    if (settings->ranking_count == RANKINGS_MAX)
        return fail(why, "more than 32 rankings");
    add_ranking(settings, name);
    return true;
}

static bool weight_parse(const char *text, double *ret_weight) {
    char *end;
    double weight = strtod(text, &end);
    if (end == text || *end || !isfinite(weight) || fabs(weight) > 1e6 || (weight && fabs(weight) < 1e-6))
        return false;
    *ret_weight = weight;
    return true;
}

static bool set_type(struct settings *settings, struct ranking_setting *ranking, const char *text) {
    (void)settings;
    for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++)
        if (strcmp(type_names[i].name, text) == 0) {
            ranking->type = type_names[i].type;
            return true;
        }
    return false;
}

static bool set_half_life(struct settings *settings, struct ranking_setting *ranking, const char *text) {
    (void)settings;
    int64_t ms;
    if (!duration_parse(bytes_of(text), &ms) || ms < 60000 || ms > 3650 * 24 * HOUR_MS)
        return false;
    ranking->half_life_ms = ms;
    ranking->half_life_given = true;
    return true;
}

static bool set_window(struct settings *settings, struct ranking_setting *ranking, const char *text) {
    (void)settings;
    for (size_t i = 0; i < sizeof window_names / sizeof *window_names; i++)
        if (strcmp(window_names[i], text) == 0) {
            snprintf(ranking->window, sizeof ranking->window, "%s", text);
            ranking->window_given = true;
            return true;
        }
    return false;
}

int settings_kind(const struct settings *settings, const char *name) {
    for (uint32_t i = 0; i < settings->kind_count; i++)
        if (strcmp(settings->kind_names[i], name) == 0)
            return (int)i;
    return -1;
}

static bool set_one_weight(struct settings *settings, struct ranking_setting *ranking, char *word) {
    char *colon = strchr(word, ':');
    if (!colon)
        return false;
    *colon = '\0';
    int kind = settings_kind(settings, word);
    return kind >= 0 && weight_parse(colon + 1, &ranking->vote_weight[kind]);
}

// "1" for all kinds, or "up:1 down:-1": then the kinds without a weight have 0.
static bool set_votes(struct settings *settings, struct ranking_setting *ranking, const char *text) {
    double weight;
    char words[512], *rest = words;
    if (weight_parse(text, &weight)) {
        for (int i = 0; i < KINDS_MAX; i++)
            ranking->vote_weight[i] = weight;
        return true;
    }
    if (strlen(text) >= sizeof words)
        return false;
    snprintf(words, sizeof words, "%s", text);
    memset(ranking->vote_weight, 0, sizeof ranking->vote_weight);
    for (char *word; (word = strsep(&rest, " "));)
        if (*word && !set_one_weight(settings, ranking, word))
            return false;
    return true;
}

static bool set_views(struct settings *settings, struct ranking_setting *ranking, const char *text) {
    (void)settings;
    return weight_parse(text, &ranking->view_weight);
}

static bool set_floor(struct settings *settings, struct ranking_setting *ranking, const char *text) {
    (void)settings;
    unsigned long long floor;
    if (!bytes_to_u64(bytes_of(text), 1000000, &floor))
        return false;
    ranking->floor = (uint32_t)floor;
    return true;
}

static bool set_oldest_age(struct settings *settings, struct ranking_setting *ranking, const char *text) {
    (void)settings;
    int64_t ms;
    if (!duration_parse(bytes_of(text), &ms) || ms > 36500 * 24 * HOUR_MS)
        return false;
    ranking->oldest_age_ms = ms;
    return true;
}

static const struct {
    const char *key, *form;
    bool (*set)(struct settings *settings, struct ranking_setting *ranking, const char *text);
} ranking_keys[] = {
    {"type", "decayed, rising, best, total or window", set_type},
    {"half_life", "a duration from 1m to 3650d", set_half_life},
    {"window", "24h, 7d, 30d, today, week or month", set_window},
    {"votes",
     "a weight (0, or from 0.000001 to 1000000, also below 0) for all kinds, or kind:weight for those that count "
     "(kinds as in the setting kinds)",
     set_votes},
    {"views", "a weight: 0, or from 0.000001 to 1000000, also below 0", set_views},
    {"floor", "a number of events", set_floor},
    {"oldest_age", "a duration; 0 for any age", set_oldest_age},
};

// What was left out of a set of a period is worth at most its cut only while no event makes an item worth less.
static bool has_negative_weight(const struct ranking_setting *ranking) {
    bool negative = ranking->view_weight < 0;
    for (int kind = 0; kind < KINDS_MAX; kind++)
        negative |= ranking->vote_weight[kind] < 0;
    return negative;
}

bool ranking_set(struct settings *settings, const char *key, const char *text, char why[static WHY_SIZE]) {
    struct ranking_setting *ranking = &settings->rankings[settings->ranking_count - 1];
    if (rule_exists(key, true))
        return rule_set(&ranking->rules, key, text, why);
    for (size_t i = 0; i < sizeof ranking_keys / sizeof *ranking_keys; i++) {
        if (strcmp(ranking_keys[i].key, key) != 0)
            continue;
        bool good = ranking_keys[i].set(settings, ranking, text);
        if (good && ranking->type == RANKING_WINDOW && has_negative_weight(ranking))
            return fail(why, "a ranking of the type window has no weight below 0");
        if (good)
            return true;
        snprintf(why, WHY_SIZE, "%s: \"%.60s\" is not %s", key, text, ranking_keys[i].form);
        return false;
    }
    snprintf(why, WHY_SIZE, "%.60s: a ranking has no such key", key);
    return false;
}

// ---- In the end

static void add_default_rankings(struct settings *settings) {
    for (size_t i = 0; i < sizeof default_rankings / sizeof *default_rankings; i++) {
        struct ranking_setting *ranking = add_ranking(settings, default_rankings[i].name);
        ranking->type = default_rankings[i].type;
        ranking->half_life_ms = default_rankings[i].half_life_ms;
        ranking->floor = default_rankings[i].floor;
        if (ranking->type != RANKING_WINDOW)
            continue;
        ranking->view_weight = 1;
        memset(ranking->vote_weight, 0, sizeof ranking->vote_weight);
    }
}

// What is wrong with a ranking as a whole; NULL: nothing.
static const char *ranking_fault(const struct settings *settings, const struct ranking_setting *ranking) {
    bool decays = ranking->type == RANKING_DECAYED || ranking->type == RANKING_RISING,
         counts = ranking->view_weight != 0;
    for (uint32_t kind = 0; kind < settings->kind_count; kind++)
        counts |= ranking->vote_weight[kind] != 0;
    if (ranking->half_life_given && !decays)
        return "half_life means nothing for this type";
    if (ranking->window_given && ranking->type != RANKING_WINDOW)
        return "window means nothing for this type";
    if (ranking->type == RANKING_BEST && settings->kind_count < 2)
        return "the type best compares kinds of vote, and there is one kind only";
    return counts ? NULL : "no vote and no view has a weight: it would always be empty";
}

static void note_life(int64_t *lives, uint32_t *count, int64_t ms) {
    for (uint32_t i = 0; i < *count; i++)
        if (lives[i] == ms)
            return;
    lives[(*count)++] = ms;
}

static bool half_lives_fit(const struct settings *settings) {
    int64_t lives[1 + 2 * RANKINGS_MAX] = {POPULAR_HALF_LIFE_MS};
    uint32_t count = 1;
    for (uint32_t i = 0; i < settings->ranking_count; i++) {
        const struct ranking_setting *ranking = &settings->rankings[i];
        if (ranking->type == RANKING_DECAYED || ranking->type == RANKING_RISING)
            note_life(lives, &count, ranking->half_life_ms);
        if (ranking->type == RANKING_RISING)
            note_life(lives, &count, 4 * ranking->half_life_ms);
    }
    return count <= SETTING_HALF_LIVES_MAX;
}

bool rankings_finish(struct settings *settings, char why[static WHY_SIZE]) {
    for (uint32_t i = 0; i < settings->ranking_count; i++) {
        const char *fault = ranking_fault(settings, &settings->rankings[i]);
        if (fault) {
            snprintf(why, WHY_SIZE, "[ranking %s]: %s", settings->rankings[i].name, fault);
            return false;
        }
    }
    if (settings->ranking_count == 0)
        add_default_rankings(settings);
    return half_lives_fit(settings) ||
           fail(why,
                "[ranking …]: more than 16 half-lives (6h is always one; rising needs half_life and its fourfold)");
}

void ranking_print(const struct settings *settings, const struct ranking_setting *ranking) {
    printf("\n[ranking %s]\ntype = %s\n", ranking->name, type_names[ranking->type].name);
    if (ranking->type == RANKING_DECAYED || ranking->type == RANKING_RISING)
        printf("half_life = %lldms\n", (long long)ranking->half_life_ms);
    if (ranking->type == RANKING_WINDOW)
        printf("window = %s\n", ranking->window);
    printf("votes =");
    for (uint32_t kind = 0; kind < settings->kind_count; kind++)
        printf(" %s:%.15g", settings->kind_names[kind], ranking->vote_weight[kind]);
    printf("\nviews = %.15g\nfloor = %u\noldest_age = %lldms\n", ranking->view_weight, ranking->floor,
           (long long)ranking->oldest_age_ms);
    rules_print(&ranking->rules, true);
}
