/* SPDX-License-Identifier: Apache-2.0 */
#include "exo-install/screen.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CLEAR_LINE "\r\033[K"

void ak_screen_init(struct ak_screen *self)
{
    *self = (struct ak_screen){.terminal = isatty(STDOUT_FILENO) == 1};
}

static void finish_waiting(struct ak_screen *self)
{
    if (self->waiting)
        (void)fputs(CLEAR_LINE, stdout);
    self->waiting = false;
    self->shown[0] = 0;
}

void ak_screen_done(struct ak_screen *self, const char *what, const char *how)
{
    finish_waiting(self);
    (void)printf(self->terminal ? "\033[32m\xe2\x9c\x93\033[0m %s  %s\n" : "%s  %s\n", what, how);
    (void)fflush(stdout);
}

void ak_screen_say(struct ak_screen *self, const char *fmt, ...)
{
    va_list ap;

    finish_waiting(self);
    va_start(ap, fmt);
    (void)vprintf(fmt, ap);
    va_end(ap);
    (void)putchar('\n');
    (void)fflush(stdout);
}

void ak_screen_complain(struct ak_screen *self, const char *fmt, ...)
{
    va_list ap;

    finish_waiting(self);
    (void)fflush(stdout);
    va_start(ap, fmt);
    (void)vfprintf(stderr, fmt, ap);
    va_end(ap);
    (void)fputc('\n', stderr);
}

void ak_screen_wait(struct ak_screen *self, const char *fmt, ...)
{
    char text[AK_SCREEN_MAX_WAIT];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (strcmp(text, self->shown) == 0)
        return;
    (void)memcpy(self->shown, text, sizeof(text));
    self->waiting = self->terminal;
    /* One line only: a long one would wrap, and could not be overwritten. */
    (void)printf(self->terminal ? CLEAR_LINE "  %.76s" : "%s\n", text);
    (void)fflush(stdout);
}
