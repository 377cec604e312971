// SPDX-License-Identifier: MIT
// Looks at the logs, scans all keys once, looks at the logs again, and prints a table. When many keys have come, every
// sixteenth key of items, voters and visitors is asked for its size; the others of their kind are taken to be as big.
#include "roles/partitions.h"
#include "model/keys.h"
#include "roles/partition_moves.h"
#include "store/operator_reads.h"
#include "store/store.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

enum { LOOK_MS = 20, PATIENCE_MS = 5000, WHOLE_KEYS = 20000, ONE_IN = 16 };

struct holdings {
    uint64_t keys[KEY_KINDS], asked[KEY_KINDS], bytes[KEY_KINDS];
};

struct view {
    uv_loop_t loop;
    uv_timer_t timer;
    struct store *store;
    struct read_call call;
    struct scan scan;
    uint64_t seen;                                      // keys
    uint64_t began_ms, looked_ms, least_ms, seconds_ms; // between the two looks: at least, and in fact
    struct partition_look *looks;
    struct holdings *held;
    uint32_t *owners; // numbers of masters
    uint64_t *bytes;
    struct masters masters;
    bool cluster, part_only; // part_only: not all keys could be read
    const char *failure;
};

// ---- The end

static void on_stopped(void *context) {
    (void)context;
}

static void stop(struct view *view, const char *failure) {
    view->failure = failure;
    uv_close((uv_handle_t *)&view->timer, NULL);
    store_stop(view->store, on_stopped, NULL);
}

// ---- What is asked, step by step

static struct read_call *next_call(struct view *view, void (*on_done)(struct read_call *call, enum outcome outcome)) {
    view->call = (struct read_call){.on_done = on_done, .context = view};
    return &view->call;
}

static void on_nodes_read(struct read_call *call, enum outcome outcome) {
    (void)outcome; // then only the masters that have partitions are known
    stop(call->context, NULL);
}

static void on_nodes(struct read_call *call, struct bytes text) {
    masters_add_nodes(&((struct view *)call->context)->masters, text);
}

static void count_owners(struct view *view) {
    for (uint32_t i = 0; i < keys_partitions(); i++) {
        const struct partition_look *look = &view->looks[i];
        view->owners[i] =
            look->owner[0] ? masters_add(&view->masters, bytes_of(look->id), bytes_of(look->owner)) : MASTERS_MAX;
        if (view->owners[i] < MASTERS_MAX)
            view->masters.at[view->owners[i]].partitions++;
    }
}

static void on_looked_again(struct read_call *call, enum outcome outcome) {
    struct view *view = call->context;
    if (outcome != OK) {
        stop(view, "Redis does not answer");
        return;
    }
    count_owners(view);
    view->cluster = view->looks[0].id[0] != '\0';
    if (view->cluster)
        store_read_cluster_nodes(view->store, next_call(view, on_nodes_read), on_nodes);
    else
        stop(view, NULL);
}

static void look_again(uv_timer_t *timer) {
    struct view *view = timer->data;
    view->seconds_ms = uv_now(&view->loop) - view->looked_ms;
    store_look_at_partitions(view->store, next_call(view, on_looked_again), view->looks);
}

static void on_key(struct read_call *call, struct bytes key, uint64_t bytes) {
    struct view *view = call->context;
    uint32_t partition;
    if (!key_partition(key, &partition))
        return;
    enum key_kind kind = key_kind_of(key);
    struct holdings *held = &view->held[partition];
    held->keys[kind]++;
    view->seen++;
    held->asked[kind] += bytes != UNASKED;
    held->bytes[kind] += bytes != UNASKED ? bytes : 0;
}

static void scan_more(struct view *view);

static void on_page(struct read_call *call, enum outcome outcome) {
    struct view *view = call->context;
    uint64_t passed = uv_now(&view->loop) - view->looked_ms;
    view->part_only = outcome != OK;
    if (outcome == OK && view->scan.goes_on)
        scan_more(view);
    else
        uv_timer_start(&view->timer, look_again, passed < view->least_ms ? view->least_ms - passed : 0, 0);
}

static void scan_more(struct view *view) {
    store_read_usage(view->store, next_call(view, on_page), &view->scan, view->seen < WHOLE_KEYS ? 1 : ONE_IN, on_key);
}

static void on_looked(struct read_call *call, enum outcome outcome) {
    struct view *view = call->context;
    view->looked_ms = uv_now(&view->loop);
    if (outcome == OK)
        scan_more(view);
    else
        stop(view, "Redis does not answer");
}

static void on_timer(uv_timer_t *timer) {
    struct view *view = timer->data;
    const char *why = NULL;
    bool ready = store_ready(view->store, &why), all = ready && store_unserved(view->store) == 0;
    if (!all && uv_now(&view->loop) - view->began_ms < PATIENCE_MS)
        return;
    uv_timer_stop(timer);
    if (ready)
        store_look_at_partitions(view->store, next_call(view, on_looked), view->looks);
    else
        stop(view, why ? why : "Redis does not answer");
}

// ---- The table

struct row {
    uint64_t keys, bytes;
    double votes, views; // a second
};

static uint64_t bytes_of_kind(const struct holdings *held, int kind) {
    if (held->asked[kind] == 0)
        return 0;
    return (uint64_t)((double)held->bytes[kind] / (double)held->asked[kind] * (double)held->keys[kind]);
}

// What was trimmed from the log before it was read counts as what was read. Below 0: nothing was left to be read.
static double rate(const struct view *view, const struct partition_look *look, uint64_t records) {
    if (look->new_entries && !look->read)
        return -1;
    double share = look->read ? (double)look->new_entries / (double)look->read : 0;
    double seconds = (double)view->seconds_ms / 1000;
    return seconds > 0 ? (double)records * (share > 1 ? share : 1) / seconds : 0;
}

static struct row row_of(const struct view *view, uint32_t partition) {
    const struct holdings *held = &view->held[partition];
    const struct partition_look *look = &view->looks[partition];
    struct row row = {.votes = rate(view, look, look->votes), .views = rate(view, look, look->views)};
    for (int kind = 0; kind < KEY_KINDS; kind++) {
        row.keys += held->keys[kind];
        row.bytes += bytes_of_kind(held, kind);
    }
    return row;
}

static void print_rate(double rate) {
    if (rate < 0)
        printf(" %9s", "?");
    else
        printf(" %9.1f", rate);
}

static void print_row(const char *name, struct bytes tag, const char *slot, const char *owner, const struct row *row) {
    printf("%-9s %-8.*s %6s  %-24s %10" PRIu64 " %13" PRIu64 "", name, (int)tag.len, tag.at, slot, owner, row->keys,
           row->bytes);
    print_rate(row->votes);
    print_rate(row->views);
    puts("");
}

static void print_table(struct view *view) {
    struct row sum = {0};
    printf("%-9s %-8s %6s  %-24s %10s %13s %9s %9s\n", "partition", "tag", "slot", "owner", "keys", "bytes, about",
           "votes/s", "views/s");
    for (uint32_t i = 0; i < keys_partitions(); i++) {
        char name[12], slot[8];
        struct row row = row_of(view, i);
        snprintf(name, sizeof name, "%u", i);
        snprintf(slot, sizeof slot, "%u", key_place_slot(i));
        print_row(name, key_tag(i), slot, view->looks[i].there ? view->looks[i].owner : "not served", &row);
        view->bytes[i] = row.bytes;
        sum.keys += row.keys;
        sum.bytes += row.bytes;
        sum.votes += row.votes > 0 ? row.votes : 0;
        sum.views += row.views > 0 ? row.views : 0;
    }
    print_row("all", BYTES(""), "", "", &sum);
    printf("Votes and views are those of %.1f seconds, from the logs.\n", (double)view->seconds_ms / 1000);
    if (view->part_only)
        puts("Not all keys could be read: keys and bytes are too low.");
}

static void print_masters(const struct view *view) {
    puts("");
    for (uint32_t i = 0; i < view->masters.count; i++)
        printf("%-24s %u partitions\n", view->masters.at[i].name, view->masters.at[i].partitions);
}

static void print_moves(struct view *view) {
    struct partition_move move;
    uint32_t moves = 0;
    for (uint32_t i = 0; i < keys_partitions(); i++)
        if (view->owners[i] == MASTERS_MAX || !view->looks[i].there) {
            puts("Moves are not told while partitions are not served.");
            return;
        }
    while (moves_next(&view->masters, keys_partitions(), view->owners, view->bytes, &move)) {
        if (moves++ == 0) {
            puts("\n# They are even after these lines. One line at a time, off-peak; both nodes need a replica "
                 "(docs/cluster.md).");
            puts("# The password of redis-cli is taken from REDISCLI_AUTH.");
            moves_print_function();
        }
        moves_print_call(&view->masters, &move, key_place_slot(move.partition), key_tag(move.partition));
    }
    if (moves == 0)
        puts("They are even.");
}

static int print(struct view *view) {
    if (view->failure) {
        fprintf(stderr, "engaged: partitions: %s\n", view->failure);
        return 1;
    }
    print_table(view);
    if (view->cluster) {
        print_masters(view);
        print_moves(view);
    }
    return 0;
}

// ---- Start

static void on_refused(void *context, const char *line) {
    (void)context;
    fprintf(stderr, "engaged: %s\n", line);
}

static bool make_room(struct view *view, uint32_t partitions) {
    view->looks = calloc(partitions, sizeof *view->looks);
    view->held = calloc(partitions, sizeof *view->held);
    view->owners = calloc(partitions, sizeof *view->owners);
    view->bytes = calloc(partitions, sizeof *view->bytes);
    return view->looks && view->held && view->owners && view->bytes;
}

static void release(struct view *view) {
    scan_restart(&view->scan);
    free(view->looks);
    free(view->held);
    free(view->owners);
    free(view->bytes);
}

static void run(struct view *view) {
    uv_timer_init(&view->loop, &view->timer);
    view->timer.data = view;
    uv_timer_start(&view->timer, on_timer, 0, LOOK_MS);
    uv_run(&view->loop, UV_RUN_DEFAULT);
}

int partitions_run(const struct role *role, uint32_t seconds) {
    static struct view view;
    view.least_ms = seconds * UINT64_C(1000);
    view.scan.loose = true;
    uv_loop_init(&view.loop);
    view.began_ms = uv_now(&view.loop);
    view.store = store_start(&view.loop, role->settings, &role->hash_key, on_refused, NULL);
    if (!view.store || !make_room(&view, keys_partitions())) {
        fprintf(stderr, "engaged: partitions: the address of Redis is not valid, or there is no memory\n");
        return 1;
    }
    run(&view);
    uv_loop_close(&view.loop);
    int code = print(&view);
    release(&view);
    return code;
}
