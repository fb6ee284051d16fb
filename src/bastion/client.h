/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `bastion client`: PID 1 of the container that runs other people's programs and holds no credential. It starts what
 * `bastion serve` asks for over the Unix socket in the folder that both containers share (bastion/link.h says how),
 * with pipes or a terminal, and carries bytes. A program's whole process group dies with its connection: TERM, and
 * KILL after AK_CLIENT_GRACE. The container ends when it is told to, or when nobody has been at the other end for
 * AK_CLIENT_ALONE.
 */
#ifndef AK_BASTION_CLIENT_H
#define AK_BASTION_CLIENT_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/time.h>
#include <sys/types.h>

#define AK_CLIENT_GRACE AK_SECONDS(5)
#define AK_CLIENT_ALONE AK_SECONDS(60)
#define AK_CLIENT_MAX_PROGRAMS 128

struct ak_client_settings {
    const char *link_dir; /* the socket is link_dir/client.sock */
    uid_t serve_uid;      /* only this user is served */
    ak_msec alone;        /* 0: AK_CLIENT_ALONE */
    ak_msec grace;        /* 0: AK_CLIENT_GRACE */
};
/* Returns when it was told to stop (0), or cannot go on. Thread: main, before any other was started. */
AK_MUST_USE int ak_client_serve(const struct ak_client_settings *settings,
                                struct ak_error **reterr);

#endif
