// SPDX-License-Identifier: MIT
// The first process: starts Redis where it is embedded, workers and projector, and looks after them.
#pragma once
#include "roles/roles.h"

// Until SIGTERM or SIGINT. `directory`: of the embedded Redis; empty: none. SIGHUP reads the settings anew from `argv`.
// SIGTERM and SIGINT that come while it starts end it when it has started, SIGHUP reloads it then.
int supervisor_run(const struct role *role, const char *directory, int argc, char **argv);
// Before the settings are read for the first time: a SIGHUP from now on is kept for supervisor_run.
void supervisor_hold_reloads(void);
