// SPDX-License-Identifier: MIT
// An item and a list as docs/api.md shows them: the card as the publisher gave it, the counts, the reason.
#include "serve/item_json.h"
#include "serve/list.h"

const char *list_kind_name(enum list_kind kind) {
    static const char *const names[LIST_KINDS] = {
        [LIST_RELATED] = "related", [LIST_RANKING] = "ranking", [LIST_RECOMMENDATION] = "recommendation"};
    return names[kind];
}

const char *format_name(enum list_format format) {
    static const char *const names[FORMATS] = {
        [FORMAT_JSON] = "json", [FORMAT_HTML] = "html", [FORMAT_FEED] = "feed", [FORMAT_RSS] = "rss"};
    return names[format];
}

const char *format_media_type(enum list_format format) {
    static const char *const types[FORMATS] = {[FORMAT_JSON] = "application/json",
                                               [FORMAT_HTML] = "text/html; charset=utf-8",
                                               [FORMAT_FEED] = "application/feed+json",
                                               [FORMAT_RSS] = "application/rss+xml; charset=utf-8"};
    return types[format];
}

size_t item_members(struct json_out *json, const struct settings *settings, struct bytes id,
                    const struct item_state *state, const struct window_set *spans) {
    json_key(json, BYTES("item"));
    json_text(json, id);
    size_t card_at = json->buffer->len + json->comma;
    json_raw(json, state->card);
    json_key(json, BYTES("votes"));
    json_open(json, '{');
    for (uint32_t i = 0; i < settings->kind_count; i++) {
        json_key(json, bytes_of(settings->kind_names[i]));
        json_int(json, (int64_t)state->votes[i]);
    }
    json_close(json, '}');
    json_key(json, BYTES("views"));
    json_int(json, (int64_t)state->views);
    json_key(json, BYTES("visitors"));
    json_int(json, (int64_t)state->visitors);
    windows_member(json, settings, state->series, spans);
    return card_at;
}

void item_render(struct json_out *json, const struct settings *settings, struct bytes id,
                 const struct item_state *state, const struct window_set *spans) {
    json_open(json, '{');
    item_members(json, settings, id, state, spans);
    json_close(json, '}');
}

// ---- Lists

struct bytes placed_json(const struct list *list, const struct placed *placed) {
    if (list->spans.count == 0)
        return placed->item->members;
    return (struct bytes){list->texts.at + placed->json_at, placed->json_len};
}

static struct bytes name_of(const struct list *list) {
    if (list->kind == LIST_RANKING)
        return list->ranking->name;
    return bytes_of(list_kind_name(list->kind));
}

// "ranking:hot:sport", "related:some-item", "recommendation:": what the list is made for.
static void add_list_id(struct json_out *json, const struct list *list) {
    struct buffer id;
    buffer_init(&id, 4096);
    buffer_add_bytes(&id, bytes_of(list_kind_name(list->kind)));
    buffer_add_char(&id, ':');
    buffer_add_bytes(&id, list->kind == LIST_RANKING ? list->ranking->name : list->item);
    if (list->category.at) {
        buffer_add_char(&id, ':');
        buffer_add_bytes(&id, list->category);
    }
    if (list->author.at) {
        buffer_addf(&id, ":by:");
        buffer_add_bytes(&id, list->author);
    }
    json_key(json, BYTES("list"));
    json_text(json, buffer_bytes(&id));
    json->buffer->failed |= id.failed;
    buffer_release(&id);
}

// Without the checks of json_key and json_text: a page has two dozen entries. A reason is one of our words.
static void add_entry(struct json_out *json, const struct list *list, size_t index) {
    const struct placed *placed = &list->placed[index];
    struct buffer *out = json->buffer;
    json_open(json, '{');
    buffer_add_bytes(out, BYTES("\"rank\":"));
    buffer_add_int(out, (int64_t)(list->offset + index + 1));
    buffer_add_bytes(out, BYTES(",\"score\":"));
    json_number(json, json_rounded(placed->candidate.score));
    buffer_add_bytes(out, BYTES(",\"reason\":\""));
    buffer_add_bytes(out, bytes_of(placed->candidate.reason));
    buffer_add_char(out, '"');
    json->comma = true;
    json_raw(json, placed_json(list, placed));
    json_close(json, '}');
}

static void add_window(struct json_out *json, const struct list *list) {
    struct period period = list->window.period;
    char name[CALENDAR_NAME_SIZE];
    if (period.grain != GRAIN_HOUR) {
        calendar_name(period.grain, period.number, name);
        json_key(json, BYTES("period"));
        json_text(json, bytes_of(name));
    }
    json_key(json, BYTES("from"));
    json_time(json, list->window.from_ms);
    json_key(json, BYTES("exact"));
    json_bool(json, list->exact);
}

static void render_json(const struct list *list, struct buffer *out) {
    struct json_out json = json_out_to(out);
    json_open(&json, '{');
    add_list_id(&json, list);
    json_key(&json, BYTES("kind"));
    json_text(&json, bytes_of(list_kind_name(list->kind)));
    json_key(&json, BYTES("name"));
    json_text(&json, name_of(list));
    json_key(&json, BYTES("computed_at"));
    json_time(&json, list->has_window ? list->window.now_ms : list->now_ms - made_age_ms(&list->age));
    if (list->kind == LIST_RANKING && list->ranking->half_life_ms) {
        json_key(&json, BYTES("half_life"));
        json_number(&json, (double)list->ranking->half_life_ms / 1000);
    }
    if (list->goes_on) {
        json_key(&json, BYTES("next_offset"));
        json_int(&json, list->offset + list->limit);
    }
    if (list->has_window)
        add_window(&json, list);
    json_key(&json, BYTES("items"));
    json_open(&json, '[');
    for (size_t i = 0; i < list->placed_count; i++)
        add_entry(&json, list, i);
    json_close(&json, ']');
    json_close(&json, '}');
}

void list_render(const struct list *list, enum list_format format, struct buffer *out) {
    if (format == FORMAT_HTML)
        list_render_html(list, out);
    else if (format == FORMAT_FEED)
        list_render_feed(list, out);
    else if (format == FORMAT_RSS)
        list_render_rss(list, out);
    else
        render_json(list, out);
}

// A ranking's values are included because they change only with events. The projector writes them after the counts, so
// a body that was made in between has an old score and must be replaced. The scores of other lists change with every
// view on the site, so they are left out. A window that has moved on has
// other counts.
void list_fingerprint(const struct list *list, struct buffer *fingerprint, struct buffer *values) {
    if (list->has_window) {
        buffer_add(fingerprint, &list->window.from_ms, sizeof list->window.from_ms);
        buffer_add_char(fingerprint, list->exact ? 'e' : 'i');
    }
    for (size_t i = 0; i < list->placed_count; i++) {
        const struct candidate *candidate = &list->placed[i].candidate;
        buffer_add_bytes(fingerprint, bytes_of(candidate->reason));
        if (list->kind == LIST_RANKING)
            buffer_add(values, &candidate->value, sizeof candidate->value);
        buffer_add_u64(fingerprint, list->placed[i].digest);
    }
    buffer_add_char(fingerprint, list->goes_on ? '+' : '\n');
}
