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
