// SPDX-License-Identifier: MIT
// The widget, the pages and the contract as finished bodies. pages.c answers the calls for them.
#include "api/assets.h"
#include <fnmatch.h>

// The first row that fits counts. The parts of one page must be of one version, so browsers revalidate them every time;
// most answers are 304.
static const struct {
    const char *pattern, *media_type, *fields;
} types[] = {
    {"dashboard*.js", "text/javascript; charset=utf-8",
     "Cache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\n"},
    {"dashboard*.css", "text/css; charset=utf-8", "Cache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\n"},
    {"*.js", "text/javascript; charset=utf-8",
     "Cache-Control: public, max-age=300, stale-while-revalidate=86400\r\nAccess-Control-Allow-Origin: *\r\n"
     "Cross-Origin-Resource-Policy: cross-origin\r\n"},
    {"*.json", "application/json", "Cache-Control: public, max-age=300\r\nAccess-Control-Allow-Origin: *\r\n"},
    // Our pages run only our own scripts.
    {"*.html", "text/html; charset=utf-8",
     "Cache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
     "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' https: data:; "
     "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'\r\n"},
    {"*.mjs", "text/javascript; charset=utf-8",
     "Cache-Control: public, max-age=300, stale-while-revalidate=86400\r\nAccess-Control-Allow-Origin: *\r\n"
     "Cross-Origin-Resource-Policy: cross-origin\r\n"},
    {"*.d.ts", "text/plain; charset=utf-8", "Cache-Control: public, max-age=300\r\nAccess-Control-Allow-Origin: *\r\n"},
    {"*.css", "text/css; charset=utf-8", "Cache-Control: public, max-age=300\r\n"},
    {"*.svg", "image/svg+xml",
     "Cache-Control: public, max-age=86400\r\nContent-Security-Policy: default-src 'none'; style-src "
     "'unsafe-inline'\r\n"},
};

static struct body *make(const struct asset_source *source, int64_t now_ms) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (fnmatch(types[i].pattern, source->name, 0) != 0)
            continue;
        struct body *body = body_new((struct bytes){source->at, (size_t)(source->end - source->at)},
                                     types[i].media_type, bytes_of(types[i].fields), 0);
        if (body)
            body_checked(body, now_ms);
        return body;
    }
    return NULL;
}

bool assets_make(struct assets *assets, int64_t now_ms) {
    for (size_t i = 0; i < asset_source_count && i < ASSETS_MAX; i++)
        if (!(assets->bodies[i] = make(&asset_sources[i], now_ms)))
            return false;
    return asset_source_count <= ASSETS_MAX;
}

void assets_release(struct assets *assets) {
    for (size_t i = 0; i < ASSETS_MAX; i++)
        if (assets->bodies[i])
            body_release(assets->bodies[i]);
}

struct bytes asset_text(const char *name) {
    for (size_t i = 0; i < asset_source_count; i++)
        if (strcmp(asset_sources[i].name, name) == 0)
            return (struct bytes){asset_sources[i].at, (size_t)(asset_sources[i].end - asset_sources[i].at)};
    return NO_BYTES;
}

const struct body *asset_find(const struct assets *assets, const char *name) {
    for (size_t i = 0; i < asset_source_count; i++)
        if (strcmp(asset_sources[i].name, name) == 0)
            return assets->bodies[i];
    return NULL;
}
