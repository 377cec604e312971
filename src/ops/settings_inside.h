// SPDX-License-Identifier: MIT
// What the files of the settings share: one value by name, and the sections. Nobody else includes it.
#pragma once
#include "ops/given_files.h"
#include <stdbool.h>
#include <stddef.h>

struct settings; // settings.h
struct ranking_setting;
struct site_setting;
struct list_rules;

// All report a failure as text without the place, into `why`.
enum { WHY_SIZE = 256 };

// What a TEXT may hold; settings_texts.c has a row for each.
enum text_form {
    LISTEN,
    PUBLISHER_LISTEN,
    MODE,
    REDIS,
    LOGIN,
    PASSWORD,
    HEX_KEY,
    BEARER,
    KINDS,
    ZONE,
    PROXIES,
    SHARE,
    SECRET_FILE,
    KEY_FILE,
    CERTIFICATES_FILE,
    HOST,
    ORIGIN
};

bool text_set(char *at, size_t size, enum text_form form, const char *text, char why[static WHY_SIZE]);
bool text_is_secret(enum text_form form); // it is never shown

// Sets `name` (with '_') from text. False with the reason.
bool value_set(struct settings *settings, const char *name, const char *text, char why[static WHY_SIZE]);
bool value_exists(const char *name);
const char *value_text(const struct settings *settings, const char *name); // of a TEXT; NULL: there is none
// Calls `fn` for each TEXT of this form until it returns false; false then.
bool value_each(struct settings *settings, enum text_form form,
                bool (*fn)(struct settings *settings, const char *name, char why[static WHY_SIZE]),
                char why[static WHY_SIZE]);
// The present name of a setting that has been renamed; else the name itself.
const char *value_name_now(const char *name);
void value_set_all_defaults(struct settings *settings);
// After all sources were read: sets the presets that depend on the address of Redis (settings_by_address.def).
void value_set_by_address(struct settings *settings);
// "https://host[:port]", as browsers send it in Origin.
bool origin_valid(const char *origin);
// Changes a valid origin to the form that browsers send: lower case, without the default port.
void origin_fold(char *origin);
bool bearer_valid(const char *text); // a key, or sha256: and 64 hex digits
void bearer_fold(char *text);        // of a hash: lower case
// Begins a new section [ranking NAME], [list NAME] or [site NAME]. The keys that follow belong to the last section.
bool ranking_open(struct settings *settings, const char *name, char why[static WHY_SIZE]);
bool ranking_set(struct settings *settings, const char *key, const char *text, char why[static WHY_SIZE]);
// Checks the rankings as a whole; without any it adds those of a configuration that has none.
bool rankings_finish(struct settings *settings, char why[static WHY_SIZE]);
void ranking_print(const struct settings *settings, const struct ranking_setting *ranking);
bool list_open(struct settings *settings, const char *name, char why[static WHY_SIZE]);
bool list_set(struct settings *settings, const char *key, const char *text, char why[static WHY_SIZE]);
bool site_open(struct settings *settings, const char *name, char why[static WHY_SIZE]);
bool site_set(struct settings *settings, const char *key, const char *text, char why[static WHY_SIZE]);
// Takes the line key.NAME of a site. settings_keys.c
bool key_like_hash(const char *text); // 64 hex digits
bool site_key_set(struct site_setting *site, const char *name, const char *text, char why[static WHY_SIZE]);
// Checks that no key has two names at one site. Called after all sources were read.
bool site_keys_finish(const struct settings *settings, char why[static WHY_SIZE]);
// The rules of a list, settings_rules.c. Rankings have fewer keys: their floor is their own.
bool rule_exists(const char *key, bool of_ranking);
bool rule_repeats(const char *key); // a section may have the line several times
bool rule_set(struct list_rules *rules, const char *key, const char *text, char why[static WHY_SIZE]); // it exists
void rules_print(const struct list_rules *rules, bool of_ranking);
void lists_print(const struct settings *settings);
void rules_release(struct list_rules *rules);
// Reads the secrets that are in files. settings_secrets.c
bool secrets_finish(struct settings *settings, char why[static WHY_SIZE]);
bool secret_from_file(struct settings *settings, const char *path, char secret[static GIVEN_SECRET_MAX + 1],
                      char why[static WHY_SIZE]);
// Reads the files of TLS. settings_tls.c
bool tls_finish(struct settings *settings, char why[static WHY_SIZE]);
// Checks that the three listeners have different addresses; publisher_listen becomes PUBLISHERS_ON_OPS when its address
// is that of ops_listen.
bool listeners_finish(struct settings *settings, char why[static WHY_SIZE]);
bool section_name_valid(const char *name);                            // of a ranking, a site or a kind of vote
int settings_kind(const struct settings *settings, const char *name); // its index; -1: there is none
// Splits `kinds` into names. Called before the sections are read, because rankings name kinds.
bool settings_split_kinds(struct settings *settings, char why[static WHY_SIZE]);
// Checks what depends on several values, after all sources were read. False with the reason.
bool settings_finish(struct settings *settings, char why[static WHY_SIZE]);
// The sections as a file would have them, on stdout.
void settings_print_sections(const struct settings *settings);
// Reads one half of a file: the values before any section, or the sections.
enum file_half { FILE_VALUES, FILE_SECTIONS };
bool settings_read_file(struct settings *settings, const char *path, enum file_half half, char *ret_error,
                        size_t error_size);
