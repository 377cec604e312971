// SPDX-License-Identifier: MIT
// The sections [ranking NAME] and [site NAME], and the checks that need all settings.
#include "base/netaddr.h"
#include "base/times.h"
#include "ops/settings.h"
#include "ops/settings_inside.h"
#include <ctype.h>
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
} type_names[] = {
    {"decayed", RANKING_DECAYED}, {"rising", RANKING_RISING}, {"best", RANKING_BEST}, {"total", RANKING_TOTAL}};

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
                        {"top", RANKING_TOTAL, 0, 0}};

static bool fail(char why[static WHY_SIZE], const char *text) {
    snprintf(why, WHY_SIZE, "%s", text);
    return false;
}

static bool name_valid(const char *name) {
    size_t len = strlen(name);
    if (len == 0 || len >= NAME_SIZE || name[0] == '.')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-", name[i]))
            return false;
    return true;
}

// ---- Rankings

static struct ranking_setting *add_ranking(struct settings *settings, const char *name) {
    struct ranking_setting *ranking = &settings->rankings[settings->ranking_count++];
    *ranking =
        (struct ranking_setting){.type = RANKING_DECAYED, .half_life_ms = 3 * HOUR_MS, .view_weight = VIEW_WEIGHT};
    snprintf(ranking->name, sizeof ranking->name, "%s", name);
    for (int i = 0; i < KINDS_MAX; i++)
        ranking->vote_weight[i] = 1;
    return ranking;
}

bool ranking_open(struct settings *settings, const char *name, char why[static WHY_SIZE]) {
    for (uint32_t i = 0; i < settings->ranking_count; i++)
        if (strcmp(settings->rankings[i].name, name) == 0)
            return fail(why, "there are two sections of this ranking");
    if (!name_valid(name))
        return fail(why, "a ranking's name is 1 to 63 of A-Z a-z 0-9 _ . - and does not begin with a dot");
    if (settings->ranking_count == RANKINGS_MAX)
        return fail(why, "more than 32 rankings");
    add_ranking(settings, name);
    return true;
}

static bool weight_parse(const char *text, double *ret_weight) {
    char *end;
    double weight = strtod(text, &end);
    if (end == text || *end || !isfinite(weight) || fabs(weight) > 1e6)
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

static int kind_index(const struct settings *settings, const char *name) {
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
    int kind = kind_index(settings, word);
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
    {"type", "decayed, rising, best or total", set_type},
    {"half_life", "a duration from 1m to 3650d", set_half_life},
    {"votes", "a weight for all kinds, or kind:weight for those that count (kinds as in the setting kinds)", set_votes},
    {"views", "a weight", set_views},
    {"floor", "a number of events", set_floor},
    {"oldest_age", "a duration; 0 for any age", set_oldest_age},
};

bool ranking_set(struct settings *settings, const char *key, const char *text, char why[static WHY_SIZE]) {
    struct ranking_setting *ranking = &settings->rankings[settings->ranking_count - 1];
    for (size_t i = 0; i < sizeof ranking_keys / sizeof *ranking_keys; i++) {
        if (strcmp(ranking_keys[i].key, key) != 0)
            continue;
        if (ranking_keys[i].set(settings, ranking, text))
            return true;
        snprintf(why, WHY_SIZE, "%s: \"%.60s\" is not %s", key, text, ranking_keys[i].form);
        return false;
    }
    snprintf(why, WHY_SIZE, "%.60s: a ranking has no such key", key);
    return false;
}

// ---- Sites

bool site_open(struct settings *settings, const char *name, char why[static WHY_SIZE]) {
    for (uint32_t i = 0; i < settings->site_count; i++)
        if (strcmp(settings->site_list[i].name, name) == 0)
            return fail(why, "there are two sections of this site");
    if (settings->site_count == SITES_MAX || !name_valid(name) || strchr(name, '_') || name[0] == '-')
        return fail(
            why, "a site's name is 1 to 63 of A-Z a-z 0-9 . - and begins with a letter or digit; at most 1024 sites");
    struct site_setting *list = realloc(settings->site_list, (settings->site_count + 1) * sizeof *list);
    if (!list)
        return fail(why, "no memory");
    settings->site_list = list;
    struct site_setting *site = &list[settings->site_count++];
    *site = (struct site_setting){.origin_count = 0};
    snprintf(site->name, sizeof site->name, "%s", name);
    return true;
}

// A DNS name, or an IPv6 address in brackets. A host that browsers never send is an error, not an origin that waits in
// vain.
static bool host_valid(struct bytes host) {
    struct netaddr address;
    if (host.len > 2 && host.at[0] == '[')
        return host.at[host.len - 1] == ']' && netaddr_parse((struct bytes){host.at + 1, host.len - 2}, &address);
    for (size_t i = 0; i < host.len; i++)
        if (!isalnum((unsigned char)host.at[i]) && !strchr("._-", host.at[i]))
            return false;
    return host.len && host.at[0] != '.';
}

bool origin_valid(const char *origin) {
    const char *rest = strncmp(origin, "https://", 8) == 0  ? origin + 8
                       : strncmp(origin, "http://", 7) == 0 ? origin + 7
                                                            : "";
    const char *colon = strrchr(rest, ':');
    if (colon && strchr(colon, ']'))
        colon = NULL;
    unsigned long long port = 0;
    bool port_valid = !colon || (colon[1] != '0' && bytes_to_u64(bytes_of(colon + 1), 65535, &port));
    return port_valid && strlen(origin) < 256 &&
           host_valid((struct bytes){rest, colon ? (size_t)(colon - rest) : strlen(rest)});
}

void origin_fold(char *origin) {
    for (char *c = origin; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    char *port = strrchr(origin, ':');
    if (strcmp(port, strncmp(origin, "https", 5) == 0 ? ":443" : ":80") == 0)
        *port = '\0';
}

// Several lines add up, because a line of the file is short.
static bool set_origins(struct site_setting *site, const char *text, char why[static WHY_SIZE]) {
    char words[ORIGINS_MAX * 256], *rest = words;
    if (!text[strspn(text, " ")])
        return fail(why, "origins: none is named; without the line the site's name decides");
    snprintf(words, sizeof words, "%s", text);
    for (char *word; (word = strsep(&rest, " "));) {
        if (!*word)
            continue;
        if (site->origin_count == ORIGINS_MAX || !origin_valid(word))
            return fail(why, "origins: at most 16 of the form https://host[:port], separated by spaces");
        origin_fold(word);
        snprintf(site->origins[site->origin_count++], sizeof site->origins[0], "%s", word);
    }
    return true;
}

bool site_set(struct settings *settings, const char *key, const char *text, char why[static WHY_SIZE]) {
    struct site_setting *site = &settings->site_list[settings->site_count - 1];
    if (strcmp(key, "origins") == 0)
        return set_origins(site, text, why);
    if (strcmp(key, "secret_key") != 0)
        return fail(why, "a site has the keys secret_key and origins");
    if (strlen(text) >= sizeof site->secret_key || !bearer_valid(text))
        return fail(why, "secret_key: at most 255 visible ASCII characters, or sha256: and 64 hex digits");
    snprintf(site->secret_key, sizeof site->secret_key, "%s", text);
    bearer_fold(site->secret_key);
    return true;
}

// ---- In the end

bool settings_split_kinds(struct settings *settings, char why[static WHY_SIZE]) {
    char words[sizeof settings->kinds], *rest = words;
    memcpy(words, settings->kinds, sizeof words);
    settings->kind_count = 0;
    for (char *word; (word = strsep(&rest, " "));) {
        if (!*word)
            continue;
        if (settings->kind_count == KINDS_MAX || !name_valid(word) || kind_index(settings, word) >= 0)
            return fail(why, "kinds: 1 to 8 different names of A-Z a-z 0-9 _ . -");
        snprintf(settings->kind_names[settings->kind_count++], NAME_SIZE, "%s", word);
    }
    return settings->kind_count ? true : fail(why, "kinds: at least one kind of vote is needed");
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct site_setting *)a)->name, ((const struct site_setting *)b)->name);
}

static void add_default_rankings(struct settings *settings) {
    for (size_t i = 0; i < sizeof default_rankings / sizeof *default_rankings; i++) {
        struct ranking_setting *ranking = add_ranking(settings, default_rankings[i].name);
        ranking->type = default_rankings[i].type;
        ranking->half_life_ms = default_rankings[i].half_life_ms;
        ranking->floor = default_rankings[i].floor;
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

static bool rankings_finish(struct settings *settings, char why[static WHY_SIZE]) {
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

bool settings_finish(struct settings *settings, char why[static WHY_SIZE]) {
    value_set_by_address(settings);
    if (!rankings_finish(settings, why))
        return false;
    if (settings->site_count)
        qsort(settings->site_list, settings->site_count, sizeof settings->site_list[0], by_name);
    if (settings->head_limit < settings->request_line_limit)
        return fail(why, "head_limit: less than request_line_limit");
    return listeners_finish(settings, why);
}

static void print_ranking(const struct settings *settings, const struct ranking_setting *ranking) {
    printf("\n[ranking %s]\ntype = %s\n", ranking->name, type_names[ranking->type].name);
    if (ranking->type == RANKING_DECAYED || ranking->type == RANKING_RISING)
        printf("half_life = %lldms\n", (long long)ranking->half_life_ms);
    printf("votes =");
    for (uint32_t kind = 0; kind < settings->kind_count; kind++)
        printf(" %s:%g", settings->kind_names[kind], ranking->vote_weight[kind]);
    printf("\nviews = %g\nfloor = %u\noldest_age = %lldms\n", ranking->view_weight, ranking->floor,
           (long long)ranking->oldest_age_ms);
}

void settings_print_sections(const struct settings *settings) {
    for (uint32_t i = 0; i < settings->ranking_count; i++)
        print_ranking(settings, &settings->rankings[i]);
    for (uint32_t i = 0; i < settings->site_count; i++) {
        const struct site_setting *site = &settings->site_list[i];
        printf("\n[site %s]\n%s", site->name, site->secret_key[0] ? "secret_key = (set)\n" : "");
        for (uint32_t j = 0; j < site->origin_count; j++)
            printf("origins = %s\n", site->origins[j]);
    }
}

const struct site_setting *settings_site(const struct settings *settings, struct bytes name) {
    char text[NAME_SIZE];
    if (settings->site_count == 0 || name.len >= sizeof text)
        return NULL;
    memcpy(text, name.at, name.len);
    text[name.len] = '\0';
    struct site_setting wanted;
    snprintf(wanted.name, sizeof wanted.name, "%s", text);
    return bsearch(&wanted, settings->site_list, settings->site_count, sizeof wanted, by_name);
}
