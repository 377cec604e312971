// SPDX-License-Identifier: MIT
// Command-line tools: `engaged tokens`, `engaged check`. tools.def lists them.
#pragma once
#include "roles/roles.h"

struct tool {
    const char *name, *arguments, *help;
    // Takes its own options off argv (they are not settings). The exit code.
    int (*run)(int argc, char **argv);
};

const struct tool *tool_find(const char *name); // NULL: no such tool
void tools_print_help(void);
