// SPDX-License-Identifier: MIT
// Reads JSON objects into C structs, by a table of fields. json_in.c is the only reader of JSON and the only file that
// knows jansson.
//
// The text must be valid UTF-8 of at most 8 levels. A known field that occurs twice is REPEATED_PARAMETER. A field of a
// wrong type, out of its range, or with a NUL in its text is BAD_FIELD with the field's name as detail. null means
// absent. An unknown field is UNKNOWN_PARAMETER when strict (twice: REPEATED_PARAMETER), else it is ignored and
// counted.
#pragma once
#include "base/arena.h"
#include "base/outcome.h"
#include <stdint.h>

enum json_type {
    JSON_IN_TEXT,   // struct bytes; no controls; at == NULL when absent
    JSON_IN_TITLE,  // the same for titles and names: controls and runs of white space become one space
    JSON_IN_TIME,   // struct json_time: RFC 3339 text or Unix seconds, from 1970 on
    JSON_IN_DATE,   // the same, also before
    JSON_IN_COUNT,  // struct json_count: a whole number up to 2^52
    JSON_IN_TEXTS,  // struct json_texts: an array of at most 8 distinct texts
    JSON_IN_TITLES, // the same of titles
    JSON_IN_MANY,   // struct json_many: an array of at most `max` texts of any length and content
    JSON_IN_COUNTS, // struct json_counts: an object of at most 8 counts by name
    JSON_IN_NUMBER, // struct json_number: finite
    JSON_IN_SWITCH, // bool; false when absent
    JSON_IN_OBJECT, // bool given, the object's fields by `fields` into the same struct
};

struct json_time {
    bool given;
    int64_t unix_ms;
};
struct json_count {
    bool given;
    uint64_t value;
};
struct json_number {
    bool given;
    double value;
};
enum { JSON_LIST_MAX = 8 };
struct json_texts {
    bool given;
    uint32_t count;
    struct bytes at[JSON_LIST_MAX];
};
struct json_many {
    uint32_t count;
    struct bytes *at; // in the arena
};
struct json_counts {
    uint32_t count;
    struct bytes names[JSON_LIST_MAX];
    uint64_t values[JSON_LIST_MAX];
};

struct json_field {
    const char *name;
    enum json_type type;
    size_t offset;                   // in the target
    size_t least, max;               // characters of a text, which has four bytes each at most; texts of JSON_IN_MANY
    enum outcome wrong;              // for a wrong value; OK: BAD_FIELD
    const struct json_field *fields; // of an object; a table ends with a NULL name
};

// Checks that these are the members of an object, without braces; none is fine. It is for members that we keep and send
// out unchanged. OK, BAD_JSON, or UNAVAILABLE without memory.
enum outcome json_check_members(struct bytes members) MUST_CHECK;
// Reads `body` into `target`, whose fields must be zeroed before. Texts are copied into the arena.
// An empty body reads as an empty object.
enum outcome json_read(struct bytes body, const struct json_field *fields, bool strict, void *target,
                       struct arena *arena, const char **ret_detail) MUST_CHECK;
// The same for a text that we wrote: unknown members are ignored, and not counted.
enum outcome json_read_known(struct bytes body, const struct json_field *fields, void *target, struct arena *arena,
                             const char **ret_detail) MUST_CHECK;
