// SPDX-License-Identifier: MIT
// uthash as this program uses it. Without memory an entry is not added, and the process continues. Names come from
// clients, so they are hashed under a secret key: else a client could put thousands of names into one bucket.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HASH_NONFATAL_OOM 1
#define HASH_FUNCTION(at, len, value) (value) = hash_of((at), (len))
#include <uthash.h>

// Check this after each HASH_ADD…; false: the entry is in no table.
#define HASH_HAS_TAKEN(entry) ((entry)->hh.tbl != NULL)

// Before the first table of a process: takes a random key.
void hash_init(void);
// SipHash-1-3 under the process's key, its lower half.
uint32_t hash_of(const void *at, size_t len);
