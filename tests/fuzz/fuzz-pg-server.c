/* SPDX-License-Identifier: Apache-2.0 */
/* What a server answers to a query with parameters, to a statement of our own, and in SCRAM's exchange:
 * arbitrary bytes. */
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ak/base/alloc.h>

#include "bastion/engines/postgres/pg_auth.h"
#include "bastion/engines/postgres/pg_query.h"
#include "bastion/engines/postgres/pg_start.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ak_pg *answered_with(const uint8_t *data, size_t size)
{
    struct ak_pg *pg = ak__pg_new();
    int fds[2];

    if (!pg || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return ak_pg_free(pg);
    /* Fits into the socket's buffer: nobody reads meanwhile. */
    if (write(fds[1], data, AK_MIN(size, (size_t)65536)) < 0 || shutdown(fds[1], SHUT_WR) < 0 ||
        ak_wire_from_fd(fds[0], NULL, &pg->wire, NULL) < 0) {
        close(fds[1]);
        return ak_pg_free(pg);
    }
    pg->key = (uint32_t)fds[1]; /* kept open, for what we send */
    return pg;
}

static void query(const uint8_t *data, size_t size, bool may_stop)
{
    struct ak_pg *pg = answered_with(data, size);
    const struct ak_pg_query q = {
        .sql = "SELECT 1", .sql_len = 8, .max_rows = 10, .max_bytes = 4096, .may_stop = may_stop};
    struct ak_pg_result result = {NULL};

    if (!pg)
        return;
    if (ak_pg_query(pg, &q, &result, NULL) >= 0)
        json_decref(result.value);
    close((int)pg->key);
    ak_pg_free(pg);
}

static int on_row(void *user, size_t n, const char *const *values)
{
    size_t *total = user;

    for (size_t i = 0; i < n; i++)
        *total += values[i] ? strlen(values[i]) : 0;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AK_AUTO_PTR(ak_secret) secret = ak_secret_new("pencil", 6);
    AK_AUTO(ak_pg_scram) scram = {.is_final = false};
    AK_AUTO(ak_buf) out = AK_BUF_INIT(4096);
    struct ak_pg *pg = answered_with(data, size);
    size_t total = 0;

    if (pg) {
        if (ak_pg_run(pg, "SELECT 1", on_row, &total, NULL) < 0 && ak_pg_parameter(pg, "x"))
            total++;
        close((int)pg->key);
        ak_pg_free(pg);
    }
    query(data, size, true);
    query(data, size, false);
    /* Few iterations: their number is bounded, but not by what a fuzzer has time for. */
    if (size < 256 && !memmem(data, size, "i=9", 3) && secret &&
        ak_pg_scram_first(&scram, NULL, 0, false, "fyko", &out, NULL) >= 0 &&
        ak_pg_scram_continue(&scram, secret, (const char *)data, size, &out, NULL) >= 0)
        (void)!ak_pg_scram_final(&scram, (const char *)data, size, NULL);
    return 0;
}
