// SPDX-License-Identifier: MIT
// What the files of the settings share: one value by name, and the sections. Nobody else includes it.
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct settings; // settings.h

// All report a failure as text without the place, into `why`.
enum { WHY_SIZE = 256 };

// Sets `name` (with '_') from text. False with the reason.
bool value_set(struct settings *settings, const char *name, const char *text, char why[static WHY_SIZE]);
bool value_exists(const char *name);
void value_set_all_defaults(struct settings *settings);
// "https://host[:port]", as browsers send it in Origin.
bool origin_valid(const char *origin);
// A valid one as browsers write it: in lower case, without the scheme's own port.
void origin_fold(char *origin);
bool bearer_valid(const char *text); // a key, or sha256: and 64 hex digits
void bearer_fold(char *text);        // of a hash: lower case
// Begins a section [ranking NAME] or [site NAME], which must be new; the keys that follow are of the last one begun.
bool ranking_open(struct settings *settings, const char *name, char why[static WHY_SIZE]);
bool ranking_set(struct settings *settings, const char *key, const char *text, char why[static WHY_SIZE]);
bool site_open(struct settings *settings, const char *name, char why[static WHY_SIZE]);
bool site_set(struct settings *settings, const char *key, const char *text, char why[static WHY_SIZE]);
// Whether the three listeners can be told apart; publisher_listen becomes PUBLISHERS_ON_OPS where it is ops_listen's.
bool listeners_finish(struct settings *settings, char why[static WHY_SIZE]);
// Before the sections are read, as rankings name kinds: the kinds by number.
bool settings_split_kinds(struct settings *settings, char why[static WHY_SIZE]);
// After all sources were read: what depends on several values. False with the reason.
bool settings_finish(struct settings *settings, char why[static WHY_SIZE]);
// The sections as a file would have them, on stdout.
void settings_print_sections(const struct settings *settings);
// Reads one half of a file: the values that stand before any section, or the sections.
enum file_half { FILE_VALUES, FILE_SECTIONS };
bool settings_read_file(struct settings *settings, const char *path, enum file_half half, char *ret_error,
                        size_t error_size);
