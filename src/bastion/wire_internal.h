/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the wire share. */
#ifndef AK_BASTION_WIRE_INTERNAL_H
#define AK_BASTION_WIRE_INTERNAL_H

#include "bastion/wire.h"
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/un.h>

#define AK__WIRE_BUFFER 16384

struct ak_wire {
    int fd;
    bool is_socket;
    bool read_wants_write; /* TLS must write before it can read on, and the reverse */
    bool write_wants_read;
    bool is_verified;
    SSL_CTX *ctx;
    SSL *ssl;
    ak_msec deadline;
    struct ak_wire_options options; /* its texts are owned */
    char *address;                  /* numeric, or the socket's path; NULL for ak_wire_from_fd() */
    char *peer;
    size_t start, end; /* what of `buffer` was read from the system and not taken yet */
    uint8_t buffer[AK__WIRE_BUFFER];
};

/* An address as connect(2) takes it. */
struct ak__wire_address {
    socklen_t len;
    union {
        struct sockaddr any;
        struct sockaddr_storage storage;
        struct sockaddr_un path;
    };
};

/*
 * The addresses of options->host in the order in which they are to be tried, families in turns. Returns how
 * many (1 or more), AK_E_NOT_FOUND, -ETIMEDOUT, AK_E_CANCELLED or -ENOMEM.
 */
AK_MUST_USE int ak__wire_resolve(const struct ak_wire_options *options, ak_msec deadline,
                                 struct ak__wire_address ret[static AK_WIRE_MAX_ADDRESSES],
                                 struct ak_error **reterr);
/* Connects to one of them; returns the descriptor (non-blocking) and which. */
AK_MUST_USE int ak__wire_dial(const struct ak_wire_options *options,
                              const struct ak__wire_address *addresses, size_t n, ak_msec deadline,
                              size_t *ret_which, struct ak_error **reterr);
/* Waits for poll(2) `events` on fd; 0, -ETIMEDOUT or AK_E_CANCELLED with text about `what`. */
AK_MUST_USE int ak__wire_poll(int fd, short events, const struct ak_cancel *cancel,
                              ak_msec deadline, const char *what, struct ak_error **reterr);
/* poll(2)'s timeout until the deadline; -1 for never. */
int ak__wire_remaining(ak_msec deadline);

/* TLS's read and write: as ak_wire_try_read() and ak_wire_try_write(). */
AK_MUST_USE ssize_t ak__wire_tls_read(struct ak_wire *self, void *buf, size_t max,
                                      struct ak_error **reterr);
AK_MUST_USE ssize_t ak__wire_tls_write(struct ak_wire *self, const void *data, size_t len,
                                       struct ak_error **reterr);
bool ak__wire_tls_has_pending(const struct ak_wire *self);
void ak__wire_tls_end(struct ak_wire *self);
void ak__wire_tls_done(struct ak_wire *self);

#endif
