// SPDX-License-Identifier: MIT
// The roles of a process. main.c reads the settings, then runs one of these to its end; each returns the exit code.
#pragma once
#include "model/token.h"
#include "ops/settings.h"

// A child that Redis's records contradict (partitions, hash key, kinds) ends with this: the supervisor stops
// everything.
enum { EXIT_REFUSED = 78 };

struct role {
    const struct settings *settings;
    struct token_keys tokens; // from secret and secret_old
    struct secret_key hash_key;
};

int worker_run(const struct role *role);    // HTTP: serves until SIGTERM, then drains
int projector_run(const struct role *role); // logs to states until SIGTERM
