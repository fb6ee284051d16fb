/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stage of the relay's tests.
 */
#ifndef AK_TESTS_NET_SCENE_H
#define AK_TESTS_NET_SCENE_H

#include <ak/base/buf.h>
#include <ak/net/http_relay.h>
#include <semaphore.h>

#include "rig.h"

#define END "Connection: close\r\n\r\n"
#define GET "GET / HTTP/1.1\r\nHost: f\r\n" END
#define GET_1_0 "GET / HTTP/1.0\r\n\r\n"
#define HEAD "HEAD / HTTP/1.1\r\nHost: f\r\n" END

/* A scripted upstream, our server in front of it, and what the relay reported. */
struct scene {
    struct rig_peer peer;
    struct rig_server front;
    struct ak_http_client *client;
    struct ak_http_relay_options options;
    struct ak_http_relay *relay;
    sem_t started, ended;  /* posted by the handler, and by `end` */
    ak_msec write_timeout; /* of the front; 0: 20 s */
    int status, code;
    uint64_t bytes;
};
/* Set the options before. */
void scene_start(struct scene *s, rig_talk_fn talk, const void *script);
void scene_end(struct scene *s);
void scene_stop_front(struct scene *s); /* when the peer has ended already */
int scene_port(const struct scene *s);
void scene_wait_end(struct scene *s); /* for the relay's report */
/* Everything up to the end of the connection; *ret_clean: it ended with a FIN, not with a reset. */
void scene_read_all(int fd, struct ak_buf *out, bool *ret_clean);
/* One request on one connection. */
void scene_ask(struct scene *s, const char *request, struct ak_buf *out);
/* An upstream that answers with `user`, a text, and ends the connection. */
void scene_play(int fd, int n, void *user);

#endif
