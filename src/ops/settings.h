// SPDX-License-Identifier: MIT
// All settings of the service: read from `--some-name VALUE`, ENGAGED_SOME_NAME and a `--config FILE` (INI), in that
// order of precedence. settings.def is the one list; help, --print-config, the example configuration and the docs come
// from it or are checked against it. A wrong name or value refuses to start and names its place. To add a setting, add
// its line there.
#pragma once
#include "base/bytes.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KINDS_MAX = 8, RANKINGS_MAX = 32, SITES_MAX = 1024, ORIGINS_MAX = 16, NAME_SIZE = 64 };

// A decayed sum is kept of each item for each half-life: of decayed rankings one, of rising ones also its fourfold, and
// one of a site's popularity.
enum { SETTING_HALF_LIVES_MAX = 16 };
#define POPULAR_HALF_LIFE_MS (INT64_C(6) * 3600 * 1000)

enum ranking_type { RANKING_DECAYED, RANKING_RISING, RANKING_BEST, RANKING_TOTAL };

// A [ranking NAME] section. Without any section the five defaults hold; with any, just those that
// are written.
struct ranking_setting {
    char name[NAME_SIZE];
    enum ranking_type type;
    int64_t half_life_ms;          // decayed and rising
    bool half_life_given;          // in the configuration: refused for the other types
    double vote_weight[KINDS_MAX]; // by kind, in the order of `kinds`; default 1 for each; once some are named the
                                   // others are 0
    double view_weight;            // default 0.1 ... see settings.c for why
    uint32_t floor;                // events of evidence needed
    int64_t oldest_age_ms;         // 0: any age
};

// A [site NAME] section.
struct site_setting {
    char name[NAME_SIZE];
    char secret_key[256];           // empty: the general one
    char origins[ORIGINS_MAX][256]; // exact origins; none: writes from any
    uint32_t origin_count;
};

// The value of publisher_listen that means: the operators' listener takes the publisher's calls.
#define PUBLISHERS_ON_OPS "ops_listen"

struct settings {
#define TEXT(name, size, preset, help) char name[size];
#define NUMBER(name, low, high, preset, help) int64_t name;
#define DURATION(name, low, high, preset, help) int64_t name##_ms;
#define SIZE(name, low, high, preset, help) int64_t name;
#define SWITCH(name, preset, help) bool name;
#include "ops/settings.def"
#undef TEXT
#undef NUMBER
#undef DURATION
#undef SIZE
#undef SWITCH
    char kind_names[KINDS_MAX][NAME_SIZE]; // from `kinds`
    uint32_t kind_count;
    struct ranking_setting rankings[RANKINGS_MAX];
    uint32_t ranking_count;
    struct site_setting *site_list; // sorted by name
    uint32_t site_count;
    const char *config_file; // as given; NULL: none. Lives as long as argv and the environment
};

// Reads all three sources. On failure: false and one line in `ret_error` that names the place ("--worker: no such
// setting", "engaged.conf:12: …").
bool settings_read(struct settings *settings, int argc, char **argv, char **environment, char *ret_error,
                   size_t error_size);
void settings_release(struct settings *settings);
// For --help, --print-config and `make` targets: written to stdout.
void settings_print_help(void);
void settings_print_config(const struct settings *settings);
const struct site_setting *settings_site(const struct settings *settings, struct bytes name); // NULL when not declared
