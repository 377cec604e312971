// SPDX-License-Identifier: MIT
// Spells keys. A partition's tag is searched once: "e" and the number, then letters, until its slot is in the
// partition's share of the 16,384 slots.
#include "model/keys.h"
#include "base/hex.h"
#include "model/period_ranking.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { SLOTS = 16384, PARTITIONS_MAX = 1024 };

static struct tag {
    char at[TAG_SIZE];
    uint8_t len;
} tags[PARTITIONS_MAX];
static uint32_t partition_count;
static uint16_t slots[PARTITIONS_MAX + PLACES_MORE]; // of each place
static const char *const more_keys[PLACES_MORE] = {
    [PLACE_META] = "engaged:meta", [PLACE_CORRECTING] = "engaged:correcting", [PLACE_CORRECTED] = "engaged:corrected"};

// ---- Slots

static uint16_t crc16_xmodem(const char *at, size_t len) {
    uint16_t crc = 0;
    for (size_t i = 0; i < len; i++) {
        crc = (uint16_t)(crc ^ (uint8_t)at[i] << 8);
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
    }
    return crc;
}

uint16_t key_slot(struct bytes key) {
    const char *open = key.len ? memchr(key.at, '{', key.len) : NULL;
    const char *close = open ? memchr(open, '}', (size_t)(key.at + key.len - open)) : NULL;
    if (close && close > open + 1)
        return crc16_xmodem(open + 1, (size_t)(close - open - 1)) % SLOTS;
    return crc16_xmodem(key.at, key.len) % SLOTS;
}

static bool in_share(const struct tag *tag, uint32_t partition) {
    uint32_t slot = key_slot((struct bytes){tag->at, tag->len});
    return slot * (uint64_t)partition_count / SLOTS == partition;
}

// Tries the number's digits, then "a", "b" … "z", "aa" and so on; takes the first whose slot is in the share.
static void make_tag(struct tag *tag, uint32_t partition) {
    for (uint32_t attempt = 0; attempt < 26 * 26 * 26 * 26; attempt++) {
        char suffix[6] = "";
        size_t len = 0;
        for (uint32_t rest = attempt; rest > 0; rest = (rest - 1) / 26)
            suffix[len++] = (char)('a' + (rest - 1) % 26);
        int size = snprintf(tag->at, TAG_SIZE, "{e%u%s}", partition, suffix);
        tag->len = (uint8_t)size;
        if (size < TAG_SIZE && in_share(tag, partition))
            return;
    }
    assert(!"a tag is found within some thousand attempts");
}

void keys_init(uint32_t partitions) {
    assert(partitions >= 1 && partitions <= PARTITIONS_MAX);
    partition_count = partitions;
    for (uint32_t i = 0; i < partitions; i++)
        make_tag(&tags[i], i);
    for (uint32_t i = 0; i < partitions; i++)
        slots[i] = key_slot((struct bytes){tags[i].at, tags[i].len});
    for (int i = 0; i < PLACES_MORE; i++)
        slots[place_more(i)] = key_slot(bytes_of(more_keys[i]));
}

uint32_t keys_partitions(void) {
    return partition_count;
}

struct bytes key_tag(uint32_t partition) {
    return (struct bytes){tags[partition].at, tags[partition].len};
}

uint32_t keys_places(void) {
    return partition_count + PLACES_MORE;
}

uint32_t place_more(int which) {
    return partition_count + (uint32_t)which;
}

uint16_t key_place_slot(uint32_t place) {
    return slots[place];
}

struct bytes key_bytes(const struct key *key) {
    return (struct bytes){key->at, key->len};
}

// ---- Spelling

static void add(struct key *key, const void *data, size_t len) {
    assert(key->len + len <= KEY_TEXT_MAX);
    memcpy(key->at + key->len, data, len);
    key->len = (uint16_t)(key->len + len);
}

static void add_ref(struct key *key, ref_t ref) {
    char text[HEX_DIGITS];
    hex_of_u64(ref, text);
    add(key, text, sizeof text);
}

static void begin(struct key *key, uint32_t partition, const char *name) {
    key->len = 0;
    key->place = (uint16_t)partition;
    add(key, tags[partition].at, tags[partition].len);
    add(key, name, strlen(name));
}

static void begin_ref(struct key *key, const char *name, ref_t ref) {
    begin(key, partition_of(ref, partition_count), name);
    add_ref(key, ref);
}

void key_item(struct key *key, ref_t item) {
    begin_ref(key, "i", item);
}

void key_card(struct key *key, ref_t item) {
    begin_ref(key, "c", item);
}

void key_voters(struct key *key, ref_t item, uint32_t bucket) {
    char capacity[DECIMAL_SIZE];
    struct bytes number = bytes_of_int(bucket, capacity);
    begin_ref(key, "v", item);
    add(key, ":", 1);
    add(key, number.at, number.len);
}

void key_sums(struct key *key, ref_t item) {
    begin_ref(key, "s", item);
}

void key_neighbours(struct key *key, ref_t item) {
    begin_ref(key, "n", item);
}

void key_uniques(struct key *key, ref_t item) {
    begin_ref(key, "u", item);
}

void key_history(struct key *key, ref_t visitor, bool anonymous) {
    begin_ref(key, anonymous ? "a" : "h", visitor);
}

void key_to_other_history(struct key *key) {
    char *letter = &key->at[key->len - HEX_DIGITS - 1];
    *letter = *letter == 'a' ? 'h' : 'a';
}

void key_ranking(struct key *key, uint32_t partition, ref_t site, struct bytes name, const ref_t *category) {
    begin(key, partition, "r");
    add_ref(key, site);
    add(key, ":", 1);
    add(key, name.at, name.len);
    if (category) {
        add(key, ":", 1);
        add_ref(key, *category);
    }
}

void key_ranking_no_card(struct key *key, uint32_t partition, ref_t site, struct bytes name) {
    key_ranking(key, partition, site, name, NULL);
    add(key, ":no-card", 8);
}

void key_site_total(struct key *key, uint32_t partition, ref_t site) {
    begin(key, partition, "t");
    add_ref(key, site);
}

void key_editorial(struct key *key, ref_t site) {
    begin_ref(key, "e", site);
}

void key_audit(struct key *key, ref_t site) {
    begin_ref(key, "k", site);
}

void key_audit_counts(struct key *key, ref_t site) {
    key_audit(key, site);
    add(key, ":sums", 5);
}

void key_dead(struct key *key, uint32_t partition) {
    begin(key, partition, "dead");
}

void key_gone(struct key *key, uint32_t partition) {
    begin(key, partition, "gone");
}

void key_log(struct key *key, uint32_t partition) {
    begin(key, partition, "log");
}

const char *projection_name(enum projection projection) {
    static const char *const names[] = {[PROJECTION_SUMS] = "sums", [PROJECTION_NEIGHBOURS] = "neighbours"};
    return names[projection];
}

void key_applied(struct key *key, uint32_t partition, enum projection projection) {
    begin(key, partition, projection == PROJECTION_SUMS ? "sums" : "near");
}

void key_offsets(struct key *key, uint32_t partition) {
    begin(key, partition, "pos");
}

void gap_field(ref_t site, char ret_field[static GAP_FIELD_SIZE]) {
    snprintf(ret_field, GAP_FIELD_SIZE, "gap%016" PRIx64, site);
}

void key_cutoffs(struct key *key, uint32_t partition) {
    begin(key, partition, "floor");
}

void key_period_cutoffs(struct key *key, uint32_t partition, struct period period) {
    char name[CALENDAR_NAME_SIZE];
    calendar_name(period.grain, period.number, name);
    begin(key, partition, "floor@");
    add(key, name, strlen(name));
}

void key_periods(struct key *key, uint32_t partition) {
    begin(key, partition, "periods");
}

void key_absent(struct key *key, uint32_t partition) {
    begin(key, partition, "absent");
}

static void spell(struct key *key, int which) {
    key->len = 0;
    key->place = (uint16_t)place_more(which);
    add(key, more_keys[which], strlen(more_keys[which]));
}

void key_corrections(struct key *key, bool done) {
    spell(key, done ? PLACE_CORRECTED : PLACE_CORRECTING);
}

void key_meta(struct key *key) {
    spell(key, PLACE_META);
}

static void spell_beside_meta(struct key *key, const char *text) {
    key->len = 0;
    key->place = (uint16_t)place_more(PLACE_META);
    add(key, text, strlen(text));
}

void key_meta_copy(struct key *key) {
    spell_beside_meta(key, "engaged:copy{engaged:meta}");
}

void key_machines(struct key *key) {
    spell_beside_meta(key, "engaged:machines{engaged:meta}");
}

// ---- Reading back

static int digit_of(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool key_parse(struct bytes key, char letter, ref_t *ret_ref) {
    const char *close = key.len ? memchr(key.at, '}', key.len) : NULL;
    if (!close || key.at + key.len - close != 2 + HEX_DIGITS || close[1] != letter)
        return false;
    ref_t ref = 0;
    for (int i = 0; i < HEX_DIGITS; i++) {
        int digit = digit_of(close[2 + i]);
        if (digit < 0)
            return false;
        ref = ref << 4 | (ref_t)digit;
    }
    const struct tag *tag = &tags[partition_of(ref, partition_count)];
    if (!bytes_starts(key, (struct bytes){tag->at, tag->len}))
        return false;
    *ret_ref = ref;
    return true;
}

bool key_partition(struct bytes key, uint32_t *ret_partition) {
    uint32_t number = 0;
    if (!bytes_starts(key, BYTES("{e")))
        return false;
    for (size_t i = 2; i < key.len && key.at[i] >= '0' && key.at[i] <= '9' && number < partition_count; i++)
        number = number * 10 + (uint32_t)(key.at[i] - '0');
    if (number >= partition_count || !bytes_starts(key, (struct bytes){tags[number].at, tags[number].len}))
        return false;
    *ret_partition = number;
    return true;
}

static struct bytes before_byte(struct bytes text, char byte, struct bytes *ret_rest) {
    const char *at = text.len ? memchr(text.at, byte, text.len) : NULL;
    size_t len = at ? (size_t)(at - text.at) : text.len;
    *ret_rest = at ? (struct bytes){at + 1, text.len - len - 1} : NO_BYTES;
    return (struct bytes){text.at, len};
}

// What stands behind the site: name, period and category.
static bool split_ranking(struct bytes key, struct bytes *ret_name, struct bytes *ret_period, struct bytes *ret_part) {
    const char *close = key.len ? memchr(key.at, '}', key.len) : NULL, *end = key.at + key.len;
    if (!close || end - close <= 3 + HEX_DIGITS || close[1] != 'r' || close[2 + HEX_DIGITS] != ':')
        return false;
    const char *name = close + 3 + HEX_DIGITS;
    struct bytes whole = before_byte((struct bytes){name, (size_t)(end - name)}, ':', ret_part);
    *ret_name = before_byte(whole, '@', ret_period);
    return true;
}

bool key_parse_ranking(struct bytes key, uint32_t *ret_partition, struct bytes *ret_name, struct bytes *ret_period) {
    struct bytes part;
    return split_ranking(key, ret_name, ret_period, &part) && key_partition(key, ret_partition);
}

bool key_parse_period(struct bytes key, enum period_key *ret_kind, struct period *ret_period) {
    struct bytes name, period, part, rest;
    if (split_ranking(key, &name, &period, &part)) {
        bool whole = part.len == 0 || bytes_eq(part, BYTES("no-card"));
        *ret_kind = whole ? PERIOD_KEY_SET : PERIOD_KEY_PART;
        return calendar_parse(period, &ret_period->grain, &ret_period->number);
    }
    *ret_kind = PERIOD_KEY_CUTOFFS;
    before_byte(key, '}', &rest);
    return bytes_eq(before_byte(rest, '@', &period), BYTES("floor")) &&
           calendar_parse(period, &ret_period->grain, &ret_period->number);
}

// ---- Kinds

// A key has a letter and a reference, which begins with a hex digit. The partitions' own keys have names.
enum key_kind key_kind_of(struct bytes key) {
    static const struct {
        char letter;
        enum key_kind kind;
    } letters[] = {{'i', KEY_ITEMS},      {'c', KEY_CARDS},   {'v', KEY_VOTERS},     {'s', KEY_SUMS},
                   {'n', KEY_NEIGHBOURS}, {'u', KEY_UNIQUES}, {'h', KEY_HISTORIES},  {'a', KEY_HISTORIES},
                   {'r', KEY_RANKINGS},   {'t', KEY_TOTALS},  {'e', KEY_EDITORIALS}, {'k', KEY_AUDITS}};
    const char *close = key.len && key.at[0] == '{' ? memchr(key.at, '}', key.len) : NULL;
    size_t left = close ? (size_t)(key.at + key.len - close) - 1 : 0;
    if (!left)
        return KEY_OTHER;
    bool has_ref = left >= 1 + HEX_DIGITS;
    for (size_t i = 1; has_ref && i <= HEX_DIGITS; i++)
        has_ref = digit_of(close[1 + i]) >= 0;
    for (size_t i = 0; has_ref && i < sizeof letters / sizeof *letters; i++)
        if (letters[i].letter == close[1])
            return letters[i].kind;
    return has_ref ? KEY_OTHER : KEY_PARTITION;
}

const char *key_kind_name(enum key_kind kind) {
    static const char *const names[KEY_KINDS] = {[KEY_ITEMS] = "items",
                                                 [KEY_CARDS] = "cards",
                                                 [KEY_VOTERS] = "voters (buckets)",
                                                 [KEY_SUMS] = "sums",
                                                 [KEY_NEIGHBOURS] = "neighbours",
                                                 [KEY_UNIQUES] = "unique visitors",
                                                 [KEY_HISTORIES] = "histories of visitors",
                                                 [KEY_RANKINGS] = "rankings",
                                                 [KEY_TOTALS] = "sites' totals",
                                                 [KEY_EDITORIALS] = "editorial",
                                                 [KEY_AUDITS] = "audit log",
                                                 [KEY_PARTITION] = "logs and applied ids",
                                                 [KEY_OTHER] = "other"};
    return names[kind];
}
