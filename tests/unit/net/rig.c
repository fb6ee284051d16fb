/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ak/base/alloc.h>

static void run_loop(void *user)
{
    struct rig_loop *self = user;

    if (ak_loop_run(self->loop, NULL) < 0)
        abort();
}

void rig_loop_start(struct rig_loop *self)
{
    if (!self->loop)
        assert_int_equal(ak_loop_new(&self->loop, NULL), 0);
    assert_int_equal(ak_thread_start(&self->thread, "rig-loop", run_loop, self), 0);
}

struct call {
    ak_loop_fn fn;
    void *user;
    struct ak_mutex lock; /* guards done */
    struct ak_cond changed;
    bool done;
};

static void do_call(void *user)
{
    struct call *call = user;

    call->fn(call->user);
    ak_mutex_lock(&call->lock);
    call->done = true;
    ak_cond_signal(&call->changed);
    ak_mutex_unlock(&call->lock);
}

void rig_loop_call(struct rig_loop *self, ak_loop_fn fn, void *user)
{
    struct call call = {.fn = fn, .user = user};

    ak_mutex_init(&call.lock);
    ak_cond_init(&call.changed);
    assert_int_equal(ak_loop_post(self->loop, do_call, &call), 0);
    ak_mutex_lock(&call.lock);
    while (!call.done)
        ak_cond_wait_until(&call.changed, &call.lock, AK_MSEC_NEVER);
    ak_mutex_unlock(&call.lock);
    ak_cond_done(&call.changed);
    ak_mutex_done(&call.lock);
}

void rig_loop_stop(struct rig_loop *self)
{
    ak_loop_stop(self->loop);
    ak_thread_join(&self->thread);
}

void rig_loop_end(struct rig_loop *self)
{
    rig_loop_stop(self);
    self->loop = ak_loop_free(self->loop);
}

void rig_server_start(struct rig_server *self, const struct ak_http_server_options *options)
{
    struct ak_error *err = NULL;

    self->options = *options;
    if (!self->options.bind_address)
        self->options.bind_address = "127.0.0.1";
    assert_int_equal(ak_loop_new(&self->loop.loop, NULL), 0);
    if (ak_http_server_new(self->loop.loop, &self->options, &self->server, &err) < 0)
        fail_msg("%s", ak_error_message(err));
    (void)snprintf(self->url, sizeof(self->url), "http%s://127.0.0.1:%u", options->tls ? "s" : "",
                   ak_http_server_port(self->server));
    rig_loop_start(&self->loop);
}

void rig_server_end(struct rig_server *self)
{
    rig_loop_stop(&self->loop);
    self->server = ak_http_server_free(self->server);
    self->loop.loop = ak_loop_free(self->loop.loop);
}

static void run_peer(void *user)
{
    struct rig_peer *self = user;

    for (;;) {
        struct pollfd fds[] = {{.fd = self->fd, .events = POLLIN},
                               {.fd = self->stop.fd, .events = POLLIN}};
        int fd;

        (void)poll(fds, 2, -1);
        if (fds[1].revents)
            return;
        fd = accept4(self->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        self->talk(fd, self->connections++, self->user);
        (void)close(fd);
    }
}

void rig_peer_start(struct rig_peer *self, rig_talk_fn talk, const void *user)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);

    self->talk = talk;
    self->user = (void *)(uintptr_t)user; /* what a test passes as text is only read */
    self->connections = 0;
    self->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(self->fd >= 0);
    assert_int_equal(bind(self->fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(self->fd, 64), 0);
    assert_int_equal(getsockname(self->fd, (struct sockaddr *)&a, &len), 0);
    self->port = ntohs(a.sin_port);
    (void)snprintf(self->url, sizeof(self->url), "http://127.0.0.1:%d", self->port);
    assert_int_equal(ak_cancel_init(&self->stop), 0);
    assert_int_equal(ak_thread_start(&self->thread, "rig-peer", run_peer, self), 0);
}

void rig_peer_end(struct rig_peer *self)
{
    ak_cancel_now(&self->stop);
    ak_thread_join(&self->thread);
    ak_cancel_done(&self->stop);
    (void)close(self->fd);
}

void rig_send(int fd, const char *text)
{
    size_t len = strlen(text);

    while (len) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

        if (n <= 0)
            return;
        text += n;
        len -= (size_t)n;
    }
}

bool rig_read_head(int fd, char *head, size_t size)
{
    size_t len = 0;

    while (len + 1 < size) {
        if (recv(fd, head + len, 1, 0) != 1)
            return false;
        head[++len] = '\0';
        if (len >= 4 && strcmp(head + len - 4, "\r\n\r\n") == 0)
            return true;
    }
    return false;
}

int rig_connect(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {.tv_sec = 30};

    assert_true(fd >= 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

/* --- certificates --- */

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *ext;

    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(ext);
    (void)X509_add_ext(cert, ext, -1);
    X509_EXTENSION_free(ext);
}

static X509 *make_cert(EVP_PKEY *key, const char *name, const char *san, X509 *issuer,
                       EVP_PKEY *issuer_key, long serial)
{
    X509 *cert = X509_new();
    X509_NAME *subject;

    (void)X509_set_version(cert, 2);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(cert), serial);
    (void)X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    (void)X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
    (void)X509_set_pubkey(cert, key);
    subject = X509_get_subject_name(cert);
    (void)X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                                     -1, 0);
    (void)X509_set_issuer_name(cert, X509_get_subject_name(issuer ? issuer : cert));
    if (!issuer)
        add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE");
    if (san)
        add_extension(cert, issuer, NID_subject_alt_name, san);
    assert_true(X509_sign(cert, issuer ? issuer_key : key, EVP_sha256()) > 0);
    return cert;
}

static char *bio_text(BIO *bio)
{
    char *data;
    long len = BIO_get_mem_data(bio, &data);
    char *text = ak_strndup(data, (size_t)len);

    BIO_free(bio);
    return text;
}

static char *cert_text(X509 *cert)
{
    BIO *bio = BIO_new(BIO_s_mem());

    (void)PEM_write_bio_X509(bio, cert);
    return bio_text(bio);
}

static char *key_text(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());

    (void)PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    return bio_text(bio);
}

static struct ak_tls_context *make_ctx(X509 *cert, EVP_PKEY *key, X509 *ca)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    struct ak_tls_context *self = NULL;

    assert_int_equal(SSL_CTX_use_certificate(ctx, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
    (void)SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"rig", 3);
    if (ca) {
        (void)X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), ca);
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    assert_int_equal(ak_tls_context_new_from(ctx, &self, NULL), 0);
    SSL_CTX_free(ctx);
    return self;
}

void rig_pki_make(struct rig_pki *self)
{
    EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *server_key = EVP_EC_gen("P-256"),
             *client_key = EVP_EC_gen("P-256");
    X509 *ca = make_cert(ca_key, "rig authority", NULL, NULL, NULL, 1);
    X509 *server =
        make_cert(server_key, "server", "IP:127.0.0.1,DNS:cluster.example", ca, ca_key, 2);
    X509 *client = make_cert(client_key, "tester", NULL, ca, ca_key, 3);

    self->ca = cert_text(ca);
    self->server_cert = cert_text(server);
    self->server_key = key_text(server_key);
    self->client_cert = cert_text(client);
    self->client_key = key_text(client_key);
    self->client_secret = ak_secret_new(self->client_key, strlen(self->client_key));
    self->server_ctx = make_ctx(server, server_key, NULL);
    self->mutual_ctx = make_ctx(server, server_key, ca);
    X509_free(ca);
    X509_free(server);
    X509_free(client);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(server_key);
    EVP_PKEY_free(client_key);
}

void rig_pki_done(struct rig_pki *self)
{
    ak_free(self->ca);
    ak_free(self->server_cert);
    ak_free(self->server_key);
    ak_free(self->client_cert);
    ak_free(self->client_key);
    (void)ak_secret_free(self->client_secret);
    (void)ak_tls_context_unref(self->server_ctx);
    (void)ak_tls_context_unref(self->mutual_ctx);
}
