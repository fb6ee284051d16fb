/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection: WAITING for a request, HANDLING one (its exchange is with a handler), FLUSHING the last answer,
 * LINGERING (our side is closed, so that the peer can read an error before its unread bytes reset it), or
 * GONE (the peer went while a handler holds the exchange). Requests of one connection are handled
 * one after the other; what comes early waits in the kernel.
 */
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "http_server_internal.h"

#define READ_AHEAD (64u << 10) /* bytes of a next request that are taken from the kernel */
#define LINGER AK_SECONDS(2)
#define MAX_WAITING (8u << 20) /* unsent bytes of one answer in chunks: a client too slow */
#define MAX_REPLY_HEAD (16u << 10)

enum conn_state {
    CONN_WAITING,
    CONN_HANDLING,
    CONN_FLUSHING,
    CONN_LINGERING,
    CONN_GONE,
};

/* One outstanding at most, so it is a part of its connection. */
struct ak_http_exchange {
    ak_loop_fn on_close;
    void *on_close_user;
    bool begun; /* a streaming answer has begun */
    bool chunked;
    bool is_head; /* no body is sent */
};

struct ak__http_conn {
    struct ak_http_exchange ex;
    struct ak_http_server *server; /* NULL: it is gone */
    struct bufferevent *bev;       /* NULL in state GONE */
    struct ak__http_parser parser;
    struct ak_timer *timer; /* of the whole request, and of lingering */
    enum conn_state state;
    bool in_process;
    bool close_after;
    char peer[INET6_ADDRSTRLEN + 10];
    struct ak__http_conn *prev, *next;
};

static struct ak__http_conn *conn_of(const struct ak_http_exchange *ex)
{
    return AK_CONTAINER_OF((uintptr_t)ex, struct ak__http_conn, ex);
}

struct ak__http_conn *ak__http_conn_next(struct ak__http_conn *conn)
{
    return conn->next;
}

static void unlink_conn(struct ak__http_conn *conn)
{
    struct ak_http_server *server = conn->server;

    if (!server)
        return;
    if (conn->prev)
        conn->prev->next = conn->next;
    else
        server->conns = conn->next;
    if (conn->next)
        conn->next->prev = conn->prev;
    server->n_conns--;
    conn->server = NULL;
}

static void close_socket(struct ak__http_conn *conn)
{
    SSL *ssl = conn->bev ? bufferevent_openssl_get_ssl(conn->bev) : NULL;

    if (ssl) { /* tells the peer, does not wait for its answer */
        SSL_set_shutdown(ssl, SSL_RECEIVED_SHUTDOWN);
        (void)SSL_shutdown(ssl);
    }
    if (conn->bev)
        bufferevent_free(conn->bev);
    conn->bev = NULL;
}

static void conn_free(struct ak__http_conn *conn)
{
    unlink_conn(conn);
    close_socket(conn);
    (void)ak_timer_free(conn->timer);
    ak__http_parser_done(&conn->parser);
    ak_free(conn);
}

/* The peer went. Who holds the exchange is told, or finds out when it answers. */
static void conn_lost(struct ak__http_conn *conn)
{
    ak_loop_fn fn = conn->ex.on_close;
    void *user = conn->ex.on_close_user;

    if (conn->state != CONN_HANDLING) {
        conn_free(conn);
        return;
    }
    if (fn) {
        conn_free(conn);
        fn(user);
        return;
    }
    ak_timer_clear(conn->timer);
    unlink_conn(conn);
    close_socket(conn);
    conn->state = CONN_GONE;
}

void ak__http_conn_abandon(struct ak__http_conn *conn)
{
    conn_lost(conn);
}

void ak__http_conn_drain(struct ak__http_conn *conn)
{
    bool idle = conn->state == CONN_WAITING && conn->parser.head.len == 0 &&
                evbuffer_get_length(bufferevent_get_input(conn->bev)) == 0;

    conn->close_after = true;
    if (!idle)
        return;
    if (!evbuffer_get_length(bufferevent_get_output(conn->bev))) {
        conn_free(conn);
        return;
    }
    /* The last answer is complete and not on its way yet. */
    conn->state = CONN_FLUSHING;
    ak_timer_set(conn->timer, conn->server->idle_timeout);
}

static void wait_for_request(struct ak__http_conn *conn)
{
    conn->state = CONN_WAITING;
    ak_timer_set(conn->timer, conn->server->idle_timeout);
}

/* --- answers --- */

static const struct {
    int status;
    const char *text;
} status_texts[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

static const char *status_text(int status)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(status_texts); i++)
        if (status_texts[i].status == status)
            return status_texts[i].text;
    return "Status";
}

/* RFC 9110 section 5.6.7, whatever the locale is. */
static int add_date(struct ak_buf *out)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now = (time_t)(ak_wall_now() / 1000);
    struct tm tm;

    if (!gmtime_r(&now, &tm))
        return 0;
    return ak_buf_addf(out, "Date: %s, %02d %s %d %02d:%02d:%02d GMT\r\n", days[tm.tm_wday],
                       tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
                       tm.tm_sec);
}

/* `framing` is the line that says how the body ends. */
static int build_head(const struct ak__http_conn *conn, int status, const char *content_type,
                      const char *framing, const char *const *extra, struct ak_buf *out)
{
    int r = ak_buf_addf(out, "HTTP/1.1 %d %s\r\n", status, status_text(status));

    if (r >= 0)
        r = add_date(out);
    if (r >= 0 && content_type)
        r = ak_buf_addf(out, "Content-Type: %s\r\n", content_type);
    for (; r >= 0 && extra && *extra; extra++)
        r = strpbrk(*extra, "\r\n") ? -EINVAL : ak_buf_addf(out, "%s\r\n", *extra);
    if (r >= 0 && conn->close_after)
        r = ak_buf_adds(out, "Connection: close\r\n");
    else if (r >= 0 && conn->parser.minor == 0)
        r = ak_buf_adds(out, "Connection: keep-alive\r\n");
    return r < 0 ? r : ak_buf_addf(out, "%s\r\n", framing);
}

static void process(struct ak__http_conn *conn);

/* The answer is complete, in the output buffer. */
static void answered(struct ak__http_conn *conn)
{
    conn->ex = (struct ak_http_exchange){0};
    if (conn->state == CONN_GONE) {
        conn_free(conn);
        return;
    }
    if (conn->close_after || (conn->server && conn->server->draining)) {
        conn->state = CONN_FLUSHING;
        ak_timer_set(conn->timer, conn->server ? conn->server->idle_timeout : LINGER);
        /* The write callback comes when all is sent, also if there was nothing to send. */
        bufferevent_trigger(conn->bev, EV_WRITE, BEV_TRIG_DEFER_CALLBACKS);
        return;
    }
    ak__http_parser_reset(&conn->parser);
    wait_for_request(conn);
    if (!conn->in_process)
        process(conn);
}

/* Without memory for an answer the connection can only end. */
static void give_up(struct ak__http_conn *conn)
{
    conn->close_after = true;
    answered(conn);
}

void ak_http_reply_text(struct ak_http_exchange *ex, int status, const char *content_type,
                        const char *body, size_t len, const char *const *extra)
{
    struct ak__http_conn *conn = conn_of(ex);
    AK_AUTO(ak_buf) head = {.max = MAX_REPLY_HEAD};
    bool no_body = status == 204 || status == 304;
    char framing[48] = "";

    if (conn->state == CONN_GONE) {
        answered(conn);
        return;
    }
    if (!no_body)
        (void)snprintf(framing, sizeof(framing), "Content-Length: %zu\r\n", len);
    if (build_head(conn, status, content_type, framing, extra, &head) < 0 ||
        bufferevent_write(conn->bev, head.data, head.len) < 0) {
        give_up(conn);
        return;
    }
    if (!ex->is_head && !no_body && len && bufferevent_write(conn->bev, body, len) < 0)
        conn->close_after = true;
    answered(conn);
}

void ak_http_reply_begin(struct ak_http_exchange *ex, int status, const char *content_type)
{
    struct ak__http_conn *conn = conn_of(ex);
    AK_AUTO(ak_buf) head = {.max = MAX_REPLY_HEAD};

    ex->begun = true;
    if (conn->state == CONN_GONE)
        return;
    ex->chunked = conn->parser.minor > 0;
    if (!ex->chunked)
        conn->close_after = true; /* the end of the connection is the end of the body */
    if (build_head(conn, status, content_type, ex->chunked ? "Transfer-Encoding: chunked\r\n" : "",
                   NULL, &head) < 0 ||
        bufferevent_write(conn->bev, head.data, head.len) < 0)
        conn->close_after = true;
}

int64_t ak_http_reply_chunk(struct ak_http_exchange *ex, const char *data, size_t len)
{
    struct ak__http_conn *conn = conn_of(ex);
    struct evbuffer *out;
    int r = 0;

    if (conn->state == CONN_GONE)
        return -EPIPE;
    out = bufferevent_get_output(conn->bev);
    if (evbuffer_get_length(out) + len > MAX_WAITING)
        return -ENOBUFS;
    if (len && !ex->is_head) { /* a chunk of no bytes would be the end */
        r = ex->chunked ? evbuffer_add_printf(out, "%zx\r\n", len) : 0;
        r = r < 0 ? r : evbuffer_add(out, data, len);
        r = r < 0 || !ex->chunked ? r : evbuffer_add(out, "\r\n", 2);
    }
    return r < 0 ? -ENOMEM : (int64_t)evbuffer_get_length(out);
}

void ak_http_reply_end(struct ak_http_exchange *ex)
{
    struct ak__http_conn *conn = conn_of(ex);

    if (conn->state != CONN_GONE && ex->chunked && !ex->is_head &&
        bufferevent_write(conn->bev, "0\r\n\r\n", 5) < 0)
        conn->close_after = true;
    answered(conn);
}

void ak_http_reply_abort(struct ak_http_exchange *ex)
{
    struct ak__http_conn *conn = conn_of(ex);

    if (conn->state != CONN_GONE)
        (void)evbuffer_drain(bufferevent_get_output(conn->bev), SIZE_MAX);
    give_up(conn);
}

void ak_http_on_close(struct ak_http_exchange *ex, ak_loop_fn fn, void *user)
{
    ex->on_close = fn;
    ex->on_close_user = user;
}

/* --- requests --- */

static void refuse(struct ak__http_conn *conn, int status)
{
    AK_AUTO(ak_buf) body = {.max = 128};

    conn->parser.minor = 1;
    conn->close_after = true;
    conn->state = CONN_HANDLING;
    (void)!ak_buf_addf(&body, "%d %s\n", status, status_text(status));
    ak_http_reply_text(&conn->ex, status, "text/plain; charset=utf-8", ak_buf_text(&body), body.len,
                       NULL);
}

static void handle(struct ak__http_conn *conn)
{
    ak_timer_clear(conn->timer);
    conn->state = CONN_HANDLING;
    conn->ex = (struct ak_http_exchange){.is_head = ak_streq(conn->parser.method, "HEAD")};
    conn->close_after |= !conn->parser.keep_alive;
    ak__http_dispatch(conn->server, &conn->ex);
}

static int feed(struct ak__http_conn *conn)
{
    struct evbuffer *in = bufferevent_get_input(conn->bev);
    struct evbuffer_iovec piece;
    size_t used = 0;
    int r = 0;

    while (r == 0 && evbuffer_peek(in, -1, NULL, &piece, 1) > 0 && piece.iov_len) {
        r = ak__http_parser_feed(&conn->parser, piece.iov_base, piece.iov_len, &used);
        (void)evbuffer_drain(in, used);
    }
    return r;
}

/* Handles what has arrived, request after request, without recursion. */
static void process(struct ak__http_conn *conn)
{
    conn->in_process = true;
    while (conn->state == CONN_WAITING) {
        int r = feed(conn);

        if (r < 0) {
            refuse(conn, -r);
        } else if (r > 0) {
            handle(conn);
        } else {
            if (conn->parser.wants_continue) {
                conn->parser.wants_continue = false;
                (void)bufferevent_write(conn->bev, "HTTP/1.1 100 Continue\r\n\r\n", 25);
            }
            break;
        }
    }
    conn->in_process = false;
}

static void on_read(struct bufferevent *bev, void *user)
{
    struct ak__http_conn *conn = user;

    if (conn->state == CONN_WAITING)
        process(conn);
    else if (conn->state == CONN_FLUSHING || conn->state == CONN_LINGERING)
        (void)evbuffer_drain(bufferevent_get_input(bev), SIZE_MAX);
}

static void on_written(struct bufferevent *bev, void *user)
{
    struct ak__http_conn *conn = user;

    if (conn->state != CONN_FLUSHING || evbuffer_get_length(bufferevent_get_output(bev)))
        return;
    if (bufferevent_openssl_get_ssl(bev) || shutdown(bufferevent_getfd(bev), SHUT_WR) < 0) {
        conn_free(conn);
        return;
    }
    conn->state = CONN_LINGERING;
    ak_timer_set(conn->timer, LINGER);
}

static void on_event(struct bufferevent *bev, short what, void *user)
{
    (void)bev;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT))
        conn_lost(user);
}

static void on_timer(void *user)
{
    struct ak__http_conn *conn = user;

    /* Half a request deserves a word; a kept-alive connection without one does not. */
    if (conn->state == CONN_WAITING && conn->parser.head.len)
        refuse(conn, 408);
    else
        conn_lost(conn);
}

static void format_peer(const struct sockaddr *peer, char *out, size_t size)
{
    char text[INET6_ADDRSTRLEN] = "";
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)peer;
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)peer;

    if (peer->sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
        (void)snprintf(out, size, "%s:%u", text, ntohs(v4->sin_port));
    } else if (peer->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        (void)inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], text, sizeof(text));
        (void)snprintf(out, size, "%s:%u", text, ntohs(v6->sin6_port));
    } else if (peer->sa_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
        (void)snprintf(out, size, "[%s]:%u", text, ntohs(v6->sin6_port));
    }
}

static struct bufferevent *make_bev(struct ak_http_server *server, int fd)
{
    struct event_base *base = ak_loop_base(server->loop);
    SSL *ssl;
    struct bufferevent *bev;

    if (!server->tls)
        return bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    ssl = SSL_new(server->tls);
    if (!ssl)
        return NULL;
    (void)SSL_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    bev = bufferevent_openssl_socket_new(base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING,
                                         BEV_OPT_CLOSE_ON_FREE);
    if (bev)
        bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    else
        SSL_free(ssl);
    return bev;
}

int ak__http_conn_start(struct ak_http_server *server, int fd, const struct sockaddr *peer)
{
    struct ak__http_conn *conn = ak_new0(struct ak__http_conn);
    struct timeval stall = {.tv_sec = (time_t)(server->idle_timeout / 1000),
                            .tv_usec = (suseconds_t)(server->idle_timeout % 1000) * 1000};

    if (!conn)
        return -ENOMEM;
    conn->timer = ak_timer_new(server->loop, on_timer, conn);
    conn->bev = conn->timer ? make_bev(server, fd) : NULL;
    if (!conn->bev) {
        (void)ak_timer_free(conn->timer);
        ak_free(conn);
        return -ENOMEM; /* the caller still has the socket */
    }
    ak__http_parser_init(&conn->parser, server->max_header, server->max_body);
    format_peer(peer, conn->peer, sizeof(conn->peer));
    conn->server = server;
    conn->next = server->conns;
    if (conn->next)
        conn->next->prev = conn;
    server->conns = conn;
    server->n_conns++;
    bufferevent_setcb(conn->bev, on_read, on_written, on_event, conn);
    bufferevent_setwatermark(conn->bev, EV_READ, 0, READ_AHEAD);
    (void)bufferevent_set_timeouts(conn->bev, NULL, &stall);
    (void)bufferevent_enable(conn->bev, EV_READ | EV_WRITE);
    wait_for_request(conn);
    return 0;
}

const char *ak_http_method(const struct ak_http_exchange *ex)
{
    return conn_of(ex)->parser.method;
}

const char *ak_http_path(const struct ak_http_exchange *ex)
{
    return conn_of(ex)->parser.path;
}

const char *ak_http_query(const struct ak_http_exchange *ex)
{
    return conn_of(ex)->parser.query;
}

const char *ak_http_header(const struct ak_http_exchange *ex, const char *name)
{
    return ak__http_parser_header(&conn_of(ex)->parser, name);
}

const char *ak_http_body(const struct ak_http_exchange *ex, size_t *ret_len)
{
    if (ret_len)
        *ret_len = conn_of(ex)->parser.body.len;
    return ak_buf_text(&conn_of(ex)->parser.body);
}

const char *ak_http_peer(const struct ak_http_exchange *ex)
{
    return conn_of(ex)->peer;
}
