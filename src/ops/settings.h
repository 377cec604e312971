// SPDX-License-Identifier: MIT
// All settings of the service. They come from `--some-name VALUE`, then ENGAGED_SOME_NAME, then a `--config FILE`
// (INI); the first of these that names a setting wins. settings.def is the one list: --help and --print-config come
// from it, the example configuration and the docs are checked against it. The program does not start with a wrong name
// or value, and the error names the place. To add a setting, add its row there.
#pragma once
#include "base/bytes.h"
#include "base/list_rules.h"
#include "ops/given_files.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SETTINGS_MAX = 128 }; // room for them
enum { KINDS_MAX = 8, RANKINGS_MAX = 32, SITES_MAX = 1024, ORIGINS_MAX = 16, NAME_SIZE = 64 };
enum { SITE_KEYS_MAX = 16, SITE_KEY_NAME_SIZE = 32, KEY_DIGEST_SIZE = 65 };
#define UNNAMED_KEY "secret_key" // the name of the key of this setting, which no key.NAME may have

// An item has a decayed sum for each half-life: one for a decayed ranking, two for a rising one (half_life and four
// times it), and one for the popularity of its site.
enum { SETTING_HALF_LIVES_MAX = 16 };
#define POPULAR_HALF_LIFE_MS (INT64_C(6) * 3600 * 1000)

enum ranking_type { RANKING_DECAYED, RANKING_RISING, RANKING_BEST, RANKING_TOTAL, RANKING_WINDOW };

// A [ranking NAME] section. Without any such section there are default rankings (settings_rankings.c); with one or
// more, only those.
struct ranking_setting {
    char name[NAME_SIZE];
    enum ranking_type type;
    int64_t half_life_ms; // of decayed and rising rankings
    bool half_life_given; // the section has the line; it is an error for the other types
    char window[8];       // of a window ranking: 24h, 7d, 30d, today, week or month
    bool window_given;    // like half_life_given
    // By kind, in the order of `kinds`. The default is 1 each; when `votes` names some kinds, the others have 0.
    double vote_weight[KINDS_MAX];
    double view_weight;    // the default is VIEW_WEIGHT
    uint32_t floor;        // an item with fewer events has no place
    int64_t oldest_age_ms; // 0: any age
    struct list_rules rules;
};

// The other lists that have rules, each in a section [list NAME].
enum { RULED_RELATED, RULED_RECOMMENDATION, RULED_LISTS };

// A line key.NAME of a site. Only the hash of the key is kept.
struct site_key {
    char name[SITE_KEY_NAME_SIZE];
    char sha256[KEY_DIGEST_SIZE]; // in lower-case hex
    bool like_hash;               // it was written as 64 hex digits, without sha256:
};

// A [site NAME] section.
struct site_setting {
    char name[NAME_SIZE];
    char secret_key[256];                // empty: the site uses the general key
    bool like_hash;                      // secret_key was written so in the file of settings
    struct site_key keys[SITE_KEYS_MAX]; // besides it
    uint32_t key_count;
    char origins[ORIGINS_MAX][256]; // exact origins
    uint32_t origin_count;
    char site_url[256]; // the home page, whose origin makes rooted links absolute; empty: not set
};

// With this publisher_listen the operators' listener takes the publisher's calls.
#define PUBLISHERS_ON_OPS "ops_listen"

// A setting with choices is an enum: enum bots_setting { BOTS_DROP, … }.
#define CHOICE(name, preset, words, help) enum name##_setting{words};
#define WORD(id, text) id,
#include "ops/settings.def"

struct settings {
#define TEXT(name, size, form, preset, help) char name[size];
#define CHOICE(name, preset, words, help) enum name##_setting name;
#define NUMBER(name, low, high, preset, help) int64_t name;
#define SECONDS(name, low, high, preset, help) int64_t name##_s;
#define DURATION(name, low, high, preset, help) int64_t name##_ms;
#define SIZE(name, low, high, preset, help) int64_t name;
#define SWITCH(name, preset, help) bool name;
#include "ops/settings.def"
    bool given[SETTINGS_MAX];              // by its number in the table: a source has set it
    char kind_names[KINDS_MAX][NAME_SIZE]; // the words of `kinds`
    uint32_t kind_count;
    struct ranking_setting rankings[RANKINGS_MAX];
    uint32_t ranking_count;
    struct list_rules lists[RULED_LISTS];
    bool lists_given[RULED_LISTS];  // there is such a section
    int list_opened;                // the section that is being read
    struct site_setting *site_list; // sorted by name
    uint32_t site_count;
    struct given_file *files; // the content of the files that settings name
    bool like_hash;           // secret_key was written as 64 hex digits in the file of settings
    bool accept_time_zone;    // --accept-time-zone: a start may change time_zone
    const char *config_file;  // the path as it was given, part of argv or the environment; NULL: there is none
};

// Reads all three sources. On failure it returns false, and `ret_error` has one line that names the place ("--worker:
// no such setting", "engaged.conf:12: …").
bool settings_read(struct settings *settings, int argc, char **argv, char **environment, char *ret_error,
                   size_t error_size);
void settings_release(struct settings *settings);
// Both write to stdout, for --help and --print-config.
void settings_print_help(void);
void settings_print_config(const struct settings *settings);
bool settings_use_tls(const struct settings *settings); // with Redis: rediss:// or redis_tls
// "https://host[:port]" of a site_url.
struct bytes site_url_origin(const char *site_url);
bool site_key_name_valid(const char *name);
// A line for each key of the file that looks like a hash without its sha256:, and is the key itself.
void site_keys_warn(const struct settings *settings, void (*on_warning)(const char *line));
// The section of a site; NULL: it has none.
const struct site_setting *settings_site(const struct settings *settings, struct bytes name);
