// SPDX-License-Identifier: MIT
// A list as an HTML <ol> for SSI and ESI includes, and as JSON Feed 1.1 (https://jsonfeed.org/version/1.1).
// Class names are part of the contract: engaged, engaged-related (-ranking, -recommendation), engaged-item,
// engaged-link, engaged-image, engaged-title, engaged-author, engaged-votes, engaged-views, engaged-label. Everything
// is escaped; links are the card's own, which are http, https or rooted, made valid.
#include "base/times.h"
#include "http/uri.h"
#include "model/names.h"
#include "serve/feed.h"
#include <inttypes.h>

#define IMAGE_WIDTH "160"
#define IMAGE_HEIGHT "90"

#define TEXT(field)                                                                                                    \
    { .name = #field, .type = JSON_IN_TEXT, .offset = offsetof(struct card_text, field), .max = 2000 }
static const struct json_field fields[] = {
    TEXT(title),
    TEXT(url),
    TEXT(image),
    TEXT(author),
    {.name = "categories", .type = JSON_IN_TEXTS, .offset = offsetof(struct card_text, categories), .max = 256},
    {.name = "published_at", .type = JSON_IN_DATE, .offset = offsetof(struct card_text, published_at)},
    {.name = "views", .type = JSON_IN_COUNT, .offset = offsetof(struct card_text, views)},
    {.name = "votes", .type = JSON_IN_COUNTS, .offset = offsetof(struct card_text, votes)},
    {.name = NULL},
};

// Parses an entry's members, which item_members has rendered as JSON, back into texts.
static enum outcome read_members(struct bytes members, struct arena *arena, struct card_text *ret_text) {
    struct buffer object;
    const char *detail;
    *ret_text = (struct card_text){.title = NO_BYTES};
    buffer_init(&object, CARD_ARENA_MAX);
    buffer_add_char(&object, '{');
    buffer_add_bytes(&object, members);
    buffer_add_char(&object, '}');
    enum outcome outcome =
        object.failed ? UNAVAILABLE : json_read_known(buffer_bytes(&object), fields, ret_text, arena, &detail);
    buffer_release(&object);
    return outcome;
}

void card_text_read(const struct list *list, const struct placed *placed, struct arena *arena, struct buffer *out,
                    struct card_text *ret_text) {
    enum outcome outcome = read_members(placed_json(list, placed), arena, ret_text);
    out->failed |= outcome == UNAVAILABLE;
    if (outcome != OK)
        *ret_text = (struct card_text){.title = NO_BYTES};
}

// ---- HTML

static void add_escaped(struct buffer *out, struct bytes text) {
    static const char *const escapes[256] = {
        ['&'] = "&amp;", ['<'] = "&lt;", ['>'] = "&gt;", ['"'] = "&quot;", ['\''] = "&#39;"};
    size_t run = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char *escape = escapes[(unsigned char)text.at[i]];
        if (!escape)
            continue;
        buffer_add(out, text.at + run, i - run);
        buffer_add_bytes(out, bytes_of(escape));
        run = i + 1;
    }
    buffer_add(out, text.at + run, text.len - run);
}

#define ADD(literal) buffer_add_bytes(out, BYTES(literal))

static void add_valid(struct buffer *out, struct bytes url) {
    struct buffer valid;
    if (uri_is_plain(url)) {
        add_escaped(out, url);
        return;
    }
    buffer_init(&valid, URL_MAX);
    uri_add_valid(&valid, url);
    add_escaped(out, buffer_bytes(&valid));
    out->failed |= valid.failed;
    buffer_release(&valid);
}

// A screen reader needs the label. Pages in other languages hide it and show their own.
static void add_number(struct buffer *out, struct bytes name, uint64_t number) {
    ADD(" <span class=\"engaged-");
    buffer_add_bytes(out, name);
    ADD("s\">");
    buffer_add_int(out, (int64_t)number);
    ADD(" <span class=\"engaged-label\" lang=\"en\">");
    buffer_add_bytes(out, name);
    buffer_add_bytes(out, number == 1 ? NO_BYTES : BYTES("s"));
    ADD("</span></span>");
}

// The image's size is not known. Any size keeps the text below in its position while the image loads.
static void add_image(struct buffer *out, struct bytes image) {
    if (!image.len)
        return;
    ADD("<img class=\"engaged-image\" alt=\"\" loading=\"lazy\" width=\"" IMAGE_WIDTH "\" height=\"" IMAGE_HEIGHT
        "\" src=\"");
    add_valid(out, image);
    ADD("\">");
}

static void add_html_entry(const struct list *list, const struct placed *placed, struct buffer *out) {
    struct arena arena;
    struct card_text card;
    arena_init(&arena, CARD_ARENA_MAX);
    if (!card_text_plain(&placed->item->state, list->serve->settings, &arena, &card))
        card_text_read(list, placed, &arena, out, &card);
    ADD("<li class=\"engaged-item\" data-item=\"");
    add_escaped(out, placed_id(placed));
    ADD("\" data-reason=\"");
    buffer_add_bytes(out, bytes_of(placed->candidate.reason));
    ADD("\">");
    if (card.url.len) {
        ADD("<a class=\"engaged-link\" href=\"");
        add_valid(out, card.url);
        ADD("\">");
    }
    add_image(out, card.image);
    ADD("<span class=\"engaged-title\">");
    add_escaped(out, card.title.len ? card.title : placed_id(placed));
    ADD("</span>");
    if (card.url.len)
        ADD("</a>");
    if (card.author.len) {
        ADD(" <span class=\"engaged-author\">");
        add_escaped(out, card.author);
        ADD("</span>");
    }
    if (card.votes.count)
        add_number(out, BYTES("vote"), card.votes.values[0]);
    add_number(out, BYTES("view"), card.views.value);
    ADD("</li>\n");
    arena_release(&arena);
}

void list_render_html(const struct list *list, struct buffer *out) {
    ADD("<ol class=\"engaged engaged-");
    buffer_add_bytes(out, bytes_of(list_kind_name(list->kind)));
    ADD("\"");
    if (list->offset)
        buffer_addf(out, " start=\"%" PRIu32 "\"", list->offset + 1);
    ADD(">\n");
    for (size_t i = 0; i < list->placed_count; i++)
        add_html_entry(list, &list->placed[i], out);
    ADD("</ol>\n");
}

// ---- JSON Feed

static void add_text(struct json_out *json, const char *name, struct bytes text) {
    if (!text.len)
        return;
    json_key(json, bytes_of(name));
    json_text(json, text);
}

// Where there is no absolute link, there is none here; `_engaged` has the card's.
static void add_link(struct json_out *json, const char *name, const struct list *list, struct bytes url) {
    struct buffer link;
    buffer_init(&link, URL_MAX);
    feed_link(list, url, &link);
    add_text(json, name, buffer_bytes(&link));
    json->buffer->failed |= link.failed;
    buffer_release(&link);
}

static void add_author(struct json_out *json, struct bytes author) {
    if (!author.len)
        return;
    json_key(json, BYTES("authors"));
    json_open(json, '[');
    json_open(json, '{');
    add_text(json, "name", author);
    json_close(json, '}');
    json_close(json, ']');
}

static void add_tags(struct json_out *json, const struct json_texts *categories) {
    if (!categories->count)
        return;
    json_key(json, BYTES("tags"));
    json_open(json, '[');
    for (uint32_t i = 0; i < categories->count; i++)
        json_text(json, categories->at[i]);
    json_close(json, ']');
}

static void add_own_part(struct json_out *json, const struct list *list, size_t index) {
    const struct placed *placed = &list->placed[index];
    json_key(json, BYTES("_engaged"));
    json_open(json, '{');
    json_key(json, BYTES("rank"));
    json_int(json, (int64_t)(list->offset + index + 1));
    json_key(json, BYTES("score"));
    json_number(json, json_rounded(placed->candidate.score));
    add_text(json, "reason", bytes_of(placed->candidate.reason));
    json_raw(json, placed_json(list, placed));
    json_close(json, '}');
}

static void add_feed_entry(struct json_out *json, const struct list *list, size_t index) {
    const struct placed *placed = &list->placed[index];
    struct arena arena;
    struct card_text card;
    arena_init(&arena, CARD_ARENA_MAX);
    card_text_read(list, placed, &arena, json->buffer, &card);
    struct bytes title = card.title.len ? card.title : placed_id(placed);
    json_open(json, '{');
    add_text(json, "id", placed_id(placed));
    add_link(json, "url", list, card.url);
    add_text(json, "title", title);
    add_text(json, "content_text", title);
    add_link(json, "image", list, card.image);
    if (card.published_at.given) {
        json_key(json, BYTES("date_published"));
        json_time(json, card.published_at.unix_ms);
    }
    add_author(json, card.author);
    add_tags(json, &card.categories);
    add_own_part(json, list, index);
    json_close(json, '}');
    arena_release(&arena);
}

static void add_made(struct json_out *json, const char *name, const struct list *list,
                     void (*make)(const struct list *list, struct buffer *out)) {
    struct buffer text;
    buffer_init(&text, FEED_TITLE_MAX);
    make(list, &text);
    add_text(json, name, buffer_bytes(&text));
    json->buffer->failed |= text.failed;
    buffer_release(&text);
}

static void add_address(struct json_out *json, const char *name, const struct list *list, uint32_t offset) {
    struct buffer text;
    buffer_init(&text, FEED_ADDRESS_MAX);
    feed_address(list, FORMAT_FEED, offset, &text);
    add_text(json, name, buffer_bytes(&text));
    json->buffer->failed |= text.failed;
    buffer_release(&text);
}

void list_render_feed(const struct list *list, struct buffer *out) {
    struct json_out json = json_out_to(out);
    json_open(&json, '{');
    add_text(&json, "version", BYTES("https://jsonfeed.org/version/1.1"));
    add_made(&json, "title", list, feed_title);
    add_made(&json, "home_page_url", list, feed_home_page);
    add_address(&json, "feed_url", list, list->offset);
    if (list->goes_on)
        add_address(&json, "next_url", list, list->offset + list->limit);
    json_key(&json, BYTES("items"));
    json_open(&json, '[');
    for (size_t i = 0; i < list->placed_count; i++)
        add_feed_entry(&json, list, i);
    json_close(&json, ']');
    json_close(&json, '}');
}
