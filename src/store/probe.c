// SPDX-License-Identifier: MIT
// Blocking questions to each host of the setting, and to the master that Sentinels name.
#include "store/probe.h"
#include "redis/misfit.h"
#include "redis/reply_parts.h"
#include "redis/sentinel.h"
#include "store/blocking.h"
#include <stdio.h>

enum probed { FITS, SILENT, MISFIT };

// What one line of the result is about.
struct probe {
    const struct settings *settings;
    char *error;
    size_t error_size;
};

static enum probed tell(const struct probe *probe, enum probed probed, const struct address *at, const char *why) {
    const char *form = at->kind == ADDRESS_UNIX ? "redis: %s%.0s: %s" : "redis: %s:%s: %s";
    snprintf(probe->error, probe->error_size, form, at->kind == ADDRESS_UNIX ? at->path : at->host, at->port, why);
    return probed;
}

static redisContext *connect_to(const struct probe *probe, const struct address *at) {
    char why[160];
    int64_t ms = probe->settings->redis_timeout_ms;
    struct timeval limit = {ms / 1000, ms % 1000 * 1000};
    redisContext *context = blocking_connect(at, limit, limit, why, sizeof why);
    if (!context)
        tell(probe, SILENT, at, why);
    return context;
}

// ---- A Redis with data

static enum probed look_at_answers(const struct probe *probe, const struct address *at, const redisReply *info,
                                   const redisReply *role) {
    const char *why = misfit_of_mode(at->kind, reply_text(info));
    if (why)
        return tell(probe, MISFIT, at, why);
    if (!role || role->type == REDIS_REPLY_ERROR)
        return tell(probe, SILENT, at, role ? role->str : "it does not answer");
    why = misfit_of_role(at->kind, reply_text_at(role, 0));
    return why ? tell(probe, MISFIT, at, why) : FITS;
}

static enum probed probe_data(const struct probe *probe, const struct address *at) {
    redisContext *context = connect_to(probe, at);
    if (!context)
        return SILENT;
    redisReply *info = BLOCKING_CALL(context, "INFO", "server"), *role = BLOCKING_CALL(context, "ROLE");
    enum probed probed = look_at_answers(probe, at, info, role);
    freeReplyObject(info);
    freeReplyObject(role);
    redisFree(context);
    return probed;
}

// ---- A Sentinel

static void use_login_of_sentinels(const struct probe *probe, struct address *at) {
    snprintf(at->user, sizeof at->user, "%s", probe->settings->sentinel_user);
    snprintf(at->password, sizeof at->password, "%s", probe->settings->sentinel_password);
}

static enum probed probe_sentinel(const struct probe *probe, const struct address *at, struct sentinel_answer *answer) {
    struct address own = *at;
    char why[160];
    use_login_of_sentinels(probe, &own);
    redisContext *context = connect_to(probe, &own);
    if (!context)
        return SILENT;
    redisReply *reply = BLOCKING_CALL(context, "SENTINEL", "MASTER", at->master);
    enum probed probed = FITS;
    if (!reply)
        probed = tell(probe, SILENT, at, context->errstr);
    else if (reply->type == REDIS_REPLY_ERROR) {
        sentinel_meaning_of(reply->str, at->master, why, sizeof why);
        probed = tell(probe, MISFIT, at, why);
    } else if (!sentinel_read_master(reply, answer))
        probed = tell(probe, MISFIT, at, "it names no address of a master");
    freeReplyObject(reply);
    redisFree(context);
    return probed;
}

// ---- All hosts of the setting

static enum probed probe_host(const struct probe *probe, const struct address *at, struct sentinel_answer *answers,
                              uint32_t *count) {
    if (at->kind != ADDRESS_SENTINEL)
        return probe_data(probe, at);
    enum probed probed = probe_sentinel(probe, at, &answers[*count]);
    *count += probed == FITS;
    return probed;
}

bool probe_redis(const struct settings *settings, char *ret_error, size_t error_size) {
    struct probe probe = {settings, ret_error, error_size};
    struct sentinel_answer answers[HOSTS_MAX];
    struct sentinel_choice choice;
    struct address address;
    uint32_t count = 0, fit = 0;
    if (!address_parse(settings->redis, &address, ret_error, error_size))
        return false;
    if (address.kind == ADDRESS_UNIX)
        return probe_data(&probe, &address) == FITS;
    for (uint32_t i = 0; i < address.host_count; i++) {
        address_set_host(&address, &address.hosts[i]);
        enum probed probed = probe_host(&probe, &address, answers, &count);
        if (probed == MISFIT)
            return false;
        fit += probed == FITS;
    }
    if (address.kind != ADDRESS_SENTINEL || !sentinel_choose(answers, count, address.host_count, NULL, &choice))
        return fit > 0;
    address_set_host(&address, &choice.master.at);
    return probe_data(&probe, &address) == FITS;
}
