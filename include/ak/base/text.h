/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers, durations, quantities and hashes from and to text; small string predicates.
 * Parsers take the whole text or fail: no leading blanks, no trailing rest, no silent overflow.
 */
#ifndef AK_BASE_TEXT_H
#define AK_BASE_TEXT_H

#include <ak/base/compiler.h>
#include <ak/base/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

AK_PUBLIC bool ak_streq(const char *a, const char *b); /* NULL equals NULL only */
AK_PUBLIC bool ak_has_prefix(const char *s, const char *prefix);
AK_PUBLIC bool ak_has_suffix(const char *s, const char *suffix);
AK_PUBLIC bool ak_is_empty(const char *s); /* NULL or "" */

/* All return 0, -EINVAL (not such a number) or -ERANGE. */
AK_PUBLIC AK_MUST_USE int ak_parse_u64(const char *s, uint64_t *ret);
AK_PUBLIC AK_MUST_USE int ak_parse_i64(const char *s, int64_t *ret);
AK_PUBLIC AK_MUST_USE int ak_parse_u16(const char *s, uint16_t *ret);
AK_PUBLIC AK_MUST_USE int ak_parse_bool(const char *s, bool *ret); /* "true" or "false" */
/* Go's duration syntax as Kubernetes uses it: "300ms", "1h30m", "15m", "-1.5s"; units h m s ms us ns. */
AK_PUBLIC AK_MUST_USE int ak_parse_duration(const char *s, ak_msec *ret);
/* Shortest text of the same syntax ("15m0s" is written "15m"); buf of at least 32 bytes. */
AK_PUBLIC const char *ak_format_duration(ak_msec d, char buf[static 32]);
/* Kubernetes resource.Quantity, in thousandths (so "100m" is 100 and "1Gi" is 2^30 * 1000). */
AK_PUBLIC AK_MUST_USE int ak_parse_quantity(const char *s, int64_t *ret_milli);

/* RFC 1123 names as the apiserver checks them. */
AK_PUBLIC bool ak_is_dns_label(const char *s);     /* at most 63 characters */
AK_PUBLIC bool ak_is_dns_subdomain(const char *s); /* at most 253 characters */

/* FNV-1a, for hash tables only. */
AK_PUBLIC uint64_t ak_hash_bytes(uint64_t seed, const void *data, size_t len);
#define AK_HASH_SEED 0xcbf29ce484222325ULL

#endif
