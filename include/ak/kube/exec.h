/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command in a container: pods/exec over a WebSocket (v5.channel.k8s.io, v4.channel.k8s.io), for programs with a
 * terminal. Works with every credential and proxy that the client's configuration knows. The same channels to another
 * server behind the apiserver (a Service's proxy): `path` instead of a pod.
 */
#ifndef AK_KUBE_EXEC_H
#define AK_KUBE_EXEC_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/thread.h>
#include <ak/kube/client.h>
#include <stdbool.h>
#include <stddef.h>

enum ak_exec_stream { AK_EXEC_STDOUT = 1, AK_EXEC_STDERR = 2 };

struct ak_exec_size {
    unsigned short columns, rows;
};

struct ak_exec_options {
    const char *ns, *pod;
    const char *container;      /* NULL: the apiserver's choice */
    const char *const *command; /* NULL-terminated */
    const char *path; /* instead of the four above: where else such channels are, query included */
    const char *const *headers; /* more lines of the request, NULL-terminated; may be NULL */
    bool tty;                   /* stderr then comes as stdout */
    int input_fd; /* what the command reads, polled and read here; -1: none. Blocking or not. */
    /* With a tty: readable when the size changed (a signalfd of SIGWINCH, a pipe); -1: never. The size is sent
     * at the start, and whenever it is readable; size() empties it. */
    int resize_fd;
    bool (*size)(struct ak_exec_size *ret, void *user); /* false: unknown; may be NULL */
    /* Return negative to give up; ak_exec returns it. A slow one holds the command back. */
    int (*output)(enum ak_exec_stream stream, const char *data, size_t len, void *user);
    /* Nothing more comes on it (v5 only). May be NULL. Negative gives up. */
    int (*end)(enum ak_exec_stream stream, void *user);
    void *user;
    const struct ak_cancel *cancel; /* closes the connection; may be NULL */
    ak_msec connect_timeout;        /* until the command runs; 0: 30 s */
};
/* Runs it and blocks until it ends. *ret_exit_code: its own, or 128 + the signal as its shell says it.
 * Negative: it could not be started or watched: what the apiserver or an admission webhook said (AK_E_FORBIDDEN,
 * AK_E_NOT_FOUND, ...), AK_E_PROTOCOL (the connection broke), AK_E_CANCELLED, -ETIMEDOUT. The end of the
 * input reaches the command with v5 (Kubernetes 1.29) only: v4 has no words for it. Thread: any. */
AK_PUBLIC AK_MUST_USE int ak_exec(struct ak_client *self, const struct ak_exec_options *options,
                                  int *ret_exit_code, struct ak_error **reterr);

#endif
