// SPDX-License-Identifier: MIT
// Calls that have ended without a reply. They are told at the end of the turn, never before their sender has returned.
#include "redis/connection_inside.h"

void pending_fail_later(struct redis_connection *redis, struct redis_call *call, enum outcome outcome) {
    call->outcome = outcome;
    call->reply = NULL;
    call->next = NULL;
    *redis->failed_end = call;
    redis->failed_end = &call->next;
}

void pending_tell_failed(struct redis_connection *redis) {
    struct redis_call *call = redis->failed;
    redis->failed = NULL;
    redis->failed_end = &redis->failed;
    while (call) {
        struct redis_call *next = call->next; // on_reply may free the call
        call->on_reply(call);
        call = next;
    }
}
