// SPDX-License-Identifier: MIT
// What an error reply of Redis means: one table for one Redis and for a Cluster. Pure.
//
// A row says which outcome the call has, whether it may be sent again in a Cluster, and whether one Redis that says so
// is left. Only what was surely not executed is sent again. A new meaning is a row of error_meanings.
//
// The connection asks (error_replies.c); so does the router, which sends again what may be.
#pragma once
#include "base/outcome.h"
#include "redis/address.h"

// What the router has to do differently. Everything else is ERROR_OTHER.
enum error_kind {
    ERROR_OTHER,
    ERROR_MOVED,       // the slot has another owner: go there, ask for the map
    ERROR_ASK,         // this one key is there already: ASKING and the command, and the map stays
    ERROR_TRYAGAIN,    // some keys here, some there: rest, then again
    ERROR_CLUSTERDOWN, // nobody serves the slot: rest, ask for the map
    ERROR_READONLY,    // a replica
    ERROR_LOADING,     // reads its file
    ERROR_MASTERDOWN,  // a replica that has lost its master
    ERROR_NOREPLICAS,  // min-replicas-to-write: the operator asks for this
    ERROR_UNBLOCKED,   // to WAIT: the master was demoted. What came before it is done, and perhaps lost
    ERROR_CUT,         // keys of two slots, or of a slot that moves: a script may be half done
};

struct error_meaning {
    const char *text; // the first word of the error, or with `within` any part of it
    bool within;
    enum error_kind kind;
    enum outcome outcome; // if it is not sent again
    bool again; // nothing was executed, and another node or a later moment may serve: the router sends it again
    bool drop;  // one Redis that says this is no longer the right one: connect again
};

// Never NULL. The meaning of an unknown error is a bug, or a key of a wrong type: INTERNAL.
const struct error_meaning *error_meaning_of(const char *error);

struct redirect {
    uint16_t slot;
    struct host_port to; // without a host: the node does not tell it, and the map has to
};

// Reads "MOVED 3999 127.0.0.1:6381" or "ASK …". An empty host is that of `asked`, the node that has answered. False if
// the text is no such reply.
bool redirect_parse(const char *error, const struct host_port *asked, struct redirect *ret_redirect);
