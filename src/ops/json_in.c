// SPDX-License-Identifier: MIT
// jansson reads the text; the table of fields says where each value is stored.
#include "ops/json_in.h"
#include "base/buffer.h"
#include "base/times.h"
#include "ops/json_plain.h"
#include "ops/json_scan.h"
#include "ops/metrics.h"
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { DETAIL_SIZE = 160, NAME_SHOWN = 64 };
#define COUNT_MAX (INT64_C(1) << 52) // with as much again it is still a whole number to a browser

enum unknown { UNKNOWN_REFUSED, UNKNOWN_COUNTED, UNKNOWN_PASSED };

struct json_reading {
    enum unknown unknown;
    char *target;
    struct arena *arena;
    const char **ret_detail;
};

static enum outcome read_object(const struct json_reading *reading, json_t *object, const struct json_field *fields);

// Tells the sender what is wrong with a field: "title: 600 characters, at most 500". The first message stays.
__attribute__((format(printf, 2, 3))) static void say(const struct json_reading *reading, const char *format, ...) {
    char text[DETAIL_SIZE];
    va_list values;
    if (*reading->ret_detail)
        return;
    va_start(values, format);
    int len = vsnprintf(text, sizeof text, format, values);
    va_end(values);
    size_t kept = len < 0 ? 0 : (size_t)len < sizeof text ? (size_t)len : sizeof text - 1;
    *reading->ret_detail = arena_copy(reading->arena, (struct bytes){text, kept}).at; // ends with a NUL
}

// ---- Values by type: OK, BAD_FIELD, or UNAVAILABLE without memory

static enum outcome copy_text(const struct json_reading *reading, json_t *value, const struct json_field *field,
                              struct bytes *ret_text) {
    struct bytes text = {json_string_value(value), json_string_length(value)};
    bool folds = field->type == JSON_IN_TITLE || field->type == JSON_IN_TITLES;
    if (!json_is_string(value))
        return BAD_FIELD;
    if (!folds && !bytes_are_text(text)) {
        say(reading, "%s: control characters are not allowed", field->name);
        return BAD_FIELD;
    }
    char *copy = arena_take(reading->arena, text.len + 1);
    if (!copy)
        return UNAVAILABLE;
    memcpy(copy, text.at, text.len);
    text = (struct bytes){copy, folds ? bytes_fold_blanks(copy, text.len) : text.len};
    size_t count = bytes_characters(text);
    *ret_text = text;
    if (count > field->max)
        say(reading, "%s: %zu characters, at most %zu", field->name, count, field->max);
    else if (count < field->least)
        say(reading, "%s: %zu characters, at least %zu", field->name, count, field->least);
    else
        return OK;
    return BAD_FIELD;
}

static enum outcome read_text(const struct json_reading *reading, json_t *value, const struct json_field *field) {
    return copy_text(reading, value, field, (struct bytes *)(void *)(reading->target + field->offset));
}

static enum outcome read_time(const struct json_reading *reading, json_t *value, const struct json_field *field) {
    struct json_time *time = (struct json_time *)(void *)(reading->target + field->offset);
    struct bytes text = {json_string_value(value), json_string_length(value)};
    bool right;
    time->given = true;
    if (json_is_string(value))
        right = time_parse(text, &time->unix_ms);
    else
        right = json_is_number(value) && time_from_seconds(json_number_value(value), &time->unix_ms);
    return right && (field->type == JSON_IN_DATE || time->unix_ms >= 0) ? OK : BAD_FIELD;
}

static bool count_of(const struct json_reading *reading, const struct json_field *field, json_t *value,
                     uint64_t *ret_count) {
    double number = json_is_number(value) ? json_number_value(value) : -1;
    if (number > (double)COUNT_MAX)
        say(reading, "%s: at most %" PRId64, field->name, COUNT_MAX);
    if (!(number >= 0 && number <= (double)COUNT_MAX) || number != floor(number))
        return false;
    *ret_count = (uint64_t)number;
    return true;
}

static enum outcome read_count(const struct json_reading *reading, json_t *value, const struct json_field *field) {
    struct json_count *count = (struct json_count *)(void *)(reading->target + field->offset);
    count->given = true;
    return count_of(reading, field, value, &count->value) ? OK : BAD_FIELD;
}

static enum outcome read_number(const struct json_reading *reading, json_t *value, const struct json_field *field) {
    struct json_number *number = (struct json_number *)(void *)(reading->target + field->offset);
    number->given = true;
    number->value = json_number_value(value);
    return json_is_number(value) && isfinite(number->value) ? OK : BAD_FIELD;
}

static enum outcome read_switch(const struct json_reading *reading, json_t *value, const struct json_field *field) {
    *(bool *)(void *)(reading->target + field->offset) = json_is_true(value);
    return json_is_boolean(value) ? OK : BAD_FIELD;
}

static bool fits(const struct json_reading *reading, const struct json_field *field, size_t count, size_t max) {
    if (count > max)
        say(reading, "%s: %zu entries, at most %zu", field->name, count, max);
    return count <= max;
}

static enum outcome read_texts(const struct json_reading *reading, json_t *value, const struct json_field *field) {
    struct json_texts *texts = (struct json_texts *)(void *)(reading->target + field->offset);
    texts->given = true;
    if (!json_is_array(value) || !fits(reading, field, json_array_size(value), JSON_LIST_MAX))
        return BAD_FIELD;
    for (size_t i = 0; i < json_array_size(value); i++) {
        struct bytes *text = &texts->at[texts->count];
        enum outcome outcome = copy_text(reading, json_array_get(value, i), field, text);
        if (outcome != OK)
            return outcome;
        for (uint32_t j = 0; j < texts->count; j++)
            if (bytes_eq(texts->at[j], *text)) {
                say(reading, "%s: one entry is there twice", field->name);
                return BAD_FIELD;
            }
        texts->count++;
    }
    return OK;
}

static enum outcome read_many(const struct json_reading *reading, json_t *value, const struct json_field *field) {
    struct json_many *many = (struct json_many *)(void *)(reading->target + field->offset);
    size_t count = json_array_size(value);
    if (!json_is_array(value) || !fits(reading, field, count, field->max))
        return BAD_FIELD;
    many->at = arena_take(reading->arena, (count + 1) * sizeof *many->at);
    if (!many->at)
        return UNAVAILABLE;
    for (; many->count < count; many->count++) {
        json_t *one = json_array_get(value, many->count);
        struct bytes text = {json_string_value(one), json_string_length(one)}, copy = NO_BYTES;
        if (!json_is_string(one))
            return BAD_FIELD;
        copy = arena_copy(reading->arena, text);
        if (!copy.at)
            return UNAVAILABLE;
        many->at[many->count] = copy;
    }
    return OK;
}

static enum outcome read_counts(const struct json_reading *reading, json_t *value, const struct json_field *field) {
    struct json_counts *counts = (struct json_counts *)(void *)(reading->target + field->offset);
    const char *name;
    json_t *one;
    if (!json_is_object(value) || !fits(reading, field, json_object_size(value), JSON_LIST_MAX))
        return BAD_FIELD;
    json_object_foreach(value, name, one) {
        struct bytes copy = arena_copy(reading->arena, bytes_of(name));
        if (!copy.at)
            return UNAVAILABLE;
        counts->names[counts->count] = copy;
        if (!json_is_null(one) && !count_of(reading, field, one, &counts->values[counts->count++]))
            return BAD_FIELD;
    }
    return OK;
}

static enum outcome read_nested(const struct json_reading *reading, json_t *value, const struct json_field *field) {
    bool *given = (bool *)(void *)(reading->target + field->offset);
    *given = true;
    return json_is_object(value) ? read_object(reading, value, field->fields) : BAD_FIELD;
}

static const struct {
    enum outcome (*read)(const struct json_reading *reading, json_t *value, const struct json_field *field);
    const char *what; // what the value must be
} types[] = {
    [JSON_IN_TEXT] = {read_text, "a text"},
    [JSON_IN_TITLE] = {read_text, "a text"},
    [JSON_IN_TITLES] = {read_texts, "an array of texts"},
    [JSON_IN_TIME] = {read_time, "RFC 3339 or Unix seconds, from 1970 on"},
    [JSON_IN_DATE] = {read_time, "RFC 3339 or Unix seconds"},
    [JSON_IN_COUNT] = {read_count, "a whole number from 0 on"},
    [JSON_IN_TEXTS] = {read_texts, "an array of texts"},
    [JSON_IN_COUNTS] = {read_counts, "an object of whole numbers from 0 on"},
    [JSON_IN_NUMBER] = {read_number, "a number"},
    [JSON_IN_SWITCH] = {read_switch, "true or false"},
    [JSON_IN_OBJECT] = {read_nested, "an object"},
    [JSON_IN_MANY] = {read_many, "an array of texts"},
};

// ---- Objects

static const struct json_field *find(const struct json_field *fields, const char *name) {
    for (; fields->name; fields++)
        if (strcmp(fields->name, name) == 0)
            return fields;
    return NULL;
}

// The text, or a text of the array, holds a NUL: a mistake.
static bool holds_nul(json_t *value) {
    struct bytes text = {json_string_value(value), json_string_length(value)};
    for (size_t i = 0; i < json_array_size(value); i++)
        if (json_is_string(json_array_get(value, i)) && holds_nul(json_array_get(value, i)))
            return true;
    return text.len && memchr(text.at, '\0', text.len);
}

// The length of the longest prefix of whole characters that has at most `max` bytes.
static size_t cut_at_character(const char *text, size_t max) {
    size_t len = strnlen(text, max + 1);
    if (len > max)
        for (len = max; len && ((unsigned char)text[len] & 0xc0) == 0x80;)
            len--;
    return len;
}

static enum outcome read_object(const struct json_reading *reading, json_t *object, const struct json_field *fields) {
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value) {
        const struct json_field *field = find(fields, name);
        if (!field && reading->unknown == UNKNOWN_REFUSED) {
            say(reading, "%.*s: a field that is not known here", (int)cut_at_character(name, NAME_SHOWN), name);
            return UNKNOWN_PARAMETER;
        }
        if (!field) {
            if (reading->unknown == UNKNOWN_COUNTED)
                metric_add(METRIC_UNKNOWN_PARAMETERS, 1);
            continue;
        }
        if (json_is_null(value))
            continue;
        bool nul = holds_nul(value), mistyped = nul || (field->type == JSON_IN_TEXT && !json_is_string(value));
        enum outcome outcome = mistyped ? BAD_FIELD : types[field->type].read(reading, value, field);
        if (outcome == OK)
            continue;
        if (nul)
            say(reading, "%s: a NUL is not allowed", field->name);
        else
            say(reading, "%s: must be %s", field->name, types[field->type].what);
        return outcome == BAD_FIELD && field->wrong != OK && !mistyped ? field->wrong : outcome;
    }
    return OK;
}

// jansson aborts or truncates on a failed malloc in mid-text, so memory for the worst case ("{},") is taken before
// parsing: BYTES_PER_BYTE for each byte of the text.
enum { BYTES_PER_BYTE = 96, BYTES_BESIDE = 4096, ROOM_KEPT = 256 << 10, ALIGNMENT = 16 };

static struct {
    char *at;
    size_t capacity, used;
    bool lacked;
} pool;

static void *take(size_t size) {
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    pool.lacked |= size > pool.capacity - pool.used;
    if (pool.lacked)
        return NULL;
    pool.used += size;
    return pool.at + pool.used - size;
}

static void give_back(void *at) {
    (void)at; // the whole pool is reused for the next text
}

static char *own_pool(size_t capacity) {
    static _Alignas(16) char kept[ROOM_KEPT];
    return capacity <= sizeof kept ? kept : NULL;
}

static enum outcome outcome_of(const json_error_t *error) {
    switch (json_error_code(error)) {
    case json_error_duplicate_key:
        return REPEATED_PARAMETER;
    case json_error_null_byte_in_key:
        return BAD_FIELD;
    default:
        return BAD_JSON;
    }
}

// Parses the text and returns what `read` returns for its root object. BAD_FIELD: the root is no object.
// REPEATED_PARAMETER: `flags` reject a name that occurs twice. Else BAD_JSON, or UNAVAILABLE without memory.
static enum outcome with_root(struct bytes text, size_t flags, enum outcome (*read)(void *context, json_t *root),
                              void *context) {
    size_t capacity = BYTES_PER_BYTE * text.len + BYTES_BESIDE;
    char *large = own_pool(capacity) ? NULL : malloc(capacity);
    pool.at = large ? large : own_pool(capacity);
    pool.capacity = capacity;
    pool.used = 0;
    pool.lacked = !pool.at;
    if (pool.lacked)
        return UNAVAILABLE;
    json_set_alloc_funcs(take, give_back);
    json_error_t error;
    json_t *root =
        json_loadb(text.at, text.len, flags | JSON_ALLOW_NUL | JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &error);
    enum outcome outcome = pool.lacked ? UNAVAILABLE : root ? BAD_FIELD : outcome_of(&error);
    if (json_is_object(root) && !pool.lacked)
        outcome = read(context, root);
    free(large);
    return outcome;
}

struct root_reading {
    const struct json_reading *reading;
    const struct json_field *fields;
};

static enum outcome read_fields(void *context, json_t *root) {
    const struct root_reading *of_root = context;
    return read_object(of_root->reading, root, of_root->fields);
}

static enum outcome read_nothing(void *context, json_t *root) {
    (void)context;
    (void)root;
    return OK;
}

// A field of the table is twice in the outermost object. True also for a name with an escape, as none is decoded here.
static bool repeats_known(struct bytes body, const struct json_field *fields) {
    uint64_t seen = 0;
    struct json_names names = {.body = body};
    for (struct bytes name; json_next_name(&names, &name);) {
        if (memchr(name.at, '\\', name.len))
            return true;
        for (size_t field = 0; fields[field].name; field++) {
            bool same = bytes_eq(name, bytes_of(fields[field].name));
            if (same && seen & UINT64_C(1) << field)
                return true;
            seen |= (uint64_t)same << field;
        }
    }
    return false;
}

static enum outcome read_root(struct bytes body, const struct json_field *fields, struct json_reading reading) {
    struct root_reading root = {&reading, fields};
    *reading.ret_detail = NULL;
    if (body.len == 0)
        return OK;
    if (json_is_deep(body))
        return BAD_JSON;
    enum outcome outcome = with_root(body, JSON_REJECT_DUPLICATES, read_fields, &root);
    if (outcome == REPEATED_PARAMETER && reading.unknown != UNKNOWN_REFUSED && !repeats_known(body, fields))
        outcome = with_root(body, 0, read_fields, &root);
    if (outcome == BAD_FIELD && !*reading.ret_detail)
        *reading.ret_detail = "the body is not an object, or a name in it holds a NUL";
    return outcome;
}

enum outcome json_read(struct bytes body, const struct json_field *fields, bool strict, void *target,
                       struct arena *arena, const char **ret_detail) {
    enum unknown unknown = strict ? UNKNOWN_REFUSED : UNKNOWN_COUNTED;
    return read_root(body, fields, (struct json_reading){unknown, target, arena, ret_detail});
}

enum outcome json_read_known(struct bytes body, const struct json_field *fields, void *target, struct arena *arena,
                             const char **ret_detail) {
    return read_root(body, fields, (struct json_reading){UNKNOWN_PASSED, target, arena, ret_detail});
}

enum outcome json_check_members(struct bytes members) {
    enum { MEMBERS_MAX = 1 << 20 };
    struct buffer object;
    if (members.len == 0 || json_members_are_plain(members))
        return OK;
    buffer_init(&object, MEMBERS_MAX);
    buffer_add_char(&object, '{');
    buffer_add_bytes(&object, members);
    buffer_add_char(&object, '}');
    enum outcome outcome =
        object.failed ? UNAVAILABLE : with_root(buffer_bytes(&object), JSON_REJECT_DUPLICATES, read_nothing, NULL);
    buffer_release(&object);
    return outcome;
}
