// SPDX-License-Identifier: MIT
// One allocation per read: the calls and places for their replies. A read touches some dozen keys, in one write.
#include "store/gather.h"
#include <stdlib.h>

struct gather *gather_new(uint32_t count, void (*on_all)(struct gather *gather), void *context) {
    struct gather *gather = calloc(1, sizeof *gather + count * sizeof gather->at[0]);
    if (!gather)
        return NULL;
    gather->on_all = on_all;
    gather->context = context;
    gather->count = gather->waiting = count;
    return gather;
}

static void on_gathered(struct link_call *call) {
    struct gathered *one = (struct gathered *)call;
    one->outcome = call->outcome;
    one->reply = call->reply;
    if (--one->gather->waiting == 0)
        one->gather->on_all(one->gather);
}

static struct link_call *next_call(struct gather *gather) {
    struct gathered *one = &gather->at[gather->added++];
    one->gather = gather;
    one->call.on_reply = on_gathered;
    return &one->call;
}

void gather_add(struct gather *gather, struct link *link, const struct command *command, int script) {
    if (gather->urgent)
        link_send(link, next_call(gather), command, script);
    else
        link_send_read(link, next_call(gather), command, script);
}

void gather_add_write(struct gather *gather, struct link *link, const struct command *command, int script) {
    link_send(link, next_call(gather), command, script);
}

void gather_free(struct gather *gather) {
    for (uint32_t i = 0; i < gather->count; i++)
        freeReplyObject(gather->at[i].reply);
    free(gather);
}

enum outcome gather_outcome(const struct gather *gather) {
    for (uint32_t i = 0; i < gather->count; i++)
        if (gather->at[i].outcome != OK)
            return gather->at[i].outcome;
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
