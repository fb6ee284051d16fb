/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a server of MySQL says from its greeting on, to a login, a query and a prepared statement: arbitrary bytes, at
 * once, and then the end. The first byte chooses between query and statement, and what limits there are.
 */
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/json/json.h>

#include "bastion/engines/mysql/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The other end is kept in *ret_fd, open, for what we send. */
static struct ak_wire *answered_with(const uint8_t *data, size_t size, int *ret_fd)
{
    struct ak_wire *wire = NULL;
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return NULL;
    /* Fits into the socket's buffer: nobody reads meanwhile. */
    if (write(fds[1], data, AK_MIN(size, (size_t)65536)) < 0 || shutdown(fds[1], SHUT_WR) < 0 ||
        ak_wire_from_fd(fds[0], NULL, &wire, NULL) < 0) {
        close(fds[1]);
        return NULL;
    }
    *ret_fd = fds[1];
    return wire;
}

static void ask(struct ak_mysql *db, uint8_t how)
{
    static const char sql[] = "SELECT ?";
    const struct ak_mysql_limits limits = {
        .max_rows = how & 2 ? 2 : 0, .max_bytes = how & 4 ? 64 : 0, .may_stop = how & 8};
    AK_AUTO(ak_mysql_result) result = {0};
    AK_AUTO_JSON *params = json_pack("[s, i, f, b, n]", "text", 7, 0.5, 1);
    int r = params && how & 1
                ? ak_mysql_execute(db, sql, strlen(sql), params, &limits, &result, NULL)
                : ak_mysql_query(db, sql, strlen(sql), &limits, &result, NULL);

    if (r >= 0)
        (void)ak_mysql_text_at(&result, 0, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ak_target target = {.ns = "default", .name = "tool"};
    AK_AUTO_PTR(ak_mysql) db = NULL;
    AK_AUTO(ak_login) login = {0};
    struct ak_wire *wire;
    char server[64];
    int fd = -1;

    if (!size || !(wire = answered_with(data + 1, size - 1, &fd)))
        return 0;
    login.username = ak_strdup("app");
    login.password = ak_secret_new("s3cret", 6);
    if (ak_mysql_open_on(&target, wire, AK_MSEC_NEVER, &db, NULL) >= 0) {
        ak_mysql_server_text(db, server, sizeof(server));
        if (ak_mysql_login(db, &login, &(struct ak_mysql_how){.database = "d"}, NULL) >= 0)
            ask(db, data[0]);
    }
    close(fd);
    return 0;
}
