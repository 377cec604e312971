// SPDX-License-Identifier: MIT
// POST visitors: a token. With the secret key and an id of the publisher the token means that id.
#include "api/limits.h"
#include "base/clock.h"
#include "ops/json_in.h"

struct visitors_body {
    struct bytes visitor;
};

static const struct json_field fields[] = {
    {.name = "visitor",
     .type = JSON_IN_TEXT,
     .offset = offsetof(struct visitors_body, visitor),
     .max = 1024,
     .wrong = BAD_VISITOR},
    {.name = NULL},
};

void visitors_start(struct call *call) {
    struct visitors_body body = {.visitor = NO_BYTES};
    struct buffer text;
    char token[TOKEN_SIZE];
    const char *detail = NULL;
    struct bytes json_body = call->request->body;
    enum outcome outcome = json_read(json_body, fields, call->keyed, &body, call->request->arena, &detail);
    if (outcome == OK && body.visitor.at)
        outcome = auth_visitor_text(call, body.visitor, call->visitor.id);
    if (outcome == OK)
        outcome = limit_new_visitor(call);
    if (outcome != OK) {
        answer_error(call, outcome, detail);
        return;
    }
    if (!body.visitor.at)
        auth_new_visitor(&call->visitor);
    token_make(call->api->tokens, call->site, call->visitor.id, clock_now_ms(), token);
    buffer_init(&text, 1024);
    struct json_out json = json_out_to(&text);
    json_open(&json, '{');
    json_key(&json, BYTES("visitor"));
    json_text(&json, bytes_of(token));
    json_close(&json, '}');
    answer_json(call, 201, &text);
    buffer_release(&text);
}
