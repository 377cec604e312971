// SPDX-License-Identifier: MIT
// The two keys of a service, and where its Redis is: from the settings, or with an embedded Redis from its directory.
#pragma once
#include "roles/roles.h"

// The directory of `redis = embedded:DIR`, or NULL.
const char *embedded_directory(const struct settings *settings);
// Fills role's keys; with an embedded Redis those that are not set come from DIR/secrets, made (0600) when it is not
// there, and settings->redis becomes the address of its socket. False with one line that says what is missing or wrong.
// Takes secrets off the command line, which every user of the machine can read, and into the environment, which only
// ours can: there the children find them, and a reload does. After settings_read.
void secrets_hide(int *argc, char **argv);
// The environment without what is ours: for programs that are not. The array alone is to be freed; NULL: no memory.
char **environment_of_others(void);
// Whether role_prepare will do, as far as can be told without making anything.
bool role_check(const struct settings *settings, char *ret_error, size_t error_size);
bool role_prepare(struct role *role, struct settings *settings, char *ret_error, size_t error_size);
