// SPDX-License-Identifier: MIT
// Where the data is, by all settings that say something of it.
#pragma once
#include "ops/settings.h"
#include "redis/address.h"

// False, with one line in ret_error, which holds no secret.
bool address_of_settings(const struct settings *settings, struct address *ret_address, char *ret_error,
                         size_t error_size);
