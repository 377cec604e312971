// SPDX-License-Identifier: MIT
// Counts by time, from the series of an item or of a site (model/series.h): the member `windows` of an item, and the
// answers of the two calls `…/series`. What began to count before its series did is null where it is not known, not 0.
#include "base/clock.h"
#include "model/series.h"
#include "serve/item_json.h"
#include "serve/refresh.h"
#include "serve/serve_inside.h"
#include "store/list_reads.h"
#include <stdlib.h>

// ---- What is known

// False: events of these buckets were counted before the series began, or the buckets are no longer kept.
static bool is_known(const struct series *series, enum grain grain, int32_t first) {
    return calendar_begin(grain, first) >= series_since(series, grain) && first >= series_oldest(series, grain);
}

static void add_count(struct json_out *json, const struct series *series, int signal, enum grain grain, int32_t first,
                      int32_t last) {
    if (!series)
        json_int(json, 0);
    else if (is_known(series, grain, first))
        json_int(json, (int64_t)series_count(series, signal, grain, first, last));
    else
        json_null(json);
}

// ---- The windows of an item

static void add_window(struct json_out *json, const struct settings *settings, const struct series *series,
                       const struct window_span *span) {
    json_key(json, bytes_of(window_name(span->window)));
    json_open(json, '{');
    json_key(json, BYTES("from"));
    json_time(json, span->from_ms);
    json_key(json, BYTES("views"));
    add_count(json, series, SIGNAL_VIEWS, span->grain, span->first, span->last);
    json_key(json, BYTES("votes"));
    json_open(json, '{');
    for (uint32_t kind = 0; kind < settings->kind_count; kind++) {
        json_key(json, bytes_of(settings->kind_names[kind]));
        add_count(json, series, (int)kind, span->grain, span->first, span->last);
    }
    json_close(json, '}');
    json_close(json, '}');
}

void windows_member(struct json_out *json, const struct settings *settings, const struct series *series,
                    const struct window_set *spans) {
    if (!spans || spans->count == 0)
        return;
    json_key(json, BYTES("windows"));
    json_open(json, '{');
    for (uint32_t i = 0; i < spans->count; i++)
        add_window(json, settings, series, &spans->at[i]);
    json_close(json, '}');
}

// ---- Series

enum { POINTS_MAX = SERIES_HOURS }; // no grain keeps more

// The points of one answer: those of an item, or the sums of those of all partitions of a site.
struct points {
    enum grain grain;
    int32_t first;
    uint32_t count;
    bool unknown[POINTS_MAX];
    uint64_t at[SIGNAL_COUNT][POINTS_MAX];
};

static const struct {
    const char *name;
    int32_t kept; // buckets
} steps[GRAINS_COUNTED] = {[GRAIN_HOUR] = {"hour", SERIES_HOURS},
                           [GRAIN_DAY] = {"day", SERIES_DAYS},
                           [GRAIN_MONTH] = {"month", SERIES_MONTHS}};

bool step_find(struct bytes name, enum grain *ret_grain) {
    for (int i = 0; i < GRAINS_COUNTED; i++)
        if (bytes_eq(name, bytes_of(steps[i].name))) {
            *ret_grain = (enum grain)i;
            return true;
        }
    return false;
}

int32_t step_first_kept(enum grain grain, int64_t now_ms) {
    return calendar_number(grain, now_ms) - steps[grain].kept + 1;
}

static struct points *points_new(const struct question *asked, int64_t now_ms) {
    struct points *points = calloc(1, sizeof *points);
    int32_t last = asked->last == SERIES_OPEN ? calendar_number(asked->grain, now_ms) : asked->last;
    if (!points)
        return NULL;
    points->grain = asked->grain;
    points->first = asked->first == SERIES_OPEN ? step_first_kept(asked->grain, now_ms) : asked->first;
    while (points->first + (int32_t)points->count <= last && points->count < POINTS_MAX)
        points->count++;
    return points;
}

static void points_add(struct points *points, const struct series *series) {
    for (uint32_t i = 0; i < points->count; i++)
        points->unknown[i] |= !is_known(series, points->grain, points->first + (int32_t)i);
    for (int signal = 0; signal < SIGNAL_COUNT; signal++) {
        struct buckets buckets = series_buckets(series, signal, points->grain);
        for (uint32_t i = 0; i < buckets.count; i++) {
            int64_t at = (int64_t)buckets.at[i].number - points->first;
            if (at >= 0 && at < points->count)
                points->at[signal][at] += buckets.at[i].count;
        }
    }
}

static void add_points(struct json_out *json, const struct points *points, int signal) {
    json_open(json, '[');
    for (uint32_t i = 0; i < points->count; i++)
        if (points->unknown[i])
            json_null(json);
        else
            json_int(json, (int64_t)points->at[signal][i]);
    json_close(json, ']');
}

static void render(const struct question *asked, const struct settings *settings, const struct points *points,
                   struct buffer *out) {
    struct json_out json = json_out_to(out);
    json_open(&json, '{');
    if (asked->item.at) {
        json_key(&json, BYTES("item"));
        json_text(&json, asked->item);
    }
    json_key(&json, BYTES("step"));
    json_text(&json, bytes_of(steps[points->grain].name));
    json_key(&json, BYTES("time_zone"));
    json_text(&json, bytes_of(calendar_zone()));
    json_key(&json, BYTES("from"));
    json_time(&json, calendar_begin(points->grain, points->first));
    json_key(&json, BYTES("views"));
    add_points(&json, points, SIGNAL_VIEWS);
    json_key(&json, BYTES("votes"));
    json_open(&json, '{');
    for (uint32_t kind = 0; kind < settings->kind_count; kind++) {
        json_key(&json, bytes_of(settings->kind_names[kind]));
        add_points(&json, points, (int)kind);
    }
    json_close(&json, '}');
    json_close(&json, '}');
}

// ---- The answer

static void end(struct refresh *refresh, enum outcome outcome) {
    struct cached_body *cached = refresh->cached;
    if (outcome == OK)
        outcome = refresh->outcome;
    if (outcome == OK)
        render(&cached->asked, cached->serve->settings, refresh->points, &refresh->out);
    buffer_add_bytes(&refresh->fingerprint, buffer_bytes(&refresh->out));
    free(refresh->points);
    refresh_end(refresh, outcome);
}

static void on_read(struct read_call *call, enum outcome outcome) {
    end(call->context, outcome);
}

static void on_item(struct read_call *call, size_t index, const struct item_state *state) {
    struct refresh *refresh = call->context;
    (void)index;
    refresh->outcome = state->outcome;
    if (state->series)
        points_add(refresh->points, state->series);
}

static void on_partition(struct read_call *call, const struct series *series) {
    struct refresh *refresh = call->context;
    if (series)
        points_add(refresh->points, series);
    else
        refresh->outcome = INTERNAL;
}

static void start_series(struct refresh *refresh) {
    const struct question *asked = &refresh->cached->asked;
    struct serve *serve = refresh->cached->serve;
    ref_t site = site_ref(serve->hash_key, asked->site);
    refresh->points = points_new(asked, refresh->now_ms);
    refresh->call = (struct read_call){.on_done = on_read, .context = refresh};
    if (!refresh->points) {
        refresh_end(refresh, UNAVAILABLE);
    } else if (asked->item.at) {
        ref_t item = item_ref(serve->hash_key, asked->site, asked->item);
        store_read_items(serve->store, &refresh->call, &item, 1, on_item);
    } else {
        store_read_site_series(serve->store, &refresh->call, site, on_partition);
    }
}

const struct body_builder builder_series = {'s', start_series};
