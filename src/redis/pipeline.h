// SPDX-License-Identifier: MIT
// Several commands that are sent together. on_all runs when the last reply is there.
#pragma once
#include "redis/reply_parts.h"
#include "redis/router.h"

struct pipeline;

struct pipelined {
    struct redis_call call; // first: the connection's view of it
    struct pipeline *pipeline;
    enum outcome outcome;
    uint32_t place;    // of the command: the partition, when it has a key of one
    redisReply *reply; // freed with the pipeline
};

struct pipeline {
    void (*on_all)(struct pipeline *pipeline); // calls pipeline_free at its end
    void *context;
    uint32_t count, added, waiting;
    bool urgent; // a write waits for this read, so it may use the room of the writes
    struct pipelined at[];
};

// Room for `count` commands: the caller adds exactly that many. NULL without memory.
struct pipeline *pipeline_new(uint32_t count, void (*on_all)(struct pipeline *pipeline), void *context);
void pipeline_add(struct pipeline *pipeline, struct router *router, const struct command *command); // a read
void pipeline_add_to(struct pipeline *pipeline, struct router *router, struct node *node,
                     const struct command *command); // a read, of this node
void pipeline_add_write(struct pipeline *pipeline, struct router *router, const struct command *command);
void pipeline_free(struct pipeline *pipeline);
// OK when all are OK, else the first other outcome.
enum outcome pipeline_outcome(const struct pipeline *pipeline);
