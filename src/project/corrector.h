// SPDX-License-Identifier: MIT
// Carries corrections out in the background: it finds votes by a scan and retracts them as a voter would. It records
// its progress in Redis after every page, so a process that is killed is continued by the next. Doing a page twice
// retracts nothing twice. Of several machines the one that works the sums carries them out.
#pragma once
#include "project/projector.h"

struct corrector;

struct corrector *corrector_start(void *loop, const struct settings *settings, const struct secret_key *hash_key,
                                  struct store *store, const struct projector *projector);
void corrector_stop(struct corrector *corrector, void (*on_stopped)(void *context), void *context);
