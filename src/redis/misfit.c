// SPDX-License-Identifier: MIT
// The table of what does not fit.
#include "redis/misfit.h"

#define A_NODE "this Redis is a node of a Cluster: write cluster://host:port,host:port"
#define NO_NODE "this Redis is no node of a Cluster: write redis://host:port"
#define A_SENTINEL                                                                                                     \
    "this is a Sentinel, not a Redis: write sentinel://host:port,host:port/NAME, or the address of the master"
#define A_MASTER_OF_A_CLUSTER "the Sentinels name a node of a Cluster: write cluster://host:port,host:port"
#define A_REPLICA "this Redis is a replica, not a master"

// The first row that fits counts. ANY is any kind of address.
enum { ANY = -1 };

static const struct {
    int kind;
    const char *mode, *why;
} misfits[] = {
    {ANY, "sentinel", A_SENTINEL},      {ADDRESS_CLUSTER, "standalone", NO_NODE},
    {ADDRESS_CLUSTER, "cluster", NULL}, {ADDRESS_SENTINEL, "cluster", A_MASTER_OF_A_CLUSTER},
    {ANY, "cluster", A_NODE},
};

// The value of redis_mode. Stores that do not tell it are taken as they are.
static struct bytes mode_of(struct bytes info) {
    static const char name[] = "redis_mode:";
    const char *at = info.len ? memmem(info.at, info.len, name, sizeof name - 1) : NULL;
    if (!at)
        return NO_BYTES;
    at += sizeof name - 1;
    size_t rest = (size_t)(info.at + info.len - at), len = 0;
    while (len < rest && at[len] != '\r' && at[len] != '\n')
        len++;
    return (struct bytes){at, len};
}

const char *misfit_of_mode(enum address_kind kind, struct bytes info) {
    struct bytes mode = mode_of(info);
    for (size_t i = 0; i < sizeof misfits / sizeof *misfits; i++)
        if ((misfits[i].kind == ANY || misfits[i].kind == (int)kind) && bytes_eq(mode, bytes_of(misfits[i].mode)))
            return misfits[i].why;
    return NULL;
}

const char *misfit_of_role(enum address_kind kind, struct bytes role) {
    if (bytes_eq(role, BYTES("sentinel")))
        return A_SENTINEL;
    return bytes_eq(role, BYTES("master")) || kind == ADDRESS_CLUSTER ? NULL : A_REPLICA;
}
