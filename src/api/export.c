// SPDX-License-Identifier: MIT
// GET export: a site as NDJSON, streamed page by page: items with cards and counts, each vote by its hashed voter, and
// the editorial rules. The last line says that the export is whole, or why it is not. It runs as fast as the client
// reads.
//
// It begins when everything that was acknowledged before the call is projected. A cursor of SCAN has no meaning for
// another Redis, or for the same Redis after a restart. Then the export ends with an error line.
#include "api/call.h"
#include "base/hex.h"
#include "store/correction_records.h"
#include "store/rules.h"
#include "store/transfer.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { WAIT_MS = 10000 };
enum { PAGE_ITEMS = 64, PAGE_MAX = 1024, TEXTS_MAX = 4 << 20, PIECE_MAX = 64 << 20 };

struct exported {
    ref_t item;
    struct bytes id;
};

struct export {
    struct call *call;
    struct read_call read;
    struct buffer piece; // lines that are not sent yet
    struct arena texts;  // ids of this page
    struct scan scan;
    uint64_t told;
    uint64_t generation; // of the store when it began
    ref_t items[PAGE_MAX];
    struct exported page[PAGE_MAX];
    size_t item_count, page_count, next;
    uint32_t bucket, buckets; // of the present item: the next bucket, and how many there are
};

static void next_voters(struct export *export);

static struct store *store_of(const struct export *export) {
    return export->call->api->store;
}

static struct read_call *next_read(struct export *export, void (*on_done)(struct read_call *read, enum outcome)) {
    export->read = (struct read_call){.on_done = on_done, .context = export};
    return &export->read;
}

static void end(struct export *export, enum outcome outcome) {
    struct http_request *request = export->call->request;
    outcome = export->piece.failed ? UNAVAILABLE : outcome;
    if (outcome == OK)
        buffer_addf(&export->piece, "{\"type\":\"end\",\"items\":%" PRIu64 "}\n", export->told);
    else {
        buffer_clear(&export->piece);
        buffer_addf(&export->piece, "{\"type\":\"error\",\"code\":\"%s\"}\n", outcome_code(outcome));
    }
    http_stream_piece(request, buffer_bytes(&export->piece), NULL);
    buffer_release(&export->piece);
    arena_release(&export->texts);
    scan_restart(&export->scan);
    free(export);
    http_stream_end(request);
}

// ---- The editorial rules, at the end

static void on_rule(struct read_call *read, ref_t item, int64_t until_ms, struct bytes json) {
    struct export *export = read->context;
    (void)item;
    (void)until_ms;
    buffer_add_bytes(&export->piece, BYTES("{\"type\":\"editorial\","));
    buffer_add_bytes(&export->piece, (struct bytes){json.at + 1, json.len - 1});
    buffer_add_char(&export->piece, '\n');
}

static void on_rules(struct read_call *read, enum outcome outcome) {
    end(read->context, outcome);
}

static void tell_editorial(struct export *export) {
    ref_t site = site_ref(export->call->api->hash_key, export->call->site);
    store_read_editorial(store_of(export), next_read(export, on_rules), site, on_rule);
}

// ---- Items

static void begin_line(struct json_out *json, const char *type, struct bytes id) {
    json_open(json, '{');
    json_key(json, BYTES("type"));
    json_text(json, bytes_of(type));
    json_key(json, BYTES("item"));
    json_text(json, id);
}

static void end_line(struct json_out *json) {
    json_close(json, '}');
    buffer_add_char(json->buffer, '\n');
}

static void add_hex(struct json_out *json, const char *name, struct bytes data) {
    struct buffer hex;
    if (!data.len)
        return;
    buffer_init(&hex, 64 << 10);
    hex_add(&hex, data);
    json_key(json, bytes_of(name));
    json_text(json, buffer_bytes(&hex));
    json->buffer->failed |= hex.failed;
    buffer_release(&hex);
}

// "views votes votes …" as PUT takes it. Votes of a kind that this machine does not know yet must not be left out: the
// export ends with an error, as it does for a voter.
static void add_base(struct json_out *json, const struct settings *settings, struct bytes base) {
    char *rest;
    if (!base.len)
        return;
    json_key(json, BYTES("base"));
    json_open(json, '{');
    json_key(json, BYTES("views"));
    json_int(json, strtoll(base.at, &rest, 10));
    json_key(json, BYTES("votes"));
    json_open(json, '{');
    for (uint32_t kind = 0; kind < settings->kind_count; kind++) {
        json_key(json, bytes_of(settings->kind_names[kind]));
        json_int(json, strtoll(rest, &rest, 10));
    }
    json->buffer->failed |= rest < base.at + base.len && strtoll(rest, NULL, 10) != 0;
    json_close(json, '}');
    json_close(json, '}');
}

static void on_record(struct read_call *read, size_t index, const struct item_record *record) {
    struct export *export = read->context;
    if (!record->usable || !bytes_eq(record->site, export->call->site))
        return;
    struct exported *one = &export->page[export->page_count++];
    *one = (struct exported){export->items[index], arena_copy(&export->texts, record->id)};
    struct json_out json = json_out_to(&export->piece);
    json.buffer->failed |= !one->id.at;
    begin_line(&json, "item", record->id);
    json_raw(&json, record->card);
    if (record->has_card && !record->card.len) {
        json_key(&json, BYTES("card"));
        json_bool(&json, true);
    }
    add_base(&json, export->call->api->settings, record->base);
    add_hex(&json, "view_sums", record->views);
    add_hex(&json, "visitor_sketch", record->visitors);
    end_line(&json);
    export->told++;
}

static void on_records(struct read_call *read, enum outcome outcome) {
    struct export *export = read->context;
    if (outcome == OK)
        next_voters(export);
    else
        end(export, outcome);
}

static void on_item(struct read_call *read, ref_t item) {
    struct export *export = read->context;
    for (size_t i = 0; i < export->item_count; i++)
        if (export->items[i] == item)
            return;
    if (export->item_count < PAGE_MAX)
        export->items[export->item_count++] = item;
}

static void on_items(struct read_call *read, enum outcome outcome) {
    struct export *export = read->context;
    if (outcome == OK)
        store_read_records(store_of(export), next_read(export, on_records), export->items, export->item_count,
                           on_record);
    else
        end(export, outcome);
}

static void read_page(struct export *export) {
    arena_reset(&export->texts);
    export->item_count = export->page_count = export->next = 0;
    export->bucket = 0;
    store_scan_items(store_of(export), next_read(export, on_items), &export->scan, PAGE_ITEMS, on_item);
}

// ---- Voters, item by item and bucket by bucket

static void on_voter(struct read_call *read, const struct voter *voter) {
    struct export *export = read->context;
    const struct settings *settings = export->call->api->settings;
    char text[24];
    export->piece.failed |= voter->kind >= (int)settings->kind_count;
    if (export->piece.failed)
        return;
    struct json_out json = json_out_to(&export->piece);
    begin_line(&json, "vote", export->page[export->next].id);
    snprintf(text, sizeof text, "%016" PRIx64, voter->visitor);
    json_key(&json, BYTES("voter"));
    json_text(&json, bytes_of(text));
    json_key(&json, BYTES("kind"));
    json_text(&json, bytes_of(settings->kind_names[voter->kind]));
    json_key(&json, BYTES("time"));
    json_time(&json, voter->time_ms);
    end_line(&json);
}

static void on_drain(struct http_request *request) {
    next_voters(call_of(request)->state);
}

static void on_voters(struct read_call *read, enum outcome outcome) {
    struct export *export = read->context;
    if (outcome != OK || export->piece.failed) {
        end(export, outcome);
        return;
    }
    if (++export->bucket >= export->buckets) {
        export->bucket = 0;
        export->next++;
    }
    bool on = http_stream_piece(export->call->request, buffer_bytes(&export->piece), on_drain);
    buffer_clear(&export->piece);
    if (on)
        next_voters(export);
}

static void next_voters(struct export *export) {
    if (http_client_gone(export->call->request))
        end(export, OK);
    else if (export->generation != store_generation(store_of(export)))
        end(export, UNAVAILABLE);
    else if (export->next < export->page_count)
        store_read_voters(store_of(export), next_read(export, on_voters), export->page[export->next].item,
                          export->bucket, 1, &export->buckets, on_voter);
    else if (export->scan.goes_on)
        read_page(export);
    else
        tell_editorial(export);
}

static void on_projected(struct read_call *read, enum outcome outcome) {
    struct export *export = read->context;
    struct call *call = export->call;
    const char *lacking = store_lacks_scan(store_of(export));
    if (outcome == OK && lacking) {
        free(export);
        answer_error(call, UNAVAILABLE, lacking);
        return;
    }
    if (outcome != OK || !begin_stream(call, "application/x-ndjson")) {
        free(export);
        answer_error(call, UNAVAILABLE, "what was acknowledged before is not projected yet");
        return;
    }
    export->generation = store_generation(store_of(export));
    call->state = export;
    buffer_init(&export->piece, PIECE_MAX);
    arena_init(&export->texts, TEXTS_MAX);
    read_page(export);
}

void export_start(struct call *call) {
    struct export *export = calloc(1, sizeof *export);
    if (call->request->method == HTTP_METHOD_HEAD && begin_stream(call, "application/x-ndjson")) {
        free(export);
        http_stream_end(call->request);
        return;
    }
    if (!export) {
        answer_error(call, UNAVAILABLE, NULL);
        return;
    }
    export->call = call;
    store_wait_all_projected(call->api->store, next_read(export, on_projected), WAIT_MS);
}
