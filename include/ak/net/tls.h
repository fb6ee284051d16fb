/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a TLS server shows and whom it lets in, made once and shared by reference. TLS 1.2 or newer with forward
 * secrecy only. A server that has no certificate of its own gets one here: a fresh ECDSA P-256 key, signed by
 * itself, that lives as long as the context; its clients recognise it by its pin.
 */
#ifndef AK_NET_TLS_H
#define AK_NET_TLS_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/secret.h>
#include <stdbool.h>

typedef struct ssl_ctx_st SSL_CTX;

/* Immutable. Thread: any. */
struct ak_tls_context;
AK_PUBLIC struct ak_tls_context *ak_tls_context_ref(struct ak_tls_context *self);
AK_PUBLIC struct ak_tls_context *ak_tls_context_unref(struct ak_tls_context *self);
AK_DEFINE_AUTO_PTR(ak_tls_context, ak_tls_context_unref)

struct ak_tls_server_options {
    const char *cert_pem; /* the chain, own certificate first; NULL: self-signed */
    const struct ak_secret *key_pem;
    const char *self_signed_name; /* its common name and DNS name; NULL: "localhost" */
    /* Clients must show a certificate that one of these signed (PEM, several allowed); NULL: none is asked for.
     * A certificate that says what it is for must be for clients (extended key usage clientAuth). */
    const char *client_ca_pem;
    const char *
        client_name; /* ... and has this common name; others are refused in the handshake; NULL: any */
    bool tls13_only;
};
AK_PUBLIC AK_MUST_USE int ak_tls_context_new_server(const struct ak_tls_server_options *options,
                                                    struct ak_tls_context **ret,
                                                    struct ak_error **reterr);
/* Of a context that was set up elsewhere; takes a reference to it. */
AK_PUBLIC AK_MUST_USE int ak_tls_context_new_from(SSL_CTX *ctx, struct ak_tls_context **ret,
                                                  struct ak_error **reterr);
/* "sha256//BASE64" of the own certificate's SubjectPublicKeyInfo, as ak_http_target.pinned_public_key wants it.
 * Borrowed. */
AK_PUBLIC const char *ak_tls_context_pin(const struct ak_tls_context *self);

#endif
