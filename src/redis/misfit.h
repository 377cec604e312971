// SPDX-License-Identifier: MIT
// Whether the Redis that answers is what the setting `redis` says. Pure. The handshake asks it before anything is
// written, and so does `engaged check --connect`. Another kind of server is a row of `misfits`.
#pragma once
#include "redis/address.h"

// `info` is INFO server. NULL, or what an operator should read.
const char *misfit_of_mode(enum address_kind kind, struct bytes info);
// `role` is the first word of ROLE. In a Cluster a replica fits: it owns nothing.
const char *misfit_of_role(enum address_kind kind, struct bytes role);
