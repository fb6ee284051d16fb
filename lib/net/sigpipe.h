/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL writes to sockets with write(), and a peer that went away then means SIGPIPE, which ends a process
 * that did not think of it. The library changes no signal disposition of the process; instead the signal is
 * blocked in the calling thread while it is inside our network code, and taken back if it came meanwhile.
 */
#ifndef AK_NET_SIGPIPE_H
#define AK_NET_SIGPIPE_H

#include <signal.h>
#include <stdbool.h>

struct ak__sigpipe {
    sigset_t before;
    bool was_pending;
};
void ak__sigpipe_block(struct ak__sigpipe *self);
void ak__sigpipe_restore(const struct ak__sigpipe *self);

#endif
