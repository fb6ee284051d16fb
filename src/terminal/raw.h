/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A terminal whose keys go to somebody else: no echo, no signals, byte by byte. It is put back as it was
 * when the scope ends, when the program is ended by a signal, and when it ends without either (atexit).
 */
#ifndef AK_TERMINAL_RAW_H
#define AK_TERMINAL_RAW_H

#include <ak/base/compiler.h>
#include <stdbool.h>
#include <termios.h>

struct ak_raw {
    int fd;
    bool on;
};
/* At most one terminal of the process at a time. -ENOTTY: not a terminal. */
AK_MUST_USE int ak_raw_init(struct ak_raw *self, int fd);
void ak_raw_done(struct ak_raw *self);
AK_DEFINE_AUTO(ak_raw, ak_raw_done)

/* Columns and rows; false: not a terminal, or it does not say. */
bool ak_raw_size(int fd, unsigned short *ret_columns, unsigned short *ret_rows);

#endif
