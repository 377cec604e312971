// SPDX-License-Identifier: MIT
// The states of items (item_cache.h). A cached item never changes: a read that finds another state makes another one,
// and those who hold the old one keep it until they are done.
#include "base/keyed.h"
#include "model/sums.h"
#include "ops/metrics.h"
#include "serve/item_json.h"
#include "serve/serve_inside.h"
#include <stdlib.h>

uint64_t item_age_max(const struct serve *serve, bool first) {
    uint64_t max = (uint64_t)serve->settings->refresh_interval_ms;
    max = max < ITEM_FRESH_MS ? max : ITEM_FRESH_MS;
    return first ? max : max / 4;
}

struct made_age made_age_begin(const struct serve *serve, uint64_t max_ms) {
    uint64_t now_ms = uv_now(serve->loop);
    return (struct made_age){.max_ms = max_ms, .began_ms = now_ms, .oldest_ms = now_ms};
}

bool made_age_takes(struct made_age *age, const struct serve *serve, const struct track *track, uint64_t read_ms) {
    uint64_t as_of = track_as_of(serve->store, track, read_ms);
    if (age->began_ms - as_of >= age->max_ms)
        return false;
    if (age->began_ms - read_ms >= age->max_ms)
        metric_add(METRIC_TRACKED_HITS, 1);
    age->oldest_ms = as_of < age->oldest_ms ? as_of : age->oldest_ms;
    return true;
}

// What is kept stays for TURNOVER_MS: less is trimmed in that time than there is room for.
static bool is_kept_long(struct serve *serve) {
    struct turnover *turnover = &serve->turnover;
    uint64_t now = uv_now(serve->loop);
    if (now - turnover->since_ms >= TURNOVER_MS)
        *turnover = (struct turnover){now, serve->items.trimmed - turnover->until, serve->items.trimmed};
    return turnover->last < serve->items.bytes_max && serve->items.trimmed - turnover->until < serve->items.bytes_max;
}

struct track track_known(struct serve *serve, ref_t item, enum track_kind kind) {
    return is_kept_long(serve) ? track_begin(serve->store, item, kind) : (struct track){.session = 0};
}

// ---- One item

void recent_item_release(struct recent_item *item) {
    if (item && --item->holders == 0)
        free(item);
}

static void leave_cache(struct lru_entry *entry) {
    struct recent_item *item = (struct recent_item *)entry;
    ref_table_drop(&item->serve->items_cached, item->item);
    recent_item_release(item);
}

static struct bytes copy_text(char **at, struct bytes text) {
    struct bytes copy = {*at, text.len};
    if (text.len)
        memcpy(*at, text.at, text.len);
    *at += text.len;
    return copy;
}

// The card is a part of the members, so it is not kept twice.
static void take_texts(struct recent_item *item, const struct item_state *state, struct bytes members, size_t card_at) {
    char *at = item->text;
    item->members = copy_text(&at, members);
    item->state.card = (struct bytes){item->members.at + card_at, state->card.len};
    item->state.id = copy_text(&at, state->id);
    item->state.site = copy_text(&at, state->site);
    item->state.categories = copy_text(&at, state->categories);
    item->state.author = copy_text(&at, state->author);
    item->state.sums = copy_text(&at, state->sums);
}

// NULL without memory.
static struct recent_item *item_new(struct serve *serve, ref_t ref, const struct item_state *state) {
    struct buffer *members = &serve->item_text;
    struct json_out json = json_out_to(members);
    size_t card_at = 0;
    buffer_clear(members);
    if (state->outcome == OK && state->known)
        card_at = item_members(&json, serve->settings, state->id, state, NULL);
    size_t size =
        members->len + state->id.len + state->site.len + state->categories.len + state->author.len + state->sums.len;
    struct recent_item *item = members->failed ? NULL : malloc(sizeof *item + size);
    if (!item)
        return NULL;
    struct bytes text = buffer_bytes(members);
    *item = (struct recent_item){.serve = serve, .item = ref, .holders = 1, .state = *state};
    item->lru.free = leave_cache;
    item->lru.bytes = sizeof *item + 2 * sizeof(struct ref_slot) + size;
    item->state.series = NULL;
    item->digest = keyed_hash64(serve->hash_key, 'm', &text, 1);
    take_texts(item, state, text, card_at);
    return item;
}

static bool is_same(const struct item_state *one, const struct item_state *other) {
    return one->known == other->known && one->outcome == other->outcome && one->has_card == other->has_card &&
           one->views == other->views && one->visitors == other->visitors && one->sketch == other->sketch &&
           one->published_ms == other->published_ms && one->first_ms == other->first_ms &&
           memcmp(one->votes, other->votes, sizeof one->votes) == 0 && bytes_eq(one->card, other->card) &&
           bytes_eq(one->sums, other->sums) && bytes_eq(one->id, other->id) && bytes_eq(one->site, other->site) &&
           bytes_eq(one->categories, other->categories) && bytes_eq(one->author, other->author);
}

// ---- The cache

static struct recent_item *find(struct serve *serve, ref_t ref) {
    struct recent_item *item = ref_table_find(&serve->items_cached, ref);
    return item && item->generation == store_generation(serve->store) ? item : NULL;
}

void serve_forget_item(struct serve *serve, ref_t ref) {
    struct recent_item *item = ref_table_find(&serve->items_cached, ref);
    if (item)
        lru_drop(&serve->items, &item->lru);
}

static void keep(struct recent_item *item) {
    struct serve *serve = item->serve;
    serve_forget_item(serve, item->item);
    if (!ref_table_put(&serve->items_cached, item->item, item))
        return;
    item->holders++;
    lru_add(&serve->items, &item->lru, item->lru.bytes);
}

// ---- A read

static void deliver(struct items_read *read, enum outcome outcome) {
    if (read->lacking)
        outcome = UNAVAILABLE;
    for (size_t i = 0; outcome == OK && i < read->count; i++)
        read->on_item(read, i, read->items[i]);
    for (size_t i = 0; i < read->count; i++)
        recent_item_release(read->items[i]);
    free(read->items);
    lru_trim(&read->serve->items);
    read->on_done(read, outcome);
}

static void on_read(struct read_call *call, enum outcome outcome) {
    deliver(call->context, outcome);
}

// Takes the place of the one that was known, or makes it young again.
static void on_state(struct read_call *call, size_t index, const struct item_state *state) {
    struct items_read *read = call->context;
    struct serve *serve = read->serve;
    const struct item_again *again = &read->again[index];
    struct recent_item **place = &read->items[read->places[index]];
    bool stays = *place && (*place)->generation == store_generation(serve->store) && is_same(&(*place)->state, state);
    struct recent_item *item = stays ? *place : item_new(serve, again->item, state);
    if (!item) {
        read->lacking = true;
        return;
    }
    if (!stays) {
        recent_item_release(*place);
        *place = item;
    }
    item->read_ms = read->age.began_ms;
    item->track = again->track;
    item->generation = store_generation(serve->store);
    if (!stays && state->outcome == OK && item_age_max(serve, true))
        keep(item);
}

// One block of memory for what the read needs.
static bool make_room(struct items_read *read, size_t count) {
    size_t each = sizeof *read->items + sizeof *read->again + sizeof *read->places;
    read->items = calloc(count ? count : 1, each);
    read->again = (struct item_again *)(void *)(read->items + count);
    read->places = (uint32_t *)(void *)(read->again + count);
    read->count = read->items ? count : 0;
    read->missing = 0;
    read->lacking = !read->items;
    return read->items != NULL;
}

static void look(struct items_read *read, ref_t item, size_t place) {
    struct recent_item *found = find(read->serve, item);
    read->items[place] = found;
    if (found) {
        found->holders++;
        lru_use(&read->serve->items, &found->lru);
    }
    if (found && made_age_takes(&read->age, read->serve, &found->track, found->read_ms))
        return;
    struct item_again *again = &read->again[read->missing];
    *again = (struct item_again){.item = item, .known = found ? &found->state : NULL};
    if (found)
        again->track = track_known(read->serve, item, TRACK_ITEM);
    read->places[read->missing++] = (uint32_t)place;
}

void items_read_start(struct items_read *read, const ref_t *items, size_t count) {
    read->age = made_age_begin(read->serve, read->age.max_ms);
    ref_table_expect(&read->serve->items_cached, items, count, sizeof(struct recent_item));
    if (make_room(read, count))
        for (size_t i = 0; i < count; i++)
            look(read, items[i], i);
    metric_add(METRIC_ITEM_HITS, read->count - read->missing);
    read->call = (struct read_call){.on_done = on_read, .context = read};
    store_reread_items(read->serve->store, &read->call, read->again, read->missing, on_state);
}

// ---- What answers show

void recent_item_members(struct json_out *json, const struct recent_item *item, struct bytes id,
                         const struct window_set *spans) {
    const struct serve *serve = item->serve;
    if (item->members.len)
        json_raw(json, item->members);
    else
        item_members(json, serve->settings, id, &item->state, NULL);
    if (!spans || spans->count == 0)
        return;
    struct sums sums;
    bool counted = item->state.known && sums_unpack(item->state.sums, &serve->plan->lives, &sums);
    windows_member(json, serve->settings, counted ? &sums.series : NULL, spans);
}

void recent_item_render(struct json_out *json, const struct recent_item *item, struct bytes id,
                        const struct window_set *spans) {
    json_open(json, '{');
    recent_item_members(json, item, id, spans);
    json_close(json, '}');
}
