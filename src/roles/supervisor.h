// SPDX-License-Identifier: MIT
// The first process: starts Redis where it is embedded, workers and projector, and looks after them.
#pragma once
#include "roles/roles.h"

// Until SIGTERM or SIGINT. `directory`: of the embedded Redis; empty: none. SIGHUP reads the settings anew from `argv`.
int supervisor_run(const struct role *role, const char *directory, int argc, char **argv);
