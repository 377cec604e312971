// SPDX-License-Identifier: MIT
// What probe.c and probe_cluster.c share. No other file includes it.
#pragma once
#include "ops/settings.h"
#include "redis/address.h"
#include "store/blocking.h"
#include <hiredis/hiredis.h>

enum { PROBE_WHY = 400 };
enum probed { FITS, SILENT, MISFIT };

// What one line of the result is about.
struct probe {
    const struct settings *settings;
    char *error;
    size_t error_size;
    void (*on_warning)(const char *line);
};

enum probed probe_tell(const struct probe *probe, enum probed probed, const struct address *at, const char *why);
void probe_warn(const struct probe *probe, const struct address *at, const char *why);
void probe_warn_line(const struct probe *probe, const char *line);
// NULL, with the reason in probe->error: it cannot be reached, or refuses the login (probe_is_refusal).
struct blocking *probe_connect(const struct probe *probe, const struct address *at);
bool probe_is_refusal(const struct probe *probe);
enum probed probe_answers(const struct probe *probe, const struct address *at,
                          struct blocking *context); // mode, role, data, rights
enum probed probe_rights(const struct probe *probe, const struct address *at, struct blocking *context);
enum probed probe_meta(const struct probe *probe, const struct address *at, struct blocking *context);

struct probed_cluster;
struct probed_cluster *probed_cluster_new(void); // freed with free()
enum probed probe_map(const struct probe *probe, const struct address *at, struct blocking *context,
                      struct probed_cluster *cluster);
bool probe_nodes(const struct probe *probe, struct address *address, const struct probed_cluster *cluster);
