// SPDX-License-Identifier: MIT
// Parts of a reply of Redis, which may be missing or of another type. Pure. A text lives as long as its reply.
#pragma once
#include "base/bytes.h"
#include <hiredis/hiredis.h>

// The text of a reply that is a string, else NO_BYTES; the same of an element of an array.
struct bytes reply_text(const redisReply *reply);
struct bytes reply_text_at(const redisReply *reply, size_t index);
// ["message", channel, content]: it came on a channel, and answers no command.
bool reply_is_message(const redisReply *reply);
// An integer reply, or a string that holds a number; 0 for anything else.
int64_t reply_int(const redisReply *reply);
double reply_double(const redisReply *reply);
// An element of an array; NULL: there is none.
const redisReply *reply_at(const redisReply *reply, size_t index);
// The value after `name` in an array of names and values; NULL: there is none.
const redisReply *reply_member(const redisReply *reply, const char *name);
