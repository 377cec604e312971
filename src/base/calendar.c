// SPDX-License-Identifier: MIT
// Hours, days, weeks and months. Of the zone only its distance from UTC at an instant is asked (localtime_r); the dates
// are counted in days as in base/times.h.
#include "base/calendar.h"
#include "base/times.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#define HOUR_MS INT64_C(3600000)
#define DAY_S INT64_C(86400)
#define FIRST_DAY (TIME_FIRST_MS / 1000 / DAY_S)
#define LAST_DAY ((TIME_LAST_MS + 1) / 1000 / DAY_S)
#define ZONES "/usr/share/zoneinfo" // where the C library looks, unless TZDIR says otherwise

static struct {
    char zone[CALENDAR_ZONE_SIZE];
    bool has_rules; // else it is UTC
    // The day that was asked for last: [from, to) in milliseconds.
    int64_t from, to;
    int32_t day;
} calendar = {.zone = "UTC"};

static int64_t floored(int64_t value, int64_t by) {
    return value / by - (value % by < 0);
}

// ---- The zone

// A file beside the zones, or with leap seconds, is no zone; a name that follows the machine could not be compared.
static bool is_zone_name(const char *zone) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/";
    static const char *const others[] = {"localtime", "posixrules", "right/", "posix/"};
    size_t len = strlen(zone);
    if (len == 0 || len >= CALENDAR_ZONE_SIZE || strspn(zone, letters) != len || zone[0] == '/')
        return false;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strncmp(zone, others[i], strlen(others[i])) == 0)
            return false;
    return true;
}

static bool holds_rules(const char *path) {
    char head[4];
    FILE *file = fopen(path, "rbe");
    bool does = file && fread(head, 1, sizeof head, file) == sizeof head && memcmp(head, "TZif", sizeof head) == 0;
    if (file)
        fclose(file);
    return does;
}

bool calendar_zone_known(const char *zone, const char **ret_why) {
    char path[4096];
    struct stat is;
    const char *folder = getenv("TZDIR");
    if (!is_zone_name(zone)) {
        *ret_why = "is not the name of a time zone, such as Europe/Berlin";
        return false;
    }
    if (strcmp(zone, "UTC") == 0)
        return true;
    folder = folder && *folder ? folder : ZONES;
    int len = snprintf(path, sizeof path, "%s/%s", folder, zone);
    if (len < (int)sizeof path && stat(path, &is) == 0 && S_ISREG(is.st_mode) && holds_rules(path))
        return true;
    *ret_why = stat(folder, &is) == 0 ? "is not a time zone that this machine knows (package tzdata)"
                                      : "cannot be found: no time zones are installed (package tzdata)";
    return false;
}

bool calendar_open(const char *zone, const char **ret_why) {
    char variable[CALENDAR_ZONE_SIZE + 1];
    if (!calendar_zone_known(zone, ret_why))
        return false;
    bool has_rules = strcmp(zone, "UTC") != 0;
    // UTC0 is a rule by itself and needs no file.
    snprintf(variable, sizeof variable, has_rules ? ":%s" : "UTC0", zone);
    if (setenv("TZ", variable, 1) != 0) {
        *ret_why = "cannot be set: no memory";
        return false;
    }
    tzset();
    memset(&calendar, 0, sizeof calendar);
    snprintf(calendar.zone, sizeof calendar.zone, "%s", zone);
    calendar.has_rules = has_rules;
    return true;
}

const char *calendar_zone(void) {
    return calendar.zone;
}

// ---- Days

static int64_t offset_at(int64_t second) {
    time_t when = (time_t)second;
    struct tm shown;
    return calendar.has_rules && localtime_r(&when, &shown) ? shown.tm_gmtoff : 0;
}

// The first second in (from, to] with another offset than `from` has. There is one.
static int64_t change_between(int64_t from, int64_t to) {
    int64_t offset = offset_at(from);
    while (to - from > 1) {
        int64_t middle = from + (to - from) / 2;
        if (offset_at(middle) == offset)
            from = middle;
        else
            to = middle;
    }
    return to;
}

// The first second at which the date is `day` or a later one. No zone is a day from UTC, so it lies within a day of the
// midnight of UTC. While the offset stays the same, the date only grows: each such piece is looked at in turn.
static int64_t begin_second(int64_t day) {
    int64_t midnight = day * DAY_S, from = midnight - DAY_S;
    while (from < midnight + DAY_S) {
        int64_t offset = offset_at(from), here = midnight - offset;
        if (here <= from)
            return from; // the clock was put forward over midnight
        if (offset_at(here) == offset)
            return here;
        from = change_between(from, here);
    }
    return from;
}

static int64_t within_years(int64_t unix_ms) {
    return unix_ms < TIME_FIRST_MS ? TIME_FIRST_MS : unix_ms > TIME_LAST_MS ? TIME_LAST_MS : unix_ms;
}

static int32_t day_of(int64_t unix_ms) {
    if (unix_ms >= calendar.from && unix_ms < calendar.to)
        return calendar.day;
    int64_t second = floored(unix_ms, 1000), day = floored(second + offset_at(second), DAY_S);
    // The clock may have been set back since a later day began.
    int64_t begin = begin_second(day), next;
    while ((next = begin_second(day + 1)) <= second) {
        begin = next;
        day++;
    }
    calendar.from = begin * 1000;
    calendar.to = next * 1000;
    calendar.day = (int32_t)day;
    return (int32_t)day;
}

// ---- Numbers. The first week of all began on Monday, 1969-12-29: three days before day 0.

int32_t calendar_of_day(enum grain grain, int32_t day) {
    if (grain == GRAIN_WEEK)
        return (int32_t)floored((int64_t)day + 3, 7);
    if (grain != GRAIN_MONTH)
        return day;
    struct civil date = civil_of_days(day);
    return (date.year - 1970) * 12 + date.month - 1;
}

int32_t calendar_first_day(enum grain grain, int32_t number) {
    int64_t day = number, years = floored(number, 12);
    if (grain == GRAIN_WEEK)
        day = day * 7 - 3;
    else if (grain == GRAIN_MONTH)
        day = years < -1969 || years > 8029
                  ? years * 365
                  : days_of_civil((struct civil){(int)(1970 + years), (int)(number - years * 12 + 1), 1});
    return (int32_t)(day < FIRST_DAY ? FIRST_DAY : day > LAST_DAY ? LAST_DAY : day);
}

int32_t calendar_number(enum grain grain, int64_t unix_ms) {
    unix_ms = within_years(unix_ms);
    return grain == GRAIN_HOUR ? (int32_t)floored(unix_ms, HOUR_MS) : calendar_of_day(grain, day_of(unix_ms));
}

int64_t calendar_begin(enum grain grain, int32_t number) {
    if (grain == GRAIN_HOUR)
        return number * HOUR_MS;
    int32_t day = calendar_first_day(grain, number);
    if (calendar.to && (day == calendar.day || day == calendar.day + 1))
        return day == calendar.day ? calendar.from : calendar.to;
    return begin_second(day) * 1000;
}

// ---- Names

static void week_name(int32_t week, char text[static CALENDAR_NAME_SIZE]) {
    int64_t thursday = (int64_t)week * 7;
    struct civil date = civil_of_days(thursday);
    int64_t of_year = thursday - days_of_civil((struct civil){date.year, 1, 1});
    snprintf(text, CALENDAR_NAME_SIZE, "%04u-W%02u", (unsigned)date.year % 10000u, (unsigned)(of_year / 7 + 1) % 100u);
}

void calendar_name(enum grain grain, int32_t number, char text[static CALENDAR_NAME_SIZE]) {
    if (grain == GRAIN_WEEK) {
        week_name(number, text);
        return;
    }
    int64_t day = grain == GRAIN_HOUR ? floored(number, 24) : calendar_first_day(grain, number);
    struct civil date = civil_of_days(day);
    unsigned year = (unsigned)date.year % 10000u, month = (unsigned)date.month % 100u,
             of_month = (unsigned)date.day % 100u;
    if (grain == GRAIN_MONTH)
        snprintf(text, CALENDAR_NAME_SIZE, "%04u-%02u", year, month);
    else if (grain == GRAIN_DAY)
        snprintf(text, CALENDAR_NAME_SIZE, "%04u-%02u-%02u", year, month, of_month);
    else
        snprintf(text, CALENDAR_NAME_SIZE, "%04u-%02u-%02uT%02u", year, month, of_month,
                 (unsigned)(number - day * 24) % 100u);
}

// The week with this name, if the year has it: a year's first week is that of 4 January.
static bool parse_week(struct bytes text, int32_t *ret_week) {
    char fourth[] = "0000-01-04T00:00:00Z", name[CALENDAR_NAME_SIZE];
    unsigned long long of_year;
    int64_t unix_ms;
    memcpy(fourth, text.at, 4);
    if (!bytes_to_u64((struct bytes){text.at + 6, 2}, 53, &of_year) || !time_parse(bytes_of(fourth), &unix_ms))
        return false;
    int32_t week = calendar_of_day(GRAIN_WEEK, (int32_t)(unix_ms / 1000 / DAY_S)) + (int32_t)of_year - 1;
    week_name(week, name);
    *ret_week = week;
    return bytes_eq(text, bytes_of(name));
}

bool calendar_parse(struct bytes text, enum grain *ret_grain, int32_t *ret_number) {
    char whole[] = "0000-01-01T00:00:00Z";
    int64_t unix_ms;
    int32_t week;
    if (text.len == 8 && parse_week(text, &week)) {
        *ret_grain = GRAIN_WEEK;
        *ret_number = week;
        return true;
    }
    if (text.len != 10 && text.len != 7)
        return false;
    memcpy(whole, text.at, text.len);
    if (!time_parse(bytes_of(whole), &unix_ms))
        return false;
    *ret_grain = text.len == 10 ? GRAIN_DAY : GRAIN_MONTH;
    *ret_number = calendar_of_day(*ret_grain, (int32_t)floored(unix_ms / 1000, DAY_S));
    return true;
}
