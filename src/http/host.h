// SPDX-License-Identifier: MIT
// The grammar of Host: uri-host [":" port], without user, path, comma or space.
#pragma once
#include "base/bytes.h"
#include <stdbool.h>

bool host_is_valid(struct bytes host);
