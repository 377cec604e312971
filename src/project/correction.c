// SPDX-License-Identifier: MIT
// Writes corrections as JSON, and reads them.
#include "project/correction.h"
#include "base/json_out.h"
#include "ops/json_in.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { FORMAT = 3 }; // of the records. In earlier formats `to` was the last ms of the span, and the cursor had no run

static const char *const kinds[] = {
    [CORRECT_VISITOR] = "visitor", [CORRECT_ITEM] = "item", [CORRECT_ERASURE] = "erasure"};

void correction_new_id(char id[static CORRECTION_ID_SIZE]) {
    uint8_t bytes[(CORRECTION_ID_SIZE - 1) / 2];
    random_fill(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(id + 2 * i, 3, "%02x", bytes[i]);
}

bool correction_covers(const struct correction *correction, int64_t vote_ms) {
    return vote_ms >= correction->from_ms && vote_ms < correction->to_ms;
}

// ---- Out

static void add_text(struct json_out *json, const char *name, struct bytes text) {
    if (!text.at)
        return;
    json_key(json, bytes_of(name));
    json_text(json, text);
}

static void add_number(struct json_out *json, const char *name, uint64_t number) {
    json_key(json, bytes_of(name));
    json_int(json, (int64_t)number);
}

static void add_time(struct json_out *json, const char *name, int64_t ms) {
    if (!ms)
        return;
    json_key(json, bytes_of(name));
    json_time(json, ms);
}

// References are written as text, because a JSON number has only 53 bits.
static void add_scan(struct json_out *json, const struct correction *correction) {
    char text[24];
    snprintf(text, sizeof text, "%016" PRIx64, correction->visitor);
    add_text(json, "visitor", bytes_of(text));
    snprintf(text, sizeof text, "%" PRIu64, correction->cursor);
    add_text(json, "cursor", bytes_of(text));
    if (correction->run[0])
        add_text(json, "run", bytes_of(correction->run));
}

void correction_render(const struct correction *correction, bool shown, struct buffer *out) {
    struct json_out json = json_out_to(out);
    json_open(&json, '{');
    add_text(&json, "correction", bytes_of(correction->id));
    add_text(&json, "kind", bytes_of(kinds[correction->kind]));
    add_text(&json, "state", correction->done_ms ? BYTES("done") : BYTES("running"));
    if (!shown) {
        add_number(&json, "format", FORMAT);
        add_text(&json, "site", correction->site);
    }
    add_text(&json, "item", correction->item);
    add_time(&json, "from", correction->from_ms);
    if (correction->to_ms != CORRECTION_NO_END)
        add_time(&json, "to", correction->to_ms);
    add_text(&json, "note", correction->note);
    add_time(&json, "requested_at", correction->requested_ms);
    add_time(&json, "done_at", correction->done_ms);
    add_number(&json, "scanned", correction->scanned);
    add_number(&json, "retracted", correction->retracted);
    if (!shown && !correction->done_ms)
        add_scan(&json, correction);
    json_close(&json, '}');
}

// ---- In

struct body {
    struct bytes correction, kind, site, item, note, visitor, cursor, run;
    struct json_time from, to, requested_at, done_at;
    struct json_count format, scanned, retracted;
};

#define TEXT(field, longest)                                                                                           \
    { .name = #field, .type = JSON_IN_TEXT, .offset = offsetof(struct body, field), .max = longest }
#define TIME(field)                                                                                                    \
    { .name = #field, .type = JSON_IN_TIME, .offset = offsetof(struct body, field) }
#define COUNT(field)                                                                                                   \
    { .name = #field, .type = JSON_IN_COUNT, .offset = offsetof(struct body, field) }
static const struct json_field fields[] = {TEXT(correction, CORRECTION_ID_SIZE - 1),
                                           TEXT(kind, 16),
                                           TEXT(site, SITE_NAME_MAX),
                                           TEXT(item, ITEM_ID_MAX),
                                           TEXT(note, CORRECTION_NOTE_MAX),
                                           TEXT(visitor, 16),
                                           TEXT(cursor, 24),
                                           TEXT(run, RUN_ID_SIZE - 1),
                                           TIME(from),
                                           TIME(to),
                                           TIME(requested_at),
                                           TIME(done_at),
                                           COUNT(format),
                                           COUNT(scanned),
                                           COUNT(retracted),
                                           {.name = NULL}};

static bool kind_of(struct bytes name, enum correction_kind *ret_kind) {
    for (int i = 0; i <= CORRECT_ERASURE; i++)
        if (bytes_eq(name, bytes_of(kinds[i]))) {
            *ret_kind = (enum correction_kind)i;
            return true;
        }
    return false;
}

// The first ms after the span.
static int64_t end_of(const struct body *body) {
    if (!body->to.given)
        return CORRECTION_NO_END;
    return body->format.value >= FORMAT ? body->to.unix_ms : (body->to.unix_ms / 1000 + 1) * 1000;
}

enum outcome correction_read(struct bytes json, struct arena *arena, struct correction *ret_correction) {
    struct body body = {.kind = NO_BYTES};
    const char *detail;
    enum correction_kind kind;
    enum outcome outcome = json_read_known(json, fields, &body, arena, &detail);
    if (outcome != OK)
        return outcome;
    if (!kind_of(body.kind, &kind) || body.correction.len != CORRECTION_ID_SIZE - 1 || !body.site.len)
        return BAD_FIELD;
    *ret_correction = (struct correction){.kind = kind,
                                          .site = body.site,
                                          .item = body.item,
                                          .note = body.note,
                                          .visitor = body.visitor.at ? strtoull(body.visitor.at, NULL, 16) : 0,
                                          .cursor = body.cursor.at ? strtoull(body.cursor.at, NULL, 10) : 0,
                                          .from_ms = body.from.unix_ms / 1000 * 1000,
                                          .to_ms = end_of(&body),
                                          .requested_ms = body.requested_at.unix_ms,
                                          .done_ms = body.done_at.unix_ms,
                                          .scanned = body.scanned.value,
                                          .retracted = body.retracted.value};
    memcpy(ret_correction->id, body.correction.at, CORRECTION_ID_SIZE - 1);
    if (body.run.at)
        memcpy(ret_correction->run, body.run.at, body.run.len);
    return OK;
}
