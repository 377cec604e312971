// SPDX-License-Identifier: MIT
// Metrics: the edge of each bucket, statuses, sites beyond the bound, and that all of /metrics has room.
#include "ops/metrics_inside.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// After what it needs:
#include <cmocka.h>

static struct buffer rendered(void) {
    struct buffer text;
    buffer_init(&text, METRIC_TEXT_MAX);
    metrics_render(&text);
    assert_false(text.failed);
    buffer_add_char(&text, '\0');
    return text;
}

// The number behind the line's name and labels; -1: there is no such line.
static double shown(const char *name) {
    struct buffer text = rendered();
    size_t len = strlen(name);
    double value = -1;
    for (const char *at = text.at; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
        if (strncmp(at, name, len) == 0 && at[len] == ' ')
            value = atof(at + len);
    buffer_release(&text);
    return value;
}

static const char *const pairs[] = {"method=\"other\",route=\"other\"", "method=\"GET\",route=\"/a\""};

static double bucket(const char *bound) {
    char name[200];
    snprintf(name, sizeof name, "engaged_http_request_duration_seconds_bucket{%s,le=\"%s\"}", pairs[1], bound);
    return shown(name);
}

static void test_each_bound_is_in_its_bucket(void **state) {
    (void)state;
    static const struct {
        uint64_t ns;
        const char *text;
    } bounds[] = {
#define BUCKET(ns, text) {ns, text},
#include "ops/metric_labels.def"
    };
    double before = 0;
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        assert_true((double)bounds[i].ns == atof(bounds[i].text) * 1e9);
        metric_requests(1, 200, bounds[i].ns, 2);     // the bound is within
        metric_requests(1, 200, bounds[i].ns + 1, 1); // and what is longer is not
        assert_true(bucket(bounds[i].text) == before + 2);
        before = before + 3;
    }
    assert_true(bucket("+Inf") == before);
    assert_true(shown("engaged_http_request_duration_seconds_count{method=\"GET\",route=\"/a\"}") == before);
    assert_true(shown("engaged_http_requests_total{method=\"GET\",route=\"/a\",status=\"200\"}") == before);
}

static void test_sum_is_in_seconds(void **state) {
    (void)state;
    metric_round_trip(ROUND_TRIP_WRITE, 2500000);
    metric_round_trip(ROUND_TRIP_WRITE, UINT64_C(3000000001));
    assert_true(shown("engaged_redis_round_trip_seconds_sum{kind=\"write\"}") == 3.002500001);
    assert_true(shown("engaged_redis_round_trip_seconds_count{kind=\"write\"}") == 2);
    assert_true(shown("engaged_redis_round_trip_seconds_count{kind=\"other\"}") == -1);
}

static void test_status_that_is_not_in_the_table(void **state) {
    (void)state;
    metric_requests(0, 299, 1, 1);
    metric_requests(0, 65535, 1, 1);
    assert_true(shown("engaged_http_requests_total{method=\"other\",route=\"other\",status=\"other\"}") == 2);
}

static void test_sites_are_bounded(void **state) {
    (void)state;
    char name[80];
    for (unsigned i = 0; i < METRIC_SITES_MAX; i++) {
        snprintf(name, sizeof name, "site-%u.example", i);
        assert_int_equal(metric_site(name), i + 1);
    }
    assert_int_equal(metric_site("one-more.example"), 0);
    assert_int_equal(metric_site("site-7.example"), 8); // it keeps its number
    metric_drop(8, DROPPED_BOT);
    assert_true(shown("engaged_dropped_total{site=\"site-7.example\",reason=\"bot\"}") == 1);
}

// The longest names, and each cell with the longest number: nothing is cut.
static void test_all_of_it_has_room(void **state) {
    (void)state;
    const char *long_pairs[METRIC_ROUTES_MAX];
    for (int i = 0; i < METRIC_ROUTES_MAX; i++)
        long_pairs[i] = "method=\"DELETE\",route=\"/v1/{site}/items/{item}/a-word-that-is-longer/than-any-of-ours\"";
    metrics_set_routes(long_pairs, METRIC_ROUTES_MAX);
    memset(&metrics_shared->rows[0].cells, 0x7f, sizeof metrics_shared->rows[0] - 64);
    for (unsigned i = 0; i < METRIC_SITES_MAX; i++)
        memset(metrics_shared->sites[i].name, 'a', sizeof metrics_shared->sites[i].name);
    struct buffer text = rendered();
    assert_true(text.len > METRIC_TEXT_MAX / 8);
    buffer_release(&text);
    metrics_set_routes(pairs, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_bound_is_in_its_bucket), cmocka_unit_test(test_sum_is_in_seconds),
        cmocka_unit_test(test_status_that_is_not_in_the_table), cmocka_unit_test(test_sites_are_bounded),
        cmocka_unit_test(test_all_of_it_has_room)};
    metrics_set_routes(pairs, 2);
    return metrics_attach(-1, 3) == 0 ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
