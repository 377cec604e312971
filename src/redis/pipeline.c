// SPDX-License-Identifier: MIT
// A read of several keys is one allocation (its calls and their replies) and one write to the socket.
#include "redis/pipeline.h"
#include <stdlib.h>

struct pipeline *pipeline_new(uint32_t count, void (*on_all)(struct pipeline *pipeline), void *context) {
    struct pipeline *pipeline = calloc(1, sizeof *pipeline + count * sizeof pipeline->at[0]);
    if (!pipeline)
        return NULL;
    pipeline->on_all = on_all;
    pipeline->context = context;
    pipeline->count = pipeline->waiting = count;
    return pipeline;
}

static void on_gathered(struct redis_call *call) {
    struct pipelined *one = (struct pipelined *)call;
    one->outcome = call->outcome;
    one->reply = call->reply;
    if (--one->pipeline->waiting == 0)
        one->pipeline->on_all(one->pipeline);
}

static struct redis_call *next_call(struct pipeline *pipeline, const struct command *command) {
    struct pipelined *one = &pipeline->at[pipeline->added++];
    one->place = command->place;
    one->pipeline = pipeline;
    one->call.on_reply = on_gathered;
    return &one->call;
}

void pipeline_add(struct pipeline *pipeline, struct router *router, const struct command *command) {
    if (pipeline->urgent)
        router_send(router, next_call(pipeline, command), command);
    else
        router_send_read(router, next_call(pipeline, command), command);
}

void pipeline_add_to(struct pipeline *pipeline, struct router *router, struct node *node,
                     const struct command *command) {
    router_send_read_to(router, node, next_call(pipeline, command), command);
}

void pipeline_add_write(struct pipeline *pipeline, struct router *router, const struct command *command) {
    router_send(router, next_call(pipeline, command), command);
}

void pipeline_free(struct pipeline *pipeline) {
    for (uint32_t i = 0; i < pipeline->count; i++)
        freeReplyObject(pipeline->at[i].reply);
    free(pipeline);
}

enum outcome pipeline_outcome(const struct pipeline *pipeline) {
    for (uint32_t i = 0; i < pipeline->count; i++)
        if (pipeline->at[i].outcome != OK)
            return pipeline->at[i].outcome;
    return OK;
}

struct bytes reply_text(const redisReply *reply) {
    bool text = reply && (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS);
    return text ? (struct bytes){reply->str, reply->len} : NO_BYTES;
}

struct bytes reply_text_at(const redisReply *reply, size_t index) {
    bool there = reply && reply->type == REDIS_REPLY_ARRAY && index < reply->elements;
    return there ? reply_text(reply->element[index]) : NO_BYTES;
}

int64_t reply_int(const redisReply *reply) {
    if (reply && reply->type == REDIS_REPLY_INTEGER)
        return reply->integer;
    struct bytes text = reply_text(reply); // hiredis ends every string with a NUL
    return text.len ? strtoll(text.at, NULL, 10) : 0;
}

double reply_double(const redisReply *reply) {
    struct bytes text = reply_text(reply);
    return text.len ? strtod(text.at, NULL) : 0;
}
