// SPDX-License-Identifier: MIT
// What a log record does to sums: the delta_maker of sums_projection.c.
#pragma once
#include "project/batch.h"

void sums_deltas(struct batch *batch, uint32_t entry, const struct entry_record *record);
