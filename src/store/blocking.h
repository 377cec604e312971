// SPDX-License-Identifier: MIT
// A connection to a Redis that blocks, for command-line tools.
#pragma once
#include "redis/address.h"
#include <hiredis/hiredis.h>
#include <sys/time.h>

struct blocking;

// Connects, with TLS where the address has it, and logs in. NULL, with one line in ret_error, if that fails.
struct blocking *blocking_connect(const struct address *address, struct timeval connecting, struct timeval answering,
                                  char *ret_error, size_t error_size);
void blocking_end(struct blocking *blocking); // also NULL
// The reply, which the caller frees. NULL: there is none, blocking_trouble says why, and the connection is dead.
redisReply *blocking_call(struct blocking *blocking, const char *const *arguments, int count);
redisReply *blocking_call_bytes(struct blocking *blocking, const char *const *arguments, const size_t *lengths,
                                int count);
redisReply *blocking_send(struct blocking *blocking, const char *at, size_t len); // a command in Redis's own form
bool blocking_is_alive(const struct blocking *blocking);
const char *blocking_trouble(const struct blocking *blocking);
#define BLOCKING_CALL(blocking, ...)                                                                                   \
    blocking_call(blocking, (const char *const[]){__VA_ARGS__},                                                        \
                  (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)))
