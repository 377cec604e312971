// SPDX-License-Identifier: MIT
// What the forms of a list for readers share (fragment.c: HTML and JSON Feed, rss.c: RSS): a card's texts, absolute
// links, and what a feed says of itself. Each writes plain text, which the form escapes in its own way, and writes
// nothing where there is nothing to say. A parameter that makes another list belongs in feed_title and feed_address.
#pragma once
#include "ops/json_in.h"
#include "serve/list.h"

enum { CARD_ARENA_MAX = 64 << 10, URL_MAX = 32 << 10 };
enum { FEED_TITLE_MAX = 4096, FEED_ADDRESS_MAX = 256 << 10 };

struct card_text {
    struct bytes title, url, image, author;
    struct json_texts categories;
    struct json_time published_at;
    struct json_count views;
    struct json_counts votes;
};

// The texts of a placed entry, in the arena. Without memory `out` has failed.
void card_text_read(const struct list *list, const struct placed *placed, struct arena *arena, struct buffer *out,
                    struct card_text *ret_text);
// card_text.c: the same for a fragment, which needs neither categories nor date. False: it is not plain.
bool card_text_plain(const struct item_state *state, const struct settings *settings, struct arena *arena,
                     struct card_text *ret_text);

// A card's address, valid and absolute: one that begins with a slash is of the site's site_url. Without that setting
// there is none.
void feed_link(const struct list *list, struct bytes url, struct buffer *out);
// "sample: ranking hot, city", "sample: ranking most-read, 2026-11-25", "sample: related to some-item", "sample:
// recommendation".
void feed_title(const struct list *list, struct buffer *out);
// The site's home page: its site_url, else the first origin that is declared, else the host that the site is named by.
void feed_home_page(const struct list *list, struct buffer *out);
// The address of this feed from an offset on, if public_url is set. A visitor's own list has none.
void feed_address(const struct list *list, enum list_format format, uint32_t offset, struct buffer *out);
