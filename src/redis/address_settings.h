// SPDX-License-Identifier: MIT
// Where the data is, by all settings that say something of it.
#pragma once
#include "ops/settings.h"
#include "redis/address.h"

// False, with one line in ret_error, which holds no secret. Afterwards address_release, when nothing connects any more.
bool address_of_settings(const struct settings *settings, struct address *ret_address, char *ret_error,
                         size_t error_size);
void address_release(struct address *address); // also one of zeros
