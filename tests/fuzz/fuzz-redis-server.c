/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a server of Redis answers to a login and to commands: arbitrary bytes, at once, and then the end. The first
 * byte is how many bytes an answer may have.
 */
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ak/base/alloc.h>

#include "bastion/engines/redis/connection.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AK_AUTO_PTR(ak_redis) db = NULL;
    AK_AUTO(ak_login) login = {0};
    struct ak_wire *wire = NULL;
    int fds[2], r = 0;

    if (!size || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return 0;
    /* Fits into the socket's buffer: nobody reads meanwhile. */
    if (write(fds[1], data + 1, AK_MIN(size - 1, (size_t)65536)) < 0 ||
        shutdown(fds[1], SHUT_WR) < 0 || ak_wire_from_fd(fds[0], NULL, &wire, NULL) < 0) {
        close(fds[1]);
        return 0;
    }
    login.username = ak_strdup("app");
    login.password = ak_secret_new("s3cret", 6);
    if (ak_redis_open_on(wire, AK_MSEC_NEVER, &db, NULL) >= 0 &&
        (size % 2 || ak_redis_login(db, &login, NULL) >= 0)) {
        for (int i = 0; r >= 0 && i < 8; i++) {
            AK_AUTO(ak_redis_answer) answer = {0};

            r = ak_redis_command(db, 2, (const char *[]){"GET", "key"}, NULL, 1 + data[0] * 16,
                                 &answer, NULL);
            if (answer.truncated)
                break;
        }
        (void)ak_redis_code(db);
    }
    close(fds[1]);
    return 0;
}
