/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May this user do that: the API server's authorizers say it (SubjectAccessReview), and it is believed for
 * AK_ACCESS_LIFE; a no only for AK_ACCESS_DENIED_LIFE, so that a grant is seen soon.
 */
#ifndef AK_MANAGER_INVOKE_ACCESS_H
#define AK_MANAGER_INVOKE_ACCESS_H

#include "manager/invoke/identity.h"

#define AK_ACCESS_LIFE AK_SECONDS(10)
#define AK_ACCESS_DENIED_LIFE AK_SECONDS(1)
#define AK_ACCESS_MAX 8192 /* answers that are remembered */

/* Of API group agentkube.io. */
struct ak_access_question {
    const char *verb, *resource;
    const char *sub;  /* NULL: none */
    const char *ns;   /* NULL: all of them */
    const char *name; /* NULL: not one object */
};
struct ak_accesses;
struct ak_accesses *ak_accesses_free(struct ak_accesses *self);
AK_MUST_USE int ak_accesses_new(struct ak_client *client, const struct ak_clock *clock,
                                struct ak_accesses **ret, struct ak_error **reterr);
AK_DEFINE_AUTO_PTR(ak_accesses, ak_accesses_free)
/* 1: yes. 0: no. Negative: it could not be found out (503). Blocks. Thread: any. */
AK_MUST_USE int ak_accesses_ask(struct ak_accesses *self, const struct ak_identity *who,
                                const struct ak_access_question *question,
                                const struct ak_cancel *cancel, struct ak_error **reterr);
/* The error for a no: 403, in the API server's own words. */
int ak_access_denied(const struct ak_identity *who, const struct ak_access_question *question,
                     struct ak_error **reterr);
/* The SubjectAccessReview. */
AK_MUST_USE int ak_access_write(const struct ak_identity *who,
                                const struct ak_access_question *question, struct ak_buf *out);
#endif
