// SPDX-License-Identifier: MIT
// A list as RSS 2.0 (https://www.rssboard.org/rss-specification), with atom:link, dc:creator (RSS's own author is an
// e-mail address) and media:thumbnail (its enclosure needs a length). The order is the list's; a guid is the item's id.
#include "base/times.h"
#include "serve/feed.h"

static const char channel_begin[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    "<rss version=\"2.0\" xmlns:atom=\"http://www.w3.org/2005/Atom\" xmlns:dc=\"http://purl.org/dc/elements/1.1/\" "
    "xmlns:media=\"http://search.yahoo.com/mrss/\">\n<channel>\n";

// U+FFFE and U+FFFF are valid UTF-8, and no characters of XML. Nor are control characters, which no text here has.
static bool is_no_character(const char *at, size_t len) {
    return (unsigned char)at[0] < 0x20 ||
           (len >= 3 && (memcmp(at, "\xef\xbf\xbe", 3) == 0 || memcmp(at, "\xef\xbf\xbf", 3) == 0));
}

static void add_escaped(struct buffer *out, struct bytes text) {
    for (size_t i = 0; i < text.len; i++) {
        static const char *const escapes[128] = {['&'] = "&amp;", ['<'] = "&lt;", ['>'] = "&gt;", ['"'] = "&quot;"};
        unsigned char c = (unsigned char)text.at[i];
        if (is_no_character(text.at + i, text.len - i)) {
            buffer_add_bytes(out, BYTES("\xef\xbf\xbd")); // U+FFFD
            i += c == 0xef ? 2 : 0;
        } else if (c < 128 && escapes[c])
            buffer_add_bytes(out, bytes_of(escapes[c]));
        else
            buffer_add_char(out, text.at[i]);
    }
}

static void add_element(struct buffer *out, const char *name, struct bytes text) {
    if (!text.len)
        return;
    buffer_addf(out, "<%s>", name);
    add_escaped(out, text);
    buffer_addf(out, "</%s>\n", name);
}

// RSS takes URIs, which are ASCII; browsers send other characters in the same form.
static void add_ascii(struct buffer *out, struct bytes url) {
    for (size_t i = 0; i < url.len; i++)
        if ((unsigned char)url.at[i] < 128)
            add_escaped(out, (struct bytes){url.at + i, 1});
        else
            buffer_addf(out, "%%%02X", (unsigned char)url.at[i]);
}

static void add_link(struct buffer *out, const struct list *list, struct bytes url, const char *before,
                     const char *after) {
    struct buffer link;
    buffer_init(&link, URL_MAX);
    feed_link(list, url, &link);
    if (link.len) {
        buffer_add_bytes(out, bytes_of(before));
        add_ascii(out, buffer_bytes(&link));
        buffer_add_bytes(out, bytes_of(after));
    }
    out->failed |= link.failed;
    buffer_release(&link);
}

static void add_item(struct buffer *out, const struct list *list, const struct placed *placed) {
    struct arena arena;
    struct card_text card;
    struct bytes id = placed_id(placed);
    char date[TIME_RFC822_SIZE];
    arena_init(&arena, CARD_ARENA_MAX);
    card_text_read(list, placed, &arena, out, &card);
    buffer_add_bytes(out, BYTES("<item>\n"));
    add_element(out, "title", card.title.len ? card.title : id);
    add_link(out, list, card.url, "<link>", "</link>\n");
    add_element(out, "dc:creator", card.author);
    for (uint32_t i = 0; i < card.categories.count; i++)
        add_element(out, "category", card.categories.at[i]);
    buffer_add_bytes(out, BYTES("<guid isPermaLink=\"false\">"));
    add_escaped(out, id);
    buffer_add_bytes(out, BYTES("</guid>\n"));
    if (card.published_at.given) {
        time_format_http(card.published_at.unix_ms, date);
        add_element(out, "pubDate", bytes_of(date));
    }
    add_link(out, list, card.image, "<media:thumbnail url=\"", "\"/>\n");
    buffer_add_bytes(out, BYTES("</item>\n"));
    arena_release(&arena);
}

// A channel must have a link. Of a site with neither site_url nor origins nor a host's name it is the service's own
// address, else the host that the name would be.
static void add_home_page(struct buffer *out, const struct list *list) {
    const char *public_url = list->serve->settings->public_url;
    struct buffer url;
    buffer_init(&url, FEED_TITLE_MAX);
    feed_home_page(list, &url);
    if (!url.len && public_url[0])
        buffer_addf(&url, "%s/", public_url);
    else if (!url.len)
        buffer_addf(&url, "https://%.*s/", (int)list->site.len, list->site.at);
    add_element(out, "link", buffer_bytes(&url));
    out->failed |= url.failed;
    buffer_release(&url);
}

static void add_address(struct buffer *out, const struct list *list, const char *rel, uint32_t offset) {
    struct buffer url;
    buffer_init(&url, FEED_ADDRESS_MAX);
    feed_address(list, FORMAT_RSS, offset, &url);
    if (url.len) {
        buffer_addf(out, "<atom:link rel=\"%s\" type=\"application/rss+xml\" href=\"", rel);
        add_escaped(out, buffer_bytes(&url));
        buffer_add_bytes(out, BYTES("\"/>\n"));
    }
    out->failed |= url.failed;
    buffer_release(&url);
}

void list_render_rss(const struct list *list, struct buffer *out) {
    struct buffer title;
    buffer_init(&title, FEED_TITLE_MAX);
    feed_title(list, &title);
    buffer_add_bytes(out, bytes_of(channel_begin));
    add_element(out, "title", buffer_bytes(&title));
    add_home_page(out, list);
    add_element(out, "description", buffer_bytes(&title));
    add_address(out, list, "self", list->offset);
    if (list->goes_on)
        add_address(out, list, "next", list->offset + list->limit);
    for (size_t i = 0; i < list->placed_count; i++)
        add_item(out, list, &list->placed[i]);
    buffer_add_bytes(out, BYTES("</channel>\n</rss>\n"));
    out->failed |= title.failed;
    buffer_release(&title);
}
