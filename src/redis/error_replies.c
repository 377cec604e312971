// SPDX-License-Identifier: MIT
// What happens when Redis answers a call with an error. The table of meanings is in redirect.c.
#include "ops/log.h"
#include "ops/metrics.h"
#include "redis/connection_inside.h"
#include "redis/redirect.h"
#include <stdio.h>

// Redis 7.0 says the first to a script, without NOPERM; the others come for renamed commands. NOAUTH is not among them:
// it asks for a login.
bool redis_is_refusal(const char *error) {
    static const char *const words[] = {"user executing the script can't", "Unknown Redis command", "unknown command",
                                        "Invalid command passed to redis.acl"};
    if (strncmp(error, "NOPERM", 6) == 0)
        return true;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strncmp(error, "ERR ", 4) == 0 && strstr(error, words[i]))
            return true;
    return false;
}

// A key of a wrong type may be read with every refresh. The line says how many such replies came since the line before.
void error_reply_log(const struct redis_connection *redis, const char *text) {
    static uint64_t logged_ns;
    static unsigned replies;
    replies++;
    if (!log_is_due(&logged_ns))
        return;
    log_error("%s: %s (%u such replies)", redis->label, text, replies);
    replies = 0;
}

// Keeps the error for redis_complaint, without the script's name.
void error_complain(struct redis_connection *redis, const char *text, bool logs) {
    const char *end = strstr(text, " script: ");
    size_t len = end ? (size_t)(end - text) : strlen(text);
    if (redis->first)
        redis = redis->first;
    if (redis->state != REDIS_STATE_READY)
        return;
    snprintf(redis->complaint, sizeof redis->complaint, "%.*s", (int)(len < TROUBLE_SIZE ? len : TROUBLE_SIZE), text);
    redis->complained_ms = uv_now(redis->loop);
    if (logs)
        error_reply_log(redis, redis->complaint);
}

void error_complain_no_more(struct redis_connection *redis) {
    (redis->first ? redis->first : redis)->complaint[0] = '\0';
}

const char *redis_complaint(const struct redis_connection *redis, uint32_t within_ms) {
    bool holds = redis->complaint[0] && redis->state == REDIS_STATE_READY;
    return holds && uv_now(redis->loop) - redis->complained_ms <= within_ms ? redis->complaint : NULL;
}

enum outcome error_reply_outcome(struct redis_connection *redis, const char *text, bool *ret_drop) {
    *ret_drop = false;
    metric_add(METRIC_REDIS_ERRORS, 1);
    if (redis_is_refusal(text)) {
        if (redis->hooks.on_refusal)
            redis->hooks.on_refusal(redis->hooks.context, text);
        return UNAVAILABLE;
    }
    const struct error_meaning *meaning = error_meaning_of(text);
    *ret_drop = meaning->drop && !(redis->hooks.on_refused && meaning->again);
    if (meaning->outcome == UNAVAILABLE && !meaning->drop)
        error_complain(redis, text, !(redis->hooks.on_refused && meaning->again)); // a slot that moves is no error
    return meaning->outcome;
}
