/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection to a Redis server as its client, in RESP2: TLS by the Tool's mode, login, the Tool's database; then one
 * command at a time, with its reply as JSON.
 */
#ifndef AK_BASTION_ENGINES_REDIS_CONNECTION_H
#define AK_BASTION_ENGINES_REDIS_CONNECTION_H

#include <jansson.h>

#include "bastion/engine.h"
#include "bastion/wire.h"

#define AK_REDIS_INNER_BYTES (8 << 20)

struct ak_redis; /* opaque; one thread at a time */
struct ak_redis *ak_redis_free(struct ak_redis *self);
AK_DEFINE_AUTO_PTR(ak_redis, ak_redis_free)

/*
 * Connected, under TLS where the mode is require or verify-*: the protocol cannot negotiate it, so with allow and
 * prefer there is none.
 */
AK_MUST_USE int ak_redis_open(const struct ak_target *target, const struct ak_cancel *cancel,
                              ak_msec deadline, struct ak_redis **ret, struct ak_error **reterr);
/* The same on a connection that is there, which is taken in every case. */
AK_MUST_USE int ak_redis_open_on(struct ak_wire *wire, ak_msec deadline, struct ak_redis **ret,
                                 struct ak_error **reterr);
/* AK_E_UNAUTHORIZED: refused, in the server's words. */
AK_MUST_USE int ak_redis_login(struct ak_redis *self, const struct ak_login *login,
                               struct ak_error **reterr);
/* config.databaseName, a number; nothing to do without one. */
AK_MUST_USE int ak_redis_select(struct ak_redis *self, const struct ak_target *target,
                                struct ak_error **reterr);
void ak_redis_set_deadline(struct ak_redis *self, ak_msec deadline);
struct ak_wire *ak_redis_wire(struct ak_redis *self);

struct ak_redis_answer {
    json_t *value; /* owned */
    int64_t bytes;
    bool truncated; /* more than max_bytes; the connection is of no use then */
};
void ak_redis_answer_done(struct ak_redis_answer *self);
AK_DEFINE_AUTO(ak_redis_answer, ak_redis_answer_done)
/*
 * AK_E_INVALID: an error of the server's, whose first word ak_redis_code() has. Texts that are not UTF-8 become "0x"
 * and hex; integers beyond 2^53 text. max_bytes 0: AK_REDIS_INNER_BYTES. lens NULL: words end with NUL.
 */
AK_MUST_USE int ak_redis_command(struct ak_redis *self, size_t n, const char *const *words,
                                 const size_t *lens, int64_t max_bytes, struct ak_redis_answer *ret,
                                 struct ak_error **reterr);
/* The first word of the server's last error: "NOPERM", "ERR"; "" when there was none. */
const char *ak_redis_code(const struct ak_redis *self);

#endif
