/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How PostgreSQL's servers are convinced of a password without being told it: SCRAM-SHA-256, with and without
 * channel binding (RFC 5802, 7677, 5929), and the older MD5. And the verifier that a server keeps of a
 * password, so that CREATE ROLE never has the password itself in its text, nor in the server's log. Pure but
 * for random bytes.
 */
#ifndef AK_BASTION_PG_AUTH_H
#define AK_BASTION_PG_AUTH_H

#include <ak/base/buf.h>
#include <ak/base/error.h>
#include <ak/base/secret.h>
#include <stdint.h>

#define AK_PG_SCRAM_MAX 4096 /* bytes of a message of the exchange */
#define AK_PG_SCRAM_MAX_ITERATIONS                                                                 \
    1000000 /* a server that asks for more wants our time, not the password */

struct ak_pg_scram {
    struct ak_buf client_first_bare, auth_message,
        binding; /* binding: GS2 header, then the server's certificate's hash */
    char nonce[33];
    uint8_t server_signature[32];
    bool is_final;
};
void ak_pg_scram_done(struct ak_pg_scram *self);
AK_DEFINE_AUTO(ak_pg_scram, ak_pg_scram_done)

/* Begins; `binding` is the end point's hash for SCRAM-SHA-256-PLUS, len 0: SCRAM-SHA-256 (`over_tls`: and we
 * could have, had the server offered it). nonce: 24 printable characters or more without comma, NULL: random.
 * Appends client-first-message. */
AK_MUST_USE int ak_pg_scram_first(struct ak_pg_scram *self, const uint8_t *binding,
                                  size_t binding_len, bool over_tls, const char *nonce,
                                  struct ak_buf *out, struct ak_error **reterr);
/* server-first-message in, client-final-message out. AK_E_PROTOCOL: it is not what the RFC says. */
AK_MUST_USE int ak_pg_scram_continue(struct ak_pg_scram *self, const struct ak_secret *password,
                                     const char *data, size_t len, struct ak_buf *out,
                                     struct ak_error **reterr);
/* server-final-message: 0 when the server knew the password too, AK_E_UNAUTHORIZED when it did not. */
AK_MUST_USE int ak_pg_scram_final(const struct ak_pg_scram *self, const char *data, size_t len,
                                  struct ak_error **reterr);

/* "md5" and 32 hex digits: the answer to AuthenticationMD5Password. */
#define AK_PG_MD5_SIZE 36
AK_MUST_USE int ak_pg_md5(const struct ak_secret *password, const char *user,
                          const uint8_t salt[static 4], char ret[static AK_PG_MD5_SIZE],
                          struct ak_error **reterr);

/* The same words as a server keeps of it, without a salt of the moment. */
AK_MUST_USE int ak_pg_md5_stored(const struct ak_secret *password, const char *user,
                                 char ret[static AK_PG_MD5_SIZE], struct ak_error **reterr);

/* SCRAM-SHA-256$4096:SALT$STORED:SERVER, as in pg_authid. Fresh salt. */
AK_MUST_USE int ak_pg_verifier(const struct ak_secret *password, struct ak_buf *out,
                               struct ak_error **reterr);

#endif
