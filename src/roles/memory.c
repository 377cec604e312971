// SPDX-License-Identifier: MIT
// Scans all keys once, adds up their bytes by kind, and prints the sum beside Redis's own figure, of all masters.
#include "roles/memory.h"
#include "model/keys.h"
#include "store/operator_reads.h"
#include "store/store.h"
#include <inttypes.h>
#include <stdio.h>
#include <uv.h>

enum { LOOK_MS = 20, PATIENCE_MS = 5000 };

struct bill {
    uv_loop_t loop;
    uv_timer_t timer;
    struct store *store;
    struct read_call call;
    struct scan scan;
    uint64_t used, began_ms;
    uint64_t keys[KEY_KINDS], bytes[KEY_KINDS];
    char failure[256]; // empty: none
};

static void on_stopped(void *context) {
    (void)context;
}

static void stop(struct bill *bill, const char *failure) {
    snprintf(bill->failure, sizeof bill->failure, "%s", failure ? failure : "");
    if (!uv_is_closing((uv_handle_t *)&bill->timer))
        uv_close((uv_handle_t *)&bill->timer, NULL);
    store_stop(bill->store, on_stopped, NULL);
}

static void on_memory(struct read_call *call, const struct redis_memory_use *use) {
    ((struct bill *)call->context)->used = use->used_by_all;
}

static void on_used(struct read_call *call, enum outcome outcome) {
    stop(call->context, outcome == OK ? NULL : "Redis does not answer");
}

static void on_key(struct read_call *call, struct bytes key, uint64_t bytes) {
    struct bill *bill = call->context;
    enum key_kind kind = key_kind_of(key);
    bill->keys[kind]++;
    bill->bytes[kind] += bytes;
}

static void on_page(struct read_call *call, enum outcome outcome) {
    struct bill *bill = call->context;
    if (outcome != OK) {
        stop(bill, "Redis does not answer");
        return;
    }
    if (bill->scan.goes_on) {
        bill->call = (struct read_call){.on_done = on_page, .context = bill};
        store_read_usage(bill->store, &bill->call, &bill->scan, 1, on_key);
        return;
    }
    bill->call = (struct read_call){.on_done = on_used, .context = bill};
    store_read_memory(bill->store, &bill->call, on_memory);
}

static void on_look(uv_timer_t *timer) {
    struct bill *bill = timer->data;
    const char *why = NULL;
    bool ready = store_ready(bill->store, &why), all = ready && store_unserved(bill->store) == 0;
    if (!all && uv_now(&bill->loop) - bill->began_ms < PATIENCE_MS)
        return;
    uv_close((uv_handle_t *)timer, NULL);
    bill->call = (struct read_call){.on_done = on_page, .context = bill};
    if (ready)
        store_read_usage(bill->store, &bill->call, &bill->scan, 1, on_key);
    else
        stop(bill, why ? why : "Redis does not answer");
}

static void on_refused(void *context, const char *line) {
    (void)context;
    fprintf(stderr, "engaged: %s\n", line);
}

static void print(const struct bill *bill) {
    uint64_t keys = 0, bytes = 0;
    printf("%-24s %12s %14s %10s\n", "kind", "keys", "bytes", "each");
    for (int kind = 0; kind < KEY_KINDS; kind++) {
        if (bill->keys[kind])
            printf("%-24s %12" PRIu64 " %14" PRIu64 " %10.1f\n", key_kind_name((enum key_kind)kind), bill->keys[kind],
                   bill->bytes[kind], (double)bill->bytes[kind] / (double)bill->keys[kind]);
        keys += bill->keys[kind];
        bytes += bill->bytes[kind];
    }
    printf("%-24s %12" PRIu64 " %14" PRIu64 "\n%-24s %12s %14" PRIu64 "\n", "all keys", keys, bytes,
           "Redis, used_memory", "", bill->used);
}

int memory_run(const struct role *role) {
    static struct bill bill;
    bill.scan.loose = true;
    uv_loop_init(&bill.loop);
    bill.began_ms = uv_now(&bill.loop);
    bill.store = store_start(&bill.loop, role->settings, &role->hash_key, on_refused, NULL);
    if (!bill.store) {
        fprintf(stderr, "engaged: the address of Redis is not valid\n");
        return 1;
    }
    uv_timer_init(&bill.loop, &bill.timer);
    bill.timer.data = &bill;
    uv_timer_start(&bill.timer, on_look, 0, LOOK_MS);
    uv_run(&bill.loop, UV_RUN_DEFAULT);
    scan_restart(&bill.scan);
    uv_loop_close(&bill.loop);
    if (bill.failure[0]) {
        fprintf(stderr, "engaged: memory: %s\n", bill.failure);
        return 1;
    }
    print(&bill);
    return 0;
}
