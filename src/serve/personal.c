// SPDX-License-Identifier: MIT
// The list for one visitor: computed like all lists, sent once, not cached.
#include "serve/list.h"
#include <stdlib.h>

enum { OUT_MAX = 4 << 20, NAMES_MAX = 2 << 10 };

struct personal {
    struct ask ask; // first
    struct serve *serve;
    struct personal_call *call;
    enum list_format format;
    ref_t visitor;
    struct list list;
    struct buffer names; // the bytes that the list's views point into: its site, category and author
};

static void personal_free(struct personal *personal) {
    list_release(&personal->list);
    buffer_release(&personal->names);
    free(personal);
}

static void on_done(struct list *list, enum outcome outcome) {
    struct personal *personal = list->context;
    struct buffer out;
    buffer_init(&out, OUT_MAX);
    if (outcome == OK)
        list_render(list, personal->format, &out);
    if (out.failed)
        outcome = UNAVAILABLE;
    personal->call->on_done(personal->call, outcome, outcome == OK ? buffer_bytes(&out) : NO_BYTES);
    buffer_release(&out);
    serve_ask_end(personal->serve);
    personal_free(personal);
}

static void on_turn(struct ask *ask, enum outcome outcome) {
    struct personal *personal = (struct personal *)ask;
    if (outcome == OK) {
        list_start(&personal->list);
        return;
    }
    personal->call->on_done(personal->call, outcome, NO_BYTES);
    personal_free(personal);
}

void serve_personal(struct serve *serve, const struct http_request *request, struct personal_call *call,
                    const struct list_query *query, const ref_t *visitor) {
    struct personal *personal = calloc(1, sizeof *personal);
    struct buffer names;
    buffer_init(&names, NAMES_MAX);
    buffer_add_bytes(&names, query->site);
    buffer_add_bytes(&names, query->category);
    buffer_add_bytes(&names, query->author);
    if (!personal || names.failed) {
        free(personal);
        buffer_release(&names);
        call->on_done(call, UNAVAILABLE, NO_BYTES);
        return;
    }
    personal->serve = serve;
    personal->call = call;
    personal->format = query->format;
    personal->names = names;
    personal->list = (struct list){
        .serve = serve,
        .kind = LIST_RECOMMENDATION,
        .site = {names.at, query->site.len},
        .category = query->category.at ? (struct bytes){names.at + query->site.len, query->category.len} : NO_BYTES,
        .author = query->author.at ? (struct bytes){names.at + query->site.len + query->category.len, query->author.len}
                                   : NO_BYTES,
        .max_age = query->max_age,
        .visitor = visitor ? &personal->visitor : NULL,
        .limit = query->limits[LIST_RECOMMENDATION],
        .offset = query->offset,
        .paged = true,
        .filled = true,
        .windows = windows_shown(query),
        .age.max_ms = item_age_max(serve, true),
        .on_done = on_done,
        .context = personal};
    if (visitor)
        personal->visitor = *visitor;
    list_init(&personal->list);
    for (uint32_t i = 0; i < query->exclude_count; i++)
        list_without(&personal->list, item_ref(serve->hash_key, query->site, query->exclude[i]));
    if (serve_ask(serve, request, &personal->ask, on_turn))
        list_start(&personal->list);
}
