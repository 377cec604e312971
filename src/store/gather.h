// SPDX-License-Identifier: MIT
// Several commands sent together, their replies looked at together when the last is in.
#pragma once
#include "store/link.h"

struct gather;

struct gathered {
    struct link_call call; // first: the link's view of it
    struct gather *gather;
    enum outcome outcome;
    redisReply *reply; // freed with the gather
};

struct gather {
    void (*on_all)(struct gather *gather); // frees it with gather_free, at the end
    void *context;
    uint32_t count, added, waiting;
    bool urgent; // a write waits for it: it has the writes' room
    struct gathered at[];
};

// Room for `count` commands; exactly that many must be added. NULL without memory.
struct gather *gather_new(uint32_t count, void (*on_all)(struct gather *gather), void *context);
void gather_add(struct gather *gather, struct link *link, const struct command *command, int script); // a read
void gather_add_write(struct gather *gather, struct link *link, const struct command *command, int script);
void gather_free(struct gather *gather);
// OK when every reply is there and none is an error; else the first that was not.
enum outcome gather_outcome(const struct gather *gather);
// The element of an array reply if it is a string, else NO_BYTES.
struct bytes reply_text(const redisReply *reply);
struct bytes reply_text_at(const redisReply *reply, size_t index);
// An integer reply, or a string of one; 0 for anything else.
int64_t reply_int(const redisReply *reply);
double reply_double(const redisReply *reply);
