/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a client of MySQL or MariaDB proves that it knows the password, by the server's plugin: mysql_native_password,
 * caching_sha2_password, sha256_password, client_ed25519, mysql_clear_password. Pure but for OpenSSL's hashes.
 */
#ifndef AK_BASTION_ENGINES_MYSQL_AUTH_H
#define AK_BASTION_ENGINES_MYSQL_AUTH_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/secret.h>
#include <stdbool.h>
#include <stdint.h>

#define AK_MYSQL_NATIVE "mysql_native_password"
#define AK_MYSQL_CACHING_SHA2 "caching_sha2_password"
#define AK_MYSQL_SHA256 "sha256_password"
#define AK_MYSQL_ED25519 "client_ed25519"
#define AK_MYSQL_CLEAR "mysql_clear_password"

/*
 * Appends what a client sends first for `plugin`. password NULL: an empty one. `scramble` are the server's bytes, 20
 * for most, 32 for ed25519. A password in clear goes under TLS only. AK_E_UNAUTHORIZED: the plugin is not known, or
 * cannot be served (the text says why).
 */
AK_MUST_USE int ak_mysql_prove(const char *plugin, const struct ak_secret *password,
                               const uint8_t *scramble, size_t scramble_len, bool is_tls,
                               struct ak_buf *out, struct ak_error **reterr);
/* The password and its NUL, XORed with the scramble and encrypted to the server's RSA key (PEM): for the SHA-256
 * plugins without TLS. */
AK_MUST_USE int ak_mysql_encrypt(const struct ak_secret *password, const uint8_t *scramble,
                                 size_t scramble_len, const char *pem, size_t pem_len,
                                 struct ak_buf *out, struct ak_error **reterr);

/* "*" and 40 hex digits: what mysql_native_password stores, so that no password is in a statement. */
#define AK_MYSQL_NATIVE_HASH_SIZE 42
AK_MUST_USE int ak_mysql_native_hash(const struct ak_secret *password,
                                     char buf[static AK_MYSQL_NATIVE_HASH_SIZE],
                                     struct ak_error **reterr);
/*
 * What caching_sha2_password stores ("$A$005$", 20 bytes of salt, 43 of hash: crypt's SHA-256 with 5,000 rounds), with
 * its end. The salt has letters and digits only, AK_MYSQL_SHA2_SALT of them (fewer are taken too).
 */
#define AK_MYSQL_SHA2_SALT 20
#define AK_MYSQL_SHA2_HASH_SIZE (7 + AK_MYSQL_SHA2_SALT + 43 + 1)
AK_MUST_USE int ak_mysql_sha2_hash(const struct ak_secret *password, const char *salt,
                                   char buf[static AK_MYSQL_SHA2_HASH_SIZE],
                                   struct ak_error **reterr);

#endif
