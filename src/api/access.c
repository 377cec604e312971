// SPDX-License-Identifier: MIT
// The line of an answer in the access log. It has only the path of the address, because a query may hold a visitor
// token. Parameters of a path (";jsessionid=…", also within an item that is an address) are left out, because they may
// hold the id of a session.
#include "api/api.h"
#include "ops/log.h"

enum { SHOWN_PATH_MAX = 500 };

static bool begins_escaped(struct bytes text, const char *digits) {
    return text.len >= 3 && text.at[0] == '%' && text.at[1] == digits[0] && (text.at[2] | 0x20) == digits[1];
}

// The length of a ';', a '=' or a '/', plain or escaped; 0: the text does not begin with it.
static size_t mark(struct bytes text, char plain, const char *digits) {
    if (text.len && text.at[0] == plain)
        return 1;
    return begins_escaped(text, digits) ? 3 : 0;
}

static bool is_of_name(char byte) {
    return (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z') || byte == '_' || byte == '-';
}

static struct bytes from(struct bytes text, size_t at) {
    return (struct bytes){text.at + at, text.len - at};
}

// The length of a parameter, ";name=value", at the text's beginning; 0: there is none.
static size_t parameter(struct bytes text) {
    size_t begin = mark(text, ';', "3b"), at = begin;
    while (begin && at < text.len && is_of_name(text.at[at]))
        at++;
    if (at == begin || !mark(from(text, at), '=', "3d"))
        return 0;
    while (at < text.len && !mark(from(text, at), '/', "2f") && !mark(from(text, at), ';', "3b"))
        at++;
    return at;
}

static struct bytes shown_path(struct bytes path, char capacity[static SHOWN_PATH_MAX]) {
    size_t len = 0;
    for (size_t at = 0; at < path.len && len < SHOWN_PATH_MAX;) {
        size_t left_out = parameter(from(path, at));
        at += left_out;
        if (!left_out) {
            char byte = path.at[at++];
            capacity[len++] = byte > ' ' && byte <= '~' ? byte : '?';
        }
    }
    return (struct bytes){capacity, len};
}

void api_log_answer(const struct http_request *request, const struct http_answered *answered) {
    static const char *const methods[] = {
        [HTTP_METHOD_GET] = "GET",    [HTTP_METHOD_HEAD] = "HEAD",     [HTTP_METHOD_POST] = "POST",
        [HTTP_METHOD_PUT] = "PUT",    [HTTP_METHOD_DELETE] = "DELETE", [HTTP_METHOD_OPTIONS] = "OPTIONS",
        [HTTP_METHOD_OTHER] = "OTHER"};
    char capacity[SHOWN_PATH_MAX];
    struct log_access access = {.method = request ? methods[request->method] : "-",
                                .path = request ? shown_path(request->path, capacity) : BYTES("-"),
                                .status = answered->status,
                                .cut = answered->cut,
                                .bytes = answered->body_bytes,
                                .took_us = answered->took_us};
    log_access(&access);
}
