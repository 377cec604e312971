// SPDX-License-Identifier: MIT
#include "serve/lru.h"

static void unlink_entry(struct lru *lru, struct lru_entry *entry) {
    *(entry->newer ? &entry->newer->older : &lru->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &lru->oldest) = entry->newer;
    lru->count--;
}

static void link_newest(struct lru *lru, struct lru_entry *entry) {
    lru->count++;
    entry->moved = ++lru->moves;
    entry->newer = NULL;
    entry->older = lru->newest;
    *(lru->newest ? &lru->newest->newer : &lru->oldest) = entry;
    lru->newest = entry;
}

static void link_oldest(struct lru *lru, struct lru_entry *entry) {
    lru->count++;
    entry->older = NULL;
    entry->newer = lru->oldest;
    *(lru->oldest ? &lru->oldest->older : &lru->newest) = entry;
    lru->oldest = entry;
}

void lru_add(struct lru *lru, struct lru_entry *entry, size_t bytes) {
    entry->bytes = bytes;
    lru->bytes += bytes;
    (entry->last ? link_oldest : link_newest)(lru, entry);
}

void lru_use(struct lru *lru, struct lru_entry *entry) {
    if (entry->last || lru->moves - entry->moved <= lru->count / 4)
        return;
    unlink_entry(lru, entry);
    link_newest(lru, entry);
}

void lru_resize(struct lru *lru, struct lru_entry *entry, size_t bytes) {
    lru->bytes = lru->bytes - entry->bytes + bytes;
    entry->bytes = bytes;
    metric_set(lru->metric, lru->bytes);
}

void lru_drop(struct lru *lru, struct lru_entry *entry) {
    unlink_entry(lru, entry);
    lru->bytes -= entry->bytes;
    metric_set(lru->metric, lru->bytes);
    entry->free(entry);
}

void lru_trim(struct lru *lru) {
    struct lru_entry *entry = lru->oldest;
    while (entry && lru->bytes > lru->bytes_max) {
        struct lru_entry *newer = entry->newer;
        if (!entry->busy) {
            lru->trimmed += entry->bytes;
            lru_drop(lru, entry);
        }
        entry = newer;
    }
}

void lru_drop_all(struct lru *lru) {
    while (lru->oldest)
        lru_drop(lru, lru->oldest);
}
