/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection of the server: what http_exchange.c and http_upgrade.c both need to see of it.
 */
#ifndef AK_NET_HTTP_CONN_H
#define AK_NET_HTTP_CONN_H

#include <arpa/inet.h>

#include <ak/net/http_upgrade.h>

#include "http_server_internal.h"

enum conn_state {
    CONN_WAITING,
    CONN_HANDLING,
    CONN_FLUSHING,
    CONN_LINGERING,
    CONN_GONE,
    CONN_UPGRADED,
};

/* How the end of a streaming answer's body is told, RFC 9112 section 6.3. */
enum framing {
    FRAMING_CHUNKED,
    FRAMING_LENGTH,
    FRAMING_CLOSE, /* HTTP/1.0 */
    FRAMING_NONE,  /* no body: HEAD, 204, 304 */
};

/* One outstanding at most, so it is a part of its connection. */
struct ak_http_exchange {
    ak_loop_fn on_close;
    void *on_close_user;
    ak_loop_fn on_drain;
    void *on_drain_user;
    size_t low_water;
    enum framing framing; /* of a streaming answer */
    uint64_t left;        /* bytes that Content-Length still promises */
    bool is_head;         /* no body is sent */
};

struct ak__http_conn {
    struct ak_http_exchange ex;
    struct ak_http_server *server; /* NULL: it is gone */
    struct bufferevent *bev;       /* NULL in state GONE */
    const struct ak__tls_ops *tls; /* NULL: plain */
    char *peer_name;
    struct ucred peer_process; /* pid -1: not a Unix socket */
    struct ak__http_parser parser;
    struct ak_timer *timer; /* of the whole request, and of lingering */
    enum conn_state state;
    bool in_process;
    bool is_full;       /* so much waits in it that reading is off: ak__http_conn_hold() */
    bool request_begun; /* its time runs */
    ak_msec since;      /* when it began to wait for a request */
    bool close_after;
    size_t held; /* bytes of the body that count for the server's max_bodies */
    bool body_taken;
    bool broken; /* of the answer something is missing */
    bool reset_after;
    const struct ak_http_upgraded_ops *ops; /* UPGRADED, until it was closed from here */
    void *ops_user;
    bool was_upgraded;
    bool at_end; /* ... and the peer, but for what input() has not taken */
    bool *freed; /* of who calls input() at the moment */
    char peer[INET6_ADDRSTRLEN + 10];
    struct ak__http_conn *prev, *next;
};

static inline struct ak__http_conn *ak__http_conn_of(const struct ak_http_exchange *ex)
{
    return AK_CONTAINER_OF((uintptr_t)ex, struct ak__http_conn, ex);
}

void ak__http_conn_free(struct ak__http_conn *conn);
/* The peer went. Who holds the exchange or the bare connection is told. */
void ak__http_conn_lost(struct ak__http_conn *conn);
/* All that the exchange had to say was said: the connection flushes, and then ends or takes the next request. */
void ak__http_conn_answered(struct ak__http_conn *conn);
/* What waits in the connection is not taken now. When it is as much as may wait, reading is switched off: libevent
 * would call again and again for what is there, and not sleep. unhold(): it will be taken. */
void ak__http_conn_hold(struct ak__http_conn *conn);
void ak__http_conn_unhold(struct ak__http_conn *conn);

/* http_upgrade.c: what the connection's events are then. */
void ak__http_upgraded_read(struct ak__http_conn *conn);
void ak__http_upgraded_written(struct ak__http_conn *conn);

#endif
