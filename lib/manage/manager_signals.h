/* SPDX-License-Identifier: Apache-2.0 */
/* SIGTERM and SIGINT of a program: the first one can be read, the second one ends the process at once. */
#ifndef AK_MANAGE_MANAGER_SIGNALS_H
#define AK_MANAGE_MANAGER_SIGNALS_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <signal.h>

struct ak__signals {
    sigset_t set, old_mask;
    struct sigaction old_term, old_int;
    int fd; /* a signalfd(2), to be polled */
};

/* Blocks them for the process. */
AK_MUST_USE int ak__signals_begin(struct ak__signals *s, struct ak_error **reterr);
/* From now on one of them ends the process, with 128 and its number. */
void ak__signals_arm_second(const struct ak__signals *s);
/* As it was before. */
void ak__signals_end(struct ak__signals *s);

#endif
