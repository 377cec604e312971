// SPDX-License-Identifier: MIT
// OpenSSL between two memory BIOs.
#include "redis/tls.h"
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAME_SHOWN = 64, REASON_SIZE = 160 };

// A struct tls_context is an SSL_CTX, which counts its owners itself.
static SSL_CTX *of(struct tls_context *context) {
    return (SSL_CTX *)(void *)context;
}

struct tls {
    SSL *ssl;
    BIO *in, *out;    // the SSL's own
    bool dead, heard; // heard: something has come after the handshake
    char name[NAME_SHOWN + 1];
    char trouble[REASON_SIZE]; // empty: none
};

// OpenSSL keeps errors in a queue of the thread; the first one is the cause.
static const char *reason_of(unsigned long error) {
    const char *reason = error ? ERR_reason_error_string(error) : NULL;
    return reason ? reason : "an error without a name";
}

// ---- The context

static bool fail(char *ret_why, size_t size, const char *setting, const char *why) {
    snprintf(ret_why, size, "%s: %s", setting, why);
    ERR_clear_error();
    return false;
}

static BIO *bio_over(struct bytes text) {
    return BIO_new_mem_buf(text.at, (int)text.len);
}

// A key with a password would be asked for on the terminal.
static int no_password(char *to, int size, int writing, void *context) {
    (void)to, (void)size, (void)writing, (void)context;
    return -1;
}

static bool trust(SSL_CTX *ctx, struct bytes text, char *ret_why, size_t size) {
    if (text.len == 0)
        return SSL_CTX_set_default_verify_paths(ctx) == 1 ||
               fail(ret_why, size, "redis_ca", "none are on this machine");
    BIO *bio = bio_over(text);
    X509 *one;
    int count = 0;
    while (bio && (one = PEM_read_bio_X509(bio, NULL, no_password, NULL))) {
        count += X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), one) == 1;
        X509_free(one);
    }
    BIO_free(bio);
    // The end of the file is an error of its own, and the only right one.
    bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    return (count > 0 && ended) || fail(ret_why, size, "redis_ca", "the file holds no certificates, or a spoilt one");
}

// The service's own certificate, and behind it those up to its CA.
static bool use_chain(SSL_CTX *ctx, struct bytes text, char *ret_why, size_t size) {
    BIO *bio = bio_over(text);
    X509 *own = bio ? PEM_read_bio_X509_AUX(bio, NULL, no_password, NULL) : NULL, *next;
    bool good = own && SSL_CTX_use_certificate(ctx, own) == 1;
    if (!good)
        fail(ret_why, size, "redis_cert", own ? reason_of(ERR_get_error()) : "the file holds no certificate");
    X509_free(own);
    while (good && (next = PEM_read_bio_X509(bio, NULL, no_password, NULL)))
        if (SSL_CTX_add0_chain_cert(ctx, next) != 1)
            X509_free(next);
    BIO_free(bio);
    ERR_clear_error();
    return good;
}

static bool use_key(SSL_CTX *ctx, struct bytes text, char *ret_why, size_t size) {
    BIO *bio = bio_over(text);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
    BIO_free(bio);
    if (!key)
        return fail(ret_why, size, "redis_key", "the file holds no private key without a password");
    ERR_clear_error();
    bool good = SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;
    EVP_PKEY_free(key);
    return good || fail(ret_why, size, "redis_key", "it is not the key of redis_cert");
}

struct tls_context *tls_context_new(const struct tls_files *files, char *ret_why, size_t why_size) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1) {
        fail(ret_why, why_size, "TLS", "no memory");
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    bool good = trust(ctx, files->ca, ret_why, why_size);
    if (good && files->certificate.len)
        good = use_chain(ctx, files->certificate, ret_why, why_size) && use_key(ctx, files->key, ret_why, why_size);
    if (good)
        return (struct tls_context *)(void *)ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

void tls_context_free(struct tls_context *context) {
    SSL_CTX_free(of(context));
}

// ---- A stream

static bool expect(SSL *ssl, const char *name) {
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1)
        return true;
    ERR_clear_error(); // it is no address
    return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

struct tls *tls_new(struct tls_context *context, const char *name) {
    struct tls *tls = calloc(1, sizeof *tls);
    SSL *ssl = tls ? SSL_new(of(context)) : NULL;
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    if (!ssl || !in || !out || !expect(ssl, name)) {
        BIO_free(in);
        BIO_free(out);
        SSL_free(ssl);
        free(tls);
        ERR_clear_error();
        return NULL;
    }
    SSL_set_bio(ssl, in, out);
    SSL_set_connect_state(ssl);
    tls->ssl = ssl;
    tls->in = in;
    tls->out = out;
    snprintf(tls->name, sizeof tls->name, "%s", name);
    return tls;
}

void tls_free(struct tls *tls) {
    if (!tls)
        return;
    SSL_free(tls->ssl);
    free(tls);
}

// What an operator can do about the two errors whose words do not say it.
static const char *hint_of(unsigned long error) {
    int reason = ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0;
    return reason == SSL_R_WRONG_VERSION_NUMBER ? ": nobody speaks TLS at this port"
           : reason == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED || reason == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE
               ? ": it may want redis_cert"
               : "";
}

// True: the stream can go on when more has come.
static bool goes_on(struct tls *tls, int result) {
    int kind = SSL_get_error(tls->ssl, result);
    long verified = SSL_get_verify_result(tls->ssl);
    unsigned long error = ERR_get_error();
    if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE)
        return true;
    tls->dead = true;
    if (kind == SSL_ERROR_ZERO_RETURN)
        snprintf(tls->trouble, sizeof tls->trouble, "closed by Redis");
    else if (verified != X509_V_OK)
        snprintf(tls->trouble, sizeof tls->trouble, "TLS: the certificate of %s: %s", tls->name,
                 X509_verify_cert_error_string(verified));
    else
        snprintf(tls->trouble, sizeof tls->trouble, "TLS: %s%s", reason_of(error), hint_of(error));
    ERR_clear_error();
    return false;
}

static bool no_memory(struct tls *tls) {
    tls->dead = true;
    snprintf(tls->trouble, sizeof tls->trouble, "TLS: no memory");
    return false;
}

bool tls_take(struct tls *tls, struct bytes sealed) {
    if (tls->dead || sealed.len == 0)
        return !tls->dead;
    return BIO_write(tls->in, sealed.at, (int)sealed.len) == (int)sealed.len || no_memory(tls);
}

enum tls_step tls_handshake(struct tls *tls) {
    if (tls->dead)
        return TLS_FAILED;
    ERR_clear_error();
    int result = SSL_do_handshake(tls->ssl);
    return result == 1 ? TLS_OPEN : goes_on(tls, result) ? TLS_WAITS : TLS_FAILED;
}

ssize_t tls_read(struct tls *tls, char *to, size_t size) {
    if (tls->dead)
        return -1;
    ERR_clear_error();
    int got = SSL_read(tls->ssl, to, size > INT_MAX ? INT_MAX : (int)size);
    tls->heard |= got > 0;
    return got > 0 ? got : goes_on(tls, got) ? 0 : -1;
}

bool tls_write(struct tls *tls, struct bytes plain) {
    while (!tls->dead && plain.len) {
        ERR_clear_error();
        int wrote = SSL_write(tls->ssl, plain.at, plain.len > INT_MAX ? INT_MAX : (int)plain.len);
        if (wrote <= 0 && goes_on(tls, wrote))
            return no_memory(tls); // a BIO in memory takes all, and nobody renegotiates
        size_t done = wrote > 0 ? (size_t)wrote : 0;
        plain = (struct bytes){plain.at + done, plain.len - done};
    }
    return !tls->dead;
}

void tls_close(struct tls *tls) {
    if (tls->dead || SSL_in_init(tls->ssl))
        return;
    SSL_shutdown(tls->ssl);
    ERR_clear_error();
    tls->dead = true;
    snprintf(tls->trouble, sizeof tls->trouble, "closed");
}

// Resetting the BIO would clear all memory that it ever had.
void tls_sealed(struct tls *tls, struct buffer *to) {
    size_t len = BIO_ctrl_pending(tls->out);
    char *at = len ? buffer_reserve(to, len) : NULL;
    int got = at ? BIO_read(tls->out, at, (int)len) : 0;
    to->len += got > 0 ? (size_t)got : 0;
}

bool tls_is_fresh(const struct tls *tls) {
    return !tls->heard && SSL_is_init_finished(tls->ssl);
}

const char *tls_trouble(const struct tls *tls) {
    return tls->trouble;
}
