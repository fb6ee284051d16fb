/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where programs of a session reach the system: a socket in a folder of its own below the link's, served by
 * the engine's serve_fd() on a thread for each connection, or by its listen(). Thread: loop.
 */
#ifndef AK_BASTION_SESSION_SOCKET_H
#define AK_BASTION_SESSION_SOCKET_H

#include "bastion/bastion.h"

#define AK_SESSION_MAX_CONNECTIONS 32 /* at a time */

struct evconnlistener;
struct ak_session_socket {
    struct ak_bastion *bastion;
    struct ak_session *session; /* borrowed; connections hold it, too */
    void (*idle)(void *user);   /* a connection has ended; n_threads says how many are left */
    void *user;
    char *folder, *path; /* NULL: none */
    struct evconnlistener *listener;
    void *listening; /* what listen() gave */
    size_t n_threads;
};
/* Families without a proxy have none: nothing happens. After an error done() is still needed. */
AK_MUST_USE int ak_session_socket_open(struct ak_session_socket *self, struct ak_error **reterr);
/* A connection to the engine for ourselves: its descriptor, which does not block. Opens the socket if that is
 * the way. */
AK_MUST_USE int ak_session_socket_connect(struct ak_session_socket *self, struct ak_error **reterr);
void ak_session_socket_close(struct ak_session_socket *self); /* no more connections */
void ak_session_socket_unlisten(struct ak_session_socket *self);
bool ak_session_socket_is_free(
    const struct ak_session_socket *self); /* nobody uses it: done() may come */
void ak_session_socket_done(struct ak_session_socket *self);

#endif
