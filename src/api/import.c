// SPDX-License-Identifier: MIT
// POST import: takes an export back, line by line. Items, votes and editorial rules are set, not added, so a repetition
// changes nothing. Votes pass the same log as all votes, with their own times, so the rankings become what they were.
#include "api/card.h"
#include "api/kinds.h"
#include "api/lines.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/times.h"
#include "model/keys.h"
#include "model/sketch.h"
#include "store/transfer.h"
#include <stdlib.h>

struct import_body {
    struct card_body card; // first: its fields are the card's
    struct bytes type, view_sums, visitor_sketch, voter, kind;
    struct json_time time;
    bool has_card; // also one without any member
};

enum { HEX_MAX = 60 << 10 };

static const struct json_field type_fields[] = {
    {.name = "type", .type = JSON_IN_TEXT, .offset = offsetof(struct import_body, type), .max = 16}, {.name = NULL}};

static const struct json_field item_fields[] = {
    {.name = "type", .type = JSON_IN_TEXT, .offset = offsetof(struct import_body, type), .max = 16},
    {.name = "view_sums", .type = JSON_IN_TEXT, .offset = offsetof(struct import_body, view_sums), .max = HEX_MAX},
    {.name = "visitor_sketch",
     .type = JSON_IN_TEXT,
     .offset = offsetof(struct import_body, visitor_sketch),
     .max = HEX_MAX},
    {.name = "card", .type = JSON_IN_SWITCH, .offset = offsetof(struct import_body, has_card)},
    {.name = "item",
     .type = JSON_IN_TEXT,
     .offset = offsetof(struct card_body, item),
     .max = ITEM_ID_MAX,
     .wrong = BAD_ITEM},
    CARD_FIELDS,
    {.name = NULL}};

static const struct json_field vote_fields[] = {
    {.name = "type", .type = JSON_IN_TEXT, .offset = offsetof(struct import_body, type), .max = 16},
    {.name = "item",
     .type = JSON_IN_TEXT,
     .offset = offsetof(struct card_body, item),
     .max = ITEM_ID_MAX,
     .wrong = BAD_ITEM},
    {.name = "voter", .type = JSON_IN_TEXT, .offset = offsetof(struct import_body, voter), .least = 16, .max = 16},
    {.name = "kind",
     .type = JSON_IN_TEXT,
     .offset = offsetof(struct import_body, kind),
     .max = NAME_SIZE,
     .wrong = UNKNOWN_KIND},
    {.name = "time", .type = JSON_IN_TIME, .offset = offsetof(struct import_body, time), .wrong = BAD_TIME},
    {.name = NULL}};

// ---- Items

struct import_item {
    struct item_call item;
    bool has_card;
    struct bytes views, visitors;
};

static void on_item(struct item_call *item) {
    line_note(item->context, partition_of(item->item, keys_partitions()), item->entry);
    line_done(item->context, item->outcome);
}

static bool read_hex(struct bytes text, struct arena *arena, struct bytes *ret_data) {
    *ret_data = NO_BYTES;
    return !text.len || hex_read(text, arena, ret_data);
}

static void send_item(struct line *line) {
    struct import_item *import = line->work;
    store_import_item(line_call(line)->api->store, &import->item, import->has_card, import->views, import->visitors);
}

static enum outcome import_item(struct line *line, const struct import_body *body) {
    struct call *call = line_call(line);
    struct import_item *import = arena_take(&line->arena, sizeof *import);
    struct card card;
    const char *detail;
    if (!import || !read_hex(body->view_sums, &line->arena, &import->views) ||
        !read_hex(body->visitor_sketch, &line->arena, &import->visitors))
        return import ? BAD_FIELD : UNAVAILABLE;
    if (!store_views_valid(call->api->store, import->views) ||
        (import->visitors.len && !sketch_valid(import->visitors)))
        return BAD_FIELD;
    enum outcome outcome = card_make(&body->card, call->api->settings, &line->arena, &card, &detail);
    if (outcome != OK)
        return outcome;
    import->has_card = card.json.len > 0 || body->has_card;
    import->item = (struct item_call){.item = item_ref(call->api->hash_key, call->site, body->card.item),
                                      .site = call->site,
                                      .id = body->card.item,
                                      .card = card,
                                      .on_done = on_item,
                                      .context = line};
    line->work = import;
    return line_after_projection(line, send_item);
}

// ---- Votes

static void on_vote(struct vote_call *vote) {
    line_note(vote->context, partition_of(vote->item, keys_partitions()), vote->entry);
    line_done(vote->context, vote->outcome);
}

static enum outcome import_vote(struct line *line, const struct import_body *body) {
    struct call *call = line_call(line);
    struct vote_call *vote = arena_take(&line->arena, sizeof *vote);
    struct bytes voter;
    int kind = kind_index(call->api->settings, body->kind);
    if (!vote)
        return UNAVAILABLE;
    if (!body->voter.at || !hex_read(body->voter, &line->arena, &voter) || !body->time.given)
        return BAD_FIELD;
    if (kind < 0)
        return UNKNOWN_KIND;
    if (body->time.unix_ms > clock_now_ms() + TIME_AHEAD_MS)
        return BAD_TIME;
    *vote = (struct vote_call){.item = item_ref(call->api->hash_key, call->site, body->card.item),
                               .visitor = strtoull(body->voter.at, NULL, 16) & INT64_MAX,
                               .site = call->site,
                               .id = body->card.item,
                               .kind = kind,
                               .time_ms = body->time.unix_ms,
                               .queued.patient = true,
                               .on_done = on_vote,
                               .context = line};
    store_vote(call->api->store, vote);
    return OK;
}

// ---- Lines

static enum outcome read_line(struct line *line, struct bytes text, const struct json_field *fields,
                              struct import_body *body) {
    const char *detail;
    *body = (struct import_body){.type = NO_BYTES};
    enum outcome outcome = json_read(text, fields, true, body, &line->arena, &detail);
    return outcome == OK && !item_id_valid(body->card.item) ? BAD_ITEM : outcome;
}

static enum outcome type_of(struct line *line, struct bytes text, struct import_body *body) {
    const char *detail;
    return json_read_known(text, type_fields, body, &line->arena, &detail);
}

enum outcome import_line(struct line *line, struct bytes text) {
    struct import_body body = {.type = NO_BYTES};
    enum outcome outcome = type_of(line, text, &body);
    if (outcome != OK)
        return outcome;
    if (bytes_eq(body.type, BYTES("item"))) {
        outcome = read_line(line, text, item_fields, &body);
        return outcome == OK ? import_item(line, &body) : outcome;
    }
    if (bytes_eq(body.type, BYTES("vote"))) {
        outcome = read_line(line, text, vote_fields, &body);
        return outcome == OK ? import_vote(line, &body) : outcome;
    }
    if (bytes_eq(body.type, BYTES("editorial")))
        return editorial_line(line, text);
    if (bytes_eq(body.type, BYTES("end"))) {
        line_skip(line);
        return OK;
    }
    return BAD_FIELD;
}

void import_start(struct call *call) {
    lines_finish(call, lines_answer_projected);
}
