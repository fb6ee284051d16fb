/* SPDX-License-Identifier: Apache-2.0 */
#include "terminal/screen.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ak/base/text.h>

#include "terminal/flags.h"

#define CLEAR_LINE "\r\033[K"

void ak_screen_init(struct ak_screen *self, const char *const *environ_, bool plain)
{
    const char *term = ak_flags_variable(environ_, "TERM");
    bool color = !plain && !ak_flags_variable(environ_, "NO_COLOR") && !ak_streq(term, "dumb");

    *self = (struct ak_screen){
        .terminal = isatty(STDOUT_FILENO) == 1,
        .err_terminal = isatty(STDERR_FILENO) == 1,
    };
    self->color = color && self->terminal;
    self->err_color = color && self->err_terminal;
}

const char *ak_screen_on(const struct ak_screen *self, bool err, enum ak_style style)
{
    static const char *const codes[AK_STYLE_MAX] = {
        [AK_STYLE_BOLD] = "\033[1m",   [AK_STYLE_DIM] = "\033[2m",     [AK_STYLE_RED] = "\033[31m",
        [AK_STYLE_GREEN] = "\033[32m", [AK_STYLE_YELLOW] = "\033[33m",
    };
    return (err ? self->err_color : self->color) ? codes[style] : "";
}

const char *ak_screen_off(const struct ak_screen *self, bool err)
{
    return (err ? self->err_color : self->color) ? "\033[0m" : "";
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
    (void)printf("%s%s%s%s%s  %s\n", ak_screen_on(self, false, AK_STYLE_GREEN),
                 self->terminal ? "\xe2\x9c\x93" : "", ak_screen_off(self, false),
                 self->terminal ? " " : "", what, how);
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
