// SPDX-License-Identifier: MIT
// When an item had its first event, as exactly as its series tell (model/series.h). Pure, but for the calendar.
#pragma once
#include "model/series.h"

// The middle of the hour, day or month in which the first event lies: of the hour if it is kept and nothing was before
// it, and so on. For what was counted before there were series: the instant at which they began, as it is at least as
// old. 0: no event is known.
int64_t first_event_ms(const struct series *series);
