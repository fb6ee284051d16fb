/* SPDX-License-Identifier: Apache-2.0 */
#include "terminal/raw.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* What signal handlers and atexit put back. Written before `raw_fd` is set, not changed while it is. */
static struct termios before;
static volatile sig_atomic_t raw_fd = -1;

static void put_back(void)
{
    int fd = raw_fd;

    if (fd < 0)
        return;
    raw_fd = -1;
    (void)tcsetattr(fd, TCSADRAIN, &before);
}

/* tcsetattr() and raise() may be called in a handler (signal-safety(7)). */
static void on_fatal(int number)
{
    put_back();
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

int ak_raw_init(struct ak_raw *self, int fd)
{
    static const int fatal[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGABRT, SIGSEGV, SIGBUS};
    static bool is_registered;
    struct termios raw;

    *self = (struct ak_raw){.fd = fd};
    if (tcgetattr(fd, &before) < 0)
        return -errno;
    if (!is_registered && atexit(put_back) != 0)
        return -ENOMEM;
    is_registered = true;
    raw = before;
    cfmakeraw(&raw);
    raw_fd = fd;
    for (size_t i = 0; i < AK_ARRAY_LEN(fatal); i++)
        (void)signal(fatal[i], on_fatal);
    if (tcsetattr(fd, TCSADRAIN, &raw) < 0) {
        raw_fd = -1;
        return -errno;
    }
    self->on = true;
    return 0;
}

void ak_raw_done(struct ak_raw *self)
{
    if (self->on)
        put_back();
    self->on = false;
}

bool ak_raw_size(int fd, unsigned short *ret_columns, unsigned short *ret_rows)
{
    struct winsize size;

    if (ioctl(fd, TIOCGWINSZ, &size) < 0 || !size.ws_col || !size.ws_row)
        return false;
    *ret_columns = size.ws_col;
    *ret_rows = size.ws_row;
    return true;
}
