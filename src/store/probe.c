// SPDX-License-Identifier: MIT
// Blocking questions to each host of the setting, and to the master that Sentinels name.
#include "store/probe.h"
#include "redis/address_settings.h"
#include "redis/connection.h"
#include "redis/misfit.h"
#include "redis/reply_parts.h"
#include "redis/sentinel.h"
#include "store/blocking.h"
#include "store/probe_inside.h"
#include <stdio.h>
#include <stdlib.h>

enum probed probe_tell(const struct probe *probe, enum probed probed, const struct address *at, const char *why) {
    const char *form = at->kind == ADDRESS_UNIX ? "redis: %s%.0s: %s" : "redis: %s:%s: %s";
    snprintf(probe->error, probe->error_size, form, at->kind == ADDRESS_UNIX ? at->path : at->host, at->port, why);
    return probed;
}

void probe_warn_line(const struct probe *probe, const char *line) {
    probe->on_warning(line);
}

void probe_warn(const struct probe *probe, const struct address *at, const char *why) {
    probe_tell(probe, SILENT, at, why);
    probe->on_warning(probe->error);
}

// An error that Redis answers begins with a word in capitals; one of the connection does not.
bool probe_is_refusal(const struct probe *probe) {
    const char *answer = strstr(probe->error, "AUTH: ");
    return answer && answer[6] >= 'A' && answer[6] <= 'Z' && answer[7] >= 'A' && answer[7] <= 'Z';
}

struct blocking *probe_connect(const struct probe *probe, const struct address *at) {
    char why[160];
    int64_t ms = probe->settings->redis_timeout_ms;
    struct timeval limit = {ms / 1000, ms % 1000 * 1000};
    struct blocking *context = blocking_connect(at, limit, limit, why, sizeof why);
    if (!context)
        probe_tell(probe, SILENT, at, why);
    return context;
}

// ---- A Redis with data

static const char *no_answer(const struct blocking *context) {
    const char *why = blocking_trouble(context);
    return *why ? why : "it does not answer";
}

static enum probed look_at_answers(const struct probe *probe, const struct address *at, const struct blocking *context,
                                   const redisReply *info, const redisReply *role) {
    const char *why = misfit_of_mode(at->kind, reply_text(info));
    if (why)
        return probe_tell(probe, MISFIT, at, why);
    if (role && role->type == REDIS_REPLY_ERROR && !probe->settings->cross_slot && redis_is_refusal(role->str))
        return FITS; // a proxy
    if (!role || role->type == REDIS_REPLY_ERROR)
        return probe_tell(probe, SILENT, at, role ? role->str : no_answer(context));
    why = misfit_of_role(at->kind, reply_text_at(role, 0));
    return why ? probe_tell(probe, MISFIT, at, why) : FITS;
}

enum probed probe_answers(const struct probe *probe, const struct address *at, struct blocking *context) {
    redisReply *info = BLOCKING_CALL(context, "INFO", "server"), *role = BLOCKING_CALL(context, "ROLE");
    enum probed probed = look_at_answers(probe, at, context, info, role);
    freeReplyObject(info);
    freeReplyObject(role);
    if (probed == FITS)
        probed = probe_meta(probe, at, context);
    return probed == FITS ? probe_rights(probe, at, context) : probed; // which loads a script
}

// `cluster` is NULL if it is none.
static enum probed probe_data(const struct probe *probe, const struct address *at, struct probed_cluster *cluster) {
    struct blocking *context = probe_connect(probe, at);
    if (!context)
        return SILENT;
    enum probed probed = probe_answers(probe, at, context);
    if (probed == FITS && cluster)
        probed = probe_map(probe, at, context, cluster);
    blocking_end(context);
    return probed;
}

// ---- A Sentinel

static void use_login_of_sentinels(struct address *at) {
    memcpy(at->user, at->sentinel_user, sizeof at->user);
    memcpy(at->password, at->sentinel_password, sizeof at->password);
}

static enum probed probe_sentinel(const struct probe *probe, const struct address *at, struct sentinel_answer *answer) {
    struct address own = *at;
    char why[160];
    use_login_of_sentinels(&own);
    struct blocking *context = probe_connect(probe, &own);
    if (!context)
        return SILENT;
    redisReply *reply = BLOCKING_CALL(context, "SENTINEL", "MASTER", at->master);
    enum probed probed = FITS;
    if (!reply)
        probed = probe_tell(probe, SILENT, at, blocking_trouble(context));
    else if (reply->type == REDIS_REPLY_ERROR) {
        sentinel_meaning_of(reply->str, at->master, why, sizeof why);
        probed = probe_tell(probe, MISFIT, at, why);
    } else if (!sentinel_read_master(reply, answer))
        probed = probe_tell(probe, MISFIT, at, "it names no address of a master");
    freeReplyObject(reply);
    blocking_end(context);
    return probed;
}

// ---- All hosts of the setting

// What the hosts have answered.
struct probed_hosts {
    struct sentinel_answer answers[HOSTS_MAX];
    uint32_t count, fit;
    struct probed_cluster *cluster; // NULL: none
};

static enum probed probe_host(const struct probe *probe, const struct address *at, struct probed_hosts *hosts) {
    if (at->kind != ADDRESS_SENTINEL)
        return probe_data(probe, at, hosts->cluster);
    enum probed probed = probe_sentinel(probe, at, &hosts->answers[hosts->count]);
    hosts->count += probed == FITS;
    return probed;
}

static bool probe_hosts(const struct probe *probe, struct address *address, struct probed_hosts *hosts) {
    for (uint32_t i = 0; i < address->host_count; i++) {
        address_set_host(address, &address->hosts[i]);
        enum probed probed = probe_host(probe, address, hosts);
        if (probed == MISFIT || (probed == SILENT && probe_is_refusal(probe)))
            return false;
        if (probed == SILENT && address->host_count > 1)
            probe->on_warning(probe->error);
        hosts->fit += probed == FITS;
    }
    return hosts->fit > 0;
}

static bool probe_all(const struct probe *probe, struct address *address, struct probed_hosts *hosts) {
    struct sentinel_choice choice;
    if (!probe_hosts(probe, address, hosts))
        return false;
    if (hosts->cluster)
        return probe_nodes(probe, address, hosts->cluster);
    if (address->kind != ADDRESS_SENTINEL ||
        !sentinel_choose(hosts->answers, hosts->count, address->host_count, NULL, &choice))
        return true;
    address_set_host(address, &choice.master.at);
    return probe_data(probe, address, NULL) == FITS;
}

bool probe_redis(const struct settings *settings, void (*on_warning)(const char *line), char *ret_error,
                 size_t error_size) {
    struct probe probe = {settings, ret_error, error_size, on_warning};
    struct probed_hosts hosts = {.count = 0};
    struct address address;
    if (!address_of_settings(settings, &address, ret_error, error_size))
        return false;
    bool good = address.kind != ADDRESS_CLUSTER || (hosts.cluster = probed_cluster_new());
    if (!good)
        snprintf(ret_error, error_size, "no memory");
    else if (address.kind == ADDRESS_UNIX)
        good = probe_data(&probe, &address, NULL) == FITS;
    else
        good = probe_all(&probe, &address, &hosts);
    free(hosts.cluster);
    address_release(&address);
    return good;
}
