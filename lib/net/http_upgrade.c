/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/net/http_upgrade.h>

#include <event2/buffer.h>
#include <string.h>
#include <strings.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "http_conn.h"
#include "http_head.h"

#define MAX_HEAD (8u << 10)

/* The same thing under a name that only speaks of what is left of it. */
static struct ak__http_conn *conn_of(const struct ak_http_upgraded *self)
{
    return (struct ak__http_conn *)(uintptr_t)self;
}

/* Is the word in a list as header lines have them (RFC 9110 section 5.6.1)? */
static bool lists(const char *list, const char *word)
{
    size_t len = strlen(word);

    while (list && *list) {
        const char *end = strchrnul(list, ',');

        list += strspn(list, " \t");
        if (strncasecmp(list, word, len) == 0 && list + len + strspn(list + len, " \t") == end)
            return true;
        list = *end ? end + 1 : end;
    }
    return false;
}

bool ak_http_wants_upgrade(const struct ak_http_exchange *ex, const char *protocol)
{
    return ak__http_conn_of(ex)->parser.minor >= 1 && ak_streq(ak_http_method(ex), "GET") &&
           lists(ak_http_header(ex, "Connection"), "upgrade") &&
           lists(ak_http_header(ex, "Upgrade"), protocol);
}

static int write_switch(struct ak__http_conn *conn, const char *protocol, const char *const *extra)
{
    AK_AUTO(ak_buf) out = {.max = MAX_HEAD};
    AK_AUTO(ak_buf) upgrade = {.max = 256};
    const struct ak__http_head head = {.status = 101, .extra = extra, .connection = "Upgrade"};
    struct ak__http_head with = head;
    int r = ak_buf_addf(&upgrade, "Upgrade: %s\r\n", protocol);

    with.framing = ak_buf_text(&upgrade);
    if (r >= 0)
        r = ak__http_build_head(&with, &out);
    if (r >= 0 && bufferevent_write(conn->bev, out.data, out.len) < 0)
        r = -ENOMEM;
    return r;
}

int ak_http_upgrade(struct ak_http_exchange *ex, const char *protocol, const char *const *extra,
                    const struct ak_http_upgraded_ops *ops, void *user,
                    struct ak_http_upgraded **ret)
{
    struct ak__http_conn *conn = ak__http_conn_of(ex);
    int r;

    if (conn->state == CONN_GONE) {
        ak__http_conn_answered(conn);
        return -EPIPE;
    }
    r = write_switch(conn, protocol, extra);
    if (r < 0)
        return r == -ENOMEM ? r : -EINVAL;
    ak_http_drop_request(ex);
    conn->ex = (struct ak_http_exchange){0};
    conn->state = CONN_UPGRADED;
    conn->close_after = true;
    conn->was_upgraded = true;
    conn->ops = ops;
    conn->ops_user = user;
    (void)bufferevent_set_timeouts(conn->bev, NULL, NULL);
    ak__http_conn_unhold(conn);
    bufferevent_setwatermark(conn->bev, EV_READ, 0, AK_HTTP_UPGRADE_READ_AHEAD);
    bufferevent_setwatermark(conn->bev, EV_WRITE, ops->low_water, 0);
    bufferevent_trigger(conn->bev, EV_READ, BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
    *ret = (struct ak_http_upgraded *)(void *)conn;
    return 0;
}

void ak__http_upgraded_read(struct ak__http_conn *conn)
{
    struct evbuffer *in = bufferevent_get_input(conn->bev);
    struct evbuffer_iovec piece;
    size_t used = 1;
    bool freed = false;

    if (conn->freed) /* input() is being called; it goes on there */
        return;
    conn->freed = &freed;
    while (used && conn->ops && evbuffer_peek(in, -1, NULL, &piece, 1) > 0 && piece.iov_len) {
        used = conn->ops->input(piece.iov_base, piece.iov_len, conn->ops_user);
        if (freed)
            return;
        (void)evbuffer_drain(in, AK_MIN(used, piece.iov_len));
        used = used < piece.iov_len ? 0 : used;
    }
    conn->freed = NULL;
    if (conn->at_end && conn->ops && evbuffer_get_length(in) == 0)
        ak__http_conn_lost(conn);
    else if (conn->ops)
        ak__http_conn_hold(conn);
}

void ak__http_upgraded_written(struct ak__http_conn *conn)
{
    if (conn->ops->drained &&
        evbuffer_get_length(bufferevent_get_output(conn->bev)) <= conn->ops->low_water)
        conn->ops->drained(conn->ops_user);
}

int64_t ak_http_upgraded_write(struct ak_http_upgraded *self, const void *data, size_t len)
{
    struct ak__http_conn *conn = conn_of(self);
    struct evbuffer *out = bufferevent_get_output(conn->bev);

    if (conn->server && evbuffer_get_length(out) + len > conn->server->max_waiting)
        return -ENOBUFS;
    if (len && evbuffer_add(out, data, len) < 0)
        return -ENOMEM;
    return (int64_t)evbuffer_get_length(out);
}

size_t ak_http_upgraded_waiting(const struct ak_http_upgraded *self)
{
    return evbuffer_get_length(bufferevent_get_output(conn_of(self)->bev));
}

void ak_http_upgraded_resume(struct ak_http_upgraded *self)
{
    ak__http_conn_unhold(conn_of(self));
    bufferevent_trigger(conn_of(self)->bev, EV_READ,
                        BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
}

void ak_http_upgraded_close(struct ak_http_upgraded *self, ak_msec patience)
{
    struct ak__http_conn *conn = conn_of(self);

    conn->ops = NULL;
    conn->ops_user = NULL;
    if (patience <= 0) {
        ak__http_conn_free(conn);
        return;
    }
    ak__http_conn_answered(conn); /* close_after: it flushes */
    ak_timer_set(conn->timer, patience);
}
