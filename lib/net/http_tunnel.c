/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl connects (proxy and TLS are its work) and then only carries bytes: CURLOPT_CONNECT_ONLY. The request is
 * written, and the head of the answer read, here.
 */
#include <ak/net/http_tunnel.h>

#include <poll.h>
#include <string.h>
#include <strings.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "http_internal.h"
#include "sigpipe.h"

#define MAX_HEAD (64u << 10)
#define MAX_REFUSAL (64u << 10)
#define SEND_PIECE (16u << 10) /* one TLS record */
#define DEFAULT_TIMEOUT AK_SECONDS(30)

struct ak_http_tunnel {
    struct ak__http_slot *slot;
    struct ak_http_client *client;
    struct ak_buf head;  /* of the answer; its lines are NUL-terminated once it was read */
    struct ak_buf early; /* what came behind the head, not yet received by the owner */
    int fd;
    /* What is being sent. OpenSSL takes a write that it could not finish only from the same place again
     * (SSL_write(3), "bad write retry"), and callers' buffers grow and move meanwhile. */
    char sending[SEND_PIECE];
    size_t n_sending; /* 0: nothing is */
};

struct ak_http_tunnel *ak_http_tunnel_free(struct ak_http_tunnel *self)
{
    struct ak__sigpipe sigpipe;

    if (!self)
        return NULL;
    ak__sigpipe_block(&sigpipe);
    (void)ak__http_slot_free(self->slot);
    ak__sigpipe_restore(&sigpipe);
    ak_buf_done(&self->head);
    ak_buf_done(&self->early);
    ak_free(self);
    return NULL;
}

int ak_http_tunnel_fd(const struct ak_http_tunnel *self)
{
    return self->fd;
}

int64_t ak_http_tunnel_send(struct ak_http_tunnel *self, const void *data, size_t len,
                            struct ak_error **reterr)
{
    struct ak__sigpipe sigpipe;
    size_t n = 0;
    CURLcode rc;

    if (!self->n_sending) {
        self->n_sending = AK_MIN(len, sizeof(self->sending));
        memcpy(self->sending, data, self->n_sending);
    }
    ak__sigpipe_block(&sigpipe);
    rc = curl_easy_send(ak__http_slot_easy(self->slot), self->sending, self->n_sending, &n);
    ak__sigpipe_restore(&sigpipe);
    if (rc == CURLE_AGAIN)
        return -EAGAIN;
    self->n_sending = 0;
    return rc == CURLE_OK ? (int64_t)n : ak__http_failed(self->client, rc, "", reterr);
}

static int64_t receive(struct ak_http_tunnel *self, void *data, size_t len,
                       struct ak_error **reterr)
{
    size_t n = 0;
    CURLcode rc = curl_easy_recv(ak__http_slot_easy(self->slot), data, len, &n);

    if (rc == CURLE_AGAIN)
        return -EAGAIN;
    return rc == CURLE_OK ? (int64_t)n : ak__http_failed(self->client, rc, "", reterr);
}

int64_t ak_http_tunnel_recv(struct ak_http_tunnel *self, void *data, size_t len,
                            struct ak_error **reterr)
{
    struct ak__sigpipe sigpipe;
    int64_t n;

    if (self->early.len) {
        size_t some = AK_MIN(len, self->early.len);

        memcpy(data, self->early.data, some);
        ak_buf_consume(&self->early, some);
        return (int64_t)some;
    }
    ak__sigpipe_block(&sigpipe);
    n = receive(self, data, len, reterr);
    ak__sigpipe_restore(&sigpipe);
    return n;
}

/* --- the request --- */

static int add_target(CURL *easy, struct ak_buf *out)
{
    CURLU *u = curl_url();
    char *url = NULL, *path = NULL, *query = NULL;
    int r = -ENOMEM;

    (void)curl_easy_getinfo(easy, CURLINFO_EFFECTIVE_URL, &url);
    if (u && url && curl_url_set(u, CURLUPART_URL, url, CURLU_PATH_AS_IS) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_PATH, &path, 0) == CURLUE_OK) {
        (void)curl_url_get(u, CURLUPART_QUERY, &query, 0);
        r = ak_buf_addf(out, "%s%s%s HTTP/1.1\r\n", path, query ? "?" : "", query ? query : "");
    }
    curl_free(path);
    curl_free(query);
    curl_url_cleanup(u);
    return r;
}

/* Host as libcurl would write it: without the port when it is the scheme's own. */
static int add_host(CURL *easy, struct ak_buf *out)
{
    CURLU *u = curl_url();
    char *url = NULL, *host = NULL, *port = NULL;
    int r = -ENOMEM;

    (void)curl_easy_getinfo(easy, CURLINFO_EFFECTIVE_URL, &url);
    if (u && url && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
        (void)curl_url_get(u, CURLUPART_PORT, &port, CURLU_NO_DEFAULT_PORT);
        r = ak_buf_addf(out, "Host: %s%s%s\r\n", host, port ? ":" : "", port ? port : "");
    }
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(u);
    return r;
}

static int add_lines(const struct ak__http_request *prepared, CURL *easy,
                     const struct ak_http_client *client, struct ak_buf *out)
{
    int r = client->host_header ? 0 : add_host(easy, out);

    if (r >= 0)
        r = ak_buf_addf(out, "User-Agent: %s\r\n", client->user_agent);
    for (size_t i = 0; r >= 0 && i < prepared->n_lines; i++) {
        const char *line = prepared->nodes[i].data;

        if (!ak_has_suffix(line, ":")) /* which takes a header of libcurl's away */
            r = ak_buf_addf(out, "%s\r\n", line);
    }
    return r < 0 ? r : ak_buf_adds(out, "\r\n");
}

/* --- sending and receiving within a time --- */

static int wait_for(const struct ak_http_tunnel *self, short events, const struct ak_cancel *cancel,
                    ak_msec deadline)
{
    struct pollfd fds[] = {{.fd = self->fd, .events = events},
                           {.fd = cancel ? cancel->fd : -1, .events = POLLIN}};
    ak_msec left = deadline - ak_now();

    if (cancel && ak_cancel_is_set(cancel))
        return AK_E_CANCELLED;
    if (left <= 0)
        return -ETIMEDOUT;
    (void)poll(fds, 2, (int)AK_MIN(left, 60000));
    return 0;
}

static int send_all(struct ak_http_tunnel *self, const struct ak_buf *data,
                    const struct ak_cancel *cancel, ak_msec deadline, struct ak_error **reterr)
{
    size_t at = 0;

    while (at < data->len) {
        int64_t n = ak_http_tunnel_send(self, data->data + at, data->len - at, reterr);
        int r = n == -EAGAIN ? wait_for(self, POLLOUT, cancel, deadline) : 0;

        if (n < 0 && n != -EAGAIN)
            return (int)n;
        if (r < 0)
            return ak_error_set(reterr, r, "%s: %s", self->client->base_url, ak_code_text(r));
        at += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* More bytes into `into`. 0: the end of the connection. */
static int64_t recv_some(struct ak_http_tunnel *self, struct ak_buf *into,
                         const struct ak_cancel *cancel, ak_msec deadline, struct ak_error **reterr)
{
    char piece[4096];
    int64_t n;
    int r;

    while ((n = receive(self, piece, sizeof(piece), reterr)) == -EAGAIN) {
        r = wait_for(self, POLLIN, cancel, deadline);
        if (r < 0)
            return ak_error_set(reterr, r, "%s: %s", self->client->base_url, ak_code_text(r));
    }
    if (n <= 0)
        return n;
    r = ak_buf_add(into, piece, (size_t)n);
    if (r < 0)
        return ak_error_set(reterr, r, "%s: the answer's head: %s", self->client->base_url,
                            ak_code_text(r));
    return n;
}

static char *find_end(const struct ak_buf *head)
{
    return head->len ? memmem(head->data, head->len, "\r\n\r\n", 4) : NULL;
}

static int read_head(struct ak_http_tunnel *self, const struct ak_cancel *cancel, ak_msec deadline,
                     struct ak_error **reterr)
{
    char *end;
    size_t len;
    int r;

    while (!(end = find_end(&self->head))) {
        int64_t n = recv_some(self, &self->head, cancel, deadline, reterr);

        if (n < 0)
            return (int)n;
        if (n == 0)
            return ak_error_set(reterr, AK_E_PROTOCOL, "%s: the connection ended without an answer",
                                self->client->base_url);
    }
    len = (size_t)(end - self->head.data) + 4;
    r = ak_buf_add(&self->early, self->head.data + len, self->head.len - len);
    if (r < 0)
        return ak_error_oom(reterr);
    self->head.len = len;
    self->head.data[len] = '\0';
    return 0;
}

static int parse_head(struct ak_http_tunnel *self, struct ak_error **reterr)
{
    char *line = self->head.data;
    uint16_t status = 0;
    char digits[4] = "";

    if (memchr(line, '\0', self->head.len) || strncmp(line, "HTTP/1.", 7) != 0 || strlen(line) < 12)
        return ak_error_set(reterr, AK_E_PROTOCOL, "%s: the answer is not HTTP",
                            self->client->base_url);
    memcpy(digits, line + 9, 3);
    if (ak_parse_u16(digits, &status) < 0)
        return ak_error_set(reterr, AK_E_PROTOCOL, "%s: the answer is not HTTP",
                            self->client->base_url);
    for (char *p = line; (p = strstr(p, "\r\n")); p += 2)
        p[0] = p[1] = '\0';
    return status;
}

const char *ak_http_tunnel_header(const struct ak_http_tunnel *self, const char *name)
{
    size_t len = strlen(name);

    for (size_t at = 0; at < self->head.len; at += strlen(self->head.data + at) + 2) {
        const char *line = self->head.data + at;

        if (strncasecmp(line, name, len) == 0 && line[len] == ':')
            return line + len + 1 + strspn(line + len + 1, " \t");
    }
    return NULL;
}

/* --- an answer that is no upgrade --- */

/* -1: not a hexadecimal number at the line's start. */
static int64_t chunk_size(const char *line)
{
    static const char digits[] = "0123456789abcdef";
    int64_t n = -1;
    const char *d;

    for (; *line && (d = strchr(digits, *line | 0x20)) && n < MAX_REFUSAL; line++)
        n = (n < 0 ? 0 : n * 16) + (d - digits);
    return n;
}

static void unchunk(struct ak_buf *body)
{
    size_t from = 0, to = 0;

    while (from < body->len) {
        int64_t n = chunk_size(body->data + from);
        char *line = memmem(body->data + from, body->len - from, "\r\n", 2);
        size_t len;

        if (!line || n <= 0)
            break;
        from = (size_t)(line - body->data) + 2;
        len = AK_MIN((size_t)n, body->len - from);
        memmove(body->data + to, body->data + from, len);
        to += len;
        from += len + 2;
    }
    body->len = to;
    body->data[to] = '\0';
}

/* The body is a text for people: what came of it in time is enough. */
static void read_refusal(struct ak_http_tunnel *self, const struct ak_cancel *cancel,
                         ak_msec deadline, struct ak_http_reply *reply)
{
    const char *length = ak_http_tunnel_header(self, "Content-Length");
    const char *coding = ak_http_tunnel_header(self, "Transfer-Encoding");
    const char *type = ak_http_tunnel_header(self, "Content-Type");
    const char *retry = ak_http_tunnel_header(self, "Retry-After");
    uint64_t want = MAX_REFUSAL, seconds = 0;

    if (length && ak_parse_u64(length, &want) < 0)
        want = 0;
    want = AK_MIN(want, MAX_REFUSAL);
    self->early.max = 2 * MAX_REFUSAL;
    while (self->early.len < want && !(coding && self->early.len &&
                                       memmem(self->early.data, self->early.len, "\r\n0\r\n", 5)))
        if (recv_some(self, &self->early, cancel, deadline, NULL) <= 0)
            break;
    if (coding && self->early.len)
        unchunk(&self->early);
    if (retry && ak_parse_u64(retry, &seconds) >= 0)
        reply->retry_after = AK_SECONDS((ak_msec)AK_MIN(seconds, 3600u));
    if (type)
        memcpy(reply->content_type, type, strnlen(type, sizeof(reply->content_type) - 1));
    reply->body = self->early;
    self->early = (struct ak_buf){0};
}

/* --- open --- */

static int connect_it(struct ak_http_tunnel *self, const struct ak_http_request *req,
                      ak_msec timeout, struct ak_buf *out, struct ak_error **reterr)
{
    AK_AUTO(ak__http_request) prepared = {0};
    CURL *easy = ak__http_slot_easy(self->slot);
    curl_socket_t fd = CURL_SOCKET_BAD;
    CURLcode rc = CURLE_OK;
    int r = ak__http_request_init(&prepared, easy, self->client, req, reterr);

    if (r < 0)
        return r;
    (void)curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout);
    r = ak__http_slot_run(self->slot, req->cancel, &rc);
    if (r < 0)
        return ak_error_set(reterr, r, "%s: %s", self->client->base_url, ak_code_text(r));
    if (rc != CURLE_OK)
        return ak__http_failed(self->client, rc, prepared.error, reterr);
    (void)curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd);
    self->fd = fd;
    r = ak_buf_addf(out, "%s ", req->method);
    if (r >= 0)
        r = add_target(easy, out);
    if (r >= 0)
        r = add_lines(&prepared, easy, self->client, out);
    /* What `prepared` holds goes now; libcurl needs none of it for a connection that is there. */
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, NULL);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, NULL);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECT_TO, NULL);
    return r < 0 ? ak_error_set(reterr, r, "request: %s", ak_code_text(r)) : 0;
}

static int open_blocked(struct ak_http_tunnel *self, const struct ak_http_request *req,
                        struct ak_http_reply *reply, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) out = {.max = AK_HTTP_MAX_URL + 2 * AK_HTTP_MAX_HEADER_BYTES, .wipe = true};
    ak_msec timeout = req->timeout ? req->timeout : DEFAULT_TIMEOUT, deadline = ak_now() + timeout;
    int r = connect_it(self, req, timeout, &out, reterr);

    if (r >= 0)
        r = send_all(self, &out, req->cancel, deadline, reterr);
    if (r >= 0)
        r = read_head(self, req->cancel, deadline, reterr);
    if (r >= 0)
        r = parse_head(self, reterr);
    if (r < 0 || r == 101)
        return r < 0 ? r : 1;
    reply->status = r;
    read_refusal(self, req->cancel, deadline, reply);
    return 0;
}

int ak_http_tunnel_open(struct ak_http_client *client, const struct ak_http_request *req,
                        struct ak_http_tunnel **ret, struct ak_http_reply *reply,
                        struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_http_tunnel) self = ak_new0(struct ak_http_tunnel);
    struct ak__sigpipe sigpipe;
    int r;

    if (!self)
        return ak_error_oom(reterr);
    self->client = client;
    self->head.max = self->early.max = MAX_HEAD;
    self->slot = ak__http_slot_new();
    if (!self->slot)
        return ak_error_oom(reterr);
    ak__sigpipe_block(&sigpipe);
    r = open_blocked(self, req, reply, reterr);
    ak__sigpipe_restore(&sigpipe);
    if (r > 0)
        *ret = AK_TAKE(self);
    return r;
}
