// SPDX-License-Identifier: MIT
// engaged backup and engaged restore: all of a service's data as one file, while the service goes on.
//
// The file is Redis's own (RDB), one instant of all keys, so counts, voters, logs and marks agree with each other; any
// redis-server reads it. It does not hold the keys of the service: DIR/secrets must be kept too.
#pragma once
#include "roles/roles.h"

// Both print what they do; they return the exit code.
int backup_run(const struct role *role, const char *file);
// What was there before is kept beside the file, as FILE.before-TIME.
int restore_run(const struct role *role, const char *file);
