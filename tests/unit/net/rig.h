/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of net and kube stand on: a loop in a thread, our own server on loopback, a raw peer that
 * breaks the protocol on purpose, and certificates made on the spot.
 */
#ifndef AK_TESTS_NET_RIG_H
#define AK_TESTS_NET_RIG_H

#include <ak/base/secret.h>
#include <ak/base/thread.h>
#include <ak/net/http_server.h>
#include <ak/net/loop.h>
#include <ak/net/tls.h>

/* A loop on a thread of its own. */
struct rig_loop {
    struct ak_loop *loop;
    struct ak_thread thread;
};
void rig_loop_start(struct rig_loop *self);
/* Runs fn(user) on the loop's thread and waits for it. */
void rig_loop_call(struct rig_loop *self, ak_loop_fn fn, void *user);
void rig_loop_stop(struct rig_loop *self); /* the loop stays; free it with ak_loop_free() */
void rig_loop_end(struct rig_loop *self);  /* stops and frees */

/* Our server on a loop. */
struct rig_server {
    struct rig_loop loop;
    struct ak_http_server *server;
    struct ak_http_server_options options;
    char url[64];
};
void rig_server_start(struct rig_server *self, const struct ak_http_server_options *options);
void rig_server_end(struct rig_server *self);

/* A listener whose connections `talk` handles, one after the other; it closes nothing but the socket. */
typedef void (*rig_talk_fn)(int fd, int n /* 0: the first connection */, void *user);
struct rig_peer {
    int fd;
    struct ak_thread thread;
    struct ak_cancel stop;
    rig_talk_fn talk;
    void *user;
    char url[64];
    int port;
    int connections; /* after rig_peer_end() */
};
void rig_peer_start(struct rig_peer *self, rig_talk_fn talk, const void *user);
void rig_peer_end(struct rig_peer *self);
void rig_send(int fd, const char *text);
/* Reads until the empty line behind a request's head; false at the end of the connection. */
bool rig_read_head(int fd, char *head, size_t size);
int rig_connect(int port);

/* An authority and two certificates of it: 127.0.0.1 and "cluster.example" for servers, "tester" for clients. */
struct rig_pki {
    char *ca, *server_cert, *server_key, *client_cert, *client_key;
    struct ak_secret *client_secret;
    struct ak_tls_context *server_ctx; /* no client certificate asked for */
    struct ak_tls_context *mutual_ctx; /* one is needed */
};
void rig_pki_make(struct rig_pki *self);
void rig_pki_done(struct rig_pki *self);

#endif
