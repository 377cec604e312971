// SPDX-License-Identifier: MIT
// Writes JSON into a buffer. It sets commas and escapes; the caller decides the shape. Text must be valid UTF-8
// (checked on input). Controls, quotes, backslashes, U+2028/9 and `</` are escaped, so a value may be inside a
// <script>. A failure is the buffer's.
#pragma once
#include "base/buffer.h"
#include <stdbool.h>
#include <stdint.h>

// State: whether the next value needs a comma before it.
struct json_out {
    struct buffer *buffer;
    bool comma;
};

struct json_out json_out_to(struct buffer *buffer);
void json_open(struct json_out *json, char bracket);  // '{' or '['
void json_close(struct json_out *json, char bracket); // '}' or ']'
void json_key(struct json_out *json, struct bytes key);
void json_text(struct json_out *json, struct bytes text);
void json_int(struct json_out *json, int64_t value);
// Shortest form that reads back as the same double; a value that is not finite is written as null.
void json_number(struct json_out *json, double value);
// Rounded to 12 digits: such a number is written in a tenth of the time that all digits take.
double json_rounded(double value);
void json_bool(struct json_out *json, bool value);
void json_null(struct json_out *json);
// ISO 8601 UTC with milliseconds and Z.
void json_time(struct json_out *json, int64_t unix_ms);
// A value, or the members of an object, that is JSON already. Nothing for an empty one.
void json_raw(struct json_out *json, struct bytes members);
