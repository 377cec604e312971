// SPDX-License-Identifier: MIT
// The scripts by name. Each is the file lua/<name>.lua, embedded at build time (scripts_table.h).
#pragma once
#include "redis/command.h"
#include "redis/scripts_table.h"

// One line per script, sorted by name as scripts_table.h is.
#define SCRIPTS(X)                                                                                                     \
    X(AUDIT, "audit")                                                                                                  \
    X(AUDIT_COUNTS, "audit_counts")                                                                                    \
    X(COMMIT, "commit")                                                                                                \
    X(CORRECT, "correct")                                                                                              \
    X(DELETE, "delete")                                                                                                \
    X(EDITORIAL, "editorial")                                                                                          \
    X(GONE, "gone")                                                                                                    \
    X(IMPORT, "import")                                                                                                \
    X(KEEP, "keep")                                                                                                    \
    X(MACHINES, "machines")                                                                                            \
    X(META, "meta")                                                                                                    \
    X(OPEN, "open")                                                                                                    \
    X(PERIODS, "periods")                                                                                              \
    X(PUT, "put")                                                                                                      \
    X(REBUILD, "rebuild")                                                                                              \
    X(RIGHTS, "rights")                                                                                                \
    X(SPLIT, "split")                                                                                                  \
    X(TRIM, "trim")                                                                                                    \
    X(VIEW, "view")                                                                                                    \
    X(VOTE, "vote")                                                                                                    \
    X(VOTERS, "voters")

enum script {
#define SCRIPT(name, text) SCRIPT_##name,
    SCRIPTS(SCRIPT)
#undef SCRIPT
        SCRIPT_COUNT
};

// Asserts that the embedded scripts are the ones named above; otherwise the build is wrong.
void scripts_verify(void);
// Clears the command and begins it: EVALSHA, the script's SHA-1, the number of keys. The keys come next. A script that
// writes what callers send is marked as such (command.write).
void script_begin(struct command *command, enum script script, uint32_t keys);
