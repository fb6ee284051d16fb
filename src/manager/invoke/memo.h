/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was found out a moment ago, by a digest of the question: bounded, and each answer only for its time. The oldest
 * use goes first when it is full. Thread: any.
 */
#ifndef AK_MANAGER_INVOKE_MEMO_H
#define AK_MANAGER_INVOKE_MEMO_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/time.h>
#include <stdbool.h>
#include <stddef.h>

/* A digest in text: 64 hexadecimal digits. */
#define AK_MEMO_KEY_SIZE 65
struct ak_memo_key {
    char text[AK_MEMO_KEY_SIZE];
};
/* SHA-256 over the texts, each with its length, ended by NULL; a text may be "". Negative: no memory. */
AK_MUST_USE int ak_memo_digest(struct ak_memo_key *ret, const char *const *texts);

struct ak_memo;
/* ref and unref count what is kept; NULL for values that need no counting. */
struct ak_memo_options {
    size_t max; /* entries */
    const struct ak_clock *clock;
    void *(*ref)(void *value);
    void (*unref)(void *value);
};
struct ak_memo *ak_memo_free(struct ak_memo *self);
AK_MUST_USE int ak_memo_new(const struct ak_memo_options *options, struct ak_memo **ret,
                            struct ak_error **reterr);
AK_DEFINE_AUTO_PTR(ak_memo, ak_memo_free)
/* A reference, or the value; false: not known, or not any more. */
bool ak_memo_find(struct ak_memo *self, const struct ak_memo_key *key, void **ret_value);
/* Replaces. Without memory nothing is kept, which is no error: it is asked again. */
void ak_memo_put(struct ak_memo *self, const struct ak_memo_key *key, void *value, ak_msec life);
size_t ak_memo_len(struct ak_memo *self);

#endif
