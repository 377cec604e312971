// SPDX-License-Identifier: MIT
// Counts by hour, day or month, of an item and of the site. The span is checked against the clock by each request, so
// that it is refused once it is no longer kept, also while its answer is in memory; therefore only a target without a
// span is remembered.
#include "api/call.h"
#include "base/clock.h"

enum { SERIES_POINTS_MAX = 1000 };

static bool refuse(struct call *call, const char *detail) {
    answer_error(call, BAD_TIME, detail);
    return false;
}

// From the bucket that holds `from` to the last one that begins before `to`, or is that of `from`. False: answered.
static bool set_span(struct call *call, struct series_query *query) {
    const struct params *params = &call->params;
    int64_t now_ms = clock_now_ms();
    int32_t present = calendar_number(query->grain, now_ms), oldest = step_first_kept(query->grain, now_ms);
    int32_t first = params->from.given ? calendar_number(query->grain, params->from.unix_ms) : oldest, last = present;
    if (params->from.given && params->to.given && params->from.unix_ms > params->to.unix_ms)
        return refuse(call, "from is after to");
    if (params->to.given)
        last = calendar_number(query->grain, params->to.unix_ms - 1);
    if (params->from.given && last < first)
        last = first;
    if ((int64_t)last - first >= SERIES_POINTS_MAX)
        return refuse(call, "a series has at most 1000 points");
    if (first < oldest || last < oldest)
        return refuse(call, "the span begins before what is kept: 48 hours, 37 days, 36 months");
    if (first > present)
        return refuse(call, "from lies ahead");
    query->first = params->from.given ? first : SERIES_OPEN;
    query->last = last < present ? last : SERIES_OPEN;
    return true;
}

static void start(struct call *call, struct bytes item) {
    const struct params *params = &call->params;
    struct series_query query = {.site = call->site,
                                 .item = item,
                                 .grain = params->step,
                                 .target_is_plain = params->plain && !params->from.given && !params->to.given};
    if (set_span(call, &query))
        serve_series(call->api->serve, call->request, &query);
}

void item_series_start(struct call *call) {
    start(call, call->item);
}

void site_series_start(struct call *call) {
    start(call, NO_BYTES);
}
