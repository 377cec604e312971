// SPDX-License-Identifier: MIT
// The fields of a card, their limits, and its members as JSON, ready for every list.
#include "api/card.h"
#include "api/kinds.h"
#include "base/json_out.h"
#include "model/item.h"

enum { CARD_JSON_MAX = 32 << 10 };

const struct json_field card_base_fields[] = {
    {.name = "views", .type = JSON_IN_COUNT, .offset = offsetof(struct card_body, base_views)},
    {.name = "votes", .type = JSON_IN_COUNTS, .offset = offsetof(struct card_body, base_votes)},
    {.name = NULL},
};

const struct json_field card_fields[] = {CARD_FIELDS, {.name = NULL}};

const struct json_field card_line_fields[] = {{.name = "item",
                                               .type = JSON_IN_TEXT,
                                               .offset = offsetof(struct card_body, item),
                                               .max = ITEM_ID_MAX,
                                               .wrong = BAD_ITEM},
                                              CARD_FIELDS,
                                              {.name = NULL}};

// A scheme may have capital letters (RFC 3986, 3.1).
static bool has_scheme(struct bytes url, struct bytes scheme) {
    return url.len >= scheme.len && bytes_eq_nocase((struct bytes){url.at, scheme.len}, scheme);
}

// Only addresses that a page may link to, never a script. Browsers read a backslash as a slash, and two slashes begin a
// host.
static bool url_sound(struct bytes url) {
    bool absolute = has_scheme(url, BYTES("https://")) || has_scheme(url, BYTES("http://"));
    bool rooted = url.len && url.at[0] == '/' && !(url.len > 1 && (url.at[1] == '/' || url.at[1] == '\\'));
    return url.len == 0 || absolute || rooted;
}

static void add_text(struct json_out *json, const char *name, struct bytes text) {
    if (!text.at)
        return;
    json_key(json, bytes_of(name));
    json_text(json, text);
}

// An empty address is none: publishing systems send it for an image that is not there.
static void add_address(struct json_out *json, const char *name, struct bytes url) {
    if (url.len)
        add_text(json, name, url);
}

static void add_members(struct json_out *json, const struct card_body *body) {
    add_text(json, "title", body->title);
    add_address(json, "url", body->url);
    add_address(json, "image", body->image);
    if (body->categories.given) {
        json_key(json, BYTES("categories"));
        json_open(json, '[');
        for (uint32_t i = 0; i < body->categories.count; i++)
            json_text(json, body->categories.at[i]);
        json_close(json, ']');
    }
    add_text(json, "author", body->author);
    if (body->published_at.given) {
        json_key(json, BYTES("published_at"));
        json_time(json, body->published_at.unix_ms);
    }
}

static struct bytes members_of(const struct card_body *body, struct arena *arena) {
    struct buffer text;
    buffer_init(&text, CARD_JSON_MAX);
    struct json_out json = json_out_to(&text);
    add_members(&json, body);
    struct bytes copy = text.failed ? NO_BYTES : arena_copy(arena, buffer_bytes(&text));
    buffer_release(&text);
    return copy;
}

// The groups of model/item.h.
static struct bytes join_groups(const struct json_texts *categories, struct bytes author, struct arena *arena) {
    size_t len = 0;
    char *at = arena_take(arena, JSON_LIST_MAX * (4 * CARD_CATEGORY_MAX + 1) + 1 + author.len);
    if (!at)
        return NO_BYTES;
    for (uint32_t i = 0; i < categories->count; i++) {
        if (i)
            at[len++] = 0x1f;
        memcpy(at + len, categories->at[i].at, categories->at[i].len);
        len += categories->at[i].len;
    }
    at[len++] = GROUPS_AUTHOR;
    if (author.len)
        memcpy(at + len, author.at, author.len);
    len += author.len;
    return (struct bytes){at, len};
}

static enum outcome take_base(const struct card_body *body, const struct settings *settings, struct card *card) {
    card->has_base = body->has_base;
    card->base_views = body->base_views.value;
    for (uint32_t i = 0; i < body->base_votes.count; i++) {
        int kind = kind_index(settings, body->base_votes.names[i]);
        if (kind < 0)
            return UNKNOWN_KIND;
        card->base_votes[kind] = body->base_votes.values[i];
    }
    return OK;
}

enum outcome card_make(const struct card_body *body, const struct settings *settings, struct arena *arena,
                       struct card *ret_card, const char **ret_detail) {
    int64_t published_ms = body->published_at.unix_ms ? body->published_at.unix_ms : 1; // 0: unknown
    struct card card = {.published_ms = body->published_at.given ? published_ms : 0};
    if (!url_sound(body->url) || !url_sound(body->image)) {
        *ret_detail = url_sound(body->url) ? "image: must begin with https://, http:// or one slash"
                                           : "url: must begin with https://, http:// or one slash";
        return BAD_FIELD;
    }
    enum outcome outcome = take_base(body, settings, &card);
    if (outcome != OK)
        return outcome;
    card.json = members_of(body, arena);
    card.groups = join_groups(&body->categories, body->author, arena);
    if (!card.json.at || !card.groups.at)
        return UNAVAILABLE;
    *ret_card = card;
    return OK;
}
