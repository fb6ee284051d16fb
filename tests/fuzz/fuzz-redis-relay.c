/* SPDX-License-Identifier: Apache-2.0 */
/* A client's and a server's bytes, both arbitrary, through the relay of Redis. Pieces: a byte (bit 0: from the
 * server), a byte of length, the bytes. Whatever comes, every statement that was begun ends once. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <ak/base/alloc.h>

#include "bastion/engines/redis/relay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int open_statements;
static bool is_busy;

static int on_begin(void *user, enum ak_statement_class class_, const char *text, size_t len,
                    void **ret_statement, struct ak_error **reterr)
{
    (void)user;
    (void)class_;
    if (len && memchr(text, '!', len))
        return ak_error_set(reterr, AK_E_FORBIDDEN, "refused");
    *ret_statement = ak_strndup(text, len);
    open_statements++;
    return 0;
}

static void on_busy(void *user, bool busy)
{
    (void)user;
    if (busy == is_busy)
        abort();
    is_busy = busy;
}

static void on_end(void *user, void *statement, uint64_t bytes, int code, const char *server_code)
{
    (void)user;
    (void)bytes;
    (void)code;
    (void)server_code;
    if (open_statements-- <= 0)
        abort();
    ak_free(statement);
}

static const struct ak_redis_hooks hooks = {on_begin, on_end, on_busy};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ak_buf to_server = AK_BUF_INIT(8 << 20), to_client = AK_BUF_INIT(8 << 20);
    struct ak_redis_relay relay;
    int r = 0;

    if (size < 1 || ak_redis_relay_init(&relay, data[0] & 1, &hooks, NULL) < 0)
        return 0;
    for (size_t at = 1; r == 0 && size - at >= 2;) {
        const bool is_server = data[at] & 1;
        const size_t len = AK_MIN((size_t)data[at + 1], size - at - 2);

        at += 2;
        r = (is_server ? ak_redis_relay_from_server : ak_redis_relay_from_client)(
            &relay, data + at, len, &to_server, &to_client, NULL);
        at += len;
    }
    (void)ak_redis_relay_missing(&relay);
    ak_redis_relay_done(&relay);
    if (open_statements || is_busy)
        abort();
    ak_buf_done(&to_server);
    ak_buf_done(&to_client);
    return 0;
}
