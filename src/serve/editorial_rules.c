// SPDX-License-Identifier: MIT
// A site's editorial rules: pins, boosts, buries and blocks of single items, and whether the site lists only items that
// have a card. Redis keeps them as JSON (lua/editorial.lua), written by PUT (src/api/editorial.c). Here they are parsed
// once per refresh into an array that is sorted by item, so that a list finds an item's rule by binary search.
//
// Lists and pages ask by rules_get; all requests of one refresh_interval share one read (flight.h). candidates.c and
// list.c apply the rules. A rule with an end needs no job that removes it: each list compares the end with the clock.
//
// To add a kind of rule: a member of struct rule and of struct rule_body, a row of `fields`, its effect in
// candidates.c, and the check of the request in src/api/editorial.c.
#include "serve/editorial_rules.h"
#include "ops/json_in.h"
#include "store/list_reads.h"
#include "store/rules.h"
#include <stdlib.h>

enum { RULE_ARENA_MAX = 64 << 10 };

struct site_rules {
    struct shared_fetch shared; // first; its value is struct rules
    UT_hash_handle hh;
    ref_t site;
    bool lacking; // there was no memory to parse a rule
    struct read_call call;
    struct rules *reading; // room for EDITORIAL_MAX
};

static int by_item(const void *a, const void *b) {
    const struct rule *left = a, *right = b;
    return (left->item > right->item) - (left->item < right->item);
}

const struct rule *rules_find(const struct rules *rules, ref_t item) {
    struct rule wanted = {.item = item};
    return rules->count ? bsearch(&wanted, rules->at, rules->count, sizeof rules->at[0], by_item) : NULL;
}

static void rules_free(struct lru_entry *entry) {
    struct site_rules *site_rules = (struct site_rules *)entry;
    HASH_DEL(site_rules->shared.serve->rules_cached, site_rules);
    shared_release(&site_rules->shared);
    free(site_rules->reading);
    free(site_rules);
}

// ---- Reading

struct rule_body {
    struct json_count pin;
    struct json_number boost;
    bool bury, block;
    struct json_texts lists;
    struct json_time set_at;
};

static const struct json_field fields[] = {
    {.name = "pin", .type = JSON_IN_COUNT, .offset = offsetof(struct rule_body, pin)},
    {.name = "boost", .type = JSON_IN_NUMBER, .offset = offsetof(struct rule_body, boost)},
    {.name = "bury", .type = JSON_IN_SWITCH, .offset = offsetof(struct rule_body, bury)},
    {.name = "block", .type = JSON_IN_SWITCH, .offset = offsetof(struct rule_body, block)},
    {.name = "lists", .type = JSON_IN_TEXTS, .offset = offsetof(struct rule_body, lists), .max = NAME_SIZE},
    {.name = "set_at", .type = JSON_IN_TIME, .offset = offsetof(struct rule_body, set_at)},
    {.name = NULL},
};

static unsigned lists_of(const struct json_texts *names) {
    unsigned lists = 0;
    for (uint32_t i = 0; i < names->count; i++)
        for (int kind = 0; kind < LIST_KINDS; kind++)
            if (bytes_eq(names->at[i], bytes_of(list_kind_name((enum list_kind)kind))))
                lists |= 1u << kind;
    return lists ? lists : 1u << LIST_RANKING;
}

static void on_rule(struct read_call *call, ref_t item, int64_t until_ms, struct bytes json) {
    struct site_rules *site_rules = call->context;
    struct rule_body body = {.bury = false};
    struct arena arena;
    const char *detail;
    if (site_rules->reading->count == EDITORIAL_MAX)
        return;
    arena_init(&arena, RULE_ARENA_MAX);
    // A rule that can't be parsed is skipped, and so are fields that only GET shows.
    enum outcome outcome = json_read_known(json, fields, &body, &arena, &detail);
    site_rules->lacking |= outcome == UNAVAILABLE;
    if (outcome == OK)
        site_rules->reading->at[site_rules->reading->count++] =
            (struct rule){.item = item,
                          .until_ms = until_ms,
                          .set_ms = body.set_at.unix_ms,
                          .pin = (uint32_t)body.pin.value,
                          .boost = body.boost.given && body.boost.value > 0 ? body.boost.value : 1,
                          .bury = body.bury,
                          .block = body.block,
                          .lists = lists_of(&body.lists)};
    arena_release(&arena);
}

// Sorts the rules, and gives back the memory that they do not need.
static struct rules *fit(struct rules *read, size_t *ret_bytes) {
    *ret_bytes = sizeof *read + read->count * sizeof read->at[0];
    struct rules *fitted = realloc(read, *ret_bytes);
    read = fitted ? fitted : read;
    if (read->count)
        qsort(read->at, read->count, sizeof read->at[0], by_item);
    return read;
}

// After a failed read `reading` is kept for the next one.
static void finish(struct site_rules *site_rules, enum outcome outcome) {
    size_t bytes;
    if (outcome != OK || site_rules->lacking) {
        shared_done(&site_rules->shared, NULL, 0);
        return;
    }
    struct rules *read = fit(site_rules->reading, &bytes);
    site_rules->reading = NULL;
    shared_done(&site_rules->shared, &read->value, bytes);
}

static void on_cards(struct read_call *call, uint64_t cards) {
    struct site_rules *site_rules = call->context;
    site_rules->reading->cards_only = cards >= CARDS_ENOUGH;
}

static void on_counted(struct read_call *call, enum outcome outcome) {
    finish(call->context, outcome);
}

static void on_read(struct read_call *call, enum outcome outcome) {
    struct site_rules *site_rules = call->context;
    if (outcome != OK || site_rules->shared.serve->settings->list_unknown != LIST_UNKNOWN_AUTO) {
        finish(site_rules, outcome);
        return;
    }
    site_rules->call = (struct read_call){.on_done = on_counted, .context = site_rules};
    store_count_cards(site_rules->shared.serve->store, &site_rules->call, site_rules->site, on_cards);
}

static bool start(struct shared_fetch *shared) {
    struct site_rules *site_rules = (struct site_rules *)shared;
    if (!site_rules->reading)
        site_rules->reading = malloc(sizeof *site_rules->reading + EDITORIAL_MAX * sizeof site_rules->reading->at[0]);
    if (!site_rules->reading)
        return false;
    *site_rules->reading =
        (struct rules){.value.holders = 1, .cards_only = shared->serve->settings->list_unknown == LIST_UNKNOWN_OFF};
    site_rules->lacking = false;
    site_rules->call = (struct read_call){.on_done = on_read, .context = site_rules};
    store_read_editorial(shared->serve->store, &site_rules->call, site_rules->site, on_rule);
    return true;
}

// ---- Asking

static struct site_rules *find(struct serve *serve, ref_t site) {
    struct site_rules *site_rules;
    HASH_FIND(hh, serve->rules_cached, &site, sizeof site, site_rules);
    if (site_rules || !(site_rules = calloc(1, sizeof *site_rules)))
        return site_rules;
    site_rules->shared =
        (struct shared_fetch){.lru.free = rules_free, .serve = serve, .start = start, .own_bytes = sizeof *site_rules};
    site_rules->site = site;
    HASH_ADD(hh, serve->rules_cached, site, sizeof site_rules->site, site_rules);
    if (!HASH_HAS_TAKEN(site_rules)) {
        free(site_rules);
        return NULL;
    }
    lru_add(&serve->lru, &site_rules->shared.lru, sizeof *site_rules);
    return site_rules;
}

void rules_get(struct serve *serve, struct bytes site, struct shared_wait *wait) {
    struct site_rules *site_rules = find(serve, site_ref(serve->hash_key, site));
    if (site_rules)
        shared_get(&site_rules->shared, wait);
    else
        wait->on_value(wait, NULL);
}
