// SPDX-License-Identifier: MIT
// TLS to Redis. Only this file's .c knows OpenSSL, and it does no I/O: its owner gives it what the socket has read, and
// sends what it has sealed. So the same code serves a connection of the loop and one that blocks.
//
// A struct tls_context is what all connections of a process share: the certificates. Who makes it frees it; the
// streams that were made from it go on. A struct tls is one connection's stream, owned by that connection.
//
// Errors: after the first one a stream is dead, every later call fails, and tls_trouble says why in OpenSSL's words.
// The peer's certificate must be signed by the CA and hold the name; a common name does not count. TLS 1.2 or later,
// no renegotiation, no compression.
#pragma once
#include "base/buffer.h"
#include "base/bytes.h"
#include <sys/types.h>

// A Redis without TLS says nothing to a handshake: it waits for the end of a line.
#define TLS_SILENCE "no answer to TLS in time: perhaps nobody speaks TLS at this port"

// In TLS 1.3 a server looks at its client's certificate after the client has done with the handshake; its word of why
// it closes may be lost with what was sent meanwhile.
#define TLS_ENDED_EARLY "TLS: closed by Redis after the handshake: it may want redis_cert"

struct tls_context;
struct tls;

// The texts of PEM files; empty: none.
struct tls_files {
    struct bytes ca; // empty: the certificates that this machine trusts
    struct bytes certificate, key;
};

// NULL, with a reason in ret_why that begins with the setting's name.
struct tls_context *tls_context_new(const struct tls_files *files, char *ret_why, size_t why_size);
void tls_context_free(struct tls_context *context); // also NULL

// `name`: the host name or address that the certificate must hold. NULL without memory.
struct tls *tls_new(struct tls_context *context, const char *name);
void tls_free(struct tls *tls); // also NULL

// What the socket has read. False without memory.
bool tls_take(struct tls *tls, struct bytes sealed);
enum tls_step { TLS_WAITS, TLS_OPEN, TLS_FAILED };
// Goes on with the handshake as far as what was taken allows. Afterwards there may be something to send.
enum tls_step tls_handshake(struct tls *tls);
// The number of bytes, 0: none now, -1: the peer has ended or the stream is dead.
ssize_t tls_read(struct tls *tls, char *to, size_t size);
// Seals all of `plain`. False: the stream is dead.
bool tls_write(struct tls *tls, struct bytes plain);
// Says that this side ends.
void tls_close(struct tls *tls);
// Appends what has to be sent to `to`, once; without memory `to` has failed, and the stream is of no use any more.
void tls_sealed(struct tls *tls, struct buffer *to);
// The handshake is done, and nothing has come since.
bool tls_is_fresh(const struct tls *tls);
const char *tls_trouble(const struct tls *tls);
