// SPDX-License-Identifier: MIT
// The tables of WordPress Popular Posts as CSV or TSV, with their columns named in the first line.
//
// wp_popularpostsdata (postid, day, last_viewed, pageviews) has a total for each post: a line for POST items with it as
// `base`. wp_popularpostssummary (ID, postid, pageviews, view_date, view_datetime) has rows of single days: a view for
// each of them, by a made-up visitor of its own, as a line for POST events. Which of the two it is, its columns say.
#include "base/calendar.h"
#include "base/times.h"
#include "model/names.h"
#include "roles/convert.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { COLUMNS_MAX = 32, ITEM_SIZE = 512 };
enum column { COLUMN_POST, COLUMN_VIEWS, COLUMN_DATE, COLUMN_INSTANT, COLUMNS };
static const char *const column_names[COLUMNS] = {"postid", "pageviews", "view_date", "view_datetime"};

struct table {
    char separator;  // 0: the first line is still to come
    int at[COLUMNS]; // the number of each column; -1: there is none
};

static const char *begin(struct conversion *conversion) {
    const char *why, *zone = conversion->options[OPTION_TIME_ZONE];
    static char text[128];
    if (!calendar_open(zone ? zone : "UTC", &why)) {
        snprintf(text, sizeof text, "--time-zone %s", why);
        return text;
    }
    conversion->form_data = calloc(1, sizeof(struct table));
    return conversion->form_data ? NULL : "no memory is left";
}

// ---- Fields: a quote within quotes is doubled

static bool take_field(struct conversion *conversion, struct bytes *rest, char separator, struct bytes *ret_field) {
    if (!rest->len || rest->at[0] != '"') {
        const char *end = memchr(rest->at, separator, rest->len);
        *ret_field = (struct bytes){rest->at, end ? (size_t)(end - rest->at) : rest->len};
    } else {
        char *text = arena_take(&conversion->arena, rest->len);
        size_t at = 1, len = 0;
        for (; text && at < rest->len && (rest->at[at] != '"' || (at + 1 < rest->len && rest->at[at + 1] == '"'));
             at++) {
            at += rest->at[at] == '"';
            text[len++] = rest->at[at];
        }
        if (!text || at >= rest->len || (at + 1 < rest->len && rest->at[at + 1] != separator))
            return false;
        *ret_field = (struct bytes){text, len};
        *rest = (struct bytes){rest->at + at + 1, rest->len - at - 1};
        return true;
    }
    *rest = (struct bytes){rest->at + ret_field->len, rest->len - ret_field->len};
    return true;
}

// How many; -1: a quote is missing, or there are too many.
static int split(struct conversion *conversion, struct bytes line, char separator,
                 struct bytes fields[static COLUMNS_MAX]) {
    for (int count = 0; count < COLUMNS_MAX; line = (struct bytes){line.at + 1, line.len - 1}) {
        if (!take_field(conversion, &line, separator, &fields[count++]))
            return -1;
        if (!line.len)
            return count;
    }
    return -1;
}

static const char *without_columns(const struct table *table) {
    return table->at[COLUMN_POST] >= 0 && table->at[COLUMN_VIEWS] >= 0
               ? NULL
               : "the first line does not name the columns postid and pageviews";
}

static const char *take_names(struct conversion *conversion, struct table *table, struct bytes line) {
    static const char separators[] = "\t;,";
    struct bytes fields[COLUMNS_MAX];
    if (bytes_starts(line, BYTES("\xEF\xBB\xBF"))) // as spreadsheets begin UTF-8
        line = (struct bytes){line.at + 3, line.len - 3};
    const char *used = separators;
    while (used[1] && !memchr(line.at, *used, line.len))
        used++;
    int count = split(conversion, line, *used, fields);
    for (int column = 0; column < COLUMNS; column++) {
        table->at[column] = -1;
        for (int i = 0; i < count; i++)
            if (bytes_eq_nocase(fields[i], bytes_of(column_names[column])))
                table->at[column] = i;
    }
    table->separator = *used;
    return without_columns(table);
}

// ---- Times of the publisher's zone

// "2026-11-26", or "2026-11-26 18:00:00"; `days` later.
static bool read_local(struct bytes text, int days, int64_t *ret_unix_ms) {
    char copy[32];
    struct tm local = {.tm_isdst = -1};
    int used = 0;
    snprintf(copy, sizeof copy, "%.*s", text.len < 31 ? (int)text.len : 31, text.at);
    int found = sscanf(copy, "%4d-%2d-%2d%n %2d:%2d:%2d%n", &local.tm_year, &local.tm_mon, &local.tm_mday, &used,
                       &local.tm_hour, &local.tm_min, &local.tm_sec, &used);
    struct civil date = {local.tm_year, local.tm_mon, local.tm_mday};
    if ((found != 3 && found != 6) || (size_t)used != text.len || date.year < 1970 || date.month < 1 ||
        date.month > 12 || date.day < 1 || local.tm_hour > 23 || local.tm_min > 59 || local.tm_sec > 59)
        return false;
    struct civil same = civil_of_days(days_of_civil(date));
    local.tm_year -= 1900;
    local.tm_mon--;
    local.tm_mday += days;
    *ret_unix_ms = (int64_t)mktime(&local) * 1000;
    return same.day == date.day && same.month == date.month;
}

// ---- Rows

static void add_base(struct conversion *conversion, struct bytes item, unsigned long long views) {
    struct json_out json = json_out_to(&conversion->out);
    json_open(&json, '{');
    json_key(&json, BYTES("item"));
    json_text(&json, item);
    json_key(&json, BYTES("base"));
    json_open(&json, '{');
    json_key(&json, BYTES("views"));
    json_int(&json, (int64_t)views);
    json_close(&json, '}');
    json_close(&json, '}');
    convert_line_end(conversion);
}

// Evenly over the span, each in the middle of its share. No two views are of one visitor, for such ones would count
// once.
static void add_views(struct conversion *conversion, struct bytes item, unsigned long long views, int64_t from_ms,
                      int64_t to_ms) {
    char visitor[96];
    for (unsigned long long i = 0; i < views; i++) {
        int64_t unix_ms = from_ms + (int64_t)((double)(to_ms - from_ms) * ((double)i + 0.5) / (double)views);
        snprintf(visitor, sizeof visitor, "popular-posts %" PRIu64 " %llu", conversion->line, i);
        convert_view(conversion, item, bytes_of(visitor), unix_ms);
    }
}

static const char *take_dated(struct conversion *conversion, const struct table *table, const struct bytes *fields,
                              struct bytes item, unsigned long long views) {
    int instant = table->at[COLUMN_INSTANT];
    struct bytes text = fields[instant >= 0 ? instant : table->at[COLUMN_DATE]];
    int64_t from_ms, to_ms;
    if (!read_local(text, 0, &from_ms) || !read_local(text, instant < 0, &to_ms))
        return "its date is none";
    if (from_ms > conversion->now_ms)
        return "its date is in the future";
    if (views > CONVERT_VIEWS_MAX)
        return "it has more than a million views";
    add_views(conversion, item, views, from_ms, to_ms < conversion->now_ms ? to_ms : conversion->now_ms);
    return NULL;
}

static const char *take_row(struct conversion *conversion, const struct table *table, struct bytes line) {
    struct bytes fields[COLUMNS_MAX];
    char item[ITEM_SIZE];
    unsigned long long post, views;
    const char *prefix = conversion->options[OPTION_ITEM_PREFIX];
    int count = split(conversion, line, table->separator, fields);
    for (int column = 0; column < COLUMNS; column++)
        if (count <= table->at[column])
            return "it has fewer fields than the first line, or a quote is missing";
    if (!bytes_to_u64(fields[table->at[COLUMN_POST]], INT64_MAX, &post))
        return "its postid is no number";
    if (!bytes_to_u64(fields[table->at[COLUMN_VIEWS]], INT32_MAX, &views))
        return "its pageviews are no number";
    int len = snprintf(item, sizeof item, "%s%llu", prefix ? prefix : "", post);
    if (len >= (int)sizeof item || !item_id_valid(bytes_of(item)))
        return "--item-prefix and its postid are no valid item";
    if (table->at[COLUMN_DATE] >= 0 || table->at[COLUMN_INSTANT] >= 0)
        return take_dated(conversion, table, fields, bytes_of(item), views);
    add_base(conversion, bytes_of(item), views);
    return NULL;
}

static const char *take(struct conversion *conversion, struct bytes line) {
    struct table *table = conversion->form_data;
    if (!table->separator)
        return take_names(conversion, table, line);
    const char *why = without_columns(table);
    return why ? why : take_row(conversion, table, line);
}

const struct conversion_form popular_posts_form = {.name = "popular-posts",
                                                   .options = 1U << OPTION_ITEM_PREFIX | 1U << OPTION_TIME_ZONE,
                                                   .begin = begin,
                                                   .take = take};
