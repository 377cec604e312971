// SPDX-License-Identifier: MIT
// What the start logs about who may write: sites that take writes from any page, clients without rate limits.
#include "roles/openness.h"
#include "base/netaddr.h"
#include "model/names.h"
#include "ops/log.h"

static void say_of_origins(const struct settings *settings) {
    for (uint32_t i = 0; i < settings->site_count; i++) {
        const struct site_setting *site = &settings->site_list[i];
        if (site->origin_count == 0 && !site_names_host(bytes_of(site->name)))
            log_warn("site %s takes writes from any origin: it has no origins, and its name is no host name",
                     site->name);
    }
    if (settings->sites == SITES_ANY)
        log_warn("sites that are not declared take writes from any origin when their name is no host name; "
                 "sites = declared refuses them");
}

// The address of peers on the same machine; true when `listen` admits only them.
static bool listens_locally(const char *listen, struct netaddr *ret_peer) {
    struct bytes host = {listen, (size_t)(strrchr(listen, ':') - listen)};
    if (strncmp(listen, "unix:", 5) == 0) {
        *ret_peer = (struct netaddr){{0}};
        return true;
    }
    if (bytes_eq(host, BYTES("localhost")))
        host = BYTES("127.0.0.1");
    else if (host.len > 2 && host.at[0] == '[')
        host = (struct bytes){host.at + 1, host.len - 2};
    return netaddr_parse(host, ret_peer) && netaddr_is_loopback(ret_peer);
}

// All clients of a proxy on this machine that trusted_proxies does not list look like one client without a limit.
static void say_of_rate_limits(const struct settings *settings) {
    struct netranges trusted;
    struct netaddr peer;
    if (settings->rate_limits && listens_locally(settings->listen, &peer) &&
        netranges_parse(bytes_of(settings->trusted_proxies), &trusted) && !trusted.automatic &&
        !netranges_hold(&trusted, &peer))
        log_warn("rate limits: clients on %s have none. When a proxy sends their calls, list it in trusted_proxies, or "
                 "add auto",
                 settings->listen);
}

static void warn(const char *line) {
    log_warn("%s", line);
}

void say_who_may_write(const struct settings *settings) {
    say_of_origins(settings);
    say_of_rate_limits(settings);
    site_keys_warn(settings, warn);
}
