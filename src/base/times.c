// SPDX-License-Identifier: MIT
// Times as text. The calendar is the proleptic Gregorian one, counted in days (H. Hinnant's civil_from_days).
#include "base/times.h"
#include <math.h>
#include <stdio.h>

#define DAY_MS INT64_C(86400000)

int64_t days_of_civil(struct civil date) {
    int64_t year = date.month <= 2 ? date.year - 1 : date.year;
    int64_t era = year / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (date.month + (date.month > 2 ? -3 : 9)) + 2) / 5 + date.day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

struct civil civil_of_days(int64_t days) {
    int64_t from = days + 719468, era = from / 146097, of_era = from - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153;
    struct civil date = {.day = (int)(of_year - (153 * month + 2) / 5 + 1),
                         .month = (int)(month < 10 ? month + 3 : month - 9)};
    date.year = (int)(year + era * 400 + (date.month <= 2));
    return date;
}

// ---- In

static bool take_digits(struct bytes *text, int count, int *ret_value) {
    int value = 0;
    if (text->len < (size_t)count)
        return false;
    for (int i = 0; i < count; i++) {
        if (text->at[i] < '0' || text->at[i] > '9')
            return false;
        value = value * 10 + text->at[i] - '0';
    }
    *ret_value = value;
    text->at += count;
    text->len -= (size_t)count;
    return true;
}

static bool take_char(struct bytes *text, const char *any_of) {
    if (text->len == 0 || !strchr(any_of, text->at[0]) || text->at[0] == '\0')
        return false;
    text->at++;
    text->len--;
    return true;
}

static int days_in_month(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

static bool take_date(struct bytes *text, struct civil *date) {
    return take_digits(text, 4, &date->year) && take_char(text, "-") && take_digits(text, 2, &date->month) &&
           take_char(text, "-") && take_digits(text, 2, &date->day) && date->month >= 1 && date->month <= 12 &&
           date->day >= 1 && date->day <= days_in_month(date->year, date->month);
}

// A second of 60 is the leap second: it counts as the next one.
static bool take_clock(struct bytes *text, int64_t *ret_ms) {
    int hour, minute, second, digit, milliseconds = 0, weight = 100;
    if (!take_digits(text, 2, &hour) || !take_char(text, ":") || !take_digits(text, 2, &minute) ||
        !take_char(text, ":") || !take_digits(text, 2, &second) || hour > 23 || minute > 59 || second > 60)
        return false;
    if (take_char(text, ".")) {
        if (!take_digits(text, 1, &digit))
            return false;
        do {
            milliseconds += digit * weight;
            weight /= 10;
        } while (take_digits(text, 1, &digit));
    }
    *ret_ms = ((hour * INT64_C(60) + minute) * 60 + second) * 1000 + milliseconds;
    return true;
}

static bool take_offset(struct bytes *text, int64_t *ret_ms) {
    int hour, minute;
    *ret_ms = 0;
    if (take_char(text, "Zz"))
        return true;
    int sign = text->len && text->at[0] == '-' ? -1 : 1;
    if (!take_char(text, "+-") || !take_digits(text, 2, &hour) || !take_char(text, ":") ||
        !take_digits(text, 2, &minute) || hour > 23 || minute > 59)
        return false;
    *ret_ms = sign * (hour * INT64_C(60) + minute) * 60000;
    return true;
}

bool time_parse(struct bytes text, int64_t *ret_unix_ms) {
    struct civil date;
    int64_t clock_ms, offset_ms;
    if (!take_date(&text, &date) || !take_char(&text, "Tt ") || !take_clock(&text, &clock_ms) ||
        !take_offset(&text, &offset_ms) || text.len)
        return false;
    int64_t ms = days_of_civil(date) * DAY_MS + clock_ms - offset_ms;
    if (ms < TIME_FIRST_MS || ms > TIME_LAST_MS)
        return false;
    *ret_unix_ms = ms;
    return true;
}

bool time_from_seconds(double seconds, int64_t *ret_unix_ms) {
    if (!isfinite(seconds) || seconds * 1000 < (double)TIME_FIRST_MS || seconds * 1000 > (double)TIME_LAST_MS)
        return false;
    *ret_unix_ms = (int64_t)floor(seconds * 1000 + 1e-4); // 0.29 is kept as 290, not as 289
    return true;
}

bool duration_parse(struct bytes text, int64_t *ret_ms) {
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", DAY_MS}};
    unsigned long long number;
    size_t digits = 0;
    while (digits < text.len && text.at[digits] >= '0' && text.at[digits] <= '9')
        digits++;
    struct bytes unit = {text.at + digits, text.len - digits};
    if (!bytes_to_u64((struct bytes){text.at, digits}, 1000000000000, &number))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (bytes_eq(unit, bytes_of(units[i].unit)) && (int64_t)number <= TIME_LAST_MS / units[i].ms) {
            *ret_ms = (int64_t)number * units[i].ms;
            return true;
        }
    if (unit.len || number)
        return false;
    *ret_ms = 0;
    return true;
}

// ---- Out

static int64_t within_years(int64_t unix_ms) {
    return unix_ms < TIME_FIRST_MS ? TIME_FIRST_MS : unix_ms > TIME_LAST_MS ? TIME_LAST_MS : unix_ms;
}

static int64_t days_before(int64_t unix_ms) {
    return unix_ms / DAY_MS - (unix_ms % DAY_MS < 0);
}

static char *put_digits(char *at, unsigned value, int count) {
    for (int i = count; i-- > 0; value /= 10)
        at[i] = (char)('0' + value % 10);
    return at + count;
}

static char *put_number(char *at, unsigned value, int count, char behind) {
    at = put_digits(at, value, count);
    *at = behind;
    return at + 1;
}

void time_format(int64_t unix_ms, char text[static TIME_TEXT_SIZE]) {
    int64_t ms = within_years(unix_ms), days = days_before(ms);
    struct civil date = civil_of_days(days);
    unsigned of_day = (unsigned)(ms - days * DAY_MS);
    text = put_number(text, (unsigned)date.year, 4, '-');
    text = put_number(text, (unsigned)date.month, 2, '-');
    text = put_number(text, (unsigned)date.day, 2, 'T');
    text = put_number(text, of_day / 3600000, 2, ':');
    text = put_number(text, of_day / 60000 % 60, 2, ':');
    text = put_number(text, of_day / 1000 % 60, 2, '.');
    *put_number(text, of_day % 1000, 3, 'Z') = '\0';
}

void time_format_http(int64_t unix_ms, char text[static TIME_RFC822_SIZE]) {
    static const char names[] = "ThuFriSatSunMonTueWed", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t ms = within_years(unix_ms), days = days_before(ms);
    struct civil date = civil_of_days(days);
    unsigned of_day = (unsigned)((ms - days * DAY_MS) / 1000);
    snprintf(text, TIME_RFC822_SIZE, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT", names + (days % 7 + 7) % 7 * 3,
             (unsigned)date.day % 100u, months + (date.month - 1) * 3, (unsigned)date.year % 10000u,
             of_day / 3600 % 100, of_day / 60 % 60, of_day % 60);
}
