// SPDX-License-Identifier: MIT
// engaged backup and engaged restore: all data of a service as one file, while the service runs.
//
// The file is Redis's own (RDB), a snapshot of one instant, so counts, voters, logs and applied ids agree. Any
// redis-server reads it. It does not hold the keys of the service: keep DIR/secrets too.
#pragma once
#include "roles/roles.h"

// Both print what they do; they return the exit code.
int backup_run(const struct role *role, const char *file);
// The data from before is kept beside the file, as FILE.before-TIME.
int restore_run(const struct role *role, const char *file);
