// SPDX-License-Identifier: MIT
// One table of parameters: each has its bit, how often it may occur, and a reader.
#include "api/params.h"
#include "api/card.h"
#include "base/calendar.h"
#include "base/times.h"
#include "http/uri.h"
#include "model/names.h"
#include "ops/metrics.h"
#include <stdlib.h>

enum { LIMIT_PRESET = 10, NAME_SHOWN = 64 };
#define AGE_MAX_MS (INT64_C(36500) * 86400 * 1000)

static enum outcome take_limit(struct params *params, struct bytes value) {
    unsigned long long limit;
    if (!bytes_to_u64(value, LIST_LIMIT_MAX, &limit) || limit == 0)
        return BAD_LIMIT;
    params->limit = (uint32_t)limit;
    return OK;
}

static enum outcome take_offset(struct params *params, struct bytes value) {
    unsigned long long offset;
    if (!bytes_to_u64(value, PLACES_MAX - 1, &offset))
        return BAD_LIMIT;
    params->offset = (uint32_t)offset;
    return OK;
}

static enum outcome take_count(uint32_t *count, struct bytes value) {
    unsigned long long number;
    if (!bytes_to_u64(value, LIST_LIMIT_MAX, &number))
        return BAD_LIMIT;
    *count = (uint32_t)number;
    return OK;
}

static enum outcome take_related(struct params *params, struct bytes value) {
    return take_count(&params->counts[LIST_RELATED], value);
}

static enum outcome take_ranking(struct params *params, struct bytes value) {
    return take_count(&params->counts[LIST_RANKING], value);
}

static enum outcome take_recommendation(struct params *params, struct bytes value) {
    return take_count(&params->counts[LIST_RECOMMENDATION], value);
}

static enum outcome take_name(struct params *params, struct bytes value) {
    params->name = value;
    return OK;
}

// Which periods a ranking has is its own matter.
static enum outcome take_period(struct params *params, struct bytes value) {
    enum grain grain;
    int32_t number;
    params->period = value;
    return calendar_parse(value, &grain, &number) ? OK : BAD_PARAMETER;
}

static enum outcome take_format(struct params *params, struct bytes value) {
    for (int i = 0; i < FORMATS; i++)
        if (bytes_eq(value, bytes_of(format_name((enum list_format)i)))) {
            params->format = (enum list_format)i;
            return OK;
        }
    return BAD_PARAMETER;
}

// Folded as in the card, which has at most so many characters of it.
static enum outcome take_name_of_card(struct params *params, struct bytes value, size_t most, struct bytes *ret_name) {
    char *copy = arena_take(params->arena, value.len + 1);
    if (!copy)
        return UNAVAILABLE;
    memcpy(copy, value.at, value.len);
    value = (struct bytes){copy, bytes_fold_blanks(copy, value.len)};
    if (value.len == 0 || !bytes_are_text(value) || bytes_characters(value) > most)
        return BAD_PARAMETER;
    *ret_name = value;
    return OK;
}

static enum outcome take_category(struct params *params, struct bytes value) {
    return take_name_of_card(params, value, CARD_CATEGORY_MAX, &params->category);
}

static enum outcome take_author(struct params *params, struct bytes value) {
    return take_name_of_card(params, value, CARD_AUTHOR_MAX, &params->author);
}

static enum outcome take_max_age(struct params *params, struct bytes value) {
    if (!duration_parse(value, &params->max_age.ms) || params->max_age.ms > AGE_MAX_MS)
        return BAD_PARAMETER;
    params->max_age.given = true;
    return OK;
}

static enum outcome take_exclude(struct params *params, struct bytes value) {
    if (params->exclude_count == EXCLUDE_MAX || !item_id_valid(value))
        return BAD_EXCLUDE;
    params->excluded[params->exclude_count++] = value;
    return OK;
}

static enum outcome take_id(struct params *params, struct bytes value) {
    if (params->id_count == IDS_MAX)
        return BAD_PARAMETER;
    if (!item_id_valid(value))
        return BAD_ITEM;
    params->ids[params->id_count++] = value;
    return OK;
}

static enum outcome take_wait(struct params *params, struct bytes value) {
    params->wait = bytes_eq(value, BYTES("true"));
    return params->wait || bytes_eq(value, BYTES("false")) ? OK : BAD_PARAMETER;
}

static enum outcome take_window(struct params *params, struct bytes value) {
    enum window window;
    if (params->windows_named++ == WINDOWS || !window_find(value, &window))
        return BAD_PARAMETER;
    params->windows |= 1u << window;
    return OK;
}

static enum outcome take_step(struct params *params, struct bytes value) {
    return step_find(value, &params->step) ? OK : BAD_PARAMETER;
}

// Digits, and a fraction behind them or none: no sign and no exponent.
static bool take_seconds(struct bytes value, int64_t *ret_ms) {
    char text[40] = "";
    if (value.len == 0 || value.len >= sizeof text)
        return false;
    memcpy(text, value.at, value.len);
    size_t whole = strspn(text, "0123456789"), behind = whole + (text[whole] == '.');
    size_t fraction = strspn(text + behind, "0123456789");
    bool right = whole && (behind == whole || fraction) && behind + fraction == value.len;
    return right && time_from_seconds(strtod(text, NULL), ret_ms);
}

// Unix seconds, else RFC 3339.
static enum outcome take_time(struct json_time *time, struct bytes value) {
    bool right = take_seconds(value, &time->unix_ms) || time_parse(value, &time->unix_ms);
    time->given = right && time->unix_ms >= 0;
    return time->given ? OK : BAD_TIME;
}

// "1764273600000-0"
static enum outcome take_before(struct params *params, struct bytes value) {
    const char *dash = value.len ? memchr(value.at, '-', value.len) : NULL;
    unsigned long long ms, seq;
    if (!dash || !bytes_to_u64((struct bytes){value.at, (size_t)(dash - value.at)}, UINT64_MAX, &ms) ||
        !bytes_to_u64((struct bytes){dash + 1, value.len - (size_t)(dash - value.at) - 1}, UINT64_MAX, &seq) || ms == 0)
        return BAD_PARAMETER;
    params->before = (struct log_id){ms, seq};
    return OK;
}

static enum outcome take_from(struct params *params, struct bytes value) {
    return take_time(&params->from, value);
}

static enum outcome take_to(struct params *params, struct bytes value) {
    return take_time(&params->to, value);
}

static const struct {
    unsigned bit;
    bool repeatable;
    const char *name, *what; // what it must be, for who wrote it
    enum outcome wrong;      // for a value with a NUL, which no parameter can hold
    enum outcome (*take)(struct params *params, struct bytes value);
} known[] = {
    {PARAM_LIMIT, false, "limit", "limit: a whole number from 1 to 100", BAD_LIMIT, take_limit},
    {PARAM_OFFSET, false, "offset", "offset: a whole number, with limit at most 500", BAD_LIMIT, take_offset},
    {PARAM_CATEGORY, false, "category", "category: 1 to 64 characters", BAD_PARAMETER, take_category},
    {PARAM_AUTHOR, false, "author", "author: 1 to 200 characters", BAD_PARAMETER, take_author},
    {PARAM_MAX_AGE, false, "max_age", "max_age: a duration such as 30m, 3h or 7d; 0 for any age", BAD_PARAMETER,
     take_max_age},
    {PARAM_EXCLUDE, true, "exclude", "exclude: at most 100, each the id of an item", BAD_EXCLUDE, take_exclude},
    {PARAM_IDS, true, "id", "id: at most 100, each the id of an item", BAD_ITEM, take_id},
    {PARAM_ID, false, "id", "id: the id of an item", BAD_ITEM, take_id},
    {PARAM_WAIT, false, "wait", "wait: true or false", BAD_PARAMETER, take_wait},
    {PARAM_FORMAT, false, "format", "format: json, html, feed or rss", BAD_PARAMETER, take_format},
    {PARAM_RELATED, false, "related", "related: a whole number from 0 to 100", BAD_LIMIT, take_related},
    {PARAM_RANKING, false, "ranking", "ranking: a whole number from 0 to 100", BAD_LIMIT, take_ranking},
    {PARAM_RECOMMENDATION, false, "recommendation", "recommendation: a whole number from 0 to 100", BAD_LIMIT,
     take_recommendation},
    {PARAM_PERIOD, false, "period", "period: a day, week or month as the ranking has them, such as 2026-11-25",
     BAD_PARAMETER, take_period},
    {PARAM_NAME, false, "name", "name: a ranking that is defined", BAD_PARAMETER, take_name},
    {PARAM_WINDOW, true, "window", "window: at most 8 of 1h, 24h, 7d, 30d, today, yesterday, week, month",
     BAD_PARAMETER, take_window},
    {PARAM_STEP, false, "step", "step: hour, day or month", BAD_PARAMETER, take_step},
    {PARAM_FROM, false, "from", "from: RFC 3339 or Unix seconds, from 1970 on", BAD_TIME, take_from},
    {PARAM_BEFORE, false, "before", "before: the id of an entry, as next_before has it", BAD_PARAMETER, take_before},
    {PARAM_TO, false, "to", "to: RFC 3339 or Unix seconds, from 1970 on", BAD_TIME, take_to},
};

// Index into `known` of a parameter that is allowed here, or -1.
static int find(unsigned allowed, struct bytes name) {
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if ((allowed & known[i].bit) && bytes_eq(name, bytes_of(known[i].name)))
            return (int)i;
    return -1;
}

static enum outcome take_one(struct http_request *request, struct params *params, int index, struct bytes raw,
                             unsigned *seen) {
    struct bytes value;
    if (!known[index].repeatable && (*seen & known[index].bit))
        return REPEATED_PARAMETER;
    *seen |= known[index].bit;
    if (!uri_decode_any(request->arena, raw, true, &value))
        return BAD_PARAMETER;
    if (value.len && memchr(value.at, '\0', value.len))
        return known[index].wrong;
    return known[index].take(params, value);
}

static bool make_capacity(struct http_request *request, unsigned allowed, struct params *params) {
    if (allowed & PARAM_EXCLUDE)
        params->excluded = arena_take(request->arena, EXCLUDE_MAX * sizeof *params->excluded);
    if (allowed & (PARAM_IDS | PARAM_ID))
        params->ids = arena_take(request->arena, IDS_MAX * sizeof *params->ids);
    return (params->excluded || !(allowed & PARAM_EXCLUDE)) && (params->ids || !(allowed & (PARAM_IDS | PARAM_ID)));
}

// The error names the parameter where it can, so that a typing error is seen at once.
static const char *detail_of_unknown(struct arena *arena, struct bytes name) {
    static const char general[] = "a parameter of the query is not known here",
                      behind[] = ": a parameter that is not known here";
    char *text = name.len <= NAME_SHOWN && bytes_are_text(name) ? arena_take(arena, name.len + sizeof behind) : NULL;
    if (!text)
        return general;
    memcpy(text, name.at, name.len);
    memcpy(text + name.len, behind, sizeof behind);
    return text;
}

enum outcome params_read(struct http_request *request, unsigned allowed, bool strict, struct params *ret_params,
                         const char **ret_detail) {
    struct params params = {
        .limit = LIMIT_PRESET,
        .counts = {[LIST_RELATED] = 10, [LIST_RANKING] = 8, [LIST_RECOMMENDATION] = 8},
        .plain = true,
        .arena = request->arena,
    };
    struct bytes rest = request->query, raw_name, raw_value, name;
    unsigned seen = 0;
    if (!make_capacity(request, allowed, &params))
        return UNAVAILABLE;
    while (query_next(&rest, &raw_name, &raw_value)) {
        if (!uri_decode(request->arena, raw_name, true, &name))
            return BAD_PARAMETER;
        int index = find(allowed, name);
        if (index < 0 && strict) {
            *ret_detail = detail_of_unknown(request->arena, name);
            return UNKNOWN_PARAMETER;
        }
        params.plain = params.plain && index >= 0;
        if (index < 0) {
            metric_add(METRIC_UNKNOWN_PARAMETERS, 1);
            continue;
        }
        enum outcome outcome = take_one(request, &params, index, raw_value, &seen);
        *ret_detail = outcome == REPEATED_PARAMETER ? known[index].name : known[index].what;
        if (outcome != OK)
            return outcome;
    }
    if ((allowed & PARAM_LIMIT) && params.offset + params.limit > PLACES_MAX) {
        *ret_detail = "offset: with limit at most 500";
        return BAD_LIMIT;
    }
    *ret_detail = NULL;
    *ret_params = params;
    return OK;
}
