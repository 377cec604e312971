// SPDX-License-Identifier: MIT
// What is kept: one list by last use over bodies and orders, one bound of bytes; canonical keys and raw targets.
#include "ops/metrics.h"
#include "serve/serve_inside.h"
#include <stdlib.h>

// ---- The list by last use

static void unlink_entry(struct serve *serve, struct kept *kept) {
    *(kept->newer ? &kept->newer->older : &serve->newest) = kept->older;
    *(kept->older ? &kept->older->newer : &serve->oldest) = kept->newer;
}

static void link_newest(struct serve *serve, struct kept *kept) {
    kept->newer = NULL;
    kept->older = serve->newest;
    *(serve->newest ? &serve->newest->newer : &serve->oldest) = kept;
    serve->newest = kept;
}

void lru_add(struct serve *serve, struct kept *kept, size_t bytes) {
    kept->bytes = bytes;
    serve->bytes += bytes;
    link_newest(serve, kept);
}

void lru_use(struct serve *serve, struct kept *kept) {
    if (serve->newest == kept)
        return;
    unlink_entry(serve, kept);
    link_newest(serve, kept);
}

void lru_resize(struct serve *serve, struct kept *kept, size_t bytes) {
    serve->bytes = serve->bytes - kept->bytes + bytes;
    kept->bytes = bytes;
    metric_set(METRIC_BODY_BYTES, serve->bytes);
}

static void drop(struct serve *serve, struct kept *kept) {
    unlink_entry(serve, kept);
    serve->bytes -= kept->bytes;
    kept->free(kept);
}

void lru_trim(struct serve *serve) {
    struct kept *kept = serve->oldest;
    while (kept && serve->bytes > (size_t)serve->settings->body_cache) {
        struct kept *newer = kept->newer;
        if (!kept->busy)
            drop(serve, kept);
        kept = newer;
    }
}

void lru_drop_all(struct serve *serve) {
    while (serve->oldest)
        drop(serve, serve->oldest);
}

// ---- Canonical keys: two spellings of one question have one key

static int by_bytes(const void *a, const void *b) {
    return bytes_cmp(*(const struct bytes *)a, *(const struct bytes *)b);
}

static void add_part(struct buffer *key, struct bytes part) {
    buffer_add_u16(key, (uint16_t)part.len);
    buffer_add_bytes(key, part);
}

// Excluded ids in any order, once or twice, exclude the same; ids asked for are answered in their order.
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

enum { KEY_MAX = 128 << 10, KEY_FIXED = 6 + 4 * LIST_KINDS }; // before its parts

static void make_key(const struct question *question, const struct bytes *ids, size_t id_count, struct buffer *key) {
    buffer_add_char(key, question->builder->letter);
    buffer_add_u8(key, (uint8_t)question->format);
    buffer_add_u8(key, question->category.at != NULL);
    buffer_add_u8(key, question->item.at != NULL);
    buffer_add_u16(key, (uint16_t)id_count);
    for (int kind = 0; kind < LIST_KINDS; kind++)
        buffer_add_u32(key, question->limits[kind]);
    add_part(key, question->site);
    add_part(key, question->item);
    add_part(key, question->category);
    add_part(key, question->ranking ? question->ranking->name : NO_BYTES);
    for (size_t i = 0; i < id_count; i++)
        add_part(key, ids[i]);
}

// ---- Shelves

static struct bytes take_part(char **at) {
    uint16_t len;
    memcpy(&len, *at, sizeof len);
    struct bytes part = {*at + sizeof len, len};
    *at += sizeof len + len;
    return part;
}

// The cached body's arguments are views of its own key.
static void point_into_key(struct cached *cached, const struct question *question, struct bytes *ids, size_t id_count) {
    char *at = cached->key + KEY_FIXED;
    struct question *asked = &cached->asked;
    *asked = *question;
    asked->site = take_part(&at);
    asked->item = take_part(&at);
    asked->category = take_part(&at);
    if (!question->category.at)
        asked->category = NO_BYTES;
    if (!question->item.at)
        asked->item = NO_BYTES;
    take_part(&at); // the ranking's name: the ranking itself lives as long as the plan
    for (asked->id_count = 0; asked->id_count < id_count; asked->id_count++)
        ids[asked->id_count] = take_part(&at);
    asked->ids = ids;
}

static void cached_body_free(struct kept *kept) {
    struct cached *cached = (struct cached *)kept;
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

// One piece of memory: the cached body, then its ids.
static struct cached *cached_body_new(struct serve *serve, const struct question *question, struct buffer *key,
                                      size_t id_count) {
    size_t size = sizeof(struct cached) + id_count * sizeof(struct bytes);
    struct cached *cached = calloc(1, size);
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
    cached->kept.free = cached_body_free;
    point_into_key(cached, question, (struct bytes *)(cached + 1), id_count);
    HASH_ADD_KEYPTR(hh, serve->cached_bodies, cached->key, cached->key_len, cached);
    if (!HASH_HAS_TAKEN(cached)) {
        free(copy);
        free(cached);
        return NULL;
    }
    lru_add(serve, &cached->kept, size + key->len);
    return cached;
}

struct cached *cached_body_get(struct serve *serve, const struct question *question) {
    struct bytes ids[IDS_MAX];
    struct cached *cached = NULL;
    struct buffer key;
    size_t id_count = sort_ids(question, ids);
    buffer_init(&key, KEY_MAX);
    make_key(question, ids, id_count, &key);
    if (!key.failed)
        HASH_FIND(hh, serve->cached_bodies, key.at, key.len, cached);
    if (!cached) {
        lru_trim(serve); // before: where all the others are busy it would take the new one
        cached = cached_body_new(serve, question, &key, id_count);
    }
    buffer_release(&key);
    return cached;
}

void cached_body_remember_target(struct cached *cached, struct bytes target) {
    struct serve *serve = cached->serve;
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
    alias->next = cached->aliases;
    cached->aliases = alias;
    cached->alias_count++;
    lru_resize(serve, &cached->kept, cached->kept.bytes + sizeof *alias + target.len);
}
