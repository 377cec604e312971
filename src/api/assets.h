// SPDX-License-Identifier: MIT
// The files of src/web that the program contains: the widget, the pages, the contract. The build embeds them.
#pragma once
#include "http/body.h"
#include <stddef.h>

struct asset_source {
    const char *name; // file name in src/web
    const char *at, *end;
};
extern const struct asset_source asset_sources[]; // generated, sorted by name
extern const size_t asset_source_count;

enum { ASSETS_MAX = 32 };

// The embedded file; at == NULL: no such file.
struct bytes asset_text(const char *name);

// Finished bodies of all of them, in the order of asset_sources. A worker makes them once.
struct assets {
    struct body *bodies[ASSETS_MAX];
};
bool assets_make(struct assets *assets, int64_t now_ms); // false without memory
void assets_release(struct assets *assets);
const struct body *asset_find(const struct assets *assets, const char *name); // NULL: no such file
