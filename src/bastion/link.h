/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `bastion serve` and `bastion client` say to each other over the Unix socket in the folder that their two
 * containers share: one connection for each program, and one that serve holds open as long as it lives.
 * Frames: a byte that says what it is, four that say how long (big endian), and so many bytes. Bytes that do
 * not follow the rules end the connection.
 *
 *     serve                                     client
 *     START {argv, env, cwd, terminal, files}   STARTED                    or EXIT
 *     INPUT bytes, at most AK_LINK_WINDOW       TAKEN n                    the window is open for n more
 *     END_INPUT, SIZE                           OUTPUT, ERRORS
 *                                               EXIT how                   the last
 *     HOLD                                      -                          serve is there
 *     QUIT                                      -                          the container ends
 *
 * A connection that ends takes its program with it.
 */
#ifndef AK_BASTION_LINK_H
#define AK_BASTION_LINK_H

#include <ak/base/arena.h>
#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bastion/engine.h"

#define AK_LINK_SOCKET "client.sock"
#define AK_LINK_HEAD 5
#define AK_LINK_PIECE (32u << 10)   /* bytes of one frame, but of START */
#define AK_LINK_START (2u << 20)    /* bytes of START */
#define AK_LINK_WINDOW (256u << 10) /* bytes of input that were sent and not taken */
#define AK_LINK_MAX_ARGS 256        /* of argv, and of env */

enum ak_link_type {
    /* from serve */
    AK_LINK_START_PROGRAM = 'S',
    AK_LINK_INPUT = 'I',
    AK_LINK_END_INPUT = 'E',
    AK_LINK_SIZE = 'R', /* rows, columns: two bytes each */
    AK_LINK_HOLD = 'H',
    AK_LINK_QUIT = 'Q',
    /* from client */
    AK_LINK_STARTED = 'P',
    AK_LINK_TAKEN = 'A', /* four bytes */
    AK_LINK_OUTPUT = 'O',
    AK_LINK_ERRORS = 'X',
    AK_LINK_EXIT = 'Z', /* one byte of enum ak_link_exit, one of code or signal, then text */
};
enum ak_link_exit { AK_LINK_EXITED, AK_LINK_KILLED, AK_LINK_NOT_STARTED };

/* --- frames --- */

struct ak_link_frame {
    uint8_t type;
    const uint8_t *data; /* borrowed from the reader */
    size_t len;
};
/* Collects a frame from bytes as they come. Its buffer is given back when a frame was large. */
struct ak_link_reader {
    struct ak_buf buf;
    bool from_serve; /* which types may come */
};
void ak_link_reader_init(struct ak_link_reader *self, bool from_serve);
void ak_link_reader_done(struct ak_link_reader *self);
AK_DEFINE_AUTO(ak_link_reader, ak_link_reader_done)
/* Takes bytes; returns how many: up to the end of a frame. *ret_ready: there is one, until the next call.
 * AK_E_PROTOCOL: no such frame; AK_E_TOO_LARGE; -ENOMEM. */
AK_MUST_USE ssize_t ak_link_read(struct ak_link_reader *self, const void *data, size_t len,
                                 struct ak_link_frame *ret, bool *ret_ready,
                                 struct ak_error **reterr);
void ak_link_write_head(enum ak_link_type type, size_t len, uint8_t ret[static AK_LINK_HEAD]);
uint32_t ak_link_get_u32(const uint8_t *data);
void ak_link_put_u32(uint32_t value, uint8_t ret[static 4]);

/* --- START --- */

/* The command is the last member: gcc 12 with -ftrivial-auto-var-init clears wrong bytes for padding behind
 * its array. */
struct ak_link_start {
    bool terminal;
    uint16_t rows, columns;
    struct ak_client_command command;
};
AK_MUST_USE int ak_link_write_start(const struct ak_link_start *start, struct ak_buf *out,
                                    struct ak_error **reterr);
/* Everything it says is in the arena. AK_E_INVALID: not what ak_link_write_start() makes. */
AK_MUST_USE int ak_link_read_start(const void *data, size_t len, struct ak_arena *arena,
                                   struct ak_link_start *ret, struct ak_error **reterr);

/* A connection to the client, which does not block; -> the descriptor. AK_E_PROTOCOL: it is not there.
 * client_run.c. */
AK_MUST_USE int ak__link_dial(const char *link_dir, struct ak_error **reterr);

#endif
