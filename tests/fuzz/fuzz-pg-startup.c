/* SPDX-License-Identifier: Apache-2.0 */
/* The first packets of a client: arbitrary bytes. The server behind does not exist, so every start ends with a
 * refusal. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bastion/engines/postgres/pg_serve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AK_AUTO(ak_buf) startup = AK_BUF_INIT(AK_PG_MAX_STARTUP);
    AK_AUTO_PTR(ak_wire) wire = NULL;
    struct ak_pg_wishes wishes = {.n = 0};
    uint32_t protocol = 0;
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return 0;
    if (write(fds[1], data, size > 65536 ? 65536 : size) < 0 || shutdown(fds[1], SHUT_WR) < 0 ||
        ak_wire_from_fd(fds[0], NULL, &wire, NULL) < 0) {
        close(fds[1]);
        return 0;
    }
    if (ak__pg_read_startup(wire, &startup, &protocol, NULL) > 0 &&
        ak__pg_read_wishes(&startup, &wishes, NULL) >= 0 && wishes.n > AK_PG_MAX_SETTINGS)
        abort();
    close(fds[1]);
    return 0;
}
