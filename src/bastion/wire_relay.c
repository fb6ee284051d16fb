/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/wire_relay.h"

#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/secret.h>

#define READ_SIZE (32u << 10)
#define LAST_PATIENCE AK_SECONDS(1)

/* One side: where it is read from, what waits to be written to it. */
struct side {
    struct ak_wire *wire;
    struct ak_buf out;
    size_t sent;   /* of `out` */
    bool is_ended; /* it sends no more */
};

struct relay {
    struct side client, server;
    const struct ak_relay_protocol *protocol;
    void *user;
    bool is_over; /* the protocol said so: write what waits, read no more */
    uint8_t data[READ_SIZE];
};

static size_t waiting(const struct side *s)
{
    return s->out.len - s->sent;
}

static int write_some(struct side *s, struct ak_error **reterr)
{
    ssize_t n = ak_wire_try_write(s->wire, s->out.data + s->sent, waiting(s), reterr);

    if (n == -EAGAIN)
        return 0;
    if (n < 0)
        return (int)n;
    s->sent += (size_t)n;
    if (s->sent == s->out.len) {
        ak_buf_clear(&s->out);
        s->sent = 0;
    }
    return 0;
}

/* Drops what was written once it is worth moving the rest. */
static void compact(struct side *s)
{
    if (s->sent >= AK_RELAY_FULL) {
        ak_buf_consume(&s->out, s->sent);
        s->sent = 0;
    }
}

static int read_some(struct relay *self, struct side *from, struct ak_error **reterr)
{
    const bool is_client = from == &self->client;
    ssize_t n = ak_wire_try_read(from->wire, self->data, sizeof(self->data), reterr);
    int r;

    if (n == -EAGAIN)
        return 0;
    if (n == -EPIPE) {
        if (reterr)
            *reterr = ak_error_free(*reterr);
        from->is_ended = true;
        return 0;
    }
    if (n < 0)
        return (int)n;
    compact(&self->client);
    compact(&self->server);
    if (self->protocol->moved)
        self->protocol->moved(self->user, is_client ? (uint64_t)n : 0, is_client ? 0 : (uint64_t)n);
    r = (is_client ? self->protocol->from_client : self->protocol->from_server)(
        self->user, self->data, (size_t)n, &self->server.out, &self->client.out, reterr);
    if (r > 0)
        self->is_over = true;
    return r < 0 ? r : 0;
}

/* Whether the relay is over, and how; 0: not yet. */
static int ended(const struct relay *self)
{
    if (self->is_over)
        return waiting(&self->client) + waiting(&self->server) == 0 ? AK_RELAY_PROTOCOL_ENDED : 0;
    if (self->server.is_ended)
        return waiting(&self->client) == 0 ? AK_RELAY_SERVER_ENDED : 0;
    if (self->client.is_ended)
        return waiting(&self->server) == 0 ? AK_RELAY_CLIENT_ENDED : 0;
    return 0;
}

static unsigned wants(const struct relay *self, const struct side *s, bool may_read)
{
    unsigned want = 0;

    if (may_read && !s->is_ended && !self->is_over)
        want |= AK_WIRE_READ;
    if (waiting(s))
        want |= AK_WIRE_WRITE;
    return want;
}

static int step(struct relay *self, const struct ak_cancel *cancel, struct ak_error **reterr)
{
    const bool paused =
        self->protocol->is_client_paused && self->protocol->is_client_paused(self->user);
    const bool room = !paused && waiting(&self->server) <= AK_RELAY_FULL &&
                      waiting(&self->client) <= AK_RELAY_FULL;
    /* The client waits for room on both sides, as both may grow from what it sends; the server only for the
     * client's. */
    struct ak_wire_wait items[2] = {
        {.wire = self->client.wire,
         .want = wants(self, &self->client, room && !self->server.is_ended)},
        {.wire = self->server.wire,
         .want = wants(self, &self->server, waiting(&self->client) <= AK_RELAY_FULL)},
    };
    struct side *sides[2] = {&self->client, &self->server};
    int r;

    r = ak_wire_wait(items, 2, cancel, AK_MSEC_NEVER, reterr);
    for (size_t i = 0; r >= 0 && i < 2; i++) {
        if (items[i].ready & AK_WIRE_WRITE)
            r = write_some(sides[i], reterr);
        if (r >= 0 && (items[i].ready & AK_WIRE_READ))
            r = read_some(self, sides[i], reterr);
    }
    return r;
}

/* The client still gets what was meant for it, so that last words can follow at a boundary that it and the
 * protocol agree on. */
static void say_the_rest(struct side *client)
{
    const ak_msec deadline = ak_now() + LAST_PATIENCE;
    int r = 0;

    while (r >= 0 && waiting(client)) {
        struct ak_wire_wait item = {.wire = client->wire, .want = AK_WIRE_WRITE};

        r = ak_wire_wait(&item, 1, NULL, deadline, NULL);
        if (r >= 0)
            r = write_some(client, NULL);
    }
}

int ak_wire_relay(struct ak_wire *client, struct ak_wire *server,
                  const struct ak_relay_protocol *protocol, void *user,
                  const struct ak_cancel *cancel, struct ak_error **reterr)
{
    struct relay *self = ak_new0(struct relay);
    int r = 0;

    if (!self)
        return ak_error_oom(reterr);
    self->client = (struct side){.wire = client, .out = AK_BUF_INIT(AK_RELAY_MAX)};
    self->server = (struct side){.wire = server, .out = AK_BUF_INIT(AK_RELAY_MAX)};
    self->protocol = protocol;
    self->user = user;
    while (r >= 0) {
        int how = ended(self);

        if (how) {
            r = how;
            break;
        }
        r = step(self, cancel, reterr);
    }
    if (r == AK_E_CANCELLED)
        say_the_rest(&self->client);
    ak_buf_done(&self->client.out);
    ak_buf_done(&self->server.out);
    ak_wipe(self->data, sizeof(self->data));
    ak_free(self);
    return r;
}
