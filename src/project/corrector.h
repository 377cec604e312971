// SPDX-License-Identifier: MIT
// Carries corrections out, in the background, one at a time: votes are looked for by a scan and taken back the way a
// voter would. How far it is stands in Redis after every page, so one that was killed goes on; doing a page twice
// takes nothing back twice.
#pragma once
#include "store/store.h"

struct corrector;

struct corrector *corrector_start(void *loop, const struct settings *settings, const struct secret_key *hash_key,
                                  struct store *store);
void corrector_stop(struct corrector *corrector, void (*on_stopped)(void *context), void *context);
