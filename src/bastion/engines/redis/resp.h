/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RESP, the protocol of Redis, versions 2 and 3: requests of a client cut into their words, and where each reply of a
 * server ends. Incremental and pure; both take bytes as they come. A request is kept to its first AK_REDIS_HELD
 * bytes, a reply not at all.
 */
#ifndef AK_BASTION_ENGINES_REDIS_RESP_H
#define AK_BASTION_ENGINES_REDIS_RESP_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define AK_REDIS_HELD (64u << 10)     /* of a request, until it is decided about */
#define AK_REDIS_LINE_MAX (64u << 10) /* of an inline request, as in the server */
#define AK_REDIS_MAX_WORDS (1u << 20) /* of a request */
#define AK_REDIS_MAX_BULK (512u << 20)
#define AK_REDIS_KEPT_WORDS 128 /* that are looked at */
#define AK_REDIS_DEPTH 32

/* Appends a request of these words. */
AK_MUST_USE int ak_redis_put(struct ak_buf *out, size_t n, const char *const *words,
                             const size_t *lens);

/* Where a reply ends. */
struct ak_redis_reply {
    char line[64]; /* what there is of the line under way, or the beginning of a longer one */
    size_t line_len;
    uint64_t bulk_left; /* bytes of a text, its line end included */
    uint64_t left[AK_REDIS_DEPTH];
    bool is_attribute[AK_REDIS_DEPTH];
    size_t depth;
    char type;      /* of the outermost value */
    char error[32]; /* the first word of a reply that is an error; "" */
};
/* Takes bytes up to the end of one reply: how many; *ret_ended says whether it came to that. AK_E_PROTOCOL. */
AK_MUST_USE ssize_t ak_redis_reply_take(struct ak_redis_reply *self, const uint8_t *data,
                                        size_t len, bool *ret_ended);
bool ak_redis_reply_is_between(const struct ak_redis_reply *self);

/* A request. Its text is held from the first byte on until the caller clears it. */
struct ak_redis_request {
    struct ak_buf held; /* as it came */
    bool is_over_held;  /* more came than is held: those bytes are in the caller's hands */
    enum { AK_REDIS_START, AK_REDIS_COUNT, AK_REDIS_LENGTH, AK_REDIS_BULK, AK_REDIS_INLINE } state;
    char line[24]; /* of a count or length */
    size_t line_len;
    uint64_t words_left, bulk_left;
    size_t n_words; /* complete ones within `held` */
    struct {
        size_t at, len;
    } words[AK_REDIS_KEPT_WORDS];
    size_t bulk_len;
};
void ak_redis_request_init(struct ak_redis_request *self);
void ak_redis_request_done(struct ak_redis_request *self);
/*
 * Takes bytes up to the end of the request, or until `held` is full: how many. *ret_ended: the request is complete.
 * When `held` is full the caller decides, clears it, sets is_over_held, and passes on by himself what is taken from
 * then on. AK_E_PROTOCOL: what a server would refuse, or might read in another way.
 */
AK_MUST_USE ssize_t ak_redis_request_take(struct ak_redis_request *self, const uint8_t *data,
                                          size_t len, bool *ret_ended);
/* Makes it ready for the next one. */
void ak_redis_request_clear(struct ak_redis_request *self);

#endif
