// SPDX-License-Identifier: MIT
// Families: a counter or a histogram for each pair of two labels. Their cells are arrays in the row of a process; what
// has counted nothing is left out of /metrics, or each of a hundred routes would be there with each of twenty statuses.
#include "ops/metrics_inside.h"
#include <stddef.h>
#include <string.h>

// A label: its values by number, as `name="value"`; an empty text: there is no label; NULL: no such value.
static const char *one_pair(unsigned number) {
    return number == 0 ? "" : NULL;
}

static const char *const *routes;
static unsigned route_count;

void metrics_set_routes(const char *const *pairs, unsigned count) {
    routes = pairs;
    route_count = count < METRIC_ROUTES_MAX ? count : METRIC_ROUTES_MAX;
}

static const char *route_pair(unsigned number) {
    return number < route_count ? routes[number] : NULL;
}

static const char *status_pair(unsigned number) {
    static const char *const pairs[STATUS_COUNT] = {
        [METRIC_STATUS_OTHER] = "status=\"other\"",
#define STATUS(code, reason) [METRIC_STATUS_##code] = "status=\"" #code "\"",
#include "base/statuses.def"
#undef STATUS
    };
    return pairs[number];
}

static const char *call_pair(unsigned number) {
    static const char *const pairs[ROUND_TRIP_COUNT] = {
#define CALL(id, text) "kind=\"" text "\"",
#include "ops/metric_labels.def"
    };
    return pairs[number];
}

static const char *reason_pair(unsigned number) {
    static const char *const pairs[METRIC_REASON_COUNT] = {
#define REASON(id, text) "reason=\"" text "\"",
#include "ops/metric_labels.def"
    };
    return pairs[number];
}

static const char *site_pair(unsigned number) {
    static char pair[sizeof "site=\"\"" + sizeof metrics_shared->sites[0].name];
    const char *name = number && metrics_shared ? metrics_shared->sites[number - 1].name : "";
    if (number && !__atomic_load_n(name, __ATOMIC_ACQUIRE))
        return NULL;
    struct buffer text = buffer_over(pair, sizeof pair - 1);
    buffer_addf(&text, "site=\"%.*s\"", (int)sizeof metrics_shared->sites[0].name, number ? name : "other");
    pair[text.len] = '\0';
    return pair;
}

struct label {
    unsigned count;
    const char *(*pair)(unsigned number);
};

static const struct label label_ONE = {ONE_COUNT, one_pair}, label_ROUTE = {ROUTE_COUNT, route_pair},
                          label_STATUS = {STATUS_COUNT, status_pair}, label_CALL = {CALL_COUNT, call_pair},
                          label_SITE = {SITE_COUNT, site_pair}, label_REASON = {REASON_COUNT, reason_pair};

enum family_kind { FAMILY_counter, FAMILY_histogram };

static const struct family {
    enum family_kind kind;
    const char *name, *help;
    const struct label *outer, *inner;
    size_t offset, size; // of the first pair's cells in a row
} families[] = {
#define FAMILY(id, kind, name, outer, inner, help)                                                                     \
    {FAMILY_##kind, name, help, &label_##outer, &label_##inner, offsetof(struct metric_row, id), sizeof(kind##_cells)},
#include "ops/metrics.def"
};
enum { FAMILY_COUNT = sizeof families / sizeof *families };

// Sites are no part of it: a reload may bring others, which get numbers that nobody had.
uint64_t metrics_hash_families(uint64_t hash) {
    for (int i = 0; i < FAMILY_COUNT; i++)
        hash = metrics_hash(hash, families[i].name);
    for (unsigned i = 0; i < route_count; i++)
        hash = metrics_hash(hash, routes[i]);
    for (unsigned i = 0; i < STATUS_COUNT; i++)
        hash = metrics_hash(hash, status_pair(i));
    for (unsigned i = 0; i < REASON_COUNT; i++)
        hash = metrics_hash(hash, reason_pair(i));
    return hash;
}

// ---- Counting

static const struct bound {
    uint64_t ns;
    const char *text;
} bounds[METRIC_BUCKET_OVER] = {
#define BUCKET(ns, text) {ns, text},
#include "ops/metric_labels.def"
};

static inline void histogram_add(struct histogram *histogram, uint64_t took_ns, uint32_t times) {
    unsigned bucket = 0;
    while (bucket < METRIC_BUCKET_OVER && took_ns > bounds[bucket].ns)
        bucket++;
    histogram->buckets[bucket] += times;
    histogram->sum_ns += took_ns * times;
}

void metric_requests(unsigned route, unsigned status, uint64_t took_ns, uint32_t times) {
    static const uint8_t numbers[600] = {
#define STATUS(code, reason) [code] = METRIC_STATUS_##code,
#include "base/statuses.def"
#undef STATUS
    };
    metrics_row->REQUESTS[route][status < sizeof numbers ? numbers[status] : METRIC_STATUS_OTHER] += times;
    histogram_add(&metrics_row->REQUEST_TIME[route][0], took_ns, times);
}

void metric_round_trip(enum metric_call call, uint64_t took_ns) {
    histogram_add(&metrics_row->ROUND_TRIP[call][0], took_ns, 1);
}

void metric_drop(unsigned site, enum metric_reason reason) {
    metrics_row->DROPS[site][reason]++;
}

unsigned metric_site(const char *name) {
    uint64_t hash = metrics_hash(METRICS_HASH_BEGIN, name) | 1;
    for (unsigned i = 0; metrics_shared && i < METRIC_SITES_MAX; i++) {
        struct metric_site *site = &metrics_shared->sites[i];
        uint64_t found = 0;
        bool taken = __atomic_compare_exchange_n(&site->hash, &found, hash, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
        if (taken) { // its first byte comes last: the name is whole when it is seen
            size_t len = strnlen(name, sizeof site->name - 1);
            memcpy(site->name + 1, name + 1, len ? len - 1 : 0);
            __atomic_store_n(site->name, *name, __ATOMIC_RELEASE);
        }
        if (taken || found == hash)
            return i + 1;
    }
    return 0;
}

// ---- /metrics

struct pairs {
    const char *outer, *inner, *comma;
};

static void render_line(struct buffer *text, const struct family *family, const char *suffix, const struct pairs *pairs,
                        const char *bucket) {
    bool labelled = *pairs->outer || *pairs->inner;
    buffer_addf(text, "%s%s", family->name, suffix);
    if (labelled || bucket)
        buffer_addf(text, "{%s%s%s", pairs->outer, pairs->comma, pairs->inner);
    if (bucket)
        buffer_addf(text, "%sle=\"%s\"", labelled ? "," : "", bucket);
    buffer_addf(text, labelled || bucket ? "} " : " ");
}

static void render_counter(struct buffer *text, const struct family *family, size_t offset, const struct pairs *pairs) {
    uint64_t count = metrics_sum_at(offset);
    if (!count)
        return;
    render_line(text, family, "", pairs, NULL);
    buffer_addf(text, "%llu\n", (unsigned long long)count);
}

// The cells are read once, so that the buckets rise and the last one is the count, whoever counts meanwhile.
static void render_histogram(struct buffer *text, const struct family *family, size_t offset,
                             const struct pairs *pairs) {
    uint64_t counts[METRIC_BUCKET_COUNT], sum_ns = metrics_sum_at(offset + offsetof(struct histogram, sum_ns)), sum = 0;
    for (unsigned i = 0; i < METRIC_BUCKET_COUNT; i++)
        counts[i] = sum += metrics_sum_at(offset + offsetof(struct histogram, buckets) + i * sizeof *counts);
    for (unsigned i = 0; sum && i < METRIC_BUCKET_COUNT; i++) {
        render_line(text, family, "_bucket", pairs, i < METRIC_BUCKET_OVER ? bounds[i].text : "+Inf");
        buffer_addf(text, "%llu\n", (unsigned long long)counts[i]);
    }
    if (!sum)
        return;
    render_line(text, family, "_sum", pairs, NULL);
    buffer_addf(text, "%llu.%09llu\n", (unsigned long long)(sum_ns / 1000000000),
                (unsigned long long)(sum_ns % 1000000000));
    render_line(text, family, "_count", pairs, NULL);
    buffer_addf(text, "%llu\n", (unsigned long long)sum);
}

static void render_inner(struct buffer *text, const struct family *family, unsigned outer, const char *outer_pair) {
    for (unsigned inner = 0; inner < family->inner->count; inner++) {
        const char *inner_pair = family->inner->pair(inner);
        size_t offset = family->offset + (outer * family->inner->count + inner) * family->size;
        if (!inner_pair)
            continue;
        struct pairs pairs = {outer_pair, inner_pair, *outer_pair && *inner_pair ? "," : ""};
        if (family->kind == FAMILY_counter)
            render_counter(text, family, offset, &pairs);
        else
            render_histogram(text, family, offset, &pairs);
    }
}

void metrics_render_families(struct buffer *text) {
    for (const struct family *family = families; family < families + FAMILY_COUNT; family++) {
        buffer_addf(text, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help, family->name,
                    family->kind == FAMILY_counter ? "counter" : "histogram");
        for (unsigned outer = 0; outer < family->outer->count; outer++) {
            const char *pair = family->outer->pair(outer);
            if (pair)
                render_inner(text, family, outer, pair);
        }
    }
}
