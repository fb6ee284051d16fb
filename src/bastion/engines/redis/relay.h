/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client and a logged-in server of Redis. Requests may come as far ahead of their replies as the client likes; a
 * reply of ours (to AUTH, or to what is refused) waits until those before it have come. Pure: what must be asked or
 * told goes through hooks.
 */
#ifndef AK_BASTION_ENGINES_REDIS_RELAY_H
#define AK_BASTION_ENGINES_REDIS_RELAY_H

#include "bastion/engines/redis/resp.h"
#include "engines/classify.h"

#define AK_REDIS_MAX_AHEAD 512 /* requests that wait for their reply; more are not read */

struct ak_redis_hooks {
    /* A command is about to go. Negative: it is refused, *reterr says why. */
    int (*begin)(void *user, enum ak_statement_class class_, const char *text, size_t len,
                 void **ret_statement, struct ak_error **reterr);
    void (*end)(void *user, void *statement, uint64_t bytes, int code, const char *server_code);
    void (*busy)(void *user, bool busy);
};

struct ak_redis_relay {
    const struct ak_redis_hooks *hooks;
    void *user;
    bool only_reads; /* logged in as somebody who could write: only what is known to read goes on */

    struct ak_buf inbox; /* what waits until a reply of ours could be given */
    struct ak_redis_request request;
    enum { AK_REDIS_HOLD, AK_REDIS_PASS, AK_REDIS_DROP } mode;
    char local[320]; /* a reply of ours that waits for its turn; "" */

    struct ak_redis_reply reply;
    uint64_t reply_bytes;
    void *ahead[AK_REDIS_MAX_AHEAD]; /* statements under way, the oldest at `first` */
    size_t first, n_ahead;
    bool is_busy, in_multi;
    bool streams; /* MONITOR or SUBSCRIBE: replies come without being asked for */
};

AK_MUST_USE int ak_redis_relay_init(struct ak_redis_relay *self, bool only_reads,
                                    const struct ak_redis_hooks *hooks, void *user);
void ak_redis_relay_done(struct ak_redis_relay *self); /* ends what is under way */
AK_DEFINE_AUTO(ak_redis_relay, ak_redis_relay_done)

/* As struct ak_relay_protocol wants them. */
int ak_redis_relay_from_client(void *self, const uint8_t *data, size_t len,
                               struct ak_buf *to_server, struct ak_buf *to_client,
                               struct ak_error **reterr);
int ak_redis_relay_from_server(void *self, const uint8_t *data, size_t len,
                               struct ak_buf *to_server, struct ak_buf *to_client,
                               struct ak_error **reterr);
bool ak_redis_relay_is_paused(void *self);
/* Bytes that are wanted until the server's reply under way may have ended; 0: none is under way. */
size_t ak_redis_relay_missing(void *self);

#endif
