// SPDX-License-Identifier: MIT
// Replaces the data of one Redis by another's, for `engaged restore`. The calls block: the process does nothing else.
// They return false with one line in ret_error.
//
// The live Redis becomes a replica of the staged one until it has all of its data, in its append-only file too. Then it
// becomes a master again. Meanwhile it refuses writes, so no acknowledged write is lost; the service answers 503.
#pragma once
#include "base/keyed.h"
#include "ops/settings.h"
#include "redis/address.h"

enum { REPLACE_ERROR_SIZE = 512 };

// Waits until the staged Redis has loaded its file, and checks that its data fits the settings.
bool replace_check(const struct address *staged, const struct settings *settings, const struct secret_key *hash_key,
                   char ret_error[static REPLACE_ERROR_SIZE]);
// The live Redis, too, reaches `staged` by host, port and password. Returns when as many clients are connected as
// before, or after some seconds.
bool replace_data(const struct address *live, const struct address *staged, char ret_error[static REPLACE_ERROR_SIZE]);
// For a process that is killed in replace_data: the master password of the live Redis before it (to be freed; NULL:
// Redis does not tell), and the call that makes the live Redis a master again with that password.
char *replace_master_password(const struct address *live);
bool replace_undo(const struct address *live, const char *master_password);
