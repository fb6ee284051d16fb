/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection: WAITING for a request, HANDLING one (its exchange is with a handler), FLUSHING the last answer,
 * LINGERING (our side is closed, so that the peer can read an error before its unread bytes reset it), or
 * GONE (the peer went while a handler holds the exchange), or UPGRADED (http_upgrade.c has it). Requests of one
 * connection are handled one after the other; what comes early waits in the kernel.
 */
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "http_conn.h"
#include "http_head.h"

#define READ_AHEAD (64u << 10) /* bytes of a next request that are taken from the kernel */
#define LINGER AK_SECONDS(2)
#define MAX_REPLY_HEAD (80u << 10)

struct ak__http_conn *ak__http_conn_next(struct ak__http_conn *conn)
{
    return conn->next;
}

/* The connection holds so many bytes of a body from now on. -503: too much with those of the others. */
static int hold_body(struct ak__http_conn *conn, size_t bytes)
{
    struct ak_http_server *server = conn->server;

    if (!server)
        return 0;
    if (server->max_bodies && bytes > conn->held &&
        bytes - conn->held > server->max_bodies - AK_MIN(server->bodies, server->max_bodies))
        return -503;
    server->bodies += bytes - conn->held;
    conn->held = bytes;
    return 0;
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
    (void)hold_body(conn, 0);
    conn->server = NULL;
}

static void close_socket(struct ak__http_conn *conn)
{
    if (conn->bev && conn->tls)
        conn->tls->goodbye(conn->bev);
    if (conn->bev)
        bufferevent_free(conn->bev);
    conn->bev = NULL;
}

void ak__http_conn_free(struct ak__http_conn *conn)
{
    if (conn->freed)
        *conn->freed = true;
    unlink_conn(conn);
    close_socket(conn);
    (void)ak_timer_free(conn->timer);
    ak__http_parser_done(&conn->parser);
    ak_free(conn->peer_name);
    ak_free(conn);
}

/* The peer went. Who holds the exchange is told, or finds out when it answers. */
void ak__http_conn_lost(struct ak__http_conn *conn)
{
    const struct ak_http_upgraded_ops *ops = conn->ops;
    ak_loop_fn fn = ops ? ops->closed : conn->ex.on_close;
    void *user = ops ? conn->ops_user : conn->ex.on_close_user;

    if (conn->state != CONN_HANDLING && !ops) {
        ak__http_conn_free(conn);
        return;
    }
    if (fn) {
        ak__http_conn_free(conn);
        fn(user);
        return;
    }
    ak_timer_clear(conn->timer);
    unlink_conn(conn);
    close_socket(conn);
    conn->state = CONN_GONE;
    if (conn->ex.on_drain)
        ak_timer_set(conn->timer, 0);
}

void ak__http_conn_abandon(struct ak__http_conn *conn)
{
    ak__http_conn_lost(conn);
}

void ak__http_conn_drain(struct ak__http_conn *conn)
{
    bool idle = conn->state == CONN_WAITING && conn->parser.head.len == 0 &&
                evbuffer_get_length(bufferevent_get_input(conn->bev)) == 0;

    conn->close_after = true;
    if (!idle)
        return;
    if (!evbuffer_get_length(bufferevent_get_output(conn->bev))) {
        ak__http_conn_free(conn);
        return;
    }
    /* The last answer is complete and not on its way yet. */
    conn->state = CONN_FLUSHING;
    ak_timer_set(conn->timer, conn->server->idle_timeout);
}

static void wait_for_request(struct ak__http_conn *conn)
{
    conn->state = CONN_WAITING;
    conn->request_begun = false;
    conn->since = ak_now();
    ak_timer_set(conn->timer, conn->server->idle_timeout);
}

/* --- answers --- */

static int write_head(struct ak__http_conn *conn, int status, const char *content_type,
                      const char *framing, const char *const *extra)
{
    AK_AUTO(ak_buf) out = {.max = MAX_REPLY_HEAD};
    const struct ak__http_head head = {
        .status = status,
        .content_type = content_type,
        .framing = framing,
        .extra = extra,
        .connection = conn->close_after         ? "close"
                      : conn->parser.minor == 0 ? "keep-alive"
                                                : NULL,
    };
    int r = ak__http_build_head(&head, &out);

    return r < 0 ? r : bufferevent_write(conn->bev, out.data, out.len);
}

void ak__http_conn_hold(struct ak__http_conn *conn)
{
    if (evbuffer_get_length(bufferevent_get_input(conn->bev)) < READ_AHEAD)
        return;
    conn->is_full = true;
    (void)bufferevent_disable(conn->bev, EV_READ);
}

void ak__http_conn_unhold(struct ak__http_conn *conn)
{
    if (conn->is_full)
        (void)bufferevent_enable(conn->bev, EV_READ);
    conn->is_full = false;
}

static void process(struct ak__http_conn *conn);

/* The answer is complete, in the output buffer. */
void ak__http_conn_answered(struct ak__http_conn *conn)
{
    conn->ex = (struct ak_http_exchange){0};
    if (conn->state == CONN_GONE) {
        ak__http_conn_free(conn);
        return;
    }
    ak__http_conn_unhold(conn);
    bufferevent_setwatermark(conn->bev, EV_WRITE, 0, 0);
    if (conn->close_after || (conn->server && conn->server->draining)) {
        conn->state = CONN_FLUSHING;
        ak_timer_set(conn->timer, conn->server ? conn->server->idle_timeout : LINGER);
        /* The write callback comes when all is sent, also if there was nothing to send. */
        bufferevent_trigger(conn->bev, EV_WRITE, BEV_TRIG_DEFER_CALLBACKS);
        return;
    }
    ak__http_parser_reset(&conn->parser);
    conn->body_taken = false;
    (void)hold_body(conn, 0);
    wait_for_request(conn);
    if (!conn->in_process)
        process(conn);
}

/* Without memory for an answer the connection can only end. */
static void give_up(struct ak__http_conn *conn)
{
    conn->close_after = true;
    ak__http_conn_answered(conn);
}

void ak_http_reply_text(struct ak_http_exchange *ex, int status, const char *content_type,
                        const char *body, size_t len, const char *const *extra)
{
    struct ak__http_conn *conn = ak__http_conn_of(ex);
    bool no_body = status == 204 || status == 304;
    char framing[48] = "";

    if (conn->state == CONN_GONE) {
        ak__http_conn_answered(conn);
        return;
    }
    if (!no_body)
        (void)snprintf(framing, sizeof(framing), "Content-Length: %zu\r\n", len);
    if (write_head(conn, status, content_type, framing, extra) < 0) {
        give_up(conn);
        return;
    }
    if (!ex->is_head && !no_body && len && bufferevent_write(conn->bev, body, len) < 0)
        conn->close_after = true;
    ak__http_conn_answered(conn);
}

/* The line that frames the body; the length, if there is one, is among the extra lines. */
static const char *choose_framing(struct ak__http_conn *conn, int status, const char *const *extra)
{
    struct ak_http_exchange *ex = &conn->ex;
    const char *length = ak__http_find_line(extra, "Content-Length");

    ex->framing = FRAMING_CHUNKED;
    if (ex->is_head || status == 204 || status == 304)
        ex->framing = FRAMING_NONE;
    else if (length && ak_parse_u64(length, &ex->left) >= 0)
        ex->framing = FRAMING_LENGTH;
    else if (conn->parser.minor == 0)
        ex->framing = FRAMING_CLOSE;
    if (ex->framing == FRAMING_CLOSE)
        conn->close_after = true; /* the end of the connection is the end of the body */
    /* What GET would have got: HEAD says the same (RFC 9110 section 9.3.2). */
    if (ex->framing == FRAMING_CHUNKED ||
        (ex->is_head && !length && status != 204 && status != 304 && conn->parser.minor > 0))
        return "Transfer-Encoding: chunked\r\n";
    return "";
}

void ak_http_reply_begin_with(struct ak_http_exchange *ex, int status, const char *content_type,
                              const char *const *extra)
{
    struct ak__http_conn *conn = ak__http_conn_of(ex);
    const char *framing;

    if (conn->state == CONN_GONE)
        return;
    framing = choose_framing(conn, status, extra);
    if (write_head(conn, status, content_type, framing, extra) < 0) {
        conn->broken = true;
        conn->close_after = true;
    }
}

void ak_http_reply_begin(struct ak_http_exchange *ex, int status, const char *content_type)
{
    ak_http_reply_begin_with(ex, status, content_type, NULL);
}

int64_t ak_http_reply_chunk(struct ak_http_exchange *ex, const char *data, size_t len)
{
    struct ak__http_conn *conn = ak__http_conn_of(ex);
    struct evbuffer *out;
    int r = 0;

    if (conn->state == CONN_GONE)
        return -EPIPE;
    out = bufferevent_get_output(conn->bev);
    if (conn->broken)
        return -ENOMEM;
    if (evbuffer_get_length(out) + len > conn->server->max_waiting)
        return -ENOBUFS;
    if (ex->framing == FRAMING_LENGTH && len > ex->left)
        return -EMSGSIZE;
    if (len && ex->framing != FRAMING_NONE) { /* a chunk of no bytes would be the end */
        r = ex->framing == FRAMING_CHUNKED ? evbuffer_add_printf(out, "%zx\r\n", len) : 0;
        r = r < 0 ? r : evbuffer_add(out, data, len);
        r = r < 0 || ex->framing != FRAMING_CHUNKED ? r : evbuffer_add(out, "\r\n", 2);
        ex->left -= ex->framing == FRAMING_LENGTH ? len : 0;
    }
    conn->broken |= r < 0; /* half a chunk may be there */
    return r < 0 ? -ENOMEM : (int64_t)evbuffer_get_length(out);
}

void ak_http_reply_end(struct ak_http_exchange *ex)
{
    struct ak__http_conn *conn = ak__http_conn_of(ex);

    if (conn->broken || (conn->state != CONN_GONE && ex->framing == FRAMING_LENGTH && ex->left)) {
        ak_http_reply_abort(ex);
        return;
    }
    if (conn->state != CONN_GONE && ex->framing == FRAMING_CHUNKED &&
        bufferevent_write(conn->bev, "0\r\n\r\n", 5) < 0)
        conn->close_after = true;
    ak__http_conn_answered(conn);
}

void ak_http_reply_abort(struct ak_http_exchange *ex)
{
    struct ak__http_conn *conn = ak__http_conn_of(ex);
    struct linger reset = {.l_onoff = 1};

    if (conn->state != CONN_GONE) {
        (void)evbuffer_drain(bufferevent_get_output(conn->bev), SIZE_MAX);
        /* A close would be the proper end of this body: a reset is not. */
        conn->reset_after = ex->framing == FRAMING_CLOSE && conn->close_after;
        if (conn->reset_after)
            (void)setsockopt(bufferevent_getfd(conn->bev), SOL_SOCKET, SO_LINGER, &reset,
                             sizeof(reset));
    }
    give_up(conn);
}

/* --- back-pressure --- */

size_t ak_http_waiting(const struct ak_http_exchange *ex)
{
    const struct ak__http_conn *conn = ak__http_conn_of(ex);

    return conn->bev ? evbuffer_get_length(bufferevent_get_output(conn->bev)) : 0;
}

void ak_http_on_drain(struct ak_http_exchange *ex, size_t low_water, ak_loop_fn fn, void *user)
{
    struct ak__http_conn *conn = ak__http_conn_of(ex);

    ex->on_drain = fn;
    ex->on_drain_user = user;
    ex->low_water = low_water;
    if (conn->state == CONN_GONE) {
        if (fn)
            ak_timer_set(conn->timer, 0);
        return;
    }
    bufferevent_setwatermark(conn->bev, EV_WRITE, fn ? low_water : 0, 0);
    if (fn) /* looks at the watermark */
        bufferevent_trigger(conn->bev, EV_WRITE, BEV_TRIG_DEFER_CALLBACKS);
}

static void drained(struct ak__http_conn *conn)
{
    ak_loop_fn fn = conn->ex.on_drain;

    conn->ex.on_drain = NULL;
    if (conn->bev)
        bufferevent_setwatermark(conn->bev, EV_WRITE, 0, 0);
    if (fn)
        fn(conn->ex.on_drain_user);
}

void ak_http_on_close(struct ak_http_exchange *ex, ak_loop_fn fn, void *user)
{
    ex->on_close = fn;
    ex->on_close_user = user;
}

/* --- requests --- */

static void refuse(struct ak__http_conn *conn, int status)
{
    static const char *const later[] = {"Retry-After: 1", NULL};
    AK_AUTO(ak_buf) body = {.max = 4096};
    bool own = conn->server && conn->server->error_body;

    conn->parser.minor = 1;
    conn->close_after = true;
    conn->state = CONN_HANDLING;
    if (own)
        (void)!conn->server->error_body(status, &body);
    else
        (void)!ak_buf_addf(&body, "%d %s\n", status, ak__http_status_text(status));
    ak_http_reply_text(&conn->ex, status,
                       own ? conn->server->error_type : "text/plain; charset=utf-8",
                       ak_buf_text(&body), body.len, status == 503 ? later : NULL);
}

static void handle(struct ak__http_conn *conn)
{
    ak_timer_clear(conn->timer);
    conn->state = CONN_HANDLING;
    conn->ex = (struct ak_http_exchange){.is_head = ak_streq(conn->parser.method, "HEAD")};
    conn->close_after |= !conn->parser.keep_alive;
    if (conn->tls && !conn->peer_name)
        conn->peer_name = conn->tls->peer_name(conn->bev);
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
        if (r >= 0 && hold_body(conn, ak__http_parser_body_size(&conn->parser)) < 0)
            r = -503;
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
            if (conn->parser.head.len && !conn->request_begun) {
                conn->request_begun = true;
                ak_timer_set(conn->timer, conn->server->request_timeout);
            }
            break;
        }
    }
    conn->in_process = false;
}

bool ak__http_conn_make_room(struct ak_http_server *server)
{
    struct ak__http_conn *oldest = NULL;

    for (struct ak__http_conn *conn = server->conns; conn; conn = conn->next)
        if (conn->state == CONN_WAITING && !conn->in_process &&
            (!oldest || conn->since <= oldest->since)) /* the list begins with the newest */
            oldest = conn;
    if (oldest)
        ak__http_conn_free(oldest);
    return oldest;
}

static void on_read(struct bufferevent *bev, void *user)
{
    struct ak__http_conn *conn = user;

    if (conn->state == CONN_WAITING)
        process(conn);
    else if (conn->state == CONN_UPGRADED)
        ak__http_upgraded_read(conn);
    else if (conn->state == CONN_FLUSHING || conn->state == CONN_LINGERING)
        (void)evbuffer_drain(bufferevent_get_input(bev), SIZE_MAX);
    else if (conn->state == CONN_HANDLING)
        ak__http_conn_hold(conn);
}

/* All is sent, the connection is to end. Under TLS only a peer that may still be sending is waited for: unread bytes
 * would reset the connection, and with it what was sent last. */
static void flushed(struct ak__http_conn *conn)
{
    bool at_once = conn->reset_after || (conn->tls && !conn->was_upgraded);

    if (!at_once && conn->tls)
        conn->tls->goodbye(conn->bev);
    if (at_once || shutdown(bufferevent_getfd(conn->bev), SHUT_WR) < 0) {
        ak__http_conn_free(conn);
        return;
    }
    conn->state = CONN_LINGERING;
    ak_timer_set(conn->timer, LINGER);
}

static void on_written(struct bufferevent *bev, void *user)
{
    struct ak__http_conn *conn = user;

    size_t waiting = evbuffer_get_length(bufferevent_get_output(bev));

    if (conn->state == CONN_HANDLING && conn->ex.on_drain && waiting <= conn->ex.low_water)
        drained(conn);
    else if (conn->state == CONN_UPGRADED)
        ak__http_upgraded_written(conn);
    else if (conn->state == CONN_FLUSHING && waiting == 0)
        flushed(conn);
}
static void on_event(struct bufferevent *bev, short what, void *user)
{
    struct ak__http_conn *conn = user;

    /* What is still to be taken comes before the end. */
    if ((what & BEV_EVENT_EOF) && conn->ops && evbuffer_get_length(bufferevent_get_input(bev)))
        conn->at_end = true;
    else if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT))
        ak__http_conn_lost(conn);
}

static void on_timer(void *user)
{
    struct ak__http_conn *conn = user;

    if (conn->state == CONN_GONE)
        drained(conn);
    /* Half a request deserves a word; a kept-alive connection without one does not. */
    else if (conn->state == CONN_WAITING && conn->parser.head.len)
        refuse(conn, 408);
    else
        ak__http_conn_lost(conn);
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

static struct bufferevent *make_bev(struct ak__http_conn *conn, struct ak_http_server *server,
                                    int fd)
{
    struct event_base *base = ak_loop_base(server->loop);

    conn->tls = server->tls ? server->tls->ops : NULL;
    return conn->tls ? conn->tls->bev_new(server->tls, base, fd)
                     : bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
}

static void learn_peer(struct ak__http_conn *conn, int fd, const struct sockaddr *peer)
{
    socklen_t len = sizeof(conn->peer_process);

    conn->peer_process.pid = -1;
    if (peer->sa_family == AF_UNIX &&
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &conn->peer_process, &len) == 0)
        (void)snprintf(conn->peer, sizeof(conn->peer), "unix:uid=%u,pid=%d", conn->peer_process.uid,
                       conn->peer_process.pid);
    else
        format_peer(peer, conn->peer, sizeof(conn->peer));
}

int ak__http_conn_start(struct ak_http_server *server, int fd, const struct sockaddr *peer)
{
    struct ak__http_conn *conn = ak_new0(struct ak__http_conn);
    struct timeval stall = {.tv_sec = (time_t)(server->write_timeout / 1000),
                            .tv_usec = (suseconds_t)(server->write_timeout % 1000) * 1000};

    if (!conn)
        return -ENOMEM;
    conn->timer = ak_timer_new(server->loop, on_timer, conn);
    conn->bev = conn->timer ? make_bev(conn, server, fd) : NULL;
    if (!conn->bev) {
        (void)ak_timer_free(conn->timer);
        ak_free(conn);
        return -ENOMEM; /* the caller still has the socket */
    }
    ak__http_parser_init(&conn->parser, server->max_header, server->max_body);
    learn_peer(conn, fd, peer);
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
    return ak__http_conn_of(ex)->parser.method;
}

const char *ak_http_path(const struct ak_http_exchange *ex)
{
    return ak__http_conn_of(ex)->parser.path;
}

const char *ak_http_query(const struct ak_http_exchange *ex)
{
    return ak__http_conn_of(ex)->parser.query;
}

const char *ak_http_header(const struct ak_http_exchange *ex, const char *name)
{
    return ak__http_parser_header(&ak__http_conn_of(ex)->parser, name);
}

const char *ak_http_body(const struct ak_http_exchange *ex, size_t *ret_len)
{
    if (ret_len)
        *ret_len = ak__http_conn_of(ex)->parser.body.len;
    return ak_buf_text(&ak__http_conn_of(ex)->parser.body);
}

const char *ak_http_peer(const struct ak_http_exchange *ex)
{
    return ak__http_conn_of(ex)->peer;
}

int ak_http_peer_credentials(const struct ak_http_exchange *ex, uid_t *ret_uid, pid_t *ret_pid)
{
    const struct ucred *process = &ak__http_conn_of(ex)->peer_process;

    if (process->pid < 0)
        return -ENOTSUP;
    if (ret_uid)
        *ret_uid = process->uid;
    if (ret_pid)
        *ret_pid = process->pid;
    return 0;
}

const char *ak_http_peer_name(const struct ak_http_exchange *ex)
{
    return ak__http_conn_of(ex)->peer_name;
}

int ak_http_each_header(const struct ak_http_exchange *ex,
                        int (*fn)(const char *name, const char *value, void *user), void *user)
{
    const struct ak__http_parser *parser = &ak__http_conn_of(ex)->parser;
    int r = 0;

    for (size_t i = 0; r == 0 && i < parser->n_lines; i++)
        r = fn(parser->lines[i].name, parser->lines[i].value, user);
    return r;
}

void ak_http_drop_request(struct ak_http_exchange *ex)
{
    ak__http_parser_drop(&ak__http_conn_of(ex)->parser);
    if (!ak__http_conn_of(ex)->body_taken)
        ak_http_release_body(ex);
}

char *ak_http_take_body(struct ak_http_exchange *ex, size_t *ret_len)
{
    struct ak__http_conn *conn = ak__http_conn_of(ex);

    *ret_len = conn->parser.body.len;
    conn->body_taken = *ret_len > 0;
    return *ret_len ? ak_buf_take(&conn->parser.body) : NULL;
}

void ak_http_release_body(struct ak_http_exchange *ex)
{
    (void)hold_body(ak__http_conn_of(ex), 0);
}
