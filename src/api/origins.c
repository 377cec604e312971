// SPDX-License-Identifier: MIT
// Whose pages may write. A site's list of origins decides. Without a list its name decides, when it is a host name; any
// other site takes writes from every origin, and its cookie only from the service's own origin.
#include "api/origins.h"
#include "api/call.h"
#include "base/netaddr.h"

enum { ORIGIN_MAX = 300 }; // scheme, a name of 253 bytes and a port fit

enum grant { GRANT_NONE, GRANT_TOKENS, GRANT_ALL };

// ---- The parts of an origin

// The text behind "http://" or "https://"; at == NULL when it begins with neither.
static struct bytes authority_of(struct bytes url) {
    static const struct bytes schemes[] = {{"http://", 7}, {"https://", 8}};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (bytes_starts(url, schemes[i]))
            return (struct bytes){url.at + schemes[i].len, url.len - schemes[i].len};
    return NO_BYTES;
}

static bool is_of_host(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

// Labels with dots between them, nothing else. A browser takes a backslash for the end of a host, so it is no part of
// one.
static bool is_host(struct bytes host) {
    bool in_label = false;
    for (size_t i = 0; i < host.len; i++) {
        if (!is_of_host(host.at[i]) && (host.at[i] != '.' || !in_label))
            return false;
        in_label = host.at[i] != '.';
    }
    return host.len > 0;
}

// The host of "host[:port]", a name or an IPv6 address in brackets; empty for any other text.
static struct bytes host_of_authority(struct bytes authority) {
    bool bracketed = authority.len && authority.at[0] == '[';
    const char *close = bracketed ? memchr(authority.at, ']', authority.len) : NULL;
    size_t behind = close ? (size_t)(close - authority.at) : 0;
    const char *colon = authority.len ? memchr(authority.at + behind, ':', authority.len - behind) : NULL;
    struct bytes host = {authority.at, colon ? (size_t)(colon - authority.at) : authority.len};
    unsigned long long port;
    struct netaddr address;
    if (colon && !bytes_to_u64((struct bytes){colon + 1, authority.len - host.len - 1}, 65535, &port))
        return NO_BYTES;
    if (!bracketed)
        return is_host(host) ? host : NO_BYTES;
    bool whole = close && behind == host.len - 1 && netaddr_parse((struct bytes){host.at + 1, behind - 1}, &address);
    return whole ? host : NO_BYTES;
}

static struct bytes host_of(struct bytes origin) {
    return host_of_authority(authority_of(origin));
}

// A sandboxed frame sends "null". A program that shows pages has a scheme of its own, with a host or without.
static bool is_origin(struct bytes origin) {
    const char *mark = origin.len ? memmem(origin.at, origin.len, "://", 3) : NULL;
    if (bytes_eq(origin, BYTES("null")))
        return true;
    if (authority_of(origin).at)
        return host_of(origin).len > 0;
    size_t scheme = mark ? (size_t)(mark - origin.at) : 0;
    for (size_t i = 0; i < scheme; i++)
        if (!is_of_host(origin.at[i]) && origin.at[i] != '+' && origin.at[i] != '.')
            return false;
    struct bytes rest = {origin.at + scheme + 3, scheme ? origin.len - scheme - 3 : 0};
    return scheme && (rest.len == 0 || host_of_authority(rest).len);
}

// The origin of a URL: all before its path. at == NULL when it has none.
static struct bytes origin_of_url(struct bytes url) {
    struct bytes authority = authority_of(url);
    size_t len = 0;
    if (!authority.at)
        return NO_BYTES;
    while (len < authority.len && !strchr("/?#", authority.at[len]))
        len++;
    return (struct bytes){url.at, url.len - authority.len + len};
}

// The answer repeats it in a header field, so it holds only what an origin can hold.
static bool can_be_named(struct bytes origin) {
    if (origin.len == 0 || origin.len > ORIGIN_MAX)
        return false;
    for (size_t i = 0; i < origin.len; i++)
        if (origin.at[i] <= ' ' || origin.at[i] > '~')
            return false;
    return !bytes_eq(origin, BYTES("*")); // in an answer it would mean everybody
}

// ---- What an origin may do

// An origin never names the port that its scheme has anyway. Some proxies do ("Host: $host:$server_port").
static struct bytes without_usual_port(struct bytes authority, struct bytes origin) {
    struct bytes port = bytes_starts(origin, BYTES("https:")) ? BYTES(":443") : BYTES(":80");
    bool named = authority.len > port.len && memcmp(authority.at + authority.len - port.len, port.at, port.len) == 0;
    return (struct bytes){authority.at, authority.len - (named ? port.len : 0)};
}

static bool is_own(const struct call *call, struct bytes origin) {
    struct bytes public_url = bytes_of(call->api->settings->public_url), authority = authority_of(origin);
    if (public_url.len && bytes_eq(origin, public_url))
        return true;
    return host_of(origin).len &&
           bytes_eq_nocase(without_usual_port(authority, origin), without_usual_port(call->request->host, origin));
}

static bool is_listed(const struct site_setting *site, struct bytes origin) {
    for (uint32_t i = 0; i < site->origin_count; i++)
        if (bytes_eq(origin, bytes_of(site->origins[i])))
            return true;
    return false;
}

static bool is_host_or_below(struct bytes host, struct bytes name) {
    if (host.len <= name.len)
        return bytes_eq_nocase(host, name);
    struct bytes end = {host.at + host.len - name.len, name.len};
    return end.at[-1] == '.' && bytes_eq_nocase(end, name);
}

// The site's host and its subdomains; "www.example.org" means "example.org" too.
static bool is_of_site(struct bytes site, struct bytes origin) {
    struct bytes host = host_of(origin), www = BYTES("www.");
    if (host.len == 0)
        return false;
    if (is_host_or_below(host, site))
        return true;
    return site.len > www.len && bytes_eq_nocase((struct bytes){site.at, www.len}, www) &&
           bytes_eq_nocase(host, (struct bytes){site.at + www.len, site.len - www.len});
}

static enum grant grant_of(const struct call *call, struct bytes origin) {
    const struct site_setting *site = call->site_setting;
    if (!can_be_named(origin))
        return GRANT_NONE;
    if (is_own(call, origin))
        return GRANT_ALL;
    if (!call->site.at)
        return GRANT_NONE;
    if (site && site->origin_count)
        return is_listed(site, origin) ? GRANT_ALL : GRANT_NONE;
    if (site_names_host(call->site))
        return is_of_site(call->site, origin) ? GRANT_ALL : GRANT_NONE;
    return is_origin(origin) ? GRANT_TOKENS : GRANT_NONE;
}

bool origin_grant(struct call *call) {
    struct bytes origin = call->request->fields[HTTP_ORIGIN];
    if (!origin.at) {
        call->credentials = true;
        return true;
    }
    enum grant grant = grant_of(call, origin);
    call->credentials = grant == GRANT_ALL;
    if (can_be_named(origin))
        call->granted_origin = origin;
    return grant != GRANT_NONE;
}

bool origin_grants_image(struct call *call) {
    const struct bytes *fields = call->request->fields;
    bool granted = origin_grant(call);
    if (fields[HTTP_ORIGIN].at || !granted)
        return granted;
    if (fields[HTTP_REFERER].len)
        return grant_of(call, origin_of_url(fields[HTTP_REFERER])) != GRANT_NONE;
    return !bytes_eq_nocase(fields[HTTP_SEC_FETCH_SITE], BYTES("cross-site"));
}
