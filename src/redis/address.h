// SPDX-License-Identifier: MIT
// The address of a Redis, or of several: the setting `redis`. Pure.
//
//   redis://[user:password@]host[:port][/db]             one Redis
//   rediss://…                                           the same over TLS
//   unix:PATH                                            one Redis, by its socket
//   cluster://[user:password@]h1[:p1],h2[:p2],…          a Cluster; the hosts are nodes that are asked for its map
//   sentinel://[user:password@]h1[:p1],h2[:p2],…/NAME    the master NAME, which the Sentinels of this list know
//
// One login serves all nodes that hold data; the Sentinels have settings of their own for it. An IPv6 address has
// brackets. A connection goes to `host` and `port`: of several hosts the first, unless address_set_host names another.
// To add a form, add its row to `forms`.
#pragma once
#include "base/bytes.h"

enum { HOSTS_MAX = 16, HOST_SIZE = 256, PORT_SIZE = 6, MASTER_NAME_SIZE = 64 };

enum address_kind { ADDRESS_REDIS, ADDRESS_UNIX, ADDRESS_CLUSTER, ADDRESS_SENTINEL };

struct host_port {
    char host[HOST_SIZE];
    char port[PORT_SIZE];
};

struct tls_context;

struct address {
    enum address_kind kind;
    struct tls_context *tls;  // NULL: no TLS. address_of_settings makes it, address_parse does not
    char tls_name[HOST_SIZE]; // the name that is verified in place of the host; empty: the host
    char path[108];           // of the Unix socket
    char host[HOST_SIZE];
    char port[PORT_SIZE];
    char user[64], password[256]; // empty: none
    int database;
    struct host_port hosts[HOSTS_MAX]; // all hosts of the setting; none of a Unix socket
    uint32_t host_count;
    char master[MASTER_NAME_SIZE];                  // the name that the Sentinels know; empty: no sentinel://
    char sentinel_user[64], sentinel_password[256]; // of settings of their own: address_parse leaves them empty
};

// False, with one line in ret_error, when the text has none of the forms. The line never repeats the text, because it
// may hold a password.
bool address_parse(const char *text, struct address *ret_address, char *ret_error, size_t error_size);
// From now on a connection goes to this host.
void address_set_host(struct address *address, const struct host_port *to);
bool host_port_eq(const struct host_port *a, const struct host_port *b);
// Of a single name or port, wherever it comes from: a setting, or a node of Redis. False and untouched if it is none. A
// host is visible ASCII without the signs that end one; a port is 1 to 65535.
bool host_parse(struct bytes text, char ret_host[static HOST_SIZE]);
bool port_parse(struct bytes text, char ret_port[static PORT_SIZE]);
