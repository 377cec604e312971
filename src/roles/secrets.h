// SPDX-License-Identifier: MIT
// The two keys of a service, and where its Redis is: from the settings, or with an embedded Redis from its directory.
#pragma once
#include "roles/roles.h"

// The directory of `redis = embedded:DIR`, or NULL.
const char *embedded_directory(const struct settings *settings);
// Fills role's keys; with an embedded Redis those that are not set come from DIR/secrets, made (0600) when it is not
// there, and settings->redis becomes the address of its socket. False with one line that says what is missing or wrong.
bool role_prepare(struct role *role, struct settings *settings, char *ret_error, size_t error_size);
