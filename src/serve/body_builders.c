// SPDX-License-Identifier: MIT
// What each kind of body holds. To add a kind: a builder with a letter of its own, whose start function leads to
// refresh_end, and an entry point in serve.c.
#include "base/clock.h"
#include "serve/refresh.h"
#include "serve/serve_inside.h"
#include <stdlib.h>

enum { OUT_MAX = 4 << 20, CATEGORY_ROOM = 1 << 10, ENTRY_SIZE = 450, ENTRIES_EXPECTED = 64 };

// ---- Begin and end

// So that most bodies are written without moving them.
static size_t expected_size(const struct question *asked) {
    size_t entries = 1;
    for (int kind = 0; kind < LIST_KINDS; kind++)
        entries += asked->limits[kind];
    return ENTRY_SIZE * (entries < ENTRIES_EXPECTED ? entries : ENTRIES_EXPECTED);
}

void refresh_start(struct cached_body *cached) {
    struct refresh *refresh = calloc(1, sizeof *refresh);
    if (!refresh) {
        struct serve *serve = cached->serve;
        cached_body_refreshed(cached, NULL, UNAVAILABLE);
        turn_end(&serve->turns);
        return;
    }
    refresh->cached = cached;
    refresh->age = made_age_begin(cached->serve, item_age_max(cached->serve, !cached->body));
    refresh->now_ms = clock_now_ms();
    refresh->spans = window_set_at(cached->asked.windows, refresh->now_ms);
    buffer_init(&refresh->out, OUT_MAX);
    buffer_reserve(&refresh->out, expected_size(&cached->asked));
    buffer_init(&refresh->fingerprint, OUT_MAX);
    buffer_init(&refresh->values, OUT_MAX);
    buffer_init(&refresh->category, CATEGORY_ROOM);
    cached->asked.builder->start(refresh);
}

void refresh_end(struct refresh *refresh, enum outcome outcome) {
    struct cached_body *cached = refresh->cached;
    struct serve *serve = cached->serve;
    bool lacking = refresh->category.failed; // what fills a list up would be of another category
    if (lacking || refresh->out.failed || refresh->fingerprint.failed || refresh->values.failed)
        outcome = UNAVAILABLE;
    cached_body_refreshed(cached, refresh, outcome);
    buffer_release(&refresh->out);
    buffer_release(&refresh->fingerprint);
    buffer_release(&refresh->values);
    buffer_release(&refresh->category);
    for (uint32_t i = 0; i < refresh->lists_begun; i++)
        list_release(&refresh->lists[i]);
    value_release((struct shared_value *)refresh->rules);
    free(refresh);
    turn_end(&serve->turns);
}

// ---- Lists

static void read_items(struct refresh *refresh, const ref_t *items, size_t count,
                       void (*on_item)(struct items_read *read, size_t index, struct recent_item *item),
                       void (*on_done)(struct items_read *read, enum outcome outcome)) {
    refresh->items = (struct items_read){.serve = refresh->cached->serve,
                                         .age.max_ms = refresh->age.max_ms,
                                         .on_item = on_item,
                                         .on_done = on_done,
                                         .context = refresh};
    items_read_start(&refresh->items, items, count);
}

static void on_only_list(struct list *list, enum outcome outcome) {
    struct refresh *refresh = list->context;
    made_age_join(&refresh->age, &list->age);
    if (outcome == OK) {
        list_render(list, refresh->cached->asked.format, &refresh->out);
        list_fingerprint(list, &refresh->fingerprint, &refresh->values);
    }
    refresh_end(refresh, outcome);
}

static struct list *begin_list(struct refresh *refresh, enum list_kind kind,
                               void (*on_done)(struct list *list, enum outcome outcome)) {
    const struct question *asked = &refresh->cached->asked;
    struct serve *serve = refresh->cached->serve;
    struct list *list = &refresh->lists[refresh->lists_begun++];
    bool of_ranking = asked->builder == &builder_page && kind != LIST_RANKING; // a page names its ranking's
    *list = (struct list){.serve = serve,
                          .kind = kind,
                          .site = asked->site,
                          .item = asked->item,
                          .category = of_ranking ? NO_BYTES : asked->category,
                          .author = of_ranking ? NO_BYTES : asked->author,
                          .ranking = asked->ranking,
                          .past = asked->past,
                          .period = asked->period,
                          .limit = asked->limits[kind],
                          .offset = asked->offset,
                          .paged = on_done == on_only_list,
                          .max_age = asked->max_age,
                          .excluded = asked->ids,
                          .excluded_count = asked->id_count,
                          .filled = kind != LIST_RANKING,
                          .windows = asked->windows,
                          .age.max_ms = refresh->age.max_ms,
                          .on_done = on_done,
                          .context = refresh};
    list_init(list);
    for (uint32_t i = 0; i < asked->id_count; i++)
        list_without(list, item_ref(serve->hash_key, asked->site, asked->ids[i]));
    return list;
}

// A period that was asked for before is perhaps no longer kept.
static void start_ranking(struct refresh *refresh) {
    const struct question *asked = &refresh->cached->asked;
    if (asked->past &&
        !period_is_readable((struct period){window_sets(asked->ranking->window), asked->period}, refresh->now_ms))
        refresh_end(refresh, UNKNOWN_PERIOD);
    else
        list_start(begin_list(refresh, LIST_RANKING, on_only_list));
}

static void start_related(struct refresh *refresh) {
    list_start(begin_list(refresh, LIST_RELATED, on_only_list));
}

const struct body_builder builder_ranking = {'r', start_ranking};
const struct body_builder builder_related = {'n', start_related};

// ---- The page: the item, then one list after another; an item of one list is left out of the later ones

static void next_list(struct refresh *refresh, int kind);

// Excludes items that are pinned in another list of the page.
static void keep_pins_apart(struct refresh *refresh, struct list *list) {
    const struct question *asked = &refresh->cached->asked;
    for (size_t i = 0; i < refresh->rules->count; i++) {
        const struct rule *rule = &refresh->rules->at[i];
        bool in_force = rule->until_ms == 0 || rule->until_ms > list->now_ms, elsewhere = false;
        if (!in_force || rule->block || !rule->pin)
            continue;
        for (int kind = 0; kind < LIST_KINDS; kind++)
            if ((rule->lists & 1u << kind) && rule->pin <= asked->limits[kind] && kind != (int)list->kind)
                elsewhere = true;
        if (elsewhere && !((rule->lists & 1u << list->kind) && rule->pin <= list->limit))
            list_without(list, rule->item);
    }
}

static void on_page_list(struct list *list, enum outcome outcome) {
    struct refresh *refresh = list->context;
    if (outcome != OK) {
        refresh_end(refresh, outcome);
        return;
    }
    made_age_join(&refresh->age, &list->age);
    buffer_add_bytes(&refresh->out, BYTES(",\""));
    buffer_add_bytes(&refresh->out, bytes_of(list_kind_name(list->kind)));
    buffer_add_bytes(&refresh->out, BYTES("\":"));
    list_render(list, FORMAT_JSON, &refresh->out);
    list_fingerprint(list, &refresh->fingerprint, &refresh->values);
    next_list(refresh, (int)list->kind + 1);
}

static void next_list(struct refresh *refresh, int kind) {
    const struct question *asked = &refresh->cached->asked;
    while (kind < LIST_KINDS && asked->limits[kind] == 0)
        kind++;
    if (kind == LIST_KINDS) {
        buffer_add_char(&refresh->out, '}');
        refresh_end(refresh, OK);
        return;
    }
    struct list *list = begin_list(refresh, (enum list_kind)kind, on_page_list);
    // A ranking that asks for a number of events (its floor) is not filled up with items that have fewer.
    list->filled = list->kind != LIST_RANKING || list->ranking->floor <= 1;
    list_fill_of(list, buffer_bytes(&refresh->category));
    list_without(list, item_ref(list->serve->hash_key, asked->site, asked->item));
    for (uint32_t i = 0; i + 1 < refresh->lists_begun; i++)
        for (size_t j = 0; j < refresh->lists[i].placed_count; j++)
            list_without(list, refresh->lists[i].placed[j].candidate.item);
    keep_pins_apart(refresh, list);
    list_start(list);
}

static void on_page_item(struct items_read *read, size_t index, struct recent_item *item) {
    struct refresh *refresh = read->context;
    struct json_out json = json_out_to(&refresh->out);
    (void)index;
    refresh->outcome = item->state.outcome;
    buffer_add_bytes(&refresh->category, first_category(item->state.categories));
    buffer_add_bytes(&refresh->out, BYTES("{\"item\":"));
    recent_item_render(&json, item, refresh->cached->asked.item, &refresh->spans);
}

static void on_page_item_read(struct items_read *read, enum outcome outcome) {
    struct refresh *refresh = read->context;
    made_age_join(&refresh->age, &read->age);
    outcome = outcome == OK ? refresh->outcome : outcome;
    buffer_add_bytes(&refresh->fingerprint, buffer_bytes(&refresh->out));
    if (outcome == OK)
        next_list(refresh, 0);
    else
        refresh_end(refresh, outcome);
}

static void on_page_rules(struct shared_wait *wait, struct shared_value *rules) {
    struct refresh *refresh = (struct refresh *)((char *)wait - offsetof(struct refresh, rules_wait));
    const struct question *asked = &refresh->cached->asked;
    struct serve *serve = refresh->cached->serve;
    ref_t item = item_ref(serve->hash_key, asked->site, asked->item);
    refresh->rules = (struct rules *)rules;
    if (!rules) {
        refresh_end(refresh, UNAVAILABLE);
        return;
    }
    read_items(refresh, &item, 1, on_page_item, on_page_item_read);
}

static void start_page(struct refresh *refresh) {
    refresh->rules_wait.on_value = on_page_rules;
    rules_get(refresh->cached->serve, refresh->cached->asked.site, &refresh->rules_wait);
}

const struct body_builder builder_page = {'p', start_page};

// ---- Items, one and many

static void on_item(struct items_read *read, size_t index, struct recent_item *item) {
    struct refresh *refresh = read->context;
    struct json_out json = json_out_to(&refresh->out);
    bool alone = refresh->out.len == 0;
    if (item->state.outcome != OK) { // one of many is left out; a single one fails the request
        refresh->outcome = alone ? item->state.outcome : refresh->outcome;
        return;
    }
    json.comma = !alone && refresh->out.at[refresh->out.len - 1] != '[';
    recent_item_render(&json, item, refresh->cached->asked.ids[index], &refresh->spans);
}

static void on_item_read(struct items_read *read, enum outcome outcome) {
    struct refresh *refresh = read->context;
    made_age_join(&refresh->age, &read->age);
    buffer_add_bytes(&refresh->fingerprint, buffer_bytes(&refresh->out));
    refresh_end(refresh, outcome == OK ? refresh->outcome : outcome);
}

static void on_items_read(struct items_read *read, enum outcome outcome) {
    struct refresh *refresh = read->context;
    buffer_add_bytes(&refresh->out, BYTES("]}"));
    on_item_read(read, outcome);
}

static void read_ids(struct refresh *refresh, void (*on_done)(struct items_read *read, enum outcome outcome)) {
    const struct cached_body *cached = refresh->cached;
    ref_t refs[IDS_MAX];
    for (uint32_t i = 0; i < cached->asked.id_count; i++)
        refs[i] = item_ref(cached->serve->hash_key, cached->asked.site, cached->asked.ids[i]);
    read_items(refresh, refs, cached->asked.id_count, on_item, on_done);
}

static void start_item(struct refresh *refresh) {
    read_ids(refresh, on_item_read);
}

static void start_items(struct refresh *refresh) {
    buffer_add_bytes(&refresh->out, BYTES("{\"items\":["));
    read_ids(refresh, on_items_read);
}

const struct body_builder builder_item = {'i', start_item};
const struct body_builder builder_items = {'m', start_items};

// ---- The names and types of the rankings, from the settings alone

static void add_ranking(struct json_out *json, const struct ranking *ranking) {
    static const char *const types[] = {[RANK_DECAYED] = "decayed",
                                        [RANK_RISING] = "rising",
                                        [RANK_BEST] = "best",
                                        [RANK_TOTAL] = "total",
                                        [RANK_WINDOW] = "window"};
    json_open(json, '{');
    json_key(json, BYTES("name"));
    json_text(json, ranking->name);
    json_key(json, BYTES("type"));
    json_text(json, bytes_of(types[ranking->kind]));
    if (ranking->half_life_ms) {
        json_key(json, BYTES("half_life"));
        json_number(json, (double)ranking->half_life_ms / 1000);
    }
    if (ranking->kind == RANK_WINDOW) {
        json_key(json, BYTES("window"));
        json_text(json, bytes_of(window_name(ranking->window)));
    }
    json_close(json, '}');
}

static void start_rankings(struct refresh *refresh) {
    const struct plan *plan = refresh->cached->serve->plan;
    struct json_out json = json_out_to(&refresh->out);
    json_open(&json, '{');
    json_key(&json, BYTES("rankings"));
    json_open(&json, '[');
    for (uint32_t i = 0; i < plan->count; i++)
        if (i != plan->popular)
            add_ranking(&json, &plan->rankings[i]);
    json_close(&json, ']');
    json_close(&json, '}');
    buffer_add_bytes(&refresh->fingerprint, buffer_bytes(&refresh->out));
    refresh_end(refresh, OK);
}

const struct body_builder builder_rankings = {'l', start_rankings};
