// SPDX-License-Identifier: MIT
// Finds or makes the cached body of a question. Two ways lead to a cached body:
//
// - its canonical key, which spells the question. Two spellings of one question (the order of excluded ids, unknown
//   parameters) have one key, and share one body;
// - its aliases: raw request targets that led to it before. A repeated request costs one lookup and no parsing.
//
// Anybody can invent targets, so a body has at most ALIASES_MAX of them, and their bytes count towards the bound of the
// LRU list (lru.h). The aliases are freed with their body.
#include "serve/refresh.h"
#include "serve/serve_inside.h"
#include <stdlib.h>

// ---- Canonical keys

static int by_bytes(const void *a, const void *b) {
    return bytes_cmp(*(const struct bytes *)a, *(const struct bytes *)b);
}

static void add_part(struct buffer *key, struct bytes part) {
    buffer_add_u16(key, (uint16_t)part.len);
    buffer_add_bytes(key, part);
}

// Excluded ids are sorted and listed once, as their order means nothing. Ids that are asked for keep their order.
static size_t sort_ids(const struct question *question, struct bytes ids[static IDS_MAX]) {
    size_t count = 0;
    for (size_t i = 0; i < question->id_count && i < IDS_MAX; i++)
        ids[i] = question->ids[i];
    if (question->builder == &builder_items || question->id_count == 0)
        return question->id_count;
    qsort(ids, question->id_count, sizeof ids[0], by_bytes);
    for (size_t i = 0; i < question->id_count; i++)
        if (i == 0 || !bytes_eq(ids[i], ids[count - 1]))
            ids[count++] = ids[i];
    return count;
}

enum { KEY_MAX = 128 << 10, KEY_FIXED = 35 + 4 * LIST_KINDS }; // before its parts

static void make_key(const struct question *question, const struct bytes *ids, size_t id_count, struct buffer *key) {
    buffer_add_char(key, question->builder->letter);
    buffer_add_u8(key, (uint8_t)question->format);
    buffer_add_u8(key, (uint8_t)question->windows);
    buffer_add_u8(key, (uint8_t)question->grain);
    buffer_add_u32(key, (uint32_t)question->first);
    buffer_add_u32(key, (uint32_t)question->last);
    buffer_add_u8(key, question->category.at != NULL);
    buffer_add_u8(key, question->author.at != NULL);
    buffer_add_u8(key, question->item.at != NULL);
    buffer_add_u8(key, question->past);
    buffer_add_u32(key, (uint32_t)question->period);
    buffer_add_u16(key, (uint16_t)id_count);
    for (int kind = 0; kind < LIST_KINDS; kind++)
        buffer_add_u32(key, question->limits[kind]);
    buffer_add_u32(key, question->offset);
    buffer_add_u8(key, question->max_age.given);
    buffer_add_u64(key, (uint64_t)question->max_age.ms);
    add_part(key, question->site);
    add_part(key, question->item);
    add_part(key, question->category);
    add_part(key, question->author);
    add_part(key, question->ranking ? question->ranking->name : NO_BYTES);
    for (size_t i = 0; i < id_count; i++)
        add_part(key, ids[i]);
}

// ---- Cached bodies

static struct bytes take_part(char **at) {
    uint16_t len;
    memcpy(&len, *at, sizeof len);
    struct bytes part = {*at + sizeof len, len};
    *at += sizeof len + len;
    return part;
}

// The question's bytes become views of the body's own key.
static void point_into_key(struct cached_body *cached, const struct question *question, struct bytes *ids,
                           size_t id_count) {
    char *at = cached->key + KEY_FIXED;
    struct question *asked = &cached->asked;
    *asked = *question;
    asked->site = take_part(&at);
    asked->item = take_part(&at);
    asked->category = take_part(&at);
    asked->author = take_part(&at);
    if (!question->category.at)
        asked->category = NO_BYTES;
    if (!question->author.at)
        asked->author = NO_BYTES;
    if (!question->item.at)
        asked->item = NO_BYTES;
    take_part(&at); // skips the ranking's name: `ranking` lives as long as the plan
    for (asked->id_count = 0; asked->id_count < id_count; asked->id_count++)
        ids[asked->id_count] = take_part(&at);
    asked->ids = ids;
}

static void cached_body_free(struct lru_entry *entry) {
    struct cached_body *cached = (struct cached_body *)entry;
    struct serve *serve = cached->serve;
    for (struct alias *alias = cached->aliases, *next; alias; alias = next) {
        next = alias->next;
        HASH_DEL(serve->aliases, alias);
        free(alias);
    }
    HASH_DEL(serve->cached_bodies, cached);
    if (cached->body)
        body_release(cached->body);
    free(cached->key);
    free(cached);
}

// One allocation holds the cached body and, behind it, its ids.
static struct cached_body *cached_body_new(struct serve *serve, const struct question *question, struct buffer *key,
                                           size_t id_count) {
    size_t size = sizeof(struct cached_body) + id_count * sizeof(struct bytes);
    struct cached_body *cached = calloc(1, size);
    char *copy = malloc(key->len);
    if (!cached || !copy || key->failed) {
        free(cached);
        free(copy);
        return NULL;
    }
    memcpy(copy, key->at, key->len);
    cached->serve = serve;
    cached->key = copy;
    cached->key_len = key->len;
    cached->lru.free = cached_body_free;
    cached->lru.last = question->offset > 0; // anybody can ask for each offset
    point_into_key(cached, question, (struct bytes *)(cached + 1), id_count);
    HASH_ADD_KEYPTR(hh, serve->cached_bodies, cached->key, cached->key_len, cached);
    if (!HASH_HAS_TAKEN(cached)) {
        free(copy);
        free(cached);
        return NULL;
    }
    lru_add(&serve->lru, &cached->lru, size + key->len);
    return cached;
}

struct cached_body *cached_body_get(struct serve *serve, const struct question *question) {
    struct bytes ids[IDS_MAX];
    struct cached_body *cached = NULL;
    struct buffer key;
    size_t id_count = sort_ids(question, ids);
    buffer_init(&key, KEY_MAX);
    make_key(question, ids, id_count, &key);
    if (!key.failed)
        HASH_FIND(hh, serve->cached_bodies, key.at, key.len, cached);
    if (!cached) {
        lru_trim(&serve->lru); // before the new one is added, else it could be the only one to drop
        cached = cached_body_new(serve, question, &key, id_count);
    }
    buffer_release(&key);
    return cached;
}

void cached_body_remember_target(struct cached_body *cached, const struct http_request *request) {
    struct serve *serve = cached->serve;
    struct bytes target = request->target;
    struct alias *alias;
    HASH_FIND(hh, serve->aliases, target.at, target.len, alias);
    if (alias || cached->alias_count == ALIASES_MAX || !(alias = malloc(sizeof *alias + target.len)))
        return;
    memcpy(alias->target, target.at, target.len);
    HASH_ADD_KEYPTR(hh, serve->aliases, alias->target, target.len, alias);
    if (!HASH_HAS_TAKEN(alias)) {
        free(alias);
        return;
    }
    alias->cached = cached;
    alias->route = request->route;
    alias->next = cached->aliases;
    cached->aliases = alias;
    cached->alias_count++;
    lru_resize(&serve->lru, &cached->lru, cached->lru.bytes + sizeof *alias + target.len);
}
