// SPDX-License-Identifier: MIT
// What a feed says of itself, in whatever form: its title, its home page, its address; and links that are absolute.
#include "serve/feed.h"
#include "http/uri.h"
#include "model/names.h"
#include <inttypes.h>

static const char *site_url_of(const struct list *list) {
    const struct site_setting *site = settings_site(list->serve->settings, list->site);
    return site ? site->site_url : "";
}

void feed_link(const struct list *list, struct bytes url, struct buffer *out) {
    const char *base = site_url_of(list);
    if (!url.len || (url.at[0] == '/' && !*base))
        return;
    if (url.at[0] == '/')
        buffer_add_bytes(out, site_url_origin(base));
    uri_add_valid(out, url);
}

// "2026-11-25", of the list of a past day, week or month.
static void period_name(const struct list *list, char name[static CALENDAR_NAME_SIZE]) {
    calendar_name(window_sets(list->ranking->window), list->period, name);
}

void feed_title(const struct list *list, struct buffer *out) {
    char period[CALENDAR_NAME_SIZE];
    buffer_add_bytes(out, list->site);
    buffer_addf(out, ": %s", list_kind_name(list->kind));
    buffer_addf(out, list->kind == LIST_RANKING ? " " : list->kind == LIST_RELATED ? " to " : "");
    buffer_add_bytes(out, list->kind == LIST_RANKING ? list->ranking->name : list->item);
    if (list->category.at) {
        buffer_addf(out, ", ");
        buffer_add_bytes(out, list->category);
    }
    if (list->author.at) {
        buffer_addf(out, ", by ");
        buffer_add_bytes(out, list->author);
    }
    if (list->past) {
        period_name(list, period);
        buffer_addf(out, ", %s", period);
    }
}

void feed_home_page(const struct list *list, struct buffer *out) {
    const struct site_setting *site = settings_site(list->serve->settings, list->site);
    if (site && site->site_url[0])
        buffer_add_bytes(out, bytes_of(site->site_url));
    else if (site && site->origin_count)
        buffer_addf(out, "%s/", site->origins[0]);
    else if (site_names_host(list->site)) {
        buffer_addf(out, "https://");
        buffer_add_bytes(out, list->site);
        buffer_add_char(out, '/');
    }
}

static void add_pair(struct buffer *url, const char *name, struct bytes value) {
    buffer_addf(url, "&%s=", name);
    uri_add_escaped(url, value);
}

void feed_address(const struct list *list, enum list_format format, uint32_t offset, struct buffer *out) {
    const char *public_url = list->serve->settings->public_url;
    char digits[DECIMAL_SIZE], period[CALENDAR_NAME_SIZE];
    if (!public_url[0] || list->kind == LIST_RECOMMENDATION)
        return;
    buffer_addf(out, "%s/v1/", public_url);
    buffer_add_bytes(out, list->site);
    buffer_addf(out, list->kind == LIST_RANKING ? "/rankings/" : "/items/");
    uri_add_escaped(out, list->kind == LIST_RANKING ? list->ranking->name : list->item);
    buffer_addf(out, "%s?format=%s", list->kind == LIST_RANKING ? "" : "/related", format_name(format));
    add_pair(out, "limit", bytes_of_int(list->limit, digits));
    if (offset)
        add_pair(out, "offset", bytes_of_int(offset, digits));
    if (list->category.at)
        add_pair(out, "category", list->category);
    if (list->author.at)
        add_pair(out, "author", list->author);
    if (list->max_age.given)
        buffer_addf(out, "&max_age=%" PRId64 "ms", list->max_age.ms);
    if (list->past) {
        period_name(list, period);
        add_pair(out, "period", bytes_of(period));
    }
    for (int window = 0; window < WINDOWS; window++)
        if (list->windows >> window & 1)
            add_pair(out, "window", bytes_of(window_name((enum window)window)));
    for (uint32_t i = 0; i < list->excluded_count; i++)
        add_pair(out, "exclude", list->excluded[i]);
}
