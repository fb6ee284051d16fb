/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This program's input and output as those of a command elsewhere (<ak/kube/exec.h>), with or without a terminal.
 *
 *     AK_AUTO(ak_attach) attach = {0};
 *     struct ak_exec_options io;
 *     r = ak_attach_init(&attach, tty, &io, reterr);
 *     ... set where the command is, run it with &io ...
 */
#ifndef AK_EXO_ATTACH_H
#define AK_EXO_ATTACH_H

#include <ak/kube/exec.h>

#include "exo/exo.h"
#include "terminal/raw.h"

struct ak_attach {
    struct ak_raw raw;
    int resize; /* a signalfd of SIGWINCH; 0: none */
};
/* Fills *io, which points into *self. With `tty`, the terminal gives its keys away until done. */
AK_MUST_USE int ak_attach_init(struct ak_attach *self, bool tty, struct ak_exec_options *io,
                               struct ak_error **reterr);
/* The terminal is as it was: before anything else is said. Twice does no harm. */
void ak_attach_done(struct ak_attach *self);
AK_DEFINE_AUTO(ak_attach, ak_attach_done)

#endif
