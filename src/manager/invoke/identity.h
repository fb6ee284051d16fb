/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who shows this token: the API server says it (TokenReview), and it is believed for AK_IDENTITY_LIFE. First
 * a token made for us is looked for (audience AK_IDENTITY_AUDIENCE), then one that the API server itself would
 * take. Tokens are known here by their digest only.
 */
#ifndef AK_MANAGER_INVOKE_IDENTITY_H
#define AK_MANAGER_INVOKE_IDENTITY_H

#include <ak/base/arena.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/secret.h>
#include <ak/base/thread.h>
#include <ak/base/time.h>
#include <ak/json/decode.h>
#include <ak/kube/client.h>
#include <stdatomic.h>

#include "manager/invoke/memo.h"

#define AK_IDENTITY_AUDIENCE "agentkube"
#define AK_IDENTITY_LIFE AK_SECONDS(60)
#define AK_IDENTITY_REFUSED_LIFE AK_SECONDS(5)
#define AK_IDENTITY_MAX 4096              /* tokens that are remembered */
#define AK_IDENTITY_MAX_BYTES (64u << 10) /* of one user: name, groups, extra */

/* Immutable, counted. */
struct ak_identity {
    atomic_int refs;
    struct ak_memo_key key; /* of the token */
    bool refused;           /* nobody: the token is not valid */
    const char *name, *uid; /* uid may be "" */
    struct ak_string_list groups;
    const char *extra; /* JSON of what authenticators add; NULL: nothing */
    struct ak_arena arena;
};
struct ak_identity *ak_identity_unref(struct ak_identity *self); /* NULL is fine; returns NULL */
static inline void ak__auto_identity(struct ak_identity **p)
{
    (void)ak_identity_unref(*p);
}
#define AK_AUTO_IDENTITY __attribute__((cleanup(ak__auto_identity))) struct ak_identity *

struct ak_identities;
struct ak_identities *ak_identities_free(struct ak_identities *self);
AK_MUST_USE int ak_identities_new(struct ak_client *client, const struct ak_clock *clock,
                                  struct ak_identities **ret, struct ak_error **reterr);
AK_DEFINE_AUTO_PTR(ak_identities, ak_identities_free)
/* What is known without asking: 1: *ret is a reference, which may be one that is refused. 0: ask. Thread: any. */
AK_MUST_USE int ak_identities_find(struct ak_identities *self, const struct ak_secret *token,
                                   struct ak_identity **ret);
/* Asks if it must. *ret may be one that is refused. Negative: it could not be found out (503). Blocks. Thread: any. */
AK_MUST_USE int ak_identities_ask(struct ak_identities *self, const struct ak_secret *token,
                                  const struct ak_cancel *cancel, struct ak_identity **ret,
                                  struct ak_error **reterr);
#endif
