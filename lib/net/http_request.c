/* SPDX-License-Identifier: Apache-2.0 */
#include "http_internal.h"

#include <openssl/ssl.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#define MAX_RETRY_AFTER AK_HOURS(1)

static const char *const protocols = "http,https";

/* For every new TLS connection: the authorities and our certificate, by reference. libcurl calls it for
 * an https:// proxy too, which is then checked with the same authorities, as Go's clients do. */
static CURLcode share_certificates(CURL *easy, void *ssl_ctx, void *user)
{
    struct ak_http_client *client = user;
    const struct ak__http_tls *tls = &client->tls;
    SSL_CTX *ctx = ssl_ctx;

    (void)easy;
    (void)SSL_CTX_set1_cert_store(ctx, tls->store);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    if (!tls->cert)
        return CURLE_OK;
    if (SSL_CTX_use_certificate(ctx, tls->cert) != 1 || SSL_CTX_use_PrivateKey(ctx, tls->key) != 1)
        return CURLE_SSL_CERTPROBLEM;
    if (tls->chain && SSL_CTX_set1_chain(ctx, tls->chain) != 1)
        return CURLE_SSL_CERTPROBLEM;
    return CURLE_OK;
}

static bool is_clean(const char *text, bool spaces_allowed)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p < 0x20 && *p != '\t')
            return false;
        if (*p == 0x7f || (*p == ' ' && !spaces_allowed))
            return false;
    }
    return true;
}

static int add_line(struct ak__http_request *self, const char *name, const char *value)
{
    int r;

    if (self->n_lines >= AK_HTTP_MAX_HEADERS)
        return AK_E_TOO_LARGE;
    r = ak_buf_adds(&self->lines, name);
    if (r >= 0)
        r = ak_buf_adds(&self->lines, value);
    if (r >= 0)
        r = ak_buf_add(&self->lines, "", 1);
    if (r < 0)
        return r;
    self->n_lines++;
    return 0;
}

static int add_lines(struct ak__http_request *self, const struct ak_http_client *client,
                     const struct ak_http_request *req)
{
    int r = add_line(self, "Expect:", ""); /* no wait for "100 Continue" */

    if (r >= 0 && client->host_header)
        r = add_line(self, "Host: ", client->host_header);
    /* An empty one keeps libcurl from calling a body (a POST without one too) a form. */
    if (r >= 0)
        r = add_line(self, req->content_type ? "Content-Type: " : "Content-Type:",
                     req->content_type ? req->content_type : "");
    if (r >= 0 && req->accept)
        r = add_line(self, "Accept: ", req->accept);
    if (r >= 0 && req->bearer)
        r = add_line(self, "Authorization: Bearer ", ak_secret_peek(req->bearer, NULL));
    for (const char *const *h = req->headers; r >= 0 && h && *h; h++)
        r = add_line(self, *h, "");
    return r;
}

/* libcurl keeps the pointers of a header list, so it can be built in our own, wiped, memory. */
static int link_lines(struct ak__http_request *self)
{
    char *line = self->lines.data;

    self->nodes = ak_calloc(self->n_lines, sizeof(*self->nodes));
    if (!self->nodes)
        return -ENOMEM;
    for (size_t i = 0; i < self->n_lines; i++) {
        self->nodes[i].data = line;
        self->nodes[i].next = i + 1 < self->n_lines ? &self->nodes[i + 1] : NULL;
        line += strlen(line) + 1;
    }
    return 0;
}

static int check(const struct ak_http_request *req, struct ak_error **reterr)
{
    if (!req->path || req->path[0] != '/' || !is_clean(req->path, false))
        return ak_error_set(reterr, -EINVAL, "path \"%s\": must be absolute and escaped",
                            req->path ? req->path : "");
    if (!req->method || !req->method[0] || !is_clean(req->method, false))
        return ak_error_set(reterr, -EINVAL, "a request needs a method");
    return 0;
}

static int check_lines(const struct ak__http_request *self, struct ak_error **reterr)
{
    for (size_t i = 0; i < self->n_lines; i++) {
        /* The value is not quoted: it may be a token. */
        if (!is_clean(self->nodes[i].data, true))
            return ak_error_set(reterr, -EINVAL, "a request header has a control character");
    }
    return 0;
}

#define SET(option, value)                                                                         \
    do {                                                                                           \
        if (rc == CURLE_OK)                                                                        \
            rc = curl_easy_setopt(easy, option, value);                                            \
    } while (0)

static CURLcode set_target(CURL *easy, struct ak_http_client *client, struct curl_slist *connect_to)
{
    CURLcode rc = CURLE_OK;

    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PROTOCOLS_STR, protocols);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_USERAGENT, client->user_agent);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)client->connect_timeout);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_TCP_KEEPIDLE, 30L);
    SET(CURLOPT_TCP_KEEPINTVL, 15L);
    SET(CURLOPT_BUFFERSIZE, 16384L);
    SET(CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
    /* Set even when empty: otherwise libcurl reads the environment. */
    SET(CURLOPT_PROXY, client->proxy_url ? client->proxy_url : "");
    SET(CURLOPT_NOPROXY, client->no_proxy ? client->no_proxy : "");
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CURLOPT_SHARE, client->share);
    if (connect_to)
        SET(CURLOPT_CONNECT_TO, connect_to);
    if (client->unix_path)
        SET(CURLOPT_UNIX_SOCKET_PATH, client->unix_path);
    if (strncmp(client->request_url, "https:", 6) == 0) {
        SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
        SET(CURLOPT_SSL_VERIFYPEER, client->insecure ? 0L : 1L);
        SET(CURLOPT_SSL_VERIFYHOST, client->insecure || client->any_name ? 0L : 2L);
        /* libcurl must not read the system's bundle into each connection; see share_certificates(). */
        SET(CURLOPT_CAINFO, NULL);
        SET(CURLOPT_CAPATH, NULL);
        SET(CURLOPT_SSL_CTX_FUNCTION, share_certificates);
        SET(CURLOPT_SSL_CTX_DATA, client);
        if (client->pin)
            SET(CURLOPT_PINNEDPUBLICKEY, client->pin);
    }
    return rc;
}

static CURLcode set_method(CURL *easy, const struct ak_http_request *req)
{
    CURLcode rc = CURLE_OK;
    bool has_body =
        req->body || strcmp(req->method, "POST") == 0 || strcmp(req->method, "PUT") == 0;

    if (strcmp(req->method, "GET") == 0 && !has_body) {
        SET(CURLOPT_HTTPGET, 1L);
        return rc;
    }
    if (strcmp(req->method, "HEAD") == 0) {
        SET(CURLOPT_NOBODY, 1L);
        return rc;
    }
    if (has_body) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(req->body ? req->body_len : 0));
        SET(CURLOPT_POSTFIELDS, req->body ? req->body : "");
    }
    SET(CURLOPT_CUSTOMREQUEST, req->method);
    return rc;
}

int ak__http_request_init(struct ak__http_request *self, CURL *easy, struct ak_http_client *client,
                          const struct ak_http_request *req, struct ak_error **reterr)
{
    struct curl_slist *connect_to = NULL;
    CURLcode rc;
    int r;

    self->lines = (struct ak_buf){.max = AK_HTTP_MAX_HEADER_BYTES, .wipe = true};
    self->url = (struct ak_buf){.max = AK_HTTP_MAX_URL};
    r = check(req, reterr);
    if (r < 0)
        return r;
    r = add_lines(self, client, req);
    if (r >= 0)
        r = ak_buf_adds(&self->url, client->request_url);
    if (r >= 0)
        r = ak_buf_adds(&self->url, req->path);
    if (r >= 0)
        r = link_lines(self);
    if (r < 0)
        return ak_error_set(reterr, r, "%s request: %s", req->method, ak_code_text(r));
    r = check_lines(self, reterr);
    if (r < 0)
        return r;
    if (client->connect_to) {
        self->connect_to = (struct curl_slist){.data = client->connect_to};
        connect_to = &self->connect_to;
    }
    rc = set_target(easy, client, connect_to);
    SET(CURLOPT_URL, self->url.data);
    SET(CURLOPT_HTTPHEADER, self->nodes);
    SET(CURLOPT_ERRORBUFFER, self->error);
    if (rc == CURLE_OK)
        rc = set_method(easy, req);
    if (rc != CURLE_OK)
        return ak__http_failed(client, rc, "", reterr);
    return 0;
}
#undef SET

void ak__http_request_done(struct ak__http_request *self)
{
    ak_buf_done(&self->lines);
    ak_buf_done(&self->url);
    ak_free(self->nodes);
}

ak_msec ak__http_retry_after(CURL *easy)
{
    curl_off_t seconds = 0;

    /* libcurl reads both forms, seconds and HTTP-date. */
    if (curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &seconds) != CURLE_OK || seconds <= 0)
        return 0;
    return seconds > MAX_RETRY_AFTER / 1000 ? MAX_RETRY_AFTER : AK_SECONDS(seconds);
}

int ak__http_failed(const struct ak_http_client *client, CURLcode code, const char *detail,
                    struct ak_error **reterr)
{
    const char *text = detail && detail[0] ? detail : curl_easy_strerror(code);

    if (code == CURLE_OUT_OF_MEMORY)
        return ak_error_oom(reterr);
    if (code == CURLE_SSL_PINNEDPUBKEYNOTMATCH)
        return ak_error_set(reterr, -EKEYREJECTED, "%s: the server has another key than expected",
                            client->base_url);
    int r = ak_error_set(reterr, code == CURLE_OPERATION_TIMEDOUT ? -ETIMEDOUT : AK_E_PROTOCOL,
                         "%s: %s", client->unix_path ? client->unix_path : client->base_url, text);
    if (reterr && code == CURLE_COULDNT_CONNECT)
        ak_error_set_http(*reterr, 0, AK_HTTP_NOT_CONNECTED, 0);
    return r;
}
