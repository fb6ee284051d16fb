/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the user sees: one line for each thing done, and on a terminal a last line that changes while
 * something is waited for. Results go to stdout, everything else to stderr.
 */
#ifndef AK_EXO_INSTALL_SCREEN_H
#define AK_EXO_INSTALL_SCREEN_H

#include <ak/base/compiler.h>
#include <stdbool.h>

#define AK_SCREEN_MAX_WAIT 512 /* bytes of the line that waits; the rest is cut */

struct ak_screen {
    bool terminal;                  /* stdout is one */
    bool waiting;                   /* its last line is to be overwritten */
    char shown[AK_SCREEN_MAX_WAIT]; /* what was waited for last, so that it is printed once */
};

void ak_screen_init(struct ak_screen *self);
/* "customresourcedefinition/agents.agentkube.io  created" */
void ak_screen_done(struct ak_screen *self, const char *what, const char *how);
/* A line of text for the user. */
void ak_screen_say(struct ak_screen *self, const char *fmt, ...) AK_PRINTF(2, 3);
/* What went wrong, on stderr, each line beginning with the program's name only where `fmt` says so. */
void ak_screen_complain(struct ak_screen *self, const char *fmt, ...) AK_PRINTF(2, 3);
/* What is being waited for. The same text twice is shown once. */
void ak_screen_wait(struct ak_screen *self, const char *fmt, ...) AK_PRINTF(2, 3);

#endif
