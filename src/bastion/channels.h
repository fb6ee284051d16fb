/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A WebSocket with channels, as pods/exec of Kubernetes has it (v5.channel.k8s.io): binary messages whose
 * first byte says what the rest is. 0 stdin, 1 stdout, 2 stderr, 3 how it ended (a Status object, the last
 * message), 4 the terminal's size, 255 the end of the channel that the next byte names. Thread: loop.
 */
#ifndef AK_BASTION_CHANNELS_H
#define AK_BASTION_CHANNELS_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/net/http_server.h>
#include <ak/net/loop.h>
#include <stdbool.h>

enum ak_channel {
    AK_CHANNEL_IN,
    AK_CHANNEL_OUT,
    AK_CHANNEL_ERRORS,
    AK_CHANNEL_STATUS,
    AK_CHANNEL_SIZE
};

#define AK_CHANNELS_FULL (256u << 10) /* bytes that wait; who writes more should wait for room() */

struct ak_channels;
struct ak_channels_ops {
    bool (*input)(const char *data, size_t len,
                  void *user); /* false: taken, but no more until resume */
    void (*end_of_input)(void *user);
    void (*size)(unsigned columns, unsigned rows, void *user);
    void (*room)(void *user); /* less waits again */
    void (*gone)(void *user); /* the peer has ended it, or broke the protocol; it is gone */
};
/* The handshake. Negative: the exchange is still the caller's to answer, with the error; but -EPIPE: it is gone. */
AK_MUST_USE int ak_channels_open(struct ak_http_exchange *ex, struct ak_loop *loop,
                                 const struct ak_channels_ops *ops, void *user,
                                 struct ak_channels **ret, struct ak_error **reterr);
/* 0, or 1: enough waits, see room(). Negative: it is as if gone; finish it. */
AK_MUST_USE int ak_channels_send(struct ak_channels *self, enum ak_channel channel,
                                 const char *data, size_t len);
void ak_channels_resume(struct ak_channels *self);
/* Says how it ended (JSON) and closes. No call follows. */
void ak_channels_finish(struct ak_channels *self, const char *status);

#endif
