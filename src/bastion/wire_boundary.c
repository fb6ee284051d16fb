/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/wire_boundary.h"

#define STEP_MAX 8192u

bool ak_wire_say(struct ak_wire *client, const void *data, size_t len, ak_msec deadline)
{
    const char *at = data;

    while (len) {
        struct ak_wire_wait out = {.wire = client, .want = AK_WIRE_WRITE};
        ssize_t n;

        if (ak_wire_wait(&out, 1, NULL, deadline, NULL) < 0)
            return false;
        n = ak_wire_try_write(client, at, len, NULL);
        if (n < 0 && n != -EAGAIN)
            return false;
        at += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

bool ak_wire_reach_boundary(struct ak_wire *client, struct ak_wire *server,
                            const struct ak_relay_protocol *protocol, void *user,
                            size_t (*missing)(void *user), ak_msec deadline)
{
    AK_AUTO(ak_buf) to_server = AK_BUF_INIT(AK_RELAY_MAX);
    AK_AUTO(ak_buf) to_client = AK_BUF_INIT(AK_RELAY_MAX);
    uint8_t data[STEP_MAX];
    size_t want;

    while ((want = missing(user)) > 0) {
        struct ak_wire_wait in = {.wire = server, .want = AK_WIRE_READ};
        ssize_t n;

        if (ak_wire_wait(&in, 1, NULL, deadline, NULL) < 0)
            return false;
        n = ak_wire_try_read(server, data, AK_MIN(want, sizeof(data)), NULL);
        if (n == -EAGAIN)
            continue;
        if (n <= 0 ||
            protocol->from_server(user, data, (size_t)n, &to_server, &to_client, NULL) < 0)
            return false;
        if (!ak_wire_say(client, to_client.data, to_client.len, deadline))
            return false;
        ak_buf_clear(&to_client);
    }
    return true;
}
