// SPDX-License-Identifier: MIT
// Replies of Redis, written short: [ and ] make an array, digits a number, ~ a nil, any other word a string, and '' the
// empty one. reply_of("[[0 5 [10.0.0.1 7000 id]]]") is a CLUSTER SLOTS with one range. freeReplyObject takes it.
#pragma once
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

static redisReply *reply_of_word(const char *word, size_t len) {
    redisReply *reply = calloc(1, sizeof *reply);
    if (len == 1 && word[0] == '~') {
        reply->type = REDIS_REPLY_NIL;
    } else if (strspn(word, "-0123456789") >= len) {
        reply->type = REDIS_REPLY_INTEGER;
        reply->integer = strtoll(word, NULL, 10);
    } else {
        reply->type = REDIS_REPLY_STRING;
        len = strncmp(word, "''", 2) == 0 ? 0 : len;
        reply->str = strndup(word, len);
        reply->len = len;
    }
    return reply;
}

static redisReply *reply_next(const char **text) {
    *text += strspn(*text, " ");
    if (**text != '[') {
        const char *word = *text;
        *text += strcspn(word, " []");
        return reply_of_word(word, (size_t)(*text - word));
    }
    redisReply *reply = calloc(1, sizeof *reply);
    reply->type = REDIS_REPLY_ARRAY;
    for (++*text; *text += strspn(*text, " "), **text != ']';) {
        reply->element = realloc(reply->element, (reply->elements + 1) * sizeof *reply->element);
        reply->element[reply->elements++] = reply_next(text);
    }
    ++*text;
    return reply;
}

static redisReply *reply_of(const char *text) {
    return reply_next(&text);
}
