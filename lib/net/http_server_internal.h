/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's listening side (http_server.c) and one connection with its exchange (http_exchange.c).
 */
#ifndef AK_NET_HTTP_SERVER_INTERNAL_H
#define AK_NET_HTTP_SERVER_INTERNAL_H

#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <ak/net/http_server.h>

#include "http_parse.h"
#include "tls_internal.h"

struct ak__http_conn;

struct ak_http_server {
    struct ak_loop *loop;
    struct evconnlistener *listener;
    struct ak_timer *resume; /* accepts again after file descriptors ran out */
    struct ak_tls_context *tls;
    const struct ak_http_route *routes;
    void *user;
    size_t max_body, max_header;
    size_t max_bodies, bodies; /* what all connections may hold, and hold */
    size_t max_connections;
    size_t max_waiting;
    ak_msec idle_timeout, request_timeout, write_timeout;
    bool make_room;
    int (*error_body)(int status, struct ak_buf *out);
    const char *error_type;
    char *unix_path;
    dev_t unix_dev; /* the file that is ours to remove */
    ino_t unix_ino;
    uint16_t port;
    bool draining;
    struct ak__http_conn *conns;
    size_t n_conns;
};

/* Takes the socket over. */
AK_MUST_USE int ak__http_conn_start(struct ak_http_server *server, int fd,
                                    const struct sockaddr *peer);
/* Closes the one that has waited longest for a request. False: all of them have one. */
bool ak__http_conn_make_room(struct ak_http_server *server);
/* The server goes: closes, or if an answer is outstanding whose handler gave no on_close, lets the exchange
 * live until it is answered. */
void ak__http_conn_abandon(struct ak__http_conn *conn);
void ak__http_conn_drain(struct ak__http_conn *conn); /* closes if nothing is under way */
struct ak__http_conn *ak__http_conn_next(struct ak__http_conn *conn);
void ak__http_dispatch(struct ak_http_server *server, struct ak_http_exchange *ex);

#endif
