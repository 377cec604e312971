// SPDX-License-Identifier: MIT
// The rules of lists (base/list_rules.h), as the sections [list NAME] and [ranking NAME] have them.
#include "base/times.h"
#include "ops/settings.h"
#include "ops/settings_inside.h"
#include <stdio.h>
#include <stdlib.h>

#define DAY_MS INT64_C(86400000)
enum { CATEGORY_MAX = 64, AUTHOR_MAX = 200, SPREAD_MAX = 100, FLOOR_MAX = 1000000 };

static const char *const fill_names[] = {[FILL_CATEGORY] = "category", [FILL_SITE] = "site", [FILL_NONE] = "none"};

enum rule_type { RULE_AGE, RULE_WORDS, RULE_NUMBER, RULE_FILL };

static const struct rule_key {
    const char *key;
    enum rule_type type;
    size_t offset;  // in struct list_rules
    size_t against; // of words: those that must not have the same word
    uint32_t max;
    bool of_rankings; // they have it too
    const char *form;
} rule_keys[] = {
#define FIELD(name) offsetof(struct list_rules, name)
    {"max_age", RULE_AGE, FIELD(max_age_ms), .of_rankings = true, .form = "a duration; 0 for any age"},
    {"category", RULE_WORDS, FIELD(category), FIELD(without_category), CATEGORY_MAX, true, "1 to 64 characters"},
    {"without_category", RULE_WORDS, FIELD(without_category), FIELD(category), CATEGORY_MAX, true,
     "1 to 64 characters"},
    {"author", RULE_WORDS, FIELD(author), FIELD(without_author), AUTHOR_MAX, true, "1 to 200 characters"},
    {"without_author", RULE_WORDS, FIELD(without_author), FIELD(author), AUTHOR_MAX, true, "1 to 200 characters"},
    {"per_category", RULE_NUMBER, FIELD(per_category), .max = SPREAD_MAX, .of_rankings = true,
     .form = "a number of items, at most 100; 0 for any number"},
    {"per_author", RULE_NUMBER, FIELD(per_author), .max = SPREAD_MAX, .of_rankings = true,
     .form = "a number of items, at most 100; 0 for any number"},
    {"floor", RULE_NUMBER, FIELD(floor), .max = FLOOR_MAX, .form = "a number of readers"},
    {"fill", RULE_FILL, FIELD(fill), .of_rankings = true, .form = "category, site or none"},
#undef FIELD
};

static const struct rule_key *find(const char *key, bool of_ranking) {
    for (size_t i = 0; i < sizeof rule_keys / sizeof *rule_keys; i++)
        if (strcmp(rule_keys[i].key, key) == 0 && (!of_ranking || rule_keys[i].of_rankings))
            return &rule_keys[i];
    return NULL;
}

bool rule_exists(const char *key, bool of_ranking) {
    return find(key, of_ranking) != NULL;
}

bool rule_repeats(const char *key) {
    const struct rule_key *rule = find(key, false);
    return rule && rule->type == RULE_WORDS;
}

// ---- Values

static bool set_age(int64_t *age_ms, const char *text) {
    int64_t ms;
    if (!duration_parse(bytes_of(text), &ms) || ms > 36500 * DAY_MS)
        return false;
    *age_ms = ms;
    return true;
}

static bool set_number(uint32_t *number, uint32_t max, const char *text) {
    unsigned long long value;
    if (!bytes_to_u64(bytes_of(text), max, &value))
        return false;
    *number = (uint32_t)value;
    return true;
}

static bool set_fill(enum fill *fill, const char *text) {
    for (size_t i = 0; i < sizeof fill_names / sizeof *fill_names; i++)
        if (strcmp(fill_names[i], text) == 0) {
            *fill = (enum fill)i;
            return true;
        }
    return false;
}

static bool has_word(const struct rule_words *words, struct bytes word) {
    for (uint32_t i = 0; i < words->count; i++)
        if (bytes_eq(words->at[i], word))
            return true;
    return false;
}

static bool add_word(struct rule_words *words, struct bytes word) {
    struct bytes *grown = realloc((void *)words->at, (words->count + 1) * sizeof *grown);
    if (!grown)
        return false;
    words->at = grown;
    grown[words->count++] = word;
    return true;
}

// A word as cards have it: each run of blanks is one.
static bool take_word(struct rule_words *words, const struct rule_words *against, const struct rule_key *rule,
                      const char *text, char why[static WHY_SIZE]) {
    char *copy = strdup(text);
    struct bytes word = {copy, copy ? bytes_fold_blanks(copy, strlen(copy)) : 0};
    char not_so[64];
    const char *fault = NULL;
    snprintf(not_so, sizeof not_so, "is not %s", rule->form);
    if (word.len == 0 || !bytes_are_text(word) || bytes_characters(word) > rule->max)
        fault = not_so;
    else if (words->count == RULE_WORDS_MAX)
        fault = "is one too many: at most 16";
    else if (has_word(words, word))
        fault = "is named twice";
    else if (has_word(against, word))
        fault = "is wanted and not wanted";
    else if (!add_word(words, word))
        fault = "finds no memory";
    if (!fault)
        return true;
    snprintf(why, WHY_SIZE, "%s: \"%.60s\" %.64s", rule->key, text, fault);
    free(copy);
    return false;
}

bool rule_set(struct list_rules *rules, const char *key, const char *text, char why[static WHY_SIZE]) {
    const struct rule_key *rule = find(key, false);
    void *field = (char *)rules + rule->offset;
    bool right = false;
    switch (rule->type) {
    case RULE_AGE:
        right = set_age(field, text);
        break;
    case RULE_NUMBER:
        right = set_number(field, rule->max, text);
        break;
    case RULE_FILL:
        right = set_fill(field, text);
        break;
    case RULE_WORDS:
        return take_word(field, (const struct rule_words *)(const void *)((char *)rules + rule->against), rule, text,
                         why);
    }
    if (!right)
        snprintf(why, WHY_SIZE, "%s: \"%.60s\" is not %s", key, text, rule->form);
    return right;
}

// ---- The sections [list NAME]

static const char *const list_names[] = {[RULED_RELATED] = "related", [RULED_RECOMMENDATION] = "recommendation"};

bool list_open(struct settings *settings, const char *name, char why[static WHY_SIZE]) {
    for (int i = 0; i < RULED_LISTS; i++) {
        if (strcmp(list_names[i], name) != 0)
            continue;
        if (!settings->lists_given[i]) {
            settings->lists_given[i] = true;
            settings->list_opened = i;
            return true;
        }
        snprintf(why, WHY_SIZE, "there are two sections of this list");
        return false;
    }
    snprintf(why, WHY_SIZE, "[list %.60s]: the lists are related and recommendation; a ranking has its own section",
             name);
    return false;
}

bool list_set(struct settings *settings, const char *key, const char *text, char why[static WHY_SIZE]) {
    if (rule_exists(key, false))
        return rule_set(&settings->lists[settings->list_opened], key, text, why);
    snprintf(why, WHY_SIZE, "%.60s: a list has no such key", key);
    return false;
}

// ---- Printing and release

static void print_words(const char *key, const struct rule_words *words) {
    for (uint32_t i = 0; i < words->count; i++)
        printf("%s = %.*s\n", key, (int)words->at[i].len, words->at[i].at);
}

void rules_print(const struct list_rules *rules, bool of_ranking) {
    for (size_t i = 0; i < sizeof rule_keys / sizeof *rule_keys; i++) {
        const struct rule_key *rule = &rule_keys[i];
        const void *field = (const char *)rules + rule->offset;
        if (of_ranking && !rule->of_rankings)
            continue;
        if (rule->type == RULE_AGE)
            printf("%s = %lldms\n", rule->key, (long long)*(const int64_t *)field);
        else if (rule->type == RULE_NUMBER)
            printf("%s = %u\n", rule->key, *(const uint32_t *)field);
        else if (rule->type == RULE_FILL)
            printf("%s = %s\n", rule->key, fill_names[*(const enum fill *)field]);
        else
            print_words(rule->key, field);
    }
}

void lists_print(const struct settings *settings) {
    for (int i = 0; i < RULED_LISTS; i++) {
        printf("\n[list %s]\n", list_names[i]);
        rules_print(&settings->lists[i], false);
    }
}

void rules_release(struct list_rules *rules) {
    for (size_t i = 0; i < sizeof rule_keys / sizeof *rule_keys; i++) {
        if (rule_keys[i].type != RULE_WORDS)
            continue;
        struct rule_words *words = (struct rule_words *)(void *)((char *)rules + rule_keys[i].offset);
        for (uint32_t j = 0; j < words->count; j++)
            free((void *)words->at[j].at);
        free((void *)words->at);
        *words = (struct rule_words){NULL, 0};
    }
}
