// SPDX-License-Identifier: MIT
// The named keys of a site, [site NAME] key.NAME: one for each person or program, so that each can be taken back
// alone. They are valid beside secret_key. A key has one name at a site.
#include "base/keyed.h"
#include "ops/settings.h"
#include "ops/settings_inside.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool fail(char why[static WHY_SIZE], const char *what, const char *text) {
    snprintf(why, WHY_SIZE, "key.%.60s: %s", what, text);
    return false;
}

// The hash of a key that is written as it is, or as its hash.
static void digest_of(const char *key, char sha256[static KEY_DIGEST_SIZE]) {
    if (strncmp(key, "sha256:", 7) == 0)
        snprintf(sha256, KEY_DIGEST_SIZE, "%.64s", key + 7);
    else
        sha256_hex(bytes_of(key), sha256);
}

bool key_like_hash(const char *text) {
    return strlen(text) == KEY_DIGEST_SIZE - 1 && strspn(text, "0123456789abcdefABCDEF") == KEY_DIGEST_SIZE - 1;
}

static void warn_of(void (*on_warning)(const char *line), const char *place, const char *name) {
    char line[WHY_SIZE];
    snprintf(
        line, sizeof line,
        "%.80s%.60s: 64 hex digits without sha256: are taken as the key itself; if they are its hash, write sha256: "
        "before them",
        place, name);
    on_warning(line);
}

void site_keys_warn(const struct settings *settings, void (*on_warning)(const char *line)) {
    if (settings->like_hash && key_like_hash(settings->secret_key))
        warn_of(on_warning, "", UNNAMED_KEY);
    for (uint32_t i = 0; i < settings->site_count; i++) {
        const struct site_setting *site = &settings->site_list[i];
        char place[NAME_SIZE + 16];
        snprintf(place, sizeof place, "[site %.63s] ", site->name);
        if (site->like_hash)
            warn_of(on_warning, place, UNNAMED_KEY);
        snprintf(place, sizeof place, "[site %.63s] key.", site->name);
        for (uint32_t j = 0; j < site->key_count; j++)
            if (site->keys[j].like_hash)
                warn_of(on_warning, place, site->keys[j].name);
    }
}

bool site_key_name_valid(const char *name) {
    size_t len = strlen(name);
    return len && len < SITE_KEY_NAME_SIZE && name[0] != '.' && name[0] != '-' &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == len;
}

bool site_key_set(struct site_setting *site, const char *name, const char *text, char why[static WHY_SIZE]) {
    char key[256];
    if (!site_key_name_valid(name))
        return fail(why, name, "a key's name is 1 to 31 of A-Z a-z 0-9 _ . - and begins with none of . -");
    if (strcasecmp(name, UNNAMED_KEY) == 0)
        return fail(why, name, "this name belongs to the setting secret_key");
    if (!text[0] || strlen(text) >= sizeof key || !bearer_valid(text))
        return fail(why, name, "1 to 255 visible ASCII characters, or sha256: and 64 hex digits");
    for (uint32_t i = 0; i < site->key_count; i++)
        if (strcasecmp(site->keys[i].name, name) == 0)
            return fail(why, name, "the site has this name twice");
    if (site->key_count == SITE_KEYS_MAX)
        return fail(why, name, "a site has at most 16 named keys");
    struct site_key *added = &site->keys[site->key_count++];
    snprintf(added->name, sizeof added->name, "%s", name);
    added->like_hash = key_like_hash(text);
    snprintf(key, sizeof key, "%s", text);
    bearer_fold(key);
    digest_of(key, added->sha256);
    return true;
}

static bool differ(const struct site_setting *site, const char *unnamed, char why[static WHY_SIZE]) {
    for (uint32_t i = 0; i < site->key_count; i++) {
        const struct site_key *key = &site->keys[i];
        const char *other = strcmp(key->sha256, unnamed) == 0 ? UNNAMED_KEY : NULL;
        for (uint32_t j = 0; j < i && !other; j++)
            other = strcmp(key->sha256, site->keys[j].sha256) == 0 ? site->keys[j].name : NULL;
        if (other) {
            snprintf(why, WHY_SIZE, "[site %s] key.%s: it is the same key as %s", site->name, key->name, other);
            return false;
        }
    }
    return true;
}

bool site_keys_finish(const struct settings *settings, char why[static WHY_SIZE]) {
    char unnamed[KEY_DIGEST_SIZE];
    for (uint32_t i = 0; i < settings->site_count; i++) {
        const struct site_setting *site = &settings->site_list[i];
        digest_of(site->secret_key[0] ? site->secret_key : settings->secret_key, unnamed);
        if (!differ(site, unnamed, why))
            return false;
    }
    return true;
}
