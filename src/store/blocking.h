// SPDX-License-Identifier: MIT
// A connection to a Redis that blocks, for command-line tools.
#pragma once
#include "redis/address.h"
#include <hiredis/hiredis.h>
#include <sys/time.h>

// Connects and logs in. NULL, with one line in ret_error, if that fails. redisFree ends it.
redisContext *blocking_connect(const struct address *address, struct timeval connecting, struct timeval answering,
                               char *ret_error, size_t error_size);
redisReply *blocking_call(redisContext *context, const char *const *arguments, int count);
#define BLOCKING_CALL(context, ...)                                                                                    \
    blocking_call(context, (const char *const[]){__VA_ARGS__},                                                         \
                  (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)))
