// SPDX-License-Identifier: MIT
// The access log's line of an answer. Of a request's address only the path: a query may hold a visitor token.
#include "api/api.h"
#include "ops/log.h"

void api_log_answer(const struct http_request *request, int status, size_t body_bytes, uint64_t took_us) {
    static const char *const methods[] = {
        [HTTP_METHOD_GET] = "GET",    [HTTP_METHOD_HEAD] = "HEAD",     [HTTP_METHOD_POST] = "POST",
        [HTTP_METHOD_PUT] = "PUT",    [HTTP_METHOD_DELETE] = "DELETE", [HTTP_METHOD_OPTIONS] = "OPTIONS",
        [HTTP_METHOD_OTHER] = "OTHER"};
    struct log_access access = {.method = request ? methods[request->method] : "-",
                                .path = request ? request->path : BYTES("-"),
                                .status = status,
                                .bytes = body_bytes,
                                .took_us = took_us};
    log_access(&access);
}
