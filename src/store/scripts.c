// SPDX-License-Identifier: MIT
// Checks the list of scripts against the embedded table, and begins calls of them.
#include "store/scripts.h"
#include <assert.h>

void scripts_verify(void) {
    static const char *const names[] = {
#define SCRIPT(name, text) text,
        SCRIPTS(SCRIPT)
#undef SCRIPT
    };
    assert(script_source_count == SCRIPT_COUNT);
    for (size_t i = 0; i < SCRIPT_COUNT; i++)
        assert(strcmp(script_sources[i].name, names[i]) == 0);
}

// Scripts that write what callers send. They are refused while Redis would not keep it (store_trouble).
static bool takes_writes(enum script script) {
    static const bool takes[SCRIPT_COUNT] = {[SCRIPT_VOTE] = true,      [SCRIPT_VIEW] = true,   [SCRIPT_PUT] = true,
                                             [SCRIPT_DELETE] = true,    [SCRIPT_IMPORT] = true, [SCRIPT_CORRECT] = true,
                                             [SCRIPT_EDITORIAL] = true, [SCRIPT_SPLIT] = true,  [SCRIPT_AUDIT] = true};
    return takes[script];
}

// Scripts that add to the log of a partition, or rely on what it has: it must be open.
static bool needs_open(enum script script) {
    static const bool needs[SCRIPT_COUNT] = {[SCRIPT_VOTE] = true,   [SCRIPT_VIEW] = true,   [SCRIPT_PUT] = true,
                                             [SCRIPT_DELETE] = true, [SCRIPT_IMPORT] = true, [SCRIPT_COMMIT] = true};
    return needs[script];
}

void script_begin(struct command *command, enum script script, uint32_t keys) {
    command_clear(command);
    command->script = (int)script;
    command->write = takes_writes(script);
    command->needs_open = needs_open(script);
    command->no_redirect = script == SCRIPT_COMMIT; // it is based on what was read from this node
    command_add_text(command, "EVALSHA");
    command_add_text(command, script_sources[script].sha1);
    command_add_int(command, keys);
}
