/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS on a wire, as a client. Which certificates are accepted follows from the mode, in the way of PostgreSQL's
 * clients: up to `require` any (but with a file of authorities, `require` verifies the chain), `verify-ca` the
 * chain, `verify-full` also the name.
 */
#include "bastion/wire_internal.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <string.h>

static int tls_error(const struct ak_wire *self, int code, const char *doing,
                     struct ak_error **reterr)
{
    unsigned long e = ERR_get_error();
    const char *reason = e ? ERR_reason_error_string(e) : NULL;
    long verify = self->ssl ? SSL_get_verify_result(self->ssl) : X509_V_OK;

    ERR_clear_error();
    if (verify != X509_V_OK)
        return ak_error_set(reterr, -EKEYREJECTED, "%s %s: certificate refused: %s", doing,
                            ak_wire_peer(self), X509_verify_cert_error_string(verify));
    return ak_error_set(reterr, code, "%s %s: TLS: %s", doing, ak_wire_peer(self),
                        reason ? reason : "the connection was closed");
}

static bool verifies_chain(const struct ak_wire_options *o)
{
    return o->mode >= AK_SSL_MODE_VERIFY_CA || (o->mode == AK_SSL_MODE_REQUIRE && o->ca_file);
}

static bool is_address(const char *name)
{
    struct in6_addr in;

    return inet_pton(AF_INET, name, &in) == 1 || inet_pton(AF_INET6, name, &in) == 1;
}

static int set_name(struct ak_wire *self)
{
    const struct ak_wire_options *o = &self->options;
    X509_VERIFY_PARAM *param = SSL_get0_param(self->ssl);
    const bool address = is_address(o->server_name);

    if (!address && o->server_name[0] != '/' &&
        SSL_set_tlsext_host_name(self->ssl, o->server_name) != 1)
        return -ENOMEM;
    if (o->mode != AK_SSL_MODE_VERIFY_FULL)
        return 0;
    if (address)
        return X509_VERIFY_PARAM_set1_ip_asc(param, o->server_name) == 1 ? 0 : -ENOMEM;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(param, o->server_name, 0) == 1 ? 0 : -ENOMEM;
}

static int tls_setup(struct ak_wire *self, struct ak_error **reterr)
{
    const struct ak_wire_options *o = &self->options;

    ERR_clear_error();
    self->ctx = SSL_CTX_new(TLS_client_method());
    if (!self->ctx || SSL_CTX_set_min_proto_version(self->ctx, TLS1_2_VERSION) != 1)
        return ak_error_oom(reterr);
    SSL_CTX_set_mode(self->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    if (verifies_chain(o)) {
        SSL_CTX_set_verify(self->ctx, SSL_VERIFY_PEER, NULL);
        if (o->ca_file) {
            /* An authority of the user's is trusted whether or not it is a root. */
            X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(self->ctx), X509_V_FLAG_PARTIAL_CHAIN);
            if (SSL_CTX_load_verify_file(self->ctx, o->ca_file) != 1) {
                ERR_clear_error();
                return ak_error_set(reterr, -EINVAL, "no certificate in PEM form in \"%s\"",
                                    o->ca_file);
            }
        } else if (SSL_CTX_set_default_verify_paths(self->ctx) != 1) {
            return ak_error_oom(reterr);
        }
    }
    self->ssl = SSL_new(self->ctx);
    if (!self->ssl || SSL_set_fd(self->ssl, self->fd) != 1 || set_name(self) < 0)
        return ak_error_oom(reterr);
    return 0;
}

int ak_wire_start_tls(struct ak_wire *self, struct ak_error **reterr)
{
    int r;

    if (self->end > self->start)
        return ak_error_set(reterr, AK_E_PROTOCOL,
                            "%s sent data before TLS was set up: somebody may be in between",
                            ak_wire_peer(self));
    r = tls_setup(self, reterr);
    if (r < 0) {
        ak__wire_tls_done(self);
        return r;
    }
    for (;;) {
        short events;

        ERR_clear_error();
        r = SSL_connect(self->ssl);
        if (r == 1)
            break;
        r = SSL_get_error(self->ssl, r);
        if (r != SSL_ERROR_WANT_READ && r != SSL_ERROR_WANT_WRITE)
            return tls_error(self, AK_E_PROTOCOL, "connect to", reterr);
        events = r == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
        r = ak__wire_poll(self->fd, events, self->options.cancel, self->deadline,
                          ak_wire_peer(self), reterr);
        if (r < 0)
            return r;
    }
    self->is_verified = verifies_chain(&self->options);
    return 0;
}

size_t ak_wire_end_point(const struct ak_wire *self, uint8_t buf[static AK_WIRE_END_POINT_MAX])
{
    X509 *cert = self->ssl ? SSL_get1_peer_certificate(self->ssl) : NULL;
    const EVP_MD *digest = NULL;
    unsigned int len = 0;
    int nid = NID_undef;

    if (!cert)
        return 0;
    /* RFC 5929, 4.1: the hash of the certificate's signature; SHA-256 in place of MD5 and SHA-1. */
    if (X509_get_signature_info(cert, &nid, NULL, NULL, NULL) == 1 && nid != NID_undef)
        digest = nid == NID_md5 || nid == NID_sha1 ? EVP_sha256() : EVP_get_digestbynid(nid);
    if (!digest || X509_digest(cert, digest, buf, &len) != 1)
        len = 0;
    X509_free(cert);
    return len;
}

ssize_t ak__wire_tls_read(struct ak_wire *self, void *buf, size_t max, struct ak_error **reterr)
{
    size_t n = 0;
    int r;

    self->read_wants_write = false;
    ERR_clear_error();
    r = SSL_read_ex(self->ssl, buf, max, &n);
    if (r == 1)
        return (ssize_t)n;
    r = SSL_get_error(self->ssl, r);
    if (r == SSL_ERROR_WANT_READ)
        return -EAGAIN;
    if (r == SSL_ERROR_WANT_WRITE) {
        self->read_wants_write = true;
        return -EAGAIN;
    }
    if (r == SSL_ERROR_ZERO_RETURN)
        return ak_error_set(reterr, -EPIPE, "%s closed the connection", ak_wire_peer(self));
    return tls_error(self, AK_E_PROTOCOL, "read from", reterr);
}

ssize_t ak__wire_tls_write(struct ak_wire *self, const void *data, size_t len,
                           struct ak_error **reterr)
{
    size_t n = 0;
    int r;

    self->write_wants_read = false;
    if (len == 0)
        return 0;
    ERR_clear_error();
    r = SSL_write_ex(self->ssl, data, len, &n);
    if (r == 1)
        return (ssize_t)n;
    r = SSL_get_error(self->ssl, r);
    if (r == SSL_ERROR_WANT_WRITE)
        return -EAGAIN;
    if (r == SSL_ERROR_WANT_READ) {
        self->write_wants_read = true;
        return -EAGAIN;
    }
    return tls_error(self, AK_E_PROTOCOL, "write to", reterr);
}

bool ak__wire_tls_has_pending(const struct ak_wire *self)
{
    return self->ssl && SSL_pending(self->ssl) > 0;
}

void ak__wire_tls_end(struct ak_wire *self)
{
    if (self->ssl && SSL_is_init_finished(self->ssl)) {
        ERR_clear_error();
        (void)SSL_shutdown(self->ssl);
        ERR_clear_error();
    }
}

void ak__wire_tls_done(struct ak_wire *self)
{
    SSL_free(self->ssl);
    SSL_CTX_free(self->ctx);
    self->ssl = NULL;
    self->ctx = NULL;
}
