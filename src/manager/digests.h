/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the Secrets and ConfigMaps that Agents name hold, as digests: a value that changed has another
 * digest, and the value itself is wiped before the call returns.
 *
 * ConfigMaps are watched (metadata only), so their content is read again when the resourceVersion has
 * changed. Secrets are never listed or watched: they are read by name, and a reading serves everybody
 * for as long as ak_digests_ttl() says, which grows with the number of Secrets so that all of them
 * together cost no more than AK_DIGESTS_READS_PER_SECOND.
 *
 * The digest of a Secret's value is HMAC-SHA256 with the Secret's uid as key, cut to 128 bits: it ends up
 * in the hash on a pod, where nobody may try passwords against it without knowing which Secret it was.
 *
 * Thread: any. Lock: held for table look-ups only, never during a request.
 */
#ifndef AK_MANAGER_DIGESTS_H
#define AK_MANAGER_DIGESTS_H

#include <ak/base/arena.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/time.h>
#include <ak/kube/client.h>
#include <stdbool.h>

#define AK_DIGESTS_MAX 100000         /* objects; the least recently used goes first */
#define AK_DIGESTS_READS_PER_SECOND 5 /* of Secrets, in a steady cluster */
#define AK_DIGEST_SIZE 33             /* hexadecimal, with its NUL */

struct ak_digests; /* opaque */
struct ak_digests *ak_digests_free(struct ak_digests *self);
/* `client` and `clock` are borrowed; clock NULL: the system's. */
AK_MUST_USE int ak_digests_new(struct ak_client *client, const struct ak_clock *clock,
                               struct ak_digests **ret, struct ak_error **reterr);
AK_DEFINE_AUTO_PTR(ak_digests, ak_digests_free)

/* Which object, and which part of it. */
struct ak_digest_query {
    const struct ak_resource *resource; /* Secret or ConfigMap */
    const char *namespace_, *name;
    const char *key;              /* NULL: all keys together */
    const char *resource_version; /* of a ConfigMap, from the cache; NULL for Secrets */
    ak_msec max_age; /* of what is remembered of a Secret; 0: as long as ak_digests_ttl() says */
};
struct ak_digest {
    bool found;               /* the object exists */
    bool key_found;           /* and has the key */
    char hex[AK_DIGEST_SIZE]; /* "" unless key_found */
};
/* Reads, or remembers. Not to find the object is success. */
AK_MUST_USE int ak_digests_read(struct ak_digests *self, const struct ak_digest_query *query,
                                struct ak_digest *ret, struct ak_error **reterr);
/* After how long a Secret should be looked at again: `missing` ones sooner. */
ak_msec ak_digests_ttl(struct ak_digests *self, bool missing);

/* Hex SHA-256 of bytes, cut to 128 bits. 0 or -ENOMEM. */
AK_MUST_USE int ak_digest_bytes(const void *data, size_t len, char ret[static AK_DIGEST_SIZE]);

#endif
