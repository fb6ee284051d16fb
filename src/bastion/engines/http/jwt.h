/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON Web Tokens signed with an RSA key (RS256, RFC 7515, RFC 7518 section 3.3), as the services want them that give
 * a key pair in place of a password. Pure but for the signature.
 */
#ifndef AK_BASTION_HTTP_JWT_H
#define AK_BASTION_HTTP_JWT_H

#include <ak/base/buf.h>
#include <ak/base/error.h>
#include <ak/base/secret.h>
#include <ak/base/time.h>
#include <jansson.h>

struct evp_pkey_st; /* OpenSSL's EVP_PKEY */

/* A private RSA key in PEM form, not encrypted. AK_E_INVALID: it is none, or has fewer than 2048 bits. The caller
 * EVP_PKEY_free()s it. */
AK_MUST_USE int ak_jwt_key_read(const struct ak_secret *pem, struct evp_pkey_st **ret,
                                struct ak_error **reterr);
/* "SHA256:BASE64" of the public key's SubjectPublicKeyInfo, appended. */
AK_MUST_USE int ak_jwt_key_fingerprint(struct evp_pkey_st *key, struct ak_buf *out,
                                       struct ak_error **reterr);
/* Appends HEADER.CLAIMS.SIGNATURE; `key_id` becomes the header's kid, NULL: none. */
AK_MUST_USE int ak_jwt_sign(struct evp_pkey_st *key, const char *key_id, const json_t *claims,
                            struct ak_buf *out, struct ak_error **reterr);

/*
 * What Snowflake wants of a key pair's owner: issuer ACCOUNT.USER.SHA256:fingerprint, subject ACCOUNT.USER, in
 * capitals; of an account with a region behind a dot only what is before it. Lives one hour from `wall`, the longest
 * that is taken.
 */
AK_MUST_USE int ak_jwt_snowflake(const struct ak_secret *pem, const char *account, const char *user,
                                 ak_msec wall, struct ak_buf *out, struct ak_error **reterr);

/* A Google service account's file. */
struct ak_service_account {
    char *email, *key_id, *project; /* key_id, project: may be NULL */
    char *token_uri;                /* https://oauth2.googleapis.com/token */
    struct ak_secret *private_key;
};
void ak_service_account_done(struct ak_service_account *self);
AK_DEFINE_AUTO(ak_service_account, ak_service_account_done)
/* AK_E_INVALID: not such a file; the text never quotes it. */
AK_MUST_USE int ak_service_account_parse(const char *text, size_t len,
                                         struct ak_service_account *ret, struct ak_error **reterr);
/* The assertion of RFC 7523 that is traded for an access token. */
AK_MUST_USE int ak_jwt_service_account(const struct ak_service_account *account, const char *scope,
                                       ak_msec wall, struct ak_buf *out, struct ak_error **reterr);

#endif
