/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the user sees: one line for each thing done, and on a terminal a last line that changes while
 * something is waited for. Results go to stdout, everything else to stderr.
 */
#ifndef AK_TERMINAL_SCREEN_H
#define AK_TERMINAL_SCREEN_H

#include <ak/base/compiler.h>
#include <stdbool.h>

#define AK_SCREEN_MAX_WAIT 512 /* bytes of the line that waits; the rest is cut */

enum ak_style {
    AK_STYLE_BOLD,
    AK_STYLE_DIM,
    AK_STYLE_RED,
    AK_STYLE_GREEN,
    AK_STYLE_YELLOW,
    AK_STYLE_MAX
};

struct ak_screen {
    bool terminal, err_terminal;    /* stdout, stderr are one */
    bool color, err_color;          /* and may be coloured */
    bool waiting;                   /* its last line is to be overwritten */
    char shown[AK_SCREEN_MAX_WAIT]; /* what was waited for last, so that it is printed once */
};

/* Colour is for terminals that have it: not for TERM=dumb, not where NO_COLOR is set (no-color.org) or
 * `plain` is. `environ_` may be NULL. */
void ak_screen_init(struct ak_screen *self, const char *const *environ_, bool plain);
/* What begins and ends a style on stdout (or stderr); "" without colour. */
const char *ak_screen_on(const struct ak_screen *self, bool err, enum ak_style style);
const char *ak_screen_off(const struct ak_screen *self, bool err);
/* "customresourcedefinition/agents.agentkube.io  created" */
void ak_screen_done(struct ak_screen *self, const char *what, const char *how);
/* A line of text for the user. */
void ak_screen_say(struct ak_screen *self, const char *fmt, ...) AK_PRINTF(2, 3);
/* What went wrong, on stderr, each line beginning with the program's name only where `fmt` says so. */
void ak_screen_complain(struct ak_screen *self, const char *fmt, ...) AK_PRINTF(2, 3);
/* What is being waited for. The same text twice is shown once. */
void ak_screen_wait(struct ak_screen *self, const char *fmt, ...) AK_PRINTF(2, 3);

#endif
