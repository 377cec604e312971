// SPDX-License-Identifier: MIT
// Asks what answers at the setting `redis`, and writes nothing: for `engaged check --connect`.
#pragma once
#include "ops/settings.h"
#include <stdbool.h>
#include <stddef.h>

// False, with one line in ret_error, when it is not what the setting says, or when nobody answers. Of several hosts one
// has to answer, and none may be of another kind; `on_warning` gets a line for each that does not answer. Of a Cluster
// each node is asked, since each may have to serve.
bool probe_redis(const struct settings *settings, void (*on_warning)(const char *line), char *ret_error,
                 size_t error_size);
