// SPDX-License-Identifier: MIT
// What the start says about who may write.
#pragma once
#include "ops/settings.h"

void say_who_may_write(const struct settings *settings);
