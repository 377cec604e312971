// SPDX-License-Identifier: MIT
// Several commands sent together, their replies looked at together when the last is in.
#pragma once
#include "redis/connection.h"

struct pipeline;

struct pipelined {
    struct redis_call call; // first: the connection's view of it
    struct pipeline *pipeline;
    enum outcome outcome;
    redisReply *reply; // freed with the pipeline
};

struct pipeline {
    void (*on_all)(struct pipeline *pipeline); // frees it with pipeline_free, at the end
    void *context;
    uint32_t count, added, waiting;
    bool urgent; // a write waits for it: it has the writes' room
    struct pipelined at[];
};

// Room for `count` commands; exactly that many must be added. NULL without memory.
struct pipeline *pipeline_new(uint32_t count, void (*on_all)(struct pipeline *pipeline), void *context);
void pipeline_add(struct pipeline *pipeline, struct redis *redis, const struct command *command, int script); // a read
void pipeline_add_write(struct pipeline *pipeline, struct redis *redis, const struct command *command, int script);
void pipeline_free(struct pipeline *pipeline);
// OK when every reply is there and none is an error; else the first that was not.
enum outcome pipeline_outcome(const struct pipeline *pipeline);
// The element of an array reply if it is a string, else NO_BYTES.
struct bytes reply_text(const redisReply *reply);
struct bytes reply_text_at(const redisReply *reply, size_t index);
// An integer reply, or a string of one; 0 for anything else.
int64_t reply_int(const redisReply *reply);
double reply_double(const redisReply *reply);
