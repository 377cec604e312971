// SPDX-License-Identifier: MIT
// `engaged partitions`: what each partition of a running service holds and gets, and how to even them out over the
// masters of a Cluster. A tool, not a role: it ends when it has printed.
#pragma once
#include "roles/roles.h"

enum { PARTITIONS_SECONDS_MAX = 3600 };

// Votes and views are counted for at least so many seconds.
int partitions_run(const struct role *role, uint32_t seconds);
