// SPDX-License-Identifier: MIT
// The plan: the rankings of the settings in the model's terms, with the half-lives that they need. The projector writes
// rankings by it, and the lists read them by it.
#pragma once
#include "model/period_ranking.h"
#include "ops/settings.h"

enum { DATA_FORMAT = 4 }; // of the data

struct plan {
    struct half_lives lives;
    struct ranking rankings[RANKINGS_MAX + 1]; // the settings', in their order, then the site's popularity
    uint32_t count;                            // all of them
    uint32_t popular;      // index of the popularity (views, 6 h). Its name ".popular" is not allowed in settings.
    uint32_t popular_life; // index of its half-life
    uint32_t period_signals[GRAINS]; // bits of the signals that count in sets of periods of the grain; 0: no such sets
    char fingerprint[17]; // a hash of all that decides what is in the sets of the rankings: the time zone too
};

// The calendar must be open: its zone is part of the plan. False when the settings need more than HALF_LIVES_MAX
// half-lives, which settings_read refuses.
bool plan_make(const struct settings *settings, struct plan *ret_plan);
const struct ranking *plan_find(const struct plan *plan, struct bytes name); // NULL: undefined, or the popularity
