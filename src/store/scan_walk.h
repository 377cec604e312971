// SPDX-License-Identifier: MIT
// A page of a scan (store/scan.h), for the verbs that read one.
#pragma once
#include "store/reads.h"

// The first member of the state of a read that is a page of a scan.
struct scan_page {
    struct read_state read;
    struct scan *scan;
    struct pipeline *pipeline; // of the one SCAN
    struct node *node;         // that is asked; NULL: the one Redis
    const redisReply *keys;    // in on_keys
    void (*on_keys)(struct scan_page *page);
};

// Begins a page; scan_page_send asks for it. NULL: nobody can be asked now; the call is then UNAVAILABLE. When the keys
// are there, on_keys is called; it, or what it starts, ends with scan_page_end.
void *scan_page_begin(struct store *store, struct read_call *call, struct scan *scan, size_t state_size,
                      void (*on_keys)(struct scan_page *page));
void scan_page_send(struct scan_page *page, const char *pattern, uint32_t count, const char *type); // NULL: all
// A key of the page; NO_BYTES when this walk leaves it out.
struct bytes scan_page_key(const struct scan_page *page, size_t index);
void scan_page_end(struct scan_page *page, enum outcome outcome);
uint64_t scan_lives(const struct store *store); // in a Cluster: a hash of the lives of all partitions
