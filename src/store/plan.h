// SPDX-License-Identifier: MIT
// What the settings' rankings mean in the model's terms: the half-lives to keep, and each ranking over them.
// Both sides of the log read it from here: the projector that writes the rankings and the lists that read them.
#pragma once
#include "model/ranking.h"
#include "ops/settings.h"

struct plan {
    struct half_lives lives;
    struct ranking rankings[RANKINGS_MAX + 1]; // the settings', in their order, then the site's popularity
    uint32_t count;                            // all of them
    uint32_t popular;      // index of the popularity (views, 6 h), named ".popular": no setting can name it
    uint32_t popular_life; // index of its half-life
};

// False when the settings need more than HALF_LIVES_MAX half-lives, which settings_read refuses.
bool plan_make(const struct settings *settings, struct plan *ret_plan);
const struct ranking *plan_find(const struct plan *plan, struct bytes name); // NULL: undefined, or the popularity
