// SPDX-License-Identifier: MIT
// What an editor said of a site's items, and whether it lists only items with a card: read at most once per
// refresh_interval whoever asks. An end time needs no job:
// whoever puts a list together looks at the clock.
#include "ops/json_in.h"
#include "serve/serve_inside.h"
#include <stdlib.h>

enum { MARK_ARENA_MOST = 64 << 10 };

struct hand {
    struct kept kept; // first
    UT_hash_handle hh;
    struct serve *serve;
    ref_t site;
    bool in_flight, good;
    bool lacking; // memory for a mark that was read
    uint64_t made_ms;
    struct hand_wait *waits, *later;
    struct read_call call;
    struct marks *marks;   // the present ones; NULL before the first
    struct marks *reading; // room for EDITORIAL_MOST
};

void marks_release(struct marks *marks) {
    if (marks && --marks->holders == 0)
        free(marks);
}

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
    HASH_DEL(hand->serve->hands, hand);
    marks_release(hand->marks);
    marks_release(hand->reading);
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

static void refresh(struct hand *hand);

static void tell(struct hand *hand, struct hand_wait *waits, bool good) {
    for (struct hand_wait *next; waits; waits = next) {
        next = waits->next;
        if (good)
            hand->marks->holders++;
        waits->on_hand(waits, good ? hand->marks : NULL);
    }
}

static void take_marks(struct hand *hand) {
    struct marks *read = hand->reading;
    struct marks *fitted = realloc(read, sizeof *read + read->count * sizeof read->at[0]);
    read = fitted ? fitted : read;
    if (read->count)
        qsort(read->at, read->count, sizeof read->at[0], by_item);
    marks_release(hand->marks);
    hand->marks = read;
    hand->reading = NULL;
    kept_resize(hand->serve, &hand->kept, sizeof *hand + sizeof *read + read->count * sizeof read->at[0]);
}

// State is settled before those who wait are told; the hand stays until all were.
static void finish(struct hand *hand, enum outcome outcome) {
    struct hand_wait *waits = hand->waits;
    outcome = hand->lacking ? UNAVAILABLE : outcome;
    if (outcome == OK)
        take_marks(hand);
    hand->good = outcome == OK;
    hand->waits = hand->later;
    hand->later = NULL;
    hand->in_flight = false;
    if (hand->waits)
        refresh(hand);
    tell(hand, waits, outcome == OK);
    hand->kept.busy = hand->in_flight;
    kept_trim(hand->serve);
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
    if (outcome != OK || strcmp(hand->serve->settings->list_unknown, "auto") != 0) {
        finish(hand, outcome);
        return;
    }
    hand->call = (struct read_call){.on_done = on_counted, .context = hand};
    store_count_cards(hand->serve->store, &hand->call, hand->site, on_cards);
}

static void refresh(struct hand *hand) {
    if (!hand->reading)
        hand->reading = malloc(sizeof *hand->reading + EDITORIAL_MOST * sizeof hand->reading->at[0]);
    if (!hand->reading) {
        struct hand_wait *waits = hand->waits;
        hand->waits = NULL;
        tell(hand, waits, false);
        return;
    }
    hand->reading->holders = 1;
    hand->reading->count = 0;
    hand->reading->cards_only = strcmp(hand->serve->settings->list_unknown, "off") == 0;
    hand->lacking = false;
    hand->in_flight = hand->kept.busy = true;
    hand->made_ms = uv_now(hand->serve->loop);
    hand->call = (struct read_call){.on_done = on_read, .context = hand};
    store_read_editorial(hand->serve->store, &hand->call, hand->site, on_mark);
}

// ---- Asking

static struct hand *find(struct serve *serve, ref_t site) {
    struct hand *hand;
    HASH_FIND(hh, serve->hands, &site, sizeof site, hand);
    if (hand || !(hand = calloc(1, sizeof *hand)))
        return hand;
    hand->serve = serve;
    hand->site = site;
    hand->kept.free = hand_free;
    HASH_ADD(hh, serve->hands, site, sizeof hand->site, hand);
    if (!HASH_HAS_TAKEN(hand)) {
        free(hand);
        return NULL;
    }
    kept_add(serve, &hand->kept, sizeof *hand);
    return hand;
}

static bool is_fresh(const struct hand *hand) {
    uint64_t age = uv_now(hand->serve->loop) - hand->made_ms;
    return hand->good && age < (uint64_t)hand->serve->settings->refresh_interval_ms;
}

void hand_get(struct serve *serve, struct bytes site, struct hand_wait *wait) {
    struct hand *hand = find(serve, site_ref(serve->hash_key, site));
    if (!hand) {
        wait->on_hand(wait, NULL);
        return;
    }
    kept_use(serve, &hand->kept);
    if (is_fresh(hand) && !hand->in_flight) {
        hand->marks->holders++;
        wait->on_hand(wait, hand->marks);
        return;
    }
    bool join = !hand->in_flight || serve->settings->refresh_interval_ms > 0;
    struct hand_wait **list = join ? &hand->waits : &hand->later;
    wait->next = *list;
    *list = wait;
    if (!hand->in_flight)
        refresh(hand);
}
