// SPDX-License-Identifier: MIT
// GET audit: the entries of the audit log, newest first, page by page, and the counts of the calls that have none.
#include "api/call.h"
#include "store/audit_log.h"

enum { ANSWER_MAX = 2 << 20 };

struct audit_list {
    struct call *call;
    struct read_call read;
    struct buffer entries, counts;
    struct json_out entries_out, counts_out;
    char last[AUDIT_ID_SIZE]; // the id of the last entry of the page
    uint32_t count;
};

static void on_entry(struct read_call *read, struct bytes id, struct bytes json) {
    struct audit_list *list = read->context;
    if (list->count++ >= list->call->params.limit)
        return;
    if (json.len) {
        json_open(&list->entries_out, '{');
        json_key(&list->entries_out, BYTES("id"));
        json_text(&list->entries_out, id);
        json_raw(&list->entries_out, json);
        json_close(&list->entries_out, '}');
    }
    struct buffer last = buffer_over(list->last, sizeof list->last);
    buffer_add_bytes(&last, id);
    buffer_add_char(&last, '\0');
}

static void on_count(struct read_call *read, const struct audit_count *count) {
    struct json_out *json = &((struct audit_list *)read->context)->counts_out;
    json_open(json, '{');
    json_key(json, BYTES("key"));
    json_text(json, count->key);
    json_key(json, BYTES("call"));
    json_text(json, count->call);
    json_key(json, BYTES("count"));
    json_int(json, (int64_t)count->calls);
    json_key(json, BYTES("first_at"));
    json_time(json, count->first_ms);
    json_key(json, BYTES("last_at"));
    json_time(json, count->last_ms);
    json_close(json, '}');
}

static void render(const struct audit_list *list, struct buffer *body) {
    struct json_out json = json_out_to(body);
    json_open(&json, '{');
    json_key(&json, BYTES("entries"));
    json_open(&json, '[');
    json_raw(&json, buffer_bytes(&list->entries));
    json_close(&json, ']');
    if (list->count > list->call->params.limit) {
        json_key(&json, BYTES("next_before"));
        json_text(&json, bytes_of(list->last));
    }
    if (!list->call->params.before.ms) {
        json_key(&json, BYTES("sums"));
        json_open(&json, '[');
        json_raw(&json, buffer_bytes(&list->counts));
        json_close(&json, ']');
    }
    json_close(&json, '}');
    body->failed |= list->entries.failed || list->counts.failed;
}

static void on_read(struct read_call *read, enum outcome outcome) {
    struct audit_list *list = read->context;
    struct buffer body;
    buffer_init(&body, ANSWER_MAX);
    if (outcome == OK)
        render(list, &body);
    buffer_release(&list->entries);
    buffer_release(&list->counts);
    if (outcome == OK)
        answer_json(list->call, 200, &body);
    else
        answer_error(list->call, outcome, NULL);
    buffer_release(&body);
}

void audit_list_start(struct call *call) {
    struct audit_list *list = arena_take(call->request->arena, sizeof *list);
    if (!list) {
        answer_error(call, UNAVAILABLE, NULL);
        return;
    }
    *list = (struct audit_list){.call = call, .read = {.on_done = on_read, .context = list}};
    buffer_init(&list->entries, ANSWER_MAX);
    buffer_init(&list->counts, ANSWER_MAX);
    list->entries_out = json_out_to(&list->entries);
    list->counts_out = json_out_to(&list->counts);
    store_read_audit(call->api->store, &list->read, site_ref(call->api->hash_key, call->site), call->params.before,
                     call->params.limit + 1, on_entry, call->params.before.ms ? NULL : on_count);
}
