// SPDX-License-Identifier: MIT
// The sections [site NAME], the kinds of vote, and the checks that need all settings.
#include "base/netaddr.h"
#include "ops/settings.h"
#include "ops/settings_inside.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

static bool fail(char why[static WHY_SIZE], const char *text) {
    snprintf(why, WHY_SIZE, "%s", text);
    return false;
}

bool section_name_valid(const char *name) {
    size_t len = strlen(name);
    if (len == 0 || len >= NAME_SIZE || name[0] == '.')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-", name[i]))
            return false;
    return true;
}

// ---- Sites

bool site_open(struct settings *settings, const char *name, char why[static WHY_SIZE]) {
    for (uint32_t i = 0; i < settings->site_count; i++)
        if (strcmp(settings->site_list[i].name, name) == 0)
            return fail(why, "there are two sections of this site");
    if (settings->site_count == SITES_MAX || !section_name_valid(name) || strchr(name, '_') || name[0] == '-')
        return fail(
            why, "a site's name is 1 to 63 of A-Z a-z 0-9 . - and begins with a letter or digit; at most 1024 sites");
    struct site_setting *list = realloc(settings->site_list, (settings->site_count + 1) * sizeof *list);
    if (!list)
        return fail(why, "no memory");
    settings->site_list = list;
    struct site_setting *site = &list[settings->site_count++];
    *site = (struct site_setting){.origin_count = 0};
    snprintf(site->name, sizeof site->name, "%s", name);
    return true;
}

// A DNS name, or an IPv6 address in brackets. A host that browsers never send is an error, not an origin that waits in
// vain.
static bool host_valid(struct bytes host) {
    struct netaddr address;
    if (host.len > 2 && host.at[0] == '[')
        return host.at[host.len - 1] == ']' && netaddr_parse((struct bytes){host.at + 1, host.len - 2}, &address);
    for (size_t i = 0; i < host.len; i++)
        if (!isalnum((unsigned char)host.at[i]) && !strchr("._-", host.at[i]))
            return false;
    return host.len && host.at[0] != '.';
}

bool origin_valid(const char *origin) {
    const char *rest = strncmp(origin, "https://", 8) == 0  ? origin + 8
                       : strncmp(origin, "http://", 7) == 0 ? origin + 7
                                                            : "";
    const char *colon = strrchr(rest, ':');
    if (colon && strchr(colon, ']'))
        colon = NULL;
    unsigned long long port = 0;
    bool port_valid = !colon || (colon[1] != '0' && bytes_to_u64(bytes_of(colon + 1), 65535, &port));
    return port_valid && strlen(origin) < 256 &&
           host_valid((struct bytes){rest, colon ? (size_t)(colon - rest) : strlen(rest)});
}

void origin_fold(char *origin) {
    for (char *c = origin; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    char *port = strrchr(origin, ':');
    if (strcmp(port, strncmp(origin, "https", 5) == 0 ? ":443" : ":80") == 0)
        *port = '\0';
}

// Several lines add up, because a line of the file is short.
static bool set_origins(struct site_setting *site, const char *text, char why[static WHY_SIZE]) {
    char words[ORIGINS_MAX * 256], *rest = words;
    if (!text[strspn(text, " ")])
        return fail(why, "origins: none is named; without the line the site's name decides");
    snprintf(words, sizeof words, "%s", text);
    for (char *word; (word = strsep(&rest, " "));) {
        if (!*word)
            continue;
        if (site->origin_count == ORIGINS_MAX || !origin_valid(word))
            return fail(why, "origins: at most 16 of the form https://host[:port], separated by spaces");
        origin_fold(word);
        snprintf(site->origins[site->origin_count++], sizeof site->origins[0], "%s", word);
    }
    return true;
}

struct bytes site_url_origin(const char *site_url) {
    const char *slash = strchr(strchr(site_url, '/') + 2, '/');
    return (struct bytes){site_url, slash ? (size_t)(slash - site_url) : strlen(site_url)};
}

// An origin, and perhaps a path. A query or a fragment would be no home page to add a path to.
static bool set_site_url(struct site_setting *site, const char *text, char why[static WHY_SIZE]) {
    static const char path_characters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=:@/%";
    char origin[256];
    const char *host = strstr(text, "://"), *path = host ? strchr(host + 3, '/') : NULL;
    snprintf(origin, sizeof origin, "%.*s", path ? (int)(path - text) : 255, text);
    if (strlen(text) >= sizeof site->site_url - 1 || !origin_valid(origin) ||
        (path && path[strspn(path, path_characters)]))
        return fail(why, "site_url: of the form https://host[:port][/path], at most 254 characters");
    origin_fold(origin);
    snprintf(site->site_url, sizeof site->site_url, "%.255s", origin);
    size_t len = strlen(site->site_url);
    snprintf(site->site_url + len, sizeof site->site_url - len, "%s", path ? path : "/");
    return true;
}

static bool set_key(struct site_setting *site, const char *text, char why[static WHY_SIZE]) {
    if (site->secret_key[0])
        return fail(why, "secret_key and secret_key_file: only one of them may be set");
    if (strlen(text) >= sizeof site->secret_key || !bearer_valid(text))
        return fail(why, "secret_key: at most 255 visible ASCII characters, or sha256: and 64 hex digits");
    snprintf(site->secret_key, sizeof site->secret_key, "%s", text);
    bearer_fold(site->secret_key);
    return true;
}

bool site_set(struct settings *settings, const char *key, const char *text, char why[static WHY_SIZE]) {
    char secret[GIVEN_SECRET_MAX + 1];
    struct site_setting *site = &settings->site_list[settings->site_count - 1];
    if (strcmp(key, "origins") == 0)
        return set_origins(site, text, why);
    if (strcmp(key, "site_url") == 0)
        return set_site_url(site, text, why);
    if (strcmp(key, "secret_key") == 0) {
        site->like_hash = key_like_hash(text);
        return set_key(site, text, why);
    }
    if (strcmp(key, "secret_key_file") == 0)
        return secret_from_file(settings, text, secret, why) && set_key(site, secret, why);
    if (strncmp(key, "key.", 4) == 0)
        return site_key_set(site, key + 4, text, why);
    return fail(why, "a site has the settings secret_key, secret_key_file, key.NAME, origins and site_url");
}

// ---- In the end

bool settings_split_kinds(struct settings *settings, char why[static WHY_SIZE]) {
    char words[sizeof settings->kinds], *rest = words;
    memcpy(words, settings->kinds, sizeof words);
    settings->kind_count = 0;
    for (char *word; (word = strsep(&rest, " "));) {
        if (!*word)
            continue;
        if (settings->kind_count == KINDS_MAX || !section_name_valid(word) || settings_kind(settings, word) >= 0)
            return fail(why, "kinds: 1 to 8 different names of A-Z a-z 0-9 _ . -");
        snprintf(settings->kind_names[settings->kind_count++], NAME_SIZE, "%s", word);
    }
    return settings->kind_count ? true : fail(why, "kinds: at least one kind of vote is needed");
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct site_setting *)a)->name, ((const struct site_setting *)b)->name);
}

// What has no effect was meant otherwise.
static bool redis_finish(const struct settings *settings, char why[static WHY_SIZE]) {
    if (settings->redis_password[0] && strncmp(settings->redis, "embedded:", 9) == 0)
        return fail(why, "redis_password: redis is embedded, which has none");
    if (settings->wait_replicas_strict && !settings->wait_replicas)
        return fail(why, "wait_replicas_strict: wait_replicas is 0, so no replica is waited for");
    if (strncmp(settings->redis, "sentinel://", 11) == 0)
        return !settings->sentinel_user[0] || settings->sentinel_password[0] ||
               fail(why, "sentinel_user: it needs sentinel_password");
    if (settings->sentinel_user[0] || settings->sentinel_password[0])
        return fail(why, settings->sentinel_user[0] ? "sentinel_user: redis is not sentinel://"
                                                    : "sentinel_password: redis is not sentinel://");
    return true;
}

bool settings_finish(struct settings *settings, char why[static WHY_SIZE]) {
    value_set_by_address(settings);
    if (!secrets_finish(settings, why) || !tls_finish(settings, why))
        return false;
    if (!rankings_finish(settings, why))
        return false;
    if (settings->site_count)
        qsort(settings->site_list, settings->site_count, sizeof settings->site_list[0], by_name);
    if (!site_keys_finish(settings, why))
        return false;
    if (settings->head_limit < settings->request_line_limit)
        return fail(why, "head_limit: less than request_line_limit");
    return redis_finish(settings, why) && listeners_finish(settings, why);
}

void settings_print_sections(const struct settings *settings) {
    for (uint32_t i = 0; i < settings->ranking_count; i++)
        ranking_print(settings, &settings->rankings[i]);
    lists_print(settings);
    for (uint32_t i = 0; i < settings->site_count; i++) {
        const struct site_setting *site = &settings->site_list[i];
        printf("\n[site %s]\n%s", site->name, site->secret_key[0] ? "secret_key = (set)\n" : "");
        for (uint32_t j = 0; j < site->key_count; j++)
            printf("key.%s = (set)\n", site->keys[j].name);
        for (uint32_t j = 0; j < site->origin_count; j++)
            printf("origins = %s\n", site->origins[j]);
        if (site->site_url[0])
            printf("site_url = %s\n", site->site_url);
    }
}

const struct site_setting *settings_site(const struct settings *settings, struct bytes name) {
    char text[NAME_SIZE];
    if (settings->site_count == 0 || name.len >= sizeof text)
        return NULL;
    memcpy(text, name.at, name.len);
    text[name.len] = '\0';
    struct site_setting wanted;
    snprintf(wanted.name, sizeof wanted.name, "%s", text);
    return bsearch(&wanted, settings->site_list, settings->site_count, sizeof wanted, by_name);
}
