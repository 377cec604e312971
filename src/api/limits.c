// SPDX-License-Identifier: MIT
// A network only has rate limits; it is never an identity. Its address is hashed into a bucket and stored nowhere.
#include "api/limits.h"
#include "base/clock.h"
#include "base/keyed.h"
#include "model/agents.h"
#include "model/network.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "ops/rate_limits.h"

#define SECOND_NS UINT64_C(1000000000)

static struct rate_limit rate_limit_named(const struct api *api, enum limit limit, int64_t factor) {
    const struct settings *settings = api->settings;
    const struct {
        int64_t per_minute, burst;
    } limits[LIMIT_COUNT] = {
#define LIMIT(id, name, wide) [LIMIT_##id] = {settings->name##_per_minute, settings->name##_burst},
#include "api/limits.def"
#undef LIMIT
    };
    return rate_limit_share(rate_limit_of(limits[limit].per_minute * factor, limits[limit].burst * factor),
                            api->limits_share);
}

static const struct {
    enum metric refused;
    bool wide;
} kinds[LIMIT_COUNT] = {
#define LIMIT(id, name, wide) [LIMIT_##id] = {METRIC_REFUSED_##id, wide},
#include "api/limits.def"
#undef LIMIT
};

// ---- The network

static struct netaddr peer_of_request(const struct http_request *request) {
    struct netaddr peer;
    _Static_assert(sizeof peer.at == sizeof request->peer.address, "both are the mapped form");
    memcpy(peer.at, request->peer.address, sizeof peer.at);
    return peer;
}

static struct netaddr peer_of(const struct call *call) {
    return peer_of_request(call->request);
}

// A peer on this machine that trusted_proxies does not list may name its reader.
static bool is_named_by_auto(const struct call *call) {
    struct netaddr peer = peer_of(call);
    return client_is_named_by_auto(&call->api->trusted, &peer, call->request->fields[HTTP_X_FORWARDED_FOR]);
}

// A peer on this machine that names no reader has no limit: it is a program of the operator, and all its readers would
// be one network.
static bool has_rate_limits(const struct call *call) {
    struct netaddr peer = peer_of(call);
    return call->api->settings->rate_limits && !call->keyed &&
           (!call->request->peer.loopback || netranges_hold(&call->api->trusted, &peer) || is_named_by_auto(call));
}

static struct netaddr network_of_request(const struct http_request *request) {
    const struct api *api = request->app;
    struct netaddr client = client_address(&api->trusted, peer_of_request(request),
                                           request->fields[HTTP_X_FORWARDED_FOR], request->fields[HTTP_FORWARDED]);
    return network_of(client, (unsigned)api->settings->ipv6_prefix);
}

static struct netaddr network(const struct call *call) {
    return network_of_request(call->request);
}

uint64_t limit_network_hash(const struct http_request *request) {
    const struct api *api = request->app;
    struct netaddr address = network_of_request(request);
    struct bytes who = {(const char *)address.at, sizeof address.at};
    return keyed_hash64(api->hash_key, 'n', &who, 1);
}

// ---- Rate limits

// The owner of a bucket: a network, or a network on one item.
struct who {
    struct netaddr network;
    ref_t item; // 0: all items together
};

static struct bytes bytes_of_who(const struct who *who) {
    _Static_assert(sizeof *who == sizeof who->network + sizeof who->item, "no byte of it is undefined");
    return (struct bytes){(const char *)who, sizeof *who};
}

// The bucket is `factor` times as large as the settings say.
static enum outcome charge_by(struct call *call, enum limit limit, char class, struct bytes who, int64_t factor) {
    uint64_t key = rate_limit_key(class, who, clock_now_ms());
    uint64_t wait_ns = rate_limit_take(rate_limit_named(call->api, limit, factor), key, clock_mono_ns());
    if (wait_ns == 0)
        return OK;
    metric_add(kinds[limit].refused, 1);
    call->retry_after_s = (uint32_t)((wait_ns + SECOND_NS - 1) / SECOND_NS);
    return TOO_MANY_REQUESTS;
}

// The usual cause is a proxy that trusted_proxies does not list: all its readers are one network.
static void warn_of_unlisted_proxy(const struct call *call) {
    static bool warned;
    struct netaddr peer = peer_of(call);
    const struct bytes *fields = call->request->fields;
    bool names_a_client = fields[HTTP_X_FORWARDED_FOR].at || fields[HTTP_FORWARDED].at;
    if (warned || !names_a_client || netranges_hold(&call->api->trusted, &peer) || is_named_by_auto(call))
        return;
    warned = true;
    log_warn("rate limits: a call was refused whose peer is not in trusted_proxies, but names another client");
}

static void warn_of_joint_limit(const struct call *call) {
    static uint64_t quiet_until_ns;
    if (clock_mono_ns() < quiet_until_ns)
        return;
    quiet_until_ns = clock_mono_ns() + 60 * SECOND_NS;
    log_warn(
        "rate limits: what comes by trusted_proxies = auto is over the joint limit of %lld networks. The proxy must "
        "name the reader itself (nginx: proxy_set_header X-Forwarded-For $remote_addr;), not hand on what clients "
        "write; then list it in trusted_proxies",
        (long long)call->api->settings->auto_proxies_factor);
}

// A proxy that trusted_proxies does not list may pass on an address that its client made up, so all such clients share
// one limit.
static enum outcome charge_all_by_auto(struct call *call, enum limit limit, ref_t item) {
    _Static_assert('0' + LIMIT_COUNT <= 'A', "classes differ");
    const struct who all = {.item = item};
    int64_t factor = call->api->settings->auto_proxies_factor;
    if (factor == 0 || !is_named_by_auto(call))
        return OK;
    enum outcome outcome = charge_by(call, limit, (char)('0' + limit), bytes_of_who(&all), factor);
    if (outcome != OK)
        warn_of_joint_limit(call);
    return outcome;
}

// Charges the network, the surrounding network, and the joint limit of trusted_proxies = auto.
static enum outcome charge_who(struct call *call, enum limit limit, const struct who *who) {
    int64_t factor = call->api->settings->wide_network_factor;
    struct who wide = {wide_network_of(who->network), who->item};
    enum outcome outcome = charge_by(call, limit, (char)('A' + limit), bytes_of_who(who), 1);
    if (outcome == OK && factor && kinds[limit].wide)
        outcome = charge_by(call, limit, (char)('a' + limit), bytes_of_who(&wide), factor);
    if (outcome == OK)
        outcome = charge_all_by_auto(call, limit, who->item);
    if (outcome != OK)
        warn_of_unlisted_proxy(call);
    return outcome;
}

static enum outcome charge_network(struct call *call, enum limit limit) {
    struct who who = {network(call), 0};
    return charge_who(call, limit, &who);
}

// ---- Writes

// A cache of classified User-Agents, direct-mapped by hash: a few hundred strings cover most readers.
static enum agent agent_of_request(const struct call *call) {
    enum { SLOTS = 512 };
    static struct {
        uint64_t hash;
        enum agent agent;
    } seen[SLOTS];
    struct bytes text = call->request->fields[HTTP_USER_AGENT];
    uint64_t hash = keyed_hash64(call->api->hash_key, 'u', &text, 1);
    if (seen[hash % SLOTS].hash != hash) {
        seen[hash % SLOTS].agent = agent_of(text);
        seen[hash % SLOTS].hash = hash;
    }
    return seen[hash % SLOTS].agent;
}

// Browsers seldom run on the service's machine. The likely cause is a proxy that names no reader.
static void note_unlimited(const struct call *call) {
    static bool warned;
    metric_add(METRIC_UNLIMITED_WRITES, 1);
    if (warned || !bytes_starts(call->request->fields[HTTP_USER_AGENT], BYTES("Mozilla/")) ||
        agent_of_request(call) != AGENT_READER)
        return;
    warned = true;
    log_warn(
        "rate limits: a browser's write came from this machine without X-Forwarded-For and has no rate limit. When a "
        "proxy sent it, let the proxy name the reader (nginx: proxy_set_header X-Forwarded-For $remote_addr;)");
}

// Called once per write, for it counts the writes without a limit.
static bool is_limited(const struct call *call) {
    bool limited = has_rate_limits(call);
    if (!limited && call->api->settings->rate_limits && !call->keyed)
        note_unlimited(call);
    return limited;
}

enum outcome limit_new_visitor(struct call *call) {
    return is_limited(call) ? charge_network(call, LIMIT_NEW_VISITORS) : OK;
}

enum outcome limit_erasure(struct call *call) {
    return is_limited(call) ? charge_network(call, LIMIT_ERASURES) : OK;
}

enum outcome limit_wrong_key(struct call *call) {
    return has_rate_limits(call) ? charge_network(call, LIMIT_WRONG_KEYS) : OK;
}

static enum outcome charge_visitor(struct call *call, ref_t visitor, enum limit limit, const struct who *who) {
    if (call->visitor.fresh)
        return charge_who(call, LIMIT_NEW_VISITORS, who);
    struct bytes who_else = {(const char *)&visitor, sizeof visitor};
    return charge_by(call, limit, (char)('A' + limit), who_else, 1);
}

// Charges the visitor first, then the network on the item, then the network. So a loop of one visitor, or of many on
// one item, takes nothing from the others of its network. Item 0: no limit on the item.
static enum outcome charge_vote(struct call *call, ref_t visitor, ref_t item) {
    if (!is_limited(call))
        return OK;
    struct who all = {network(call), 0}, of_item = {all.network, item};
    enum outcome outcome = charge_visitor(call, visitor, LIMIT_VISITOR_VOTES, &all);
    if (outcome == OK && item)
        outcome = charge_who(call, LIMIT_ITEM_VOTES, &of_item);
    return outcome == OK ? charge_who(call, LIMIT_VOTES, &all) : outcome;
}

enum outcome limit_vote(struct call *call, ref_t visitor, ref_t item) {
    return charge_vote(call, visitor, item);
}

enum outcome limit_retraction(struct call *call, ref_t visitor) {
    return charge_vote(call, visitor, 0);
}

enum outcome limit_view(struct call *call, ref_t visitor) {
    if (!is_limited(call))
        return OK;
    struct who all = {network(call), 0};
    enum outcome outcome = charge_visitor(call, visitor, LIMIT_VISITOR_VIEWS, &all);
    return outcome == OK ? charge_who(call, LIMIT_VIEWS, &all) : outcome;
}

static bool take_lesson(char class, const struct who *who, int64_t max) {
    return lesson_take(rate_limit_key(class, bytes_of_who(who), clock_now_ms()), max, clock_mono_ns());
}

// A visitor that this call creates has read nothing before, so it adds no co-views.
bool limit_teaches(const struct call *call, ref_t item) {
    const struct settings *settings = call->api->settings;
    int64_t max = limits_share_of(settings->network_item_coviews_per_hour, call->api->limits_share);
    int64_t factor = settings->wide_network_factor;
    if (max == 0 || call->visitor.fresh || !has_rate_limits(call))
        return true;
    struct who who = {network(call), item}, wide = {wide_network_of(who.network), item};
    bool teaches = take_lesson('-', &who, max) && (factor == 0 || take_lesson('+', &wide, max * factor));
    metric_add(METRIC_COVIEWS_LEFT_OUT, !teaches);
    return teaches;
}

// ---- Items

bool needs_card(const struct call *call) {
    return call->api->settings->unknown_items == UNKNOWN_ITEMS_REJECT;
}

bool limit_needs_look(const struct call *call, ref_t item, bool is_view) {
    if (needs_card(call))
        return is_view;
    return has_rate_limits(call) && call->api->settings->new_items_per_minute &&
           !known_items_has(call->api->known, item);
}

enum outcome limit_item(struct call *call, const struct item_look *look, bool is_view) {
    if (needs_card(call) && is_view)
        return look->outcome != OK ? look->outcome : look->has_card ? OK : UNKNOWN_ITEM;
    if (look->outcome != OK && look->outcome != INTERNAL) // corrupt data: the item is not new
        return look->outcome;
    enum outcome outcome = look->exists || look->outcome == INTERNAL ? OK : charge_network(call, LIMIT_NEW_ITEMS);
    if (outcome == OK)
        known_items_add(call->api->known, look->item);
    return outcome;
}

// ---- What a request says of itself

bool is_bot(const struct call *call) {
    enum bots_setting bots = call->api->settings->bots;
    if (call->keyed || bots == BOTS_COUNT)
        return false;
    enum agent agent = agent_of_request(call);
    return agent == AGENT_BOT || (agent == AGENT_TOOL && bots == BOTS_STRICT);
}

static bool holds(struct bytes field, const char *word) {
    return field.len && memmem(field.at, field.len, word, strlen(word)) != NULL;
}

bool is_prefetch(const struct call *call) {
    static const enum http_field purposes[] = {HTTP_SEC_PURPOSE, HTTP_PURPOSE, HTTP_X_MOZ};
    const struct bytes *fields = call->request->fields;
    for (size_t i = 0; i < sizeof purposes / sizeof *purposes; i++)
        if (holds(fields[purposes[i]], "prefetch") || holds(fields[purposes[i]], "prerender"))
            return true;
    return false;
}

enum opt_out_setting opt_out_of(const struct call *call) {
    const struct bytes *fields = call->request->fields;
    bool opts_out = bytes_eq(fields[HTTP_SEC_GPC], BYTES("1")) || bytes_eq(fields[HTTP_DNT], BYTES("1"));
    return opts_out ? call->api->settings->opt_out : OPT_OUT_IGNORE;
}
