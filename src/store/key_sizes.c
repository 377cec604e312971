// SPDX-License-Identifier: MIT
// The size of each key of Redis: one SCAN for a page of keys, then MEMORY USAGE of each in one pipeline, of the node
// that has it.
#include "store/operator_reads.h"
#include "store/scan_walk.h"

enum { PAGE_KEYS = 512 };

struct usage_page {
    struct scan_page page;
    uint32_t one_in;
    void (*on_key)(struct read_call *call, struct bytes key, uint64_t bytes);
};

// Of an item's and a visitor's keys there are so many that a share of them tells the size of all.
static bool is_asked_for(const struct usage_page *usage, struct bytes key, size_t index) {
    enum key_kind kind = key_kind_of(key);
    bool many = kind <= KEY_HISTORIES;
    return key.len && (!many || index % usage->one_in == 0);
}

static void on_usage(struct pipeline *pipeline) {
    struct scan_page *page = pipeline->context;
    struct usage_page *usage = (struct usage_page *)page;
    enum outcome outcome = read_outcome(pipeline);
    uint32_t at = 0;
    for (size_t i = 0; outcome == OK && i < page->keys->elements; i++) { // a key that no longer exists has 0
        struct bytes key = scan_page_key(page, i);
        bool asked = is_asked_for(usage, key, i);
        uint64_t bytes = asked ? (uint64_t)reply_int(pipeline->at[at++].reply) : UNASKED;
        if (key.len)
            usage->on_key(page->read.call, key, bytes);
    }
    pipeline_free(pipeline);
    scan_page_end(page, outcome);
}

static void ask_for_usage(struct scan_page *page, struct pipeline *pipeline, struct bytes key) {
    struct store *store = page->read.store;
    begin_command(store, "MEMORY");
    command_add_text(&store->command, "USAGE");
    command_add(&store->command, key);
    command_add_text(&store->command, "SAMPLES");
    command_add_int(&store->command, 0);
    if (page->node)
        pipeline_add_to(pipeline, store->router, page->node, &store->command);
    else
        pipeline_add(pipeline, store->router, &store->command);
}

static void tell_without_usage(struct scan_page *page) {
    for (size_t i = 0; i < page->keys->elements; i++)
        if (scan_page_key(page, i).len)
            ((struct usage_page *)page)->on_key(page->read.call, scan_page_key(page, i), UNASKED);
    scan_page_end(page, OK);
}

static void on_keys(struct scan_page *page) {
    struct usage_page *usage = (struct usage_page *)page;
    uint32_t count = 0;
    for (size_t i = 0; i < page->keys->elements; i++)
        count += is_asked_for(usage, scan_page_key(page, i), i);
    if (count == 0) {
        tell_without_usage(page);
        return;
    }
    struct pipeline *pipeline = pipeline_new(count, on_usage, page);
    if (!pipeline) {
        scan_page_end(page, UNAVAILABLE);
        return;
    }
    for (size_t i = 0; i < page->keys->elements; i++)
        if (is_asked_for(usage, scan_page_key(page, i), i))
            ask_for_usage(page, pipeline, scan_page_key(page, i));
}

void store_read_usage(struct store *store, struct read_call *call, struct scan *scan, uint32_t one_in,
                      void (*on_key)(struct read_call *call, struct bytes key, uint64_t bytes)) {
    struct usage_page *usage = scan_page_begin(store, call, scan, sizeof *usage, on_keys);
    if (!usage)
        return;
    usage->on_key = on_key;
    usage->one_in = one_in;
    scan_page_send(&usage->page, NULL, PAGE_KEYS, NULL);
}
