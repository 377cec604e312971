// SPDX-License-Identifier: MIT
// The first process: it starts Redis where it is embedded, the workers and the projector, and looks after them.
#pragma once
#include "roles/roles.h"

// Runs until SIGTERM or SIGINT. `directory`: of the embedded Redis; empty: none. SIGHUP reads the settings again from
// `argv`. SIGTERM and SIGINT during the start end the service after the start; SIGHUP then reloads it.
int supervisor_run(const struct role *role, const char *directory, int argc, char **argv);
// Called before the settings are read for the first time: a SIGHUP from now on waits for supervisor_run.
void supervisor_hold_reloads(void);
