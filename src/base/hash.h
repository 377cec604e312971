// SPDX-License-Identifier: MIT
// uthash as it is used here: without memory an entry is not added, and the process goes on.
#pragma once
#define HASH_NONFATAL_OOM 1
#define HASH_FUNCTION HASH_SFH // two bytes a step: a cached read is one lookup of some fifty bytes
#include <uthash.h>

// To be asked after each HASH_ADD…; false: the entry is in no table.
#define HASH_HAS_TAKEN(entry) ((entry)->hh.tbl != NULL)
