// SPDX-License-Identifier: MIT
// Reads parts of a reply.
#include "redis/reply_parts.h"
#include <stdlib.h>

struct bytes reply_text(const redisReply *reply) {
    bool text = reply && (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS);
    return text ? (struct bytes){reply->str, reply->len} : NO_BYTES;
}

const redisReply *reply_at(const redisReply *reply, size_t index) {
    return reply && reply->type == REDIS_REPLY_ARRAY && index < reply->elements ? reply->element[index] : NULL;
}

struct bytes reply_text_at(const redisReply *reply, size_t index) {
    return reply_text(reply_at(reply, index));
}

const redisReply *reply_member(const redisReply *reply, const char *name) {
    bool is_array = reply && reply->type == REDIS_REPLY_ARRAY;
    for (size_t i = 0; is_array && i + 1 < reply->elements; i += 2)
        if (bytes_eq(reply_text(reply->element[i]), bytes_of(name)))
            return reply->element[i + 1];
    return NULL;
}

bool reply_is_message(const redisReply *reply) {
    return reply_at(reply, 2) && reply->elements == 3 && bytes_eq(reply_text_at(reply, 0), BYTES("message"));
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
