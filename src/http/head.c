// SPDX-License-Identifier: MIT
// The scan of a raw request head: see head.h. Field names are looked up in one table, chained by length; to keep one
// more field add its line to http_fields.def, to check one more add it to `names` and to `on_field`.
#include "http/head.h"
#include "http/host.h"
#include <string.h>

// Fields that only the scan reads. They follow the kept ones.
enum {
    FIELD_HOST = HTTP_FIELD_COUNT,
    FIELD_CONTENT_LENGTH,
    FIELD_TRANSFER_ENCODING,
    FIELD_CONNECTION,
    FIELD_EXPECT,
    FIELD_NAMES
};

enum { METHOD_LONGEST = 32, NAME_LONGEST = 40, NO_FIELD = -1 };

static const struct bytes names[FIELD_NAMES] = {
#define FIELD(name, text) [HTTP_##name] = {text, sizeof(text) - 1},
#include "http/http_fields.def"
#undef FIELD
    [FIELD_HOST] = {"host", 4},
    [FIELD_CONTENT_LENGTH] = {"content-length", 14},
    [FIELD_TRANSFER_ENCODING] = {"transfer-encoding", 17},
    [FIELD_CONNECTION] = {"connection", 10},
    [FIELD_EXPECT] = {"expect", 6},
};

_Static_assert(HTTP_FIELD_COUNT <= 32, "present and repeated hold one bit per field");

// RFC 9110 token: letters, digits and !#$%&'*+-.^_`|~
static const bool token_byte[256] = {
    ['!'] = true, ['#'] = true, ['$'] = true, ['%'] = true,         ['&'] = true,         ['\''] = true,
    ['*'] = true, ['+'] = true, ['-'] = true, ['.'] = true,         ['^'] = true,         ['_'] = true,
    ['`'] = true, ['|'] = true, ['~'] = true, ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true,
};

// Bytes of a target: visible ASCII without '#', because a fragment is never sent. RFC 3986 does not allow "<>\^`{|}
// either, but browsers send them.
static const bool target_byte[256] = {['!' ... '"'] = true, ['$' ... '~'] = true};

static size_t token_len(struct bytes text) {
    const char *at = text.at, *end = at + text.len;
    while (at < end && token_byte[(unsigned char)*at])
        at++;
    return (size_t)(at - text.at);
}

// Most names of one length differ in their first or last byte.
static bool is_name(struct bytes text, struct bytes name) {
    size_t last = name.len - 1;
    return (text.at[0] | 0x20) == name.at[0] && (text.at[last] | 0x20) == name.at[last] && bytes_eq_nocase(text, name);
}

static int find_name(struct bytes name) {
    static int8_t first[NAME_LONGEST + 1], next[FIELD_NAMES];
    static bool ready;
    if (!ready) {
        memset(first, NO_FIELD, sizeof first);
        for (int i = 0; i < FIELD_NAMES; i++) {
            next[i] = first[names[i].len];
            first[names[i].len] = (int8_t)i;
        }
        ready = true;
    }
    if (name.len > NAME_LONGEST)
        return NO_FIELD;
    for (int i = first[name.len]; i != NO_FIELD; i = next[i])
        if (is_name(name, names[i]))
            return i;
    return NO_FIELD;
}

static bool refuse(struct head *head, enum outcome outcome, const char *detail) {
    head->outcome = outcome;
    head->detail = detail;
    return false;
}

static struct span span_of(struct bytes raw, struct bytes part) {
    return (struct span){(uint32_t)(part.at - raw.at), (uint32_t)part.len};
}

void head_begin(struct head *head) {
    memset(head, 0, offsetof(struct head, kept));
    head->outcome = OK;
    head->detail = NULL;
}

// ---- The request line

static const struct bytes methods[] = {
    [HTTP_METHOD_GET] = {"GET", 3}, [HTTP_METHOD_HEAD] = {"HEAD", 4},     [HTTP_METHOD_POST] = {"POST", 4},
    [HTTP_METHOD_PUT] = {"PUT", 3}, [HTTP_METHOD_DELETE] = {"DELETE", 6}, [HTTP_METHOD_OPTIONS] = {"OPTIONS", 7},
};

// Registered methods that no route has: the application refuses them by path. Any other word is 501.
static bool is_other_method(struct bytes method) {
    static const char *const others[] = {
        "PATCH",  "TRACE",     "COPY",        "LOCK",   "MKCOL",      "MOVE",   "PROPFIND",   "UNLOCK",   "PROPPATCH",
        "SEARCH", "BIND",      "REBIND",      "UNBIND", "ACL",        "REPORT", "MKACTIVITY", "CHECKOUT", "MERGE",
        "NOTIFY", "SUBSCRIBE", "UNSUBSCRIBE", "PURGE",  "MKCALENDAR", "LINK",   "M-SEARCH",   "UNLINK",   "SOURCE"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (bytes_eq(method, bytes_of(others[i])))
            return true;
    return false;
}

static bool take_method(struct head *head, struct bytes method) {
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (bytes_eq(method, methods[i])) {
            head->method = (enum http_method)i;
            head->is_head = i == HTTP_METHOD_HEAD;
            return true;
        }
    head->method = HTTP_METHOD_OTHER;
    if (bytes_eq(method, BYTES("CONNECT")))
        return refuse(head, NOT_IMPLEMENTED, "This is not a proxy");
    return is_other_method(method) || refuse(head, NOT_IMPLEMENTED, "The method is not known");
}

// The end of the method. Also called on an unfinished line, so that bytes that are no HTTP are refused at once.
static bool check_method(struct head *head, struct bytes line, size_t *ret_len) {
    size_t n = token_len(line);
    if (n > METHOD_LONGEST)
        return refuse(head, NOT_IMPLEMENTED, "The method is not known");
    if (n < line.len && (n == 0 || line.at[n] != ' '))
        return refuse(head, BAD_REQUEST, "The request line does not begin with a method");
    *ret_len = n;
    return true;
}

static bool check_version(struct head *head, struct bytes line, size_t *ret_start) {
    static const struct bytes v10 = {" HTTP/1.0", 9}, v11 = {" HTTP/1.1", 9};
    if (line.len < v11.len)
        return refuse(head, BAD_REQUEST, "The request line is not complete");
    struct bytes end = {line.at + line.len - v11.len, v11.len};
    *ret_start = line.len - v11.len;
    if (bytes_eq(end, v11))
        return true;
    if (bytes_eq(end, v10)) {
        head->version_1_0 = true;
        return true;
    }
    if (memcmp(end.at, " HTTP/", 6) == 0 && end.at[7] == '.')
        return refuse(head, BAD_VERSION, "Only HTTP/1.0 and HTTP/1.1 are served");
    return refuse(head, BAD_REQUEST, "The request line does not end with an HTTP version");
}

// absolute-form: its host wins over the field Host, and the path after it is served.
static bool take_absolute(struct head *head, struct bytes raw, struct bytes target) {
    struct bytes scheme = {target.at, 7};
    size_t skip = 7;
    if (target.len < 8 || !bytes_eq_nocase(scheme, BYTES("http://"))) {
        scheme.len = skip = 8;
        if (target.len < 9 || !bytes_eq_nocase(scheme, BYTES("https://")))
            return refuse(head, BAD_REQUEST, "The request target is neither a path nor a URL of http or https");
    }
    struct bytes rest = {target.at + skip, target.len - skip};
    size_t n = 0;
    while (n < rest.len && rest.at[n] != '/' && rest.at[n] != '?')
        n++;
    struct bytes authority = {rest.at, n};
    if (!host_is_valid(authority))
        return refuse(head, BAD_REQUEST, "The request target's host is not valid");
    head->absolute = true;
    head->authority = span_of(raw, authority);
    head->target = span_of(raw, (struct bytes){rest.at + n, rest.len - n});
    return true;
}

static bool on_request_line(struct head *head, struct bytes raw, struct bytes line) {
    size_t method_len, version_at;
    if (!check_method(head, line, &method_len) || !check_version(head, line, &version_at))
        return false;
    struct bytes method = {line.at, method_len};
    if (version_at <= method_len + 1)
        return refuse(head, BAD_REQUEST, "The request line has no target");
    struct bytes target = {line.at + method_len + 1, version_at - method_len - 1};
    for (size_t i = 0; i < target.len; i++)
        if (!target_byte[(unsigned char)target.at[i]])
            return refuse(head, BAD_REQUEST, "The request target holds a byte that is not allowed");
    head->request_line_done = true;
    head->target = span_of(raw, target);
    if (!take_method(head, method))
        return false;
    if (target.at[0] == '/' || (bytes_eq(target, BYTES("*")) && head->method == HTTP_METHOD_OPTIONS))
        return true;
    return take_absolute(head, raw, target);
}

// ---- Fields

static bool on_host(struct head *head, struct bytes raw, struct bytes value) {
    if (head->has_host)
        return refuse(head, BAD_REQUEST, "There is more than one Host");
    if (!host_is_valid(value))
        return refuse(head, BAD_REQUEST, "The Host is not valid");
    head->has_host = true;
    head->host = span_of(raw, value);
    return true;
}

static bool on_content_length(struct head *head, struct bytes value) {
    unsigned long long length;
    if (head->has_length)
        return refuse(head, BAD_REQUEST, "There is more than one Content-Length");
    if (!bytes_to_u64(value, UINT64_MAX, &length))
        return refuse(head, BAD_REQUEST, "The Content-Length is not a number");
    head->has_length = true;
    head->length = length;
    return true;
}

static bool on_transfer_encoding(struct head *head, struct bytes value) {
    if (head->chunked || head->version_1_0 || value.len == 0)
        return refuse(head, BAD_REQUEST, "The Transfer-Encoding is repeated, empty or not of HTTP/1.1");
    if (bytes_eq_nocase(value, BYTES("chunked"))) {
        head->chunked = true;
        return true;
    }
    if (token_len(value) < value.len)
        return refuse(head, BAD_REQUEST, "The only transfer coding is chunked, once");
    return refuse(head, NOT_IMPLEMENTED, "The transfer coding is not known");
}

// RFC 9110, 7.6.1: a list of tokens. Those that name other fields mean nothing here.
static void on_connection(struct head *head, struct bytes value) {
    while (value.len) {
        const char *comma = memchr(value.at, ',', value.len);
        size_t len = comma ? (size_t)(comma - value.at) : value.len;
        struct bytes option = bytes_trim((struct bytes){value.at, len});
        head->close |= bytes_eq_nocase(option, BYTES("close"));
        head->keep_alive |= bytes_eq_nocase(option, BYTES("keep-alive"));
        len += comma ? 1 : 0;
        value = (struct bytes){value.at + len, value.len - len};
    }
}

static bool on_field(struct head *head, struct bytes raw, int field, struct bytes value) {
    switch (field) {
    case NO_FIELD:
        return true;
    case FIELD_HOST:
        return on_host(head, raw, value);
    case FIELD_CONTENT_LENGTH:
        return on_content_length(head, value);
    case FIELD_TRANSFER_ENCODING:
        return on_transfer_encoding(head, value);
    case FIELD_CONNECTION:
        on_connection(head, value);
        return true;
    case FIELD_EXPECT:
        head->expect_continue = bytes_eq_nocase(value, BYTES("100-continue"));
        return true;
    default:
        if (head->present & 1u << field)
            head->repeated |= 1u << field;
        else
            head->kept[field] = span_of(raw, value);
        head->present |= 1u << field;
        return true;
    }
}

// Splits a field line at its colon; false when the name is not a token.
static bool split_field(struct bytes line, struct bytes *ret_name, struct bytes *ret_value) {
    size_t n = token_len(line);
    if (n == 0 || n == line.len || line.at[n] != ':')
        return false;
    *ret_name = (struct bytes){line.at, n};
    *ret_value = bytes_trim((struct bytes){line.at + n + 1, line.len - n - 1});
    return true;
}

// RFC 9110, 5.5: visible ASCII, space, tab and bytes from 0x80 on.
static bool is_value(struct bytes value) {
    bool bad = false;
    for (size_t i = 0; i < value.len; i++) {
        unsigned char byte = (unsigned char)value.at[i];
        bad |= (byte < ' ' && byte != '\t') || byte == 0x7f;
    }
    return !bad;
}

static bool on_field_line(struct head *head, struct bytes raw, struct bytes line, const struct http_limits *limits) {
    struct bytes name, value;
    if (++head->fields > limits->fields)
        return refuse(head, HEAD_TOO_LARGE, "There are too many header fields");
    if (!split_field(line, &name, &value))
        return refuse(head, BAD_REQUEST, "A header line is not a field");
    if (!is_value(value))
        return refuse(head, BAD_REQUEST, "A header field holds a control byte");
    return on_field(head, raw, find_name(name), value);
}

static bool check_whole(struct head *head) {
    if (!head->has_host && !head->version_1_0)
        return refuse(head, BAD_REQUEST, "There is no Host");
    if (head->chunked && head->has_length)
        return refuse(head, BAD_REQUEST, "There are Content-Length and Transfer-Encoding");
    return true;
}

// Refuses an unfinished line as soon as it shows a fault.
static bool check_unfinished(struct head *head, struct bytes raw, const struct http_limits *limits) {
    struct bytes line = {raw.at + head->line, raw.len - head->line};
    size_t method_len;
    if (!head->request_line_done && line.len > (size_t)limits->request_line + 1)
        return refuse(head, TARGET_TOO_LONG, NULL);
    if (raw.len > limits->head)
        return refuse(head, head->request_line_done ? HEAD_TOO_LARGE : TARGET_TOO_LONG, NULL);
    if (line.len > METHOD_LONGEST + 2)
        line.len = METHOD_LONGEST + 2;
    return head->request_line_done || check_method(head, line, &method_len);
}

static bool on_line(struct head *head, struct bytes raw, struct bytes line, const struct http_limits *limits) {
    if (!head->request_line_done) {
        if (line.len > limits->request_line)
            return refuse(head, TARGET_TOO_LONG, NULL);
        return on_request_line(head, raw, line);
    }
    return on_field_line(head, raw, line, limits);
}

enum head_state head_scan(struct head *head, struct bytes raw, const struct http_limits *limits, size_t *ret_len) {
    while (head->seen < raw.len) {
        const char *lf = memchr(raw.at + head->seen, '\n', raw.len - head->seen);
        if (!lf)
            break;
        struct bytes line = {raw.at + head->line, (size_t)(lf - raw.at) - head->line};
        if (line.len == 0 || memchr(line.at, '\r', line.len) != lf - 1)
            return refuse(head, BAD_REQUEST, "A line does not end with CR LF, or holds another CR"), HEAD_BAD;
        line.len--;
        size_t end = (size_t)(lf - raw.at) + 1;
        if (line.len == 0 && head->request_line_done) {
            if (end > limits->head)
                return refuse(head, HEAD_TOO_LARGE, NULL), HEAD_BAD;
            *ret_len = end;
            return check_whole(head) ? HEAD_WHOLE : HEAD_BAD;
        }
        if (!on_line(head, raw, line, limits))
            return HEAD_BAD;
        if (end > limits->head)
            return refuse(head, HEAD_TOO_LARGE, NULL), HEAD_BAD;
        head->line = head->seen = (uint32_t)end;
    }
    head->seen = (uint32_t)raw.len;
    return check_unfinished(head, raw, limits) ? HEAD_MORE : HEAD_BAD;
}

// Walks the field lines of a head that passed the scan and joins the values of `field`. Some proxies pass on the
// cookies of HTTP/2, which come one by one, as they are.
static size_t join_into(struct bytes raw, enum http_field field, char *to) {
    size_t len = 0;
    const char *at = memchr(raw.at, '\n', raw.len);
    for (at++; at + 2 < raw.at + raw.len;) {
        const char *lf = memchr(at, '\n', (size_t)(raw.at + raw.len - at));
        struct bytes name, value;
        if (split_field((struct bytes){at, (size_t)(lf - 1 - at)}, &name, &value) && find_name(name) == (int)field) {
            if (len && to)
                memcpy(to + len, field == HTTP_COOKIE ? "; " : ", ", 2);
            len += len ? 2 : 0;
            if (to)
                memcpy(to + len, value.at, value.len);
            len += value.len;
        }
        at = lf + 1;
    }
    return len;
}

struct bytes head_join(struct bytes raw, enum http_field field, struct arena *arena) {
    size_t len = join_into(raw, field, NULL);
    char *text = arena_take(arena, len + 1);
    if (!text)
        return NO_BYTES;
    join_into(raw, field, text);
    return (struct bytes){text, len};
}
