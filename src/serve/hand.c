// SPDX-License-Identifier: MIT
// What an editor said of a site's items, and whether it lists only items with a card: read at most once per
// refresh_interval whoever asks. An end time needs no job:
// whoever puts a list together looks at the clock.
#include "ops/json_in.h"
#include "serve/serve_inside.h"
#include <stdlib.h>

enum { MARK_ARENA_MOST = 64 << 10 };

struct hand {
    struct shared shared; // first; its value is struct marks
    UT_hash_handle hh;
    ref_t site;
    bool lacking; // memory for a mark that was read
    struct read_call call;
    struct marks *reading; // room for EDITORIAL_MOST
};

static int by_item(const void *a, const void *b) {
    const struct mark *left = a, *right = b;
    return (left->item > right->item) - (left->item < right->item);
}

const struct mark *marks_find(const struct marks *marks, ref_t item) {
    struct mark wanted = {.item = item};
    return marks->count ? bsearch(&wanted, marks->at, marks->count, sizeof marks->at[0], by_item) : NULL;
}

static void hand_free(struct kept *kept) {
    struct hand *hand = (struct hand *)kept;
    HASH_DEL(hand->shared.serve->hands, hand);
    value_release(hand->shared.value);
    free(hand->reading);
    free(hand);
}

// ---- Reading

struct mark_body {
    struct json_count pin;
    struct json_number boost;
    bool bury, block;
    struct json_texts lists;
    struct json_time set_at;
};

static const struct json_field fields[] = {
    {.name = "pin", .type = JSON_IN_COUNT, .offset = offsetof(struct mark_body, pin)},
    {.name = "boost", .type = JSON_IN_NUMBER, .offset = offsetof(struct mark_body, boost)},
    {.name = "bury", .type = JSON_IN_SWITCH, .offset = offsetof(struct mark_body, bury)},
    {.name = "block", .type = JSON_IN_SWITCH, .offset = offsetof(struct mark_body, block)},
    {.name = "lists", .type = JSON_IN_TEXTS, .offset = offsetof(struct mark_body, lists), .most = NAME_SIZE},
    {.name = "set_at", .type = JSON_IN_TIME, .offset = offsetof(struct mark_body, set_at)},
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

static void on_mark(struct read_call *call, ref_t item, int64_t until_ms, struct bytes json) {
    struct hand *hand = call->context;
    struct mark_body body = {.bury = false};
    struct arena arena;
    const char *detail;
    if (hand->reading->count == EDITORIAL_MOST)
        return;
    arena_init(&arena, MARK_ARENA_MOST);
    // What can't be read is nobody's hand; fields that only GET shows are passed over.
    enum outcome outcome = json_read_known(json, fields, &body, &arena, &detail);
    hand->lacking |= outcome == UNAVAILABLE;
    if (outcome == OK)
        hand->reading->at[hand->reading->count++] =
            (struct mark){.item = item,
                          .until_ms = until_ms,
                          .set_ms = body.set_at.unix_ms,
                          .pin = (uint32_t)body.pin.value,
                          .boost = body.boost.given && body.boost.value > 0 ? body.boost.value : 1,
                          .bury = body.bury,
                          .block = body.block,
                          .lists = lists_of(&body.lists)};
    arena_release(&arena);
}

// As much memory as they need, in order.
static struct marks *fit(struct marks *read, size_t *ret_bytes) {
    *ret_bytes = sizeof *read + read->count * sizeof read->at[0];
    struct marks *fitted = realloc(read, *ret_bytes);
    read = fitted ? fitted : read;
    if (read->count)
        qsort(read->at, read->count, sizeof read->at[0], by_item);
    return read;
}

// What was read in vain is read into again.
static void finish(struct hand *hand, enum outcome outcome) {
    size_t bytes;
    if (outcome != OK || hand->lacking) {
        shared_done(&hand->shared, NULL, 0);
        return;
    }
    struct marks *read = fit(hand->reading, &bytes);
    hand->reading = NULL;
    shared_done(&hand->shared, &read->value, bytes);
}

static void on_cards(struct read_call *call, uint64_t cards) {
    struct hand *hand = call->context;
    hand->reading->cards_only = cards >= CARDS_ENOUGH;
}

static void on_counted(struct read_call *call, enum outcome outcome) {
    finish(call->context, outcome);
}

static void on_read(struct read_call *call, enum outcome outcome) {
    struct hand *hand = call->context;
    if (outcome != OK || strcmp(hand->shared.serve->settings->list_unknown, "auto") != 0) {
        finish(hand, outcome);
        return;
    }
    hand->call = (struct read_call){.on_done = on_counted, .context = hand};
    store_count_cards(hand->shared.serve->store, &hand->call, hand->site, on_cards);
}

static bool start(struct shared *shared) {
    struct hand *hand = (struct hand *)shared;
    if (!hand->reading)
        hand->reading = malloc(sizeof *hand->reading + EDITORIAL_MOST * sizeof hand->reading->at[0]);
    if (!hand->reading)
        return false;
    *hand->reading =
        (struct marks){.value.holders = 1, .cards_only = strcmp(shared->serve->settings->list_unknown, "off") == 0};
    hand->lacking = false;
    hand->call = (struct read_call){.on_done = on_read, .context = hand};
    store_read_editorial(shared->serve->store, &hand->call, hand->site, on_mark);
    return true;
}

// ---- Asking

static struct hand *find(struct serve *serve, ref_t site) {
    struct hand *hand;
    HASH_FIND(hh, serve->hands, &site, sizeof site, hand);
    if (hand || !(hand = calloc(1, sizeof *hand)))
        return hand;
    hand->shared = (struct shared){.kept.free = hand_free, .serve = serve, .start = start, .own_bytes = sizeof *hand};
    hand->site = site;
    HASH_ADD(hh, serve->hands, site, sizeof hand->site, hand);
    if (!HASH_HAS_TAKEN(hand)) {
        free(hand);
        return NULL;
    }
    kept_add(serve, &hand->shared.kept, sizeof *hand);
    return hand;
}

void hand_get(struct serve *serve, struct bytes site, struct shared_wait *wait) {
    struct hand *hand = find(serve, site_ref(serve->hash_key, site));
    if (hand)
        shared_get(&hand->shared, wait);
    else
        wait->on_value(wait, NULL);
}
