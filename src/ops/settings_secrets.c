// SPDX-License-Identifier: MIT
// Secrets from files. A setting that ends in _file names the file that holds the secret. Where neither is set, the
// credential of systemd with the name of the secret is taken (engaged.secret in $CREDENTIALS_DIRECTORY), if there is
// one.
#include "ops/settings.h"
#include "ops/settings_inside.h"
#include <stdio.h>
#include <stdlib.h>

enum { BEHIND_NAME = sizeof "_file" - 1 };

// One line feed at the end is the editor's, not the secret's.
static bool cut_line(struct bytes text, char secret[static GIVEN_SECRET_MAX + 1], const char **ret_fault) {
    if (text.len && text.at[text.len - 1] == '\n')
        text.len -= text.len > 1 && text.at[text.len - 2] == '\r' ? 2 : 1;
    *ret_fault = text.len ? NULL : "is empty";
    for (size_t i = 0; i < text.len && !*ret_fault; i++)
        if ((unsigned char)text.at[i] < ' ')
            *ret_fault = "holds more than one line, or a control character";
    snprintf(secret, GIVEN_SECRET_MAX + 1, "%.*s", (int)text.len, text.len ? text.at : "");
    return !*ret_fault;
}

bool secret_from_file(struct settings *settings, const char *path, char secret[static GIVEN_SECRET_MAX + 1],
                      char why[static WHY_SIZE]) {
    struct bytes text;
    const char *fault;
    if (!given_file_read(&settings->files, path, GIVEN_SECRET, &text, why, WHY_SIZE))
        return false;
    if (cut_line(text, secret, &fault))
        return true;
    snprintf(why, WHY_SIZE, "%.150s %s", path, fault);
    return false;
}

// False: there is none.
static bool find_credential(const struct settings *settings, const char *name, char path[static GIVEN_PATH_SIZE]) {
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    if (!directory || !*directory)
        return false;
    int len = snprintf(path, GIVEN_PATH_SIZE, "%s/engaged.%s", directory, name);
    return len < GIVEN_PATH_SIZE && given_file_is_there(settings->files, path);
}

static bool set_secret(struct settings *settings, const char *place, const char *name, const char *path,
                       char why[static WHY_SIZE]) {
    char secret[GIVEN_SECRET_MAX + 1], fault[WHY_SIZE];
    if (*value_text(settings, name))
        snprintf(why, WHY_SIZE, "%s: %s is set too; only one of them may be", place, name);
    else if (!secret_from_file(settings, path, secret, fault))
        snprintf(why, WHY_SIZE, "%s: %.200s", place, fault);
    else if (!value_set(settings, name, secret, fault))
        snprintf(why, WHY_SIZE, "%s: %.150s holds what is %.60s", place, path, fault);
    else
        return true;
    return false;
}

static bool take_secret(struct settings *settings, const char *file_setting, char why[static WHY_SIZE]) {
    char name[NAME_SIZE], path[GIVEN_PATH_SIZE], place[2 * NAME_SIZE];
    const char *given = value_text(settings, file_setting);
    snprintf(name, sizeof name, "%.*s", (int)(strlen(file_setting) - BEHIND_NAME), file_setting);
    if (*given)
        return set_secret(settings, file_setting, name, given, why);
    if (!find_credential(settings, name, path))
        return true;
    snprintf(place, sizeof place, "credential engaged.%s", name);
    return set_secret(settings, place, name, path, why);
}

bool secrets_finish(struct settings *settings, char why[static WHY_SIZE]) {
    return value_each(settings, SECRET_FILE, take_secret, why);
}
