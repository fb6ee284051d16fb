/* SPDX-License-Identifier: Apache-2.0 */
/* A client's and a server's bytes, both arbitrary, through PostgreSQL's relay. Pieces: a byte (bit 0: from the
 * server), a byte of length, the bytes. Whatever comes, every statement that was begun ends once, and the
 * buffers stay within their limits. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <ak/base/alloc.h>

#include "bastion/engines/postgres/pg_relay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int open_statements;
static bool is_busy;

static int on_begin(void *user, enum ak_statement_class class_, const char *text, size_t len,
                    void **ret_statement, struct ak_error **reterr)
{
    (void)user;
    (void)class_;
    if (memchr(text, '!', len))
        return ak_error_set(reterr, AK_E_FORBIDDEN, "refused");
    open_statements++;
    *ret_statement = ak_strndup(text, len);
    return 0;
}

static void on_end(void *user, void *statement, int64_t rows, uint64_t bytes, int code,
                   const char *sqlstate)
{
    (void)user;
    (void)rows;
    (void)bytes;
    (void)code;
    (void)sqlstate;
    if (open_statements-- <= 0)
        abort();
    ak_free(statement);
}

static void on_busy(void *user, bool busy)
{
    (void)user;
    if (busy == is_busy)
        abort();
    is_busy = busy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ak_pg_hooks hooks = {.begin = on_begin, .end = on_end, .busy = on_busy};
    struct ak_buf to_server = AK_BUF_INIT(8 << 20), to_client = AK_BUF_INIT(8 << 20);
    struct ak_pg_relay relay;
    int r = 0;

    if (size < 1 || ak_pg_relay_init(&relay, AK_TOOL_TYPE_POSTGRES, data[0] & 1, &hooks, NULL) < 0)
        return 0;
    for (size_t at = 1; r == 0 && size - at >= 2;) {
        const bool server = data[at] & 1;
        const size_t len = AK_MIN((size_t)data[at + 1], size - at - 2);

        at += 2;
        if (server || !ak_pg_relay_is_paused(&relay))
            r = (server ? ak_pg_relay_from_server : ak_pg_relay_from_client)(
                &relay, data + at, len, &to_server, &to_client, NULL);
        at += len;
        if (relay.n_units > AK_PG_MAX_UNITS)
            abort();
        ak_buf_clear(&to_server);
        ak_buf_clear(&to_client);
    }
    ak_pg_relay_done(&relay);
    if (open_statements || is_busy)
        abort();
    ak_buf_done(&to_server);
    ak_buf_done(&to_client);
    return 0;
}
