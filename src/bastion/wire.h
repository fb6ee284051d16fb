/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream to the system that a Tool names, or to a client that a session was handed: TCP, a Unix socket or any
 * other descriptor, plain at first, under TLS once the protocol at hand has agreed on it. For threads that may
 * block: every wait ends with the deadline and with the cancellation that the stream was made with.
 *
 *     struct ak_wire_options options = {.host = "db", .port = 5432, .mode = AK_SSL_MODE_VERIFY_FULL, .ca_file = ca,
 *                                       .cancel = ak_session_cancel(session), .timeout = AK_SECONDS(10)};
 *     AK_AUTO_PTR(ak_wire) wire = NULL;
 *     r = ak_wire_connect(&options, &wire, reterr);        plain TCP; then the protocol's own "may I use TLS?"
 *     r = ak_wire_start_tls(wire, reterr);                 when it may, or at once where TLS comes first
 *     ak_wire_set_deadline(wire, ak_now() + AK_SECONDS(30));
 *     r = ak_wire_write(wire, question, len, reterr);
 *     r = ak_wire_read_exact(wire, header, sizeof(header), reterr);
 *
 * Errors: -ETIMEDOUT (the deadline), AK_E_CANCELLED, -ECONNREFUSED and the like of connect(2), AK_E_NOT_FOUND
 * (no such host name), AK_E_PROTOCOL (the other side closed or broke TLS; a wrong certificate is
 * -EKEYREJECTED), -ENOMEM. The text says what was tried: `connect to db:5432 (10.0.0.7): Connection refused`.
 *
 * A wire belongs to one thread at a time. Two wires that forward to each other: wire_relay.h. Knows no engine
 * and no Kubernetes. Needs a process that ignores SIGPIPE (TLS writes with write(2)).
 */
#ifndef AK_BASTION_WIRE_H
#define AK_BASTION_WIRE_H

#include <ak/api/tool.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/thread.h>
#include <ak/base/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ak_wire_options {
    const char *host; /* name, IPv4 or IPv6 address (no brackets), or "/path" of a Unix socket */
    uint16_t port;    /* not used for a Unix socket */
    enum ak_ssl_mode mode; /* UNSET is PREFER */
    const char *
        ca_file; /* PEM; NULL: the system's authorities. With REQUIRE and a file the chain is verified, as libpq does */
    const char *server_name; /* name in SNI and, with VERIFY_FULL, in the certificate; NULL: host */
    const struct ak_cancel *cancel; /* not owned; must outlive the wire; may be NULL */
    ak_msec
        timeout; /* for resolving and connecting, all addresses together; 0: 10 s. Then no deadline is set */
    const char *resolv_conf; /* NULL: /etc/resolv.conf */
};

struct ak_wire;
struct ak_wire *ak_wire_free(struct ak_wire *self); /* closes; returns NULL */
AK_DEFINE_AUTO_PTR(ak_wire, ak_wire_free)

/*
 * Resolves the name (both families, search domains and /etc/hosts as resolv.conf(5) says, without the C
 * library's resolver, so that it works in static programs) and connects: addresses in turn, the next one 250 ms
 * later or when one fails (RFC 8305). Copies the options' texts. At most AK_WIRE_MAX_ADDRESSES addresses are
 * tried.
 */
#define AK_WIRE_MAX_ADDRESSES 16
AK_MUST_USE int ak_wire_connect(const struct ak_wire_options *options, struct ak_wire **ret,
                                struct ak_error **reterr);
/* Around a connected socket or pipe, which it owns from here on (also when this fails: then it is closed). */
AK_MUST_USE int ak_wire_from_fd(int fd, const struct ak_cancel *cancel, struct ak_wire **ret,
                                struct ak_error **reterr);

/* Whether the mode wants TLS tried (PREFER, REQUIRE, VERIFY_*), and whether going on without it is refused
 * (REQUIRE, VERIFY_*). */
bool ak_wire_wants_tls(const struct ak_wire *self);
bool ak_wire_needs_tls(const struct ak_wire *self);
/* The handshake as a client; what was read before must be empty, or bytes were injected: AK_E_PROTOCOL. */
AK_MUST_USE int ak_wire_start_tls(struct ak_wire *self, struct ak_error **reterr);
bool ak_wire_is_tls(const struct ak_wire *self);
/* Whether the server's certificate was verified (chain; with VERIFY_FULL the name too). */
bool ak_wire_is_verified(const struct ak_wire *self);
/* Hash of the server's certificate for channel binding "tls-server-end-point" (RFC 5929): bytes, 0 without TLS. */
#define AK_WIRE_END_POINT_MAX 64
size_t ak_wire_end_point(const struct ak_wire *self, uint8_t buf[static AK_WIRE_END_POINT_MAX]);

void ak_wire_set_deadline(struct ak_wire *self, ak_msec deadline); /* AK_MSEC_NEVER: none */
int ak_wire_fd(const struct ak_wire *self);
const char *ak_wire_peer(const struct ak_wire *self); /* "db:5432 (10.0.0.7)", for messages */
/* The options for a second connection to the very address that this one reached; borrowed until the wire is freed. */
void ak_wire_options_of(const struct ak_wire *self, struct ak_wire_options *ret);

/* Blocks until `min` bytes are there; returns how many, at most `max`. min 0: what is there, perhaps 0. Then 0
 * never means the end: an end before `min` is AK_E_PROTOCOL "the server closed the connection", with -EPIPE for
 * a clean end if no byte was read. */
AK_MUST_USE ssize_t ak_wire_read(struct ak_wire *self, void *buf, size_t min, size_t max,
                                 struct ak_error **reterr);
AK_MUST_USE int ak_wire_read_exact(struct ak_wire *self, void *buf, size_t len,
                                   struct ak_error **reterr);
AK_MUST_USE int ak_wire_write(struct ak_wire *self, const void *data, size_t len,
                              struct ak_error **reterr); /* all of it */
/* Without waiting: bytes moved, -EAGAIN, -EPIPE at the end, or another error. */
AK_MUST_USE ssize_t ak_wire_try_read(struct ak_wire *self, void *buf, size_t max,
                                     struct ak_error **reterr);
AK_MUST_USE ssize_t ak_wire_try_write(struct ak_wire *self, const void *data, size_t len,
                                      struct ak_error **reterr);

enum ak_wire_want { AK_WIRE_READ = 1, AK_WIRE_WRITE = 2 };
struct ak_wire_wait {
    struct ak_wire *wire;
    unsigned want;  /* of ak_wire_want; 0: only its end is noticed when it is written to */
    unsigned ready; /* set by ak_wire_wait() */
};
/* Waits for any of them (at most 8); 0 when one is ready, -ETIMEDOUT, AK_E_CANCELLED. */
AK_MUST_USE int ak_wire_wait(struct ak_wire_wait *items, size_t n, const struct ak_cancel *cancel,
                             ak_msec deadline, struct ak_error **reterr);
/* Tells the other side that no more comes (TLS close_notify, SHUT_WR). */
void ak_wire_end_writing(struct ak_wire *self);

#endif
