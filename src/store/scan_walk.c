// SPDX-License-Identifier: MIT
// Which node is walked, for which partitions, and what of it counts at its end.
#include "store/scan_walk.h"
#include "base/clock.h"
#include "ops/log.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TELL_NS (UINT64_C(60) * 1000 * 1000 * 1000)
enum { LIFE_DIGITS = 8, VAIN_MAX = 2 };
#define WALKED (UINT32_C(1) << 31) // in the text of a life: its partition is not done yet

enum part_state { PART_TO_DO, PART_WALKED, PART_DONE };

struct scan_part {
    uint64_t epoch; // of its place, when the walk of its node began
    uint32_t life;  // hash of its life then; never 0
    enum part_state state;
};

void scan_restart(struct scan *scan) {
    free(scan->parts);
    *scan = (struct scan){.cursor = 0};
}

bool scan_is_done(const struct scan *scan, uint32_t partition) {
    return scan->parts && scan->parts[partition].state == PART_DONE;
}

// ---- Nodes and partitions

static uint32_t life_now(const struct store *store, uint32_t partition) {
    struct bytes life = cluster_life(store->cluster, partition);
    uint32_t hash = (uint32_t)keyed_hash64(store->hash_key, 'L', &life, 1) & ~WALKED;
    return hash ? hash : 1;
}

static struct node *walked_node(const struct store *store, const struct scan *scan) {
    struct node *node = scan->node ? router_nodes(store->router) : NULL;
    while (node && node->number != scan->node)
        node = node->next;
    return node;
}

static bool stays(const struct store *store, const struct scan *scan, uint32_t partition) {
    const struct node *node = router_node_of(store->router, partition);
    return node && node->number == scan->node && router_epoch(store->router, partition) == scan->parts[partition].epoch;
}

static uint32_t count_parts(const struct scan *scan, enum part_state state) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < keys_partitions(); i++)
        count += scan->parts[i].state == state;
    return count;
}

// Partitions that have another owner or connection leave the walk. False when none is left.
static bool walk_goes_on(const struct store *store, struct scan *scan) {
    for (uint32_t i = 0; i < keys_partitions(); i++)
        if (scan->parts[i].state == PART_WALKED && !stays(store, scan, i))
            scan->parts[i].state = scan->loose ? PART_DONE : PART_TO_DO;
    return scan->node && count_parts(scan, PART_WALKED) > 0;
}

// The node of a partition that is to do and can be walked now; else 0.
static uint32_t node_to_walk(const struct store *store, const struct scan *scan, uint32_t partition) {
    bool can = scan->parts[partition].state == PART_TO_DO && router_is_open(store->router, partition);
    return can ? router_node_of(store->router, partition)->number : 0;
}

// Another one than the last, if there is one: a partition that moves for long keeps no other waiting.
static uint32_t choose_node(const struct store *store, const struct scan *scan) {
    uint32_t same = 0;
    for (uint32_t i = 0; i < keys_partitions(); i++) {
        uint32_t number = node_to_walk(store, scan, i);
        if (number && number != scan->walked)
            return number;
        same |= number;
    }
    return same;
}

// Begins to walk a node for all its partitions that are to do. If walks end none of them, as all that is left moves,
// it fails from time to time: the caller may have better things to do than to try for ever.
static bool begin_walk(const struct store *store, struct scan *scan) {
    scan->cursor = 0;
    scan->walked = scan->node ? scan->node : scan->walked;
    scan->node = 0;
    if (++scan->vain > VAIN_MAX) {
        scan->vain = 0;
        return false;
    }
    scan->node = choose_node(store, scan);
    for (uint32_t i = 0; scan->node && i < keys_partitions(); i++)
        if (node_to_walk(store, scan, i) == scan->node)
            scan->parts[i] = (struct scan_part){router_epoch(store->router, i), life_now(store, i), PART_WALKED};
    return scan->node != 0;
}

// The node to ask in a Cluster. NULL: nobody can be asked now, or no memory.
static struct node *next_node(const struct store *store, struct scan *scan) {
    if (!scan->parts)
        scan->parts = calloc(keys_partitions(), sizeof *scan->parts);
    if (!scan->parts || (!walk_goes_on(store, scan) && !begin_walk(store, scan)))
        return NULL;
    return walked_node(store, scan);
}

static bool takes(const struct scan *scan, struct bytes key) {
    uint32_t partition;
    return !scan->parts || !key_partition(key, &partition) || scan->parts[partition].state == PART_WALKED;
}

uint64_t scan_lives(const struct store *store) {
    uint64_t lives = 0;
    for (uint32_t i = 0; i < keys_partitions(); i++)
        lives = lives * 31 + life_now(store, i);
    return lives;
}

bool store_scan_knows_lives(const struct store *store) {
    return store->cluster != NULL;
}

// ---- What moves

static void tell_moving(uint32_t count) {
    static uint64_t told_ns;
    uint64_t now = clock_mono_ns();
    if (count == 0 || (told_ns && now - told_ns < TELL_NS))
        return;
    told_ns = now;
    log_info("redis: %u partitions moved while their keys were read: they are read again", count);
}

// A slot that moves away answers ASK when it is asked for a key that does not exist.
static void ask_whether_it_moves(struct scan_page *page) {
    struct store *store = page->read.store;
    for (uint32_t i = 0; i < keys_partitions(); i++) {
        struct key key;
        if (page->scan->parts[i].state != PART_WALKED)
            continue;
        key_absent(&key, i);
        begin_command(store, "EXISTS");
        add_key(store, &key);
        store->command.no_redirect = true;
        read_add(page->pipeline);
    }
}

// Partitions that moved, or that move, leave the walk.
static void leave_what_moves(struct scan_page *page) {
    struct scan *scan = page->scan;
    uint32_t asked = 0, left = 0;
    for (uint32_t i = 0; i < keys_partitions(); i++) {
        if (scan->parts[i].state != PART_WALKED)
            continue;
        if (page->pipeline->at[1 + asked++].outcome == OK && stays(page->read.store, scan, i))
            continue;
        scan->parts[i].state = PART_TO_DO;
        left++;
    }
    tell_moving(left);
}

static void end_walk(struct scan *scan) {
    for (uint32_t i = 0; i < keys_partitions(); i++) {
        if (scan->parts[i].state != PART_WALKED)
            continue;
        scan->parts[i].state = PART_DONE;
        scan->vain = 0;
    }
    scan->walked = scan->node;
    scan->node = 0;
    if (count_parts(scan, PART_TO_DO) == 0)
        scan_restart(scan);
}

// ---- A page

static void on_page(struct pipeline *pipeline) {
    struct scan_page *page = pipeline->context;
    const redisReply *reply = pipeline->at[0].reply;
    enum outcome outcome = pipeline->at[0].outcome;
    if (outcome == OK && (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2))
        outcome = INTERNAL;
    if (outcome != OK) {
        read_end(pipeline, outcome);
        return;
    }
    if (page->node && !page->scan->loose)
        leave_what_moves(page);
    page->keys = reply->element[1];
    page->on_keys(page);
}

void *scan_page_begin(struct store *store, struct read_call *call, struct scan *scan, size_t state_size,
                      void (*on_keys)(struct scan_page *page)) {
    struct node *node = store->cluster ? next_node(store, scan) : NULL;
    if (store->cluster && !node) {
        read_fail(store, call);
        return NULL;
    }
    uint32_t walked = node ? count_parts(scan, PART_WALKED) : 0;
    struct pipeline *pipeline = read_begin(store, call, 1 + walked, state_size, on_page);
    if (!pipeline)
        return NULL;
    struct scan_page *page = pipeline->context;
    page->scan = scan;
    page->pipeline = pipeline;
    page->node = node;
    page->on_keys = on_keys;
    return page;
}

void scan_page_send(struct scan_page *page, const char *pattern, uint32_t count, const char *type) {
    struct store *store = page->read.store;
    char cursor[24];
    snprintf(cursor, sizeof cursor, "%" PRIu64, page->scan->cursor);
    command_add_text(begin_command(store, "SCAN"), cursor);
    if (pattern) {
        command_add_text(&store->command, "MATCH");
        command_add_text(&store->command, pattern);
    }
    command_add_text(&store->command, "COUNT");
    command_add_int(&store->command, count);
    if (type) {
        command_add_text(&store->command, "TYPE");
        command_add_text(&store->command, type);
    }
    if (!page->node) {
        read_add(page->pipeline);
        return;
    }
    pipeline_add_to(page->pipeline, store->router, page->node, &store->command);
    ask_whether_it_moves(page);
}

void scan_page_end(struct scan_page *page, enum outcome outcome) {
    struct scan *scan = page->scan;
    struct bytes cursor = reply_text_at(page->pipeline->at[0].reply, 0);
    if (outcome == OK) {
        scan->cursor = cursor.len ? strtoull(cursor.at, NULL, 10) : 0;
        scan->goes_on = page->node || scan->cursor != 0;
    }
    if (outcome == OK && page->node && scan->cursor == 0)
        end_walk(scan);
    read_end(page->pipeline, outcome);
}

struct bytes scan_page_key(const struct scan_page *page, size_t index) {
    struct bytes key = reply_text_at(page->keys, index);
    return takes(page->scan, key) ? key : NO_BYTES;
}

// ---- As text

void scan_write(const struct store *store, const struct scan *scan, struct buffer *out) {
    buffer_addf(out, "%" PRIu64, scan->cursor);
    if (!scan->parts)
        return;
    const struct node *node = walked_node(store, scan);
    buffer_addf(out, " %s ", node && node->id[0] ? node->id : "-");
    for (uint32_t i = 0; i < keys_partitions(); i++) {
        const struct scan_part *part = &scan->parts[i];
        uint32_t life = part->state == PART_TO_DO ? 0 : part->life;
        buffer_addf(out, "%08" PRIx32, part->state == PART_WALKED ? life | WALKED : life);
    }
}

static bool read_part(const struct store *store, struct scan *scan, uint32_t partition, const char *digits) {
    char text[LIFE_DIGITS + 1];
    memcpy(text, digits, LIFE_DIGITS);
    text[LIFE_DIGITS] = '\0';
    char *end;
    uint32_t life = (uint32_t)strtoul(text, &end, 16);
    const struct node *node = router_node_of(store->router, partition);
    bool walked = life & WALKED, here = node && node->number == scan->node;
    bool holds = life && router_is_open(store->router, partition) && life_now(store, partition) == (life & ~WALKED);
    if (holds && (here || !walked))
        scan->parts[partition] = (struct scan_part){router_epoch(store->router, partition), life & ~WALKED,
                                                    walked ? PART_WALKED : PART_DONE};
    return *end == '\0';
}

static bool read_place(const struct store *store, struct scan *scan, struct bytes text) {
    char id[NODE_ID_SIZE];
    int at = 0;
    if (sscanf(text.at, "%" SCNu64 " %40s %n", &scan->cursor, id, &at) != 2 ||
        text.len - (size_t)at != keys_partitions() * LIFE_DIGITS)
        return false;
    for (const struct node *node = router_nodes(store->router); node; node = node->next)
        if (strcmp(node->id, id) == 0)
            scan->node = node->number;
    scan->parts = calloc(keys_partitions(), sizeof *scan->parts);
    for (uint32_t i = 0; scan->parts && i < keys_partitions(); i++)
        if (!read_part(store, scan, i, text.at + at + i * LIFE_DIGITS))
            return false;
    return scan->parts != NULL;
}

bool scan_read(const struct store *store, struct scan *scan, struct bytes text) {
    unsigned long long cursor;
    scan_restart(scan);
    if (store->cluster)
        scan->goes_on = read_place(store, scan, text);
    else if (bytes_to_u64(text, UINT64_MAX, &cursor)) {
        scan->cursor = cursor;
        scan->goes_on = cursor != 0;
    }
    if (!scan->goes_on)
        scan_restart(scan);
    return scan->goes_on;
}
