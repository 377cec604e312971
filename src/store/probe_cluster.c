// SPDX-License-Identifier: MIT
// Blocking questions to a Cluster: whether all hosts of the setting are of one, whether each of its masters and
// replicas takes the login, and whether the data has as many partitions as the setting says.
#include "redis/members.h"
#include "redis/reply_parts.h"
#include "store/blocking.h"
#include "store/probe_inside.h"
#include <stdio.h>
#include <stdlib.h>

enum { NODES_MAX = 512, SLOTS_FIRST_NODE = 2 };

struct probed_cluster {
    struct member_ids known, heard;
    struct host_port first; // the host that has answered first
    struct host_port nodes[NODES_MAX];
    bool masters[NODES_MAX];
    uint32_t count;
};

struct probed_cluster *probed_cluster_new(void) {
    return calloc(1, sizeof(struct probed_cluster));
}

static void add_node(struct probed_cluster *cluster, const struct address *asked, const redisReply *node, bool master) {
    struct host_port at;
    struct bytes host = reply_text(reply_at(node, 0));
    char port[16];
    snprintf(port, sizeof port, "%lld", (long long)reply_int(reply_at(node, 1)));
    if (!host_parse(host.len ? host : bytes_of(asked->host), at.host) || !port_parse(bytes_of(port), at.port))
        return;
    for (uint32_t i = 0; i < cluster->count; i++)
        if (host_port_eq(&cluster->nodes[i], &at))
            return;
    if (cluster->count == NODES_MAX)
        return;
    cluster->masters[cluster->count] = master;
    cluster->nodes[cluster->count++] = at;
}

static void add_nodes(struct probed_cluster *cluster, const struct address *asked, const redisReply *slots) {
    const redisReply *range, *node;
    for (size_t i = 0; (range = reply_at(slots, i)); i++)
        for (size_t j = SLOTS_FIRST_NODE; (node = reply_at(range, j)); j++)
            add_node(cluster, asked, node, j == SLOTS_FIRST_NODE);
}

// The first host says which Cluster is meant.
enum probed probe_map(const struct probe *probe, const struct address *at, struct blocking *context,
                      struct probed_cluster *cluster) {
    char why[PROBE_WHY];
    redisReply *slots = BLOCKING_CALL(context, "CLUSTER", "SLOTS");
    enum probed probed = FITS;
    cluster->heard.count = cluster->heard.next = 0;
    members_read(&cluster->heard, slots);
    if (!slots)
        probed = probe_tell(probe, SILENT, at, blocking_trouble(context));
    else if (slots->type == REDIS_REPLY_ERROR)
        probed = probe_tell(probe, MISFIT, at, slots->str);
    else if (slots->elements == 0)
        probe_warn(probe, at, "this node knows no Cluster, or nobody owns its slots");
    else if (cluster->known.count && !members_share(&cluster->known, &cluster->heard)) {
        snprintf(why, sizeof why, "this host and %.100s:%s are nodes of different Clusters", cluster->first.host,
                 cluster->first.port);
        probed = probe_tell(probe, MISFIT, at, why);
    } else {
        if (!cluster->known.count)
            snprintf(cluster->first.host, HOST_SIZE, "%s", at->host),
                snprintf(cluster->first.port, PORT_SIZE, "%s", at->port);
        members_add(&cluster->known, &cluster->heard);
        add_nodes(cluster, at, slots);
    }
    freeReplyObject(slots);
    return probed;
}

// Another node than that of the key says MOVED: then nothing is compared.
static enum probed compare_partitions(const struct probe *probe, const struct address *at, struct blocking *context) {
    char why[PROBE_WHY];
    redisReply *held = BLOCKING_CALL(context, "HGET", "engaged:meta", "partitions");
    int64_t partitions = held && held->type == REDIS_REPLY_STRING ? reply_int(held) : 0;
    freeReplyObject(held);
    if (partitions == 0 || partitions == probe->settings->partitions)
        return FITS;
    snprintf(why, sizeof why, "partitions: the data has %lld, the setting says %lld", (long long)partitions,
             (long long)probe->settings->partitions);
    return probe_tell(probe, MISFIT, at, why);
}

static void warn_of_replicas(const struct probe *probe, const struct address *at, struct blocking *context) {
    char why[PROBE_WHY];
    redisReply *info = BLOCKING_CALL(context, "INFO", "replication");
    struct bytes text = reply_text(info);
    const char *found = text.at ? strstr(text.at, "\nconnected_slaves:") : NULL; // hiredis ends it with a NUL
    long replicas = found ? strtol(strchr(found, ':') + 1, NULL, 10) : 0;
    if (found && replicas < probe->settings->wait_replicas) {
        snprintf(why, sizeof why, "replicas: %ld, wait_replicas: %lld", replicas,
                 (long long)probe->settings->wait_replicas);
        probe_warn(probe, at, why);
    }
    freeReplyObject(info);
}

// A replica may be away; it is not known then whether it would take the login.
static enum probed probe_node(const struct probe *probe, struct address *at, bool master) {
    char why[PROBE_WHY];
    struct blocking *context = probe_connect(probe, at);
    if (!context && !probe_is_refusal(probe) && !master) {
        snprintf(why, sizeof why, "%s", probe->error);
        probe_warn_line(probe, why);
        return FITS;
    }
    if (!context)
        return MISFIT;
    enum probed probed = probe_answers(probe, at, context);
    if (probed == FITS && master)
        probed = compare_partitions(probe, at, context);
    if (probed == FITS && master)
        warn_of_replicas(probe, at, context);
    blocking_end(context);
    return probed == FITS ? FITS : MISFIT;
}

bool probe_nodes(const struct probe *probe, struct address *address, const struct probed_cluster *cluster) {
    for (uint32_t i = 0; i < cluster->count; i++) {
        address_set_host(address, &cluster->nodes[i]);
        if (probe_node(probe, address, cluster->masters[i]) != FITS)
            return false;
    }
    return true;
}
