// SPDX-License-Identifier: MIT
// The combined log of nginx and Apache: a view for each page that was sent to a reader.
//
//   192.0.2.1 - user [26/Nov/2026:18:00:00 +0100] "GET /a?b HTTP/1.1" 200 1234 "referer" "agent"
//
// The name of a host may come before it. The item is the first group of --item-pattern in the path, without its query
// and decoded. The visitor is a keyed hash of address and agent, so the output holds neither.
#include "base/hex.h"
#include "base/netaddr.h"
#include "base/times.h"
#include "http/uri.h"
#include "model/agents.h"
#include "model/names.h"
#include "roles/convert.h"
#include <stdlib.h>
#include <string.h>

enum { GROUPS = 2, MAC_LOG_VISITOR = 'l' };

struct log_line {
    struct bytes address, time, request, status, agent;
};

static const char *const assets[] = {"avif", "bmp", "css", "eot", "gif",  "ico",  "jpeg", "jpg",   "js",
                                     "json", "map", "mjs", "mp3", "mp4",  "ogg",  "otf",  "pdf",   "png",
                                     "svg",  "ttf", "txt", "wav", "webm", "webp", "woff", "woff2", "xml"};

static const char *begin(struct conversion *conversion) {
    const char *pattern = conversion->options[OPTION_ITEM_PATTERN], *bots = conversion->options[OPTION_BOTS];
    if (!pattern)
        return "--item-pattern is needed, such as '^/articles/([^/]+)'";
    if (bots && strcmp(bots, "drop") != 0 && strcmp(bots, "strict") != 0 && strcmp(bots, "count") != 0)
        return "--bots is drop, strict or count";
    if (regcomp(&conversion->item_pattern, pattern, REG_EXTENDED) != 0)
        return "--item-pattern is no extended regular expression";
    return conversion->item_pattern.re_nsub ? NULL : "--item-pattern has no group (…) that is the item";
}

// ---- The parts of a line

static struct bytes take_word(struct bytes *rest) {
    const char *space = memchr(rest->at, ' ', rest->len);
    size_t len = space ? (size_t)(space - rest->at) : rest->len;
    struct bytes word = {rest->at, len};
    *rest = (struct bytes){rest->at + len + (space != NULL), rest->len - len - (space != NULL)};
    return word;
}

// A log of several hosts begins with the host, with or without a port; then the address is the second word.
static struct bytes take_address(struct bytes *rest) {
    struct netaddr address;
    struct bytes first = take_word(rest), after = *rest, second = take_word(&after);
    if (netaddr_parse(first, &address) || !netaddr_parse(second, &address))
        return first;
    *rest = after;
    return second;
}

// Up to a quote that no backslash escapes and that ends the part; some servers escape none.
static bool take_quoted(struct bytes *rest, struct bytes *ret_text) {
    if (!rest->len || rest->at[0] != '"')
        return false;
    for (size_t i = 1; i < rest->len; i++) {
        if (rest->at[i] == '\\')
            i++;
        else if (rest->at[i] == '"' && (i + 1 == rest->len || rest->at[i + 1] == ' ')) {
            *ret_text = (struct bytes){rest->at + 1, i - 1};
            i += i + 1 < rest->len;
            *rest = (struct bytes){rest->at + i + 1, rest->len - i - 1};
            return true;
        }
    }
    return false;
}

// The user before the time may have been written by a client, so the time is what looks like one.
static bool take_time(struct bytes *rest, struct bytes *ret_time) {
    enum { TIME_LEN = 26 };
    for (size_t i = 0; i + TIME_LEN + 2 < rest->len; i++) {
        if (rest->at[i] != '[' || rest->at[i + 3] != '/' || rest->at[i + TIME_LEN + 1] != ']' ||
            rest->at[i + TIME_LEN + 2] != ' ')
            continue;
        *ret_time = (struct bytes){rest->at + i + 1, TIME_LEN};
        *rest = (struct bytes){rest->at + i + TIME_LEN + 3, rest->len - i - TIME_LEN - 3};
        return true;
    }
    return false;
}

static const char *read_line(struct bytes line, struct log_line *ret_line) {
    struct bytes rest = line, referer;
    ret_line->address = take_address(&rest);
    if (!ret_line->address.len || !take_time(&rest, &ret_line->time))
        return "it has no time, such as [26/Nov/2026:18:00:00 +0100]";
    if (!take_quoted(&rest, &ret_line->request))
        return "it has no request in quotes";
    ret_line->status = take_word(&rest);
    take_word(&rest); // the bytes
    if (!take_quoted(&rest, &referer) || !take_quoted(&rest, &ret_line->agent))
        return "it has no user agent: the combined form is needed";
    return NULL;
}

static bool read_time(struct bytes text, int64_t *ret_unix_ms) {
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char copy[32], name[4], sign, zone[5];
    struct civil date;
    int hour, minute, second, used = 0;
    snprintf(copy, sizeof copy, "%.*s", (int)text.len, text.at);
    int found = sscanf(copy, "%2d/%3[A-Za-z]/%4d:%2d:%2d:%2d %c%4[0-9]%n", &date.day, name, &date.year, &hour, &minute,
                       &second, &sign, zone, &used);
    const char *month = found == 8 && strlen(name) == 3 ? strstr(months, name) : NULL;
    if (!month || (month - months) % 3 || (size_t)used != text.len || strlen(zone) != 4 || (sign != '+' && sign != '-'))
        return false;
    date.month = (int)(month - months) / 3 + 1;
    struct civil same = civil_of_days(days_of_civil(date));
    if (same.day != date.day || same.month != date.month || date.year < 1970 || hour < 0 || hour > 23 || minute < 0 ||
        minute > 59 || second < 0 || second > 60)
        return false;
    int offset = atoi(zone) / 100 * 60 + atoi(zone) % 100;
    int64_t minutes = days_of_civil(date) * 1440 + hour * 60 + minute - (sign == '-' ? -offset : offset);
    *ret_unix_ms = (minutes * 60 + second) * 1000;
    return true;
}

// nginx writes \xE9, Apache also \" and \n: the byte itself, in the arena.
static struct bytes unescaped(struct conversion *conversion, struct bytes text) {
    char *at = memchr(text.at, '\\', text.len) ? arena_take(&conversion->arena, text.len) : NULL;
    if (!at)
        return text;
    struct bytes copy = {at, 0}, pair;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (c == '\\' && i + 1 < text.len)
            c = text.at[++i];
        else {
            at[copy.len++] = c;
            continue;
        }
        if (c == 'x' && i + 2 < text.len && hex_read((struct bytes){text.at + i + 1, 2}, &conversion->arena, &pair)) {
            c = pair.at[0];
            i += 2;
        }
        at[copy.len++] = c == 'n' ? '\n' : c == 't' ? '\t' : c;
    }
    return copy;
}

// ---- Which lines are views

static bool is_asset(struct bytes path) {
    const char *dot = memrchr(path.at, '.', path.len);
    struct bytes ending = dot ? (struct bytes){dot + 1, path.len - (size_t)(dot + 1 - path.at)} : NO_BYTES;
    for (size_t i = 0; ending.len && i < sizeof assets / sizeof *assets; i++)
        if (bytes_eq_nocase(ending, bytes_of(assets[i])))
            return true;
    return false;
}

static bool is_bot(const struct conversion *conversion, struct bytes agent) {
    const char *bots = conversion->options[OPTION_BOTS];
    enum agent what = agent_of(agent);
    if (bots && strcmp(bots, "count") == 0)
        return false;
    return what == AGENT_BOT || (what == AGENT_TOOL && bots && strcmp(bots, "strict") == 0);
}

// GET, and a page that was sent, or that the reader still had.
static bool is_page(struct bytes method, struct bytes status) {
    return bytes_eq(method, BYTES("GET")) && (bytes_eq(status, BYTES("200")) || bytes_eq(status, BYTES("304")));
}

static struct bytes path_of(struct bytes target) {
    if (bytes_starts(target, BYTES("http://")) || bytes_starts(target, BYTES("https://"))) {
        size_t host = target.at[4] == 's' ? 8 : 7;
        const char *slash = memchr(target.at + host, '/', target.len - host);
        target = slash ? (struct bytes){slash, target.len - (size_t)(slash - target.at)} : BYTES("/");
    }
    for (size_t i = 0; i < target.len; i++)
        if (target.at[i] == '?' || target.at[i] == '#')
            target.len = i;
    return target;
}

static struct bytes visitor_of(struct conversion *conversion, const struct log_line *line, struct buffer *text) {
    struct netaddr address;
    uint8_t mac[MAC_SIZE];
    struct bytes parts[] = {line->address, line->agent};
    if (netaddr_parse(line->address, &address)) // one address has several spellings
        parts[0] = (struct bytes){(const char *)address.at, sizeof address.at};
    keyed_mac(&conversion->key, MAC_LOG_VISITOR, parts, 2, mac);
    hex_add(text, (struct bytes){(const char *)mac, sizeof mac});
    return buffer_bytes(text);
}

static const char *view_of(struct conversion *conversion, struct log_line *line, struct bytes path) {
    char room[2 * MAC_SIZE];
    struct buffer visitor = buffer_over(room, sizeof room);
    regmatch_t groups[GROUPS];
    int64_t unix_ms;
    struct bytes text = arena_copy(&conversion->arena, path);
    if (!text.at || regexec(&conversion->item_pattern, text.at, GROUPS, groups, 0) != 0 || groups[1].rm_so < 0) {
        conversion->left_out[LEFT_OTHER]++;
        return NULL;
    }
    struct bytes item = {text.at + groups[1].rm_so, (size_t)(groups[1].rm_eo - groups[1].rm_so)};
    if (!item_id_valid(item))
        return "its path gives no valid item: 1 to 512 bytes of UTF-8 without controls";
    if (!read_time(line->time, &unix_ms))
        return "its time is none";
    if (unix_ms > conversion->now_ms + TIME_AHEAD_MS)
        return "its time is in the future";
    convert_view(conversion, item, visitor_of(conversion, line, &visitor), unix_ms);
    return NULL;
}

static const char *take(struct conversion *conversion, struct bytes text) {
    struct log_line line;
    struct bytes path;
    const char *why = read_line(text, &line);
    if (why)
        return why;
    struct bytes request = unescaped(conversion, line.request), method = take_word(&request);
    if (!is_page(method, line.status)) {
        conversion->left_out[LEFT_OTHER]++;
        return NULL;
    }
    if (!uri_decode(&conversion->arena, path_of(take_word(&request)), false, &path))
        return "its path has a wrong escape";
    line.agent = unescaped(conversion, line.agent);
    bool asset = is_asset(path), bot = !asset && is_bot(conversion, line.agent);
    conversion->left_out[LEFT_ASSET] += asset;
    conversion->left_out[LEFT_BOT] += bot;
    return asset || bot ? NULL : view_of(conversion, &line, path);
}

const struct conversion_form access_log_form = {.name = "access-log",
                                                .options = 1U << OPTION_ITEM_PATTERN | 1U << OPTION_VISITOR_KEY |
                                                           1U << OPTION_BOTS,
                                                .begin = begin,
                                                .take = take};
