// SPDX-License-Identifier: MIT
// Connects and logs in.
#include "store/blocking.h"
#include <stdio.h>
#include <stdlib.h>

redisReply *blocking_call(redisContext *context, const char *const *arguments, int count) {
    return redisCommandArgv(context, count, (const char **)arguments, NULL);
}

static bool log_in(redisContext *context, const struct address *address, char *ret_error, size_t error_size) {
    if (!address->password[0])
        return true;
    redisReply *reply = address->user[0] ? BLOCKING_CALL(context, "AUTH", address->user, address->password)
                                         : BLOCKING_CALL(context, "AUTH", address->password);
    bool good = reply && reply->type != REDIS_REPLY_ERROR;
    if (!good)
        snprintf(ret_error, error_size, "AUTH: %s", reply ? reply->str : context->errstr);
    freeReplyObject(reply);
    return good;
}

redisContext *blocking_connect(const struct address *address, struct timeval connecting, struct timeval answering,
                               char *ret_error, size_t error_size) {
    redisContext *context = address->kind == ADDRESS_UNIX
                                ? redisConnectUnixWithTimeout(address->path, connecting)
                                : redisConnectWithTimeout(address->host, atoi(address->port), connecting);
    bool good = context && context->err == 0 && redisSetTimeout(context, answering) == REDIS_OK;
    if (!good)
        snprintf(ret_error, error_size, "Redis: %s", context ? context->errstr : "no memory");
    if (good && log_in(context, address, ret_error, error_size))
        return context;
    if (context)
        redisFree(context);
    return NULL;
}
