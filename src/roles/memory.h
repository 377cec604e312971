// SPDX-License-Identifier: MIT
// `engaged memory`: the memory bill of a running service's Redis. A tool, not a role: it ends when it has printed.
#pragma once
#include "roles/roles.h"

int memory_run(const struct role *role);
