// SPDX-License-Identifier: MIT
// Puts the data of one Redis in the place of another's, for `engaged restore`: blocking calls, for a process that does
// nothing else. All return false with one line in ret_error.
//
// The live Redis becomes a replica of the staged one until it has all of its data, also in its append-only file, and
// then a master again. Meanwhile it refuses writes, so nothing is acknowledged that is lost; the service answers 503.
#pragma once
#include "base/keyed.h"
#include "ops/settings.h"
#include "redis/address.h"

enum { REPLACE_ERROR_SIZE = 512 };

// Waits until the staged Redis has loaded its file, and compares what the data is with the settings.
bool replace_check(const struct address *staged, const struct settings *settings, const struct secret_key *hash_key,
                   char ret_error[static REPLACE_ERROR_SIZE]);
// `staged` is reached by host, port and password, by the live Redis too.
// Returns when as many clients are there again as before, or have not come in some seconds.
bool replace_data(const struct address *live, const struct address *staged, char ret_error[static REPLACE_ERROR_SIZE]);
// For one whose replace_data was killed in the middle: what the live Redis knew of masters (to be freed; NULL: it
// cannot be had), and to make it a master again, as it was.
char *replace_master_password(const struct address *live);
bool replace_undo(const struct address *live, const char *master_password);
