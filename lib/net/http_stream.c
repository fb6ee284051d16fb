/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams of one client on one loop share a hub: a multi handle whose sockets and timer are events of
 * the loop. libcurl allows no adding and removing of transfers while it is inside a callback of ours, so
 * while hub->in_curl what is started waits in state PENDING and what is stopped in state DEAD until
 * settle().
 */
#include <ak/net/http_client.h>

#include <event2/event.h>
#include <event2/event_struct.h>
#include <string.h>

#include <ak/base/alloc.h>

#include "http_internal.h"

#define DEFAULT_SILENCE AK_SECONDS(30)
#define MAX_SILENCE (AK_HOURS(24) * 365)

enum stream_state {
    STREAM_PENDING, /* not yet with libcurl */
    STREAM_ACTIVE,
    STREAM_DEAD, /* its end was told; libcurl still has it */
};

struct ak_http_stream {
    struct ak__http_hub *hub;
    enum stream_state state;
    const struct ak_http_stream_ops *ops;
    void *user;
    CURL *easy;
    struct ak__http_request request;
    char *body;
    size_t body_len;
    struct ak_timer *silence;
    ak_msec silence_limit;
    ak_msec last_byte;
    struct ak_timer *wake; /* goes on after a pause, off the caller's stack */
    bool paused;           /* as the owner wants it */
    bool starved;          /* no memory to watch its socket */
    bool begun;
    int given_up; /* what header, begin or data returned */
    struct ak_http_stream *prev, *next;
};

struct ak__http_hub {
    struct ak_http_client *client;
    struct ak_loop *loop;
    CURLM *multi;
    struct ak_timer *timer;
    struct ak_http_stream *streams;
    bool in_curl;
    bool unsettled; /* there are streams in state PENDING or DEAD */
    struct ak__http_hub *next;
};

/* One socket of libcurl's, as an event. */
struct watched {
    struct event ev;
    struct ak__http_hub *hub;
};

struct ak__http_hub *ak__http_hub_next(struct ak__http_hub *self)
{
    return self->next;
}

static void stream_free(struct ak_http_stream *s)
{
    struct ak__http_hub *hub = s->hub;

    if (s->state != STREAM_PENDING)
        (void)curl_multi_remove_handle(hub->multi, s->easy);
    if (s->prev)
        s->prev->next = s->next;
    else if (hub->streams == s)
        hub->streams = s->next;
    if (s->next)
        s->next->prev = s->prev;
    curl_easy_cleanup(s->easy);
    ak__http_request_done(&s->request);
    (void)ak_timer_free(s->silence);
    (void)ak_timer_free(s->wake);
    ak_free(s->body);
    ak_free(s);
}

/* Tells the end, once, and forgets the stream: at once, or when libcurl is off the stack. */
static void finish(struct ak_http_stream *s, int code, const struct ak_error *err)
{
    struct ak__http_hub *hub = s->hub;
    const struct ak_http_stream_ops *ops = s->ops;
    void *user = s->user;
    bool later = hub->in_curl && s->state == STREAM_ACTIVE;

    s->ops = NULL;
    if (s->silence)
        ak_timer_clear(s->silence);
    if (s->wake)
        ak_timer_clear(s->wake);
    if (later) {
        s->state = STREAM_DEAD;
        hub->unsettled = true;
    } else {
        stream_free(s);
    }
    ops->end(code, err, user);
}

static void finish_text(struct ak_http_stream *s, int code, const char *text)
{
    AK_AUTO_PTR(ak_error) err = NULL;

    (void)ak_error_set(&err, code, "%s: %s", s->hub->client->base_url, text);
    finish(s, code, err);
}

static void finish_curl(struct ak_http_stream *s, CURLcode rc)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    int r = 0;

    if (s->given_up < 0) {
        finish_text(s, s->given_up, ak_code_text(s->given_up));
        return;
    }
    if (rc != CURLE_OK)
        r = ak__http_failed(s->hub->client, rc, s->request.error, &err);
    finish(s, r, err);
}

static struct ak_http_stream *find_unsettled(struct ak__http_hub *hub)
{
    for (struct ak_http_stream *s = hub->streams; s; s = s->next)
        if (s->state != STREAM_ACTIVE || s->starved)
            return s;
    hub->unsettled = false;
    return NULL;
}

/* Adds what is pending, removes what is dead. Not inside libcurl. */
static void settle(struct ak__http_hub *hub)
{
    struct ak_http_stream *s;

    while (hub->unsettled && (s = find_unsettled(hub))) {
        if (s->state == STREAM_DEAD) {
            stream_free(s);
        } else if (s->starved) {
            finish_text(s, -ENOMEM, "no memory to watch the connection");
        } else if (curl_multi_add_handle(hub->multi, s->easy) == CURLM_OK) {
            s->state = STREAM_ACTIVE;
        } else {
            finish_text(s, -ENOMEM, "cannot start the stream");
        }
    }
}

static void take_finished(struct ak__http_hub *hub)
{
    CURLMsg *msg;
    int left;

    settle(hub);
    while ((msg = curl_multi_info_read(hub->multi, &left))) {
        struct ak_http_stream *s = NULL;
        CURLcode rc = msg->data.result;

        if (msg->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&s);
        if (s)
            finish_curl(s, rc);
        settle(hub);
    }
}

static void act(struct ak__http_hub *hub, curl_socket_t fd, int flags)
{
    int running;

    hub->in_curl = true;
    (void)curl_multi_socket_action(hub->multi, fd, flags, &running);
    hub->in_curl = false;
    take_finished(hub);
}

static void on_socket(int fd, short what, void *user)
{
    struct watched *w = user;

    act(w->hub, fd,
        (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void on_curl_timer(void *user)
{
    act(user, CURL_SOCKET_TIMEOUT, 0);
}

/* An error to libcurl would end every stream of the hub for ever. */
static int starve(struct ak__http_hub *hub, CURL *easy)
{
    struct ak_http_stream *s = NULL;

    (void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&s);
    if (s) {
        s->starved = true;
        hub->unsettled = true;
    }
    return 0;
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *known)
{
    struct ak__http_hub *hub = user;
    struct watched *w = known;
    short events = EV_PERSIST;

    if (what == CURL_POLL_REMOVE) {
        if (w) {
            (void)event_del(&w->ev);
            ak_free(w);
            (void)curl_multi_assign(hub->multi, fd, NULL);
        }
        return 0;
    }
    if (!w) {
        w = ak_new0(struct watched);
        if (!w)
            return starve(hub, easy);
        w->hub = hub;
        (void)curl_multi_assign(hub->multi, fd, w);
    } else {
        (void)event_del(&w->ev);
    }
    events |= (short)((what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0));
    (void)event_assign(&w->ev, ak_loop_base(hub->loop), fd, events, on_socket, w);
    return event_add(&w->ev, NULL) < 0 ? starve(hub, easy) : 0;
}

static int set_curl_timer(CURLM *multi, long after_ms, void *user)
{
    struct ak__http_hub *hub = user;

    (void)multi;
    if (after_ms < 0)
        ak_timer_clear(hub->timer);
    else
        ak_timer_set(hub->timer, after_ms);
    return 0;
}

/* One header line, or the status line, which is none. The text is copied: libcurl's is not terminated. */
static int tell_header(struct ak_http_stream *s, const char *data, size_t len)
{
    const char *colon = memchr(data, ':', len);
    AK_AUTO(ak_buf) text = {.max = AK_HTTP_MAX_HEADER_BYTES};
    size_t at;
    int r;

    while (len && (data[len - 1] == '\n' || data[len - 1] == '\r' || data[len - 1] == ' ' ||
                   data[len - 1] == '\t'))
        len--;
    /* What begins with a blank goes on with the line before (obsolete, RFC 9112 section 5.2): left out. */
    if (!colon || data[0] == ' ' || data[0] == '\t' || (len >= 5 && memcmp(data, "HTTP/", 5) == 0))
        return 0;
    r = ak_buf_add(&text, data, len);
    if (r < 0)
        return r;
    at = (size_t)(colon - data);
    text.data[at++] = '\0';
    while (at < len && (text.data[at] == ' ' || text.data[at] == '\t'))
        at++;
    return s->ops->header(text.data, text.data + at, s->user);
}

/* The end of the answer's head is an empty header line. 1xx heads come before the real one. */
/* A request is never sent again once an answer has begun. What was sent whole is not needed any more. */
static void drop_body(struct ak_http_stream *s)
{
    curl_off_t sent = 0;

    (void)curl_easy_getinfo(s->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    if (!s->body || sent < (curl_off_t)s->body_len)
        return;
    ak_free(s->body);
    s->body = NULL;
}

bool ak_http_stream_has_body(const struct ak_http_stream *self)
{
    return self->body != NULL;
}

static size_t on_header(char *data, size_t size, size_t n, void *user)
{
    struct ak_http_stream *s = user;
    size_t len = size * n;
    long status = 0;
    int r;

    if (!s->ops || s->given_up < 0)
        return 0;
    s->last_byte = ak_now();
    if (s->begun)
        return len;
    (void)curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200)
        return len;
    if (len && data[0] != '\r' && data[0] != '\n') {
        r = s->ops->header ? tell_header(s, data, len) : 0;
    } else {
        s->begun = true;
        drop_body(s);
        r = s->ops->begin ? s->ops->begin((int)status, ak__http_retry_after(s->easy), s->user) : 0;
    }
    if (s->ops)
        s->given_up = AK_MIN(r, 0);
    return s->ops && r >= 0 ? len : 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *user)
{
    struct ak_http_stream *s = user;
    size_t len = size * n;

    if (!s->ops || s->given_up < 0)
        return 0;
    if (s->paused) /* libcurl keeps this piece, and reads no more */
        return CURL_WRITEFUNC_PAUSE;
    s->last_byte = ak_now();
    int r = s->ops->data ? s->ops->data(data, len, s->user) : 0;
    if (s->ops)
        s->given_up = AK_MIN(r, 0);
    return s->ops && r >= 0 ? len : 0;
}

static void on_silence(void *user)
{
    struct ak_http_stream *s = user;
    struct ak__http_hub *hub = s->hub;
    ak_msec left = s->last_byte + s->silence_limit - ak_now();

    if (s->paused) /* counted again from its resume on */
        return;
    if (left > 0) {
        ak_timer_set(s->silence, left);
        return;
    }
    finish_text(s, -ETIMEDOUT, "the stream is silent for too long");
    settle(hub);
}

/* libcurl calls on_body() out of this with what it had read before the pause. */
static void on_wake(void *user)
{
    struct ak_http_stream *s = user;
    struct ak__http_hub *hub = s->hub;

    if (s->state != STREAM_ACTIVE || s->paused)
        return;
    hub->in_curl = true;
    (void)curl_easy_pause(s->easy, CURLPAUSE_CONT);
    hub->in_curl = false;
    take_finished(hub);
}

static struct ak__http_hub *hub_new(struct ak_http_client *client, struct ak_loop *loop)
{
    struct ak__http_hub *hub = ak_new0(struct ak__http_hub);

    if (!hub)
        return NULL;
    hub->client = client;
    hub->loop = loop;
    hub->timer = ak_timer_new(loop, on_curl_timer, hub);
    hub->multi = curl_multi_init();
    if (!hub->timer || !hub->multi) {
        ak__http_hub_free(hub);
        return NULL;
    }
    (void)curl_multi_setopt(hub->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    (void)curl_multi_setopt(hub->multi, CURLMOPT_SOCKETDATA, hub);
    (void)curl_multi_setopt(hub->multi, CURLMOPT_TIMERFUNCTION, set_curl_timer);
    (void)curl_multi_setopt(hub->multi, CURLMOPT_TIMERDATA, hub);
    (void)curl_multi_setopt(hub->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    (void)curl_multi_setopt(hub->multi, CURLMOPT_MAXCONNECTS, 4L);
    return hub;
}

void ak__http_hub_free(struct ak__http_hub *self)
{
    while (self->streams) {
        if (self->streams->ops)
            ak_http_stream_stop(self->streams);
        else
            stream_free(self->streams);
    }
    if (self->multi)
        (void)curl_multi_cleanup(self->multi);
    (void)ak_timer_free(self->timer);
    ak_free(self);
}

static struct ak__http_hub *hub_of(struct ak_http_client *client, struct ak_loop *loop)
{
    struct ak__http_hub *hub;

    ak_mutex_lock(&client->lock);
    for (hub = client->hubs; hub && hub->loop != loop; hub = hub->next)
        ;
    ak_mutex_unlock(&client->lock);
    if (hub)
        return hub;
    hub = hub_new(client, loop); /* only this loop's thread makes one for this loop */
    if (!hub)
        return NULL;
    ak_mutex_lock(&client->lock);
    hub->next = client->hubs;
    client->hubs = hub;
    ak_mutex_unlock(&client->lock);
    return hub;
}

static int set_callbacks(struct ak_http_stream *s)
{
    CURLcode rc = curl_easy_setopt(s->easy, CURLOPT_HEADERFUNCTION, on_header);

    if (rc == CURLE_OK)
        rc = curl_easy_setopt(s->easy, CURLOPT_HEADERDATA, s);
    if (rc == CURLE_OK)
        rc = curl_easy_setopt(s->easy, CURLOPT_WRITEFUNCTION, on_body);
    if (rc == CURLE_OK)
        rc = curl_easy_setopt(s->easy, CURLOPT_WRITEDATA, s);
    if (rc == CURLE_OK)
        rc = curl_easy_setopt(s->easy, CURLOPT_PRIVATE, s);
    return rc == CURLE_OK ? 0 : -ENOMEM;
}

static int stream_init(struct ak_http_stream *s, const struct ak_http_request *req,
                       struct ak_error **reterr)
{
    struct ak_http_request own = *req;
    int r;

    s->easy = curl_easy_init();
    s->silence = ak_timer_new(s->hub->loop, on_silence, s);
    s->wake = ak_timer_new(s->hub->loop, on_wake, s);
    if (!s->easy || !s->silence || !s->wake)
        return ak_error_oom(reterr);
    if (req->body && !req->take_body) {
        s->body = ak_malloc(req->body_len + 1);
        if (!s->body)
            return ak_error_oom(reterr);
        memcpy(s->body, req->body, req->body_len);
        own.body = s->body;
    }
    s->body_len = req->body_len;
    r = ak__http_request_init(&s->request, s->easy, s->hub->client, &own, reterr);
    if (r < 0)
        return r;
    if (set_callbacks(s) < 0)
        return ak_error_oom(reterr);
    s->silence_limit = AK_MIN(req->timeout ? req->timeout : DEFAULT_SILENCE, MAX_SILENCE);
    s->last_byte = ak_now();
    return 0;
}

int ak_http_stream_start(struct ak_http_client *client, struct ak_loop *loop,
                         const struct ak_http_request *req, const struct ak_http_stream_ops *ops,
                         void *user, struct ak_http_stream **ret, struct ak_error **reterr)
{
    struct ak__http_hub *hub = hub_of(client, loop);
    struct ak_http_stream *s = hub ? ak_new0(struct ak_http_stream) : NULL;
    int r;

    if (!s)
        return ak_error_oom(reterr);
    s->hub = hub;
    s->ops = ops;
    s->user = user;
    s->next = hub->streams;
    if (s->next)
        s->next->prev = s;
    hub->streams = s;
    r = stream_init(s, req, reterr);
    if (r < 0) {
        stream_free(s);
        return r;
    }
    if (hub->in_curl) {
        hub->unsettled = true;
    } else if (curl_multi_add_handle(hub->multi, s->easy) == CURLM_OK) {
        s->state = STREAM_ACTIVE;
    } else {
        stream_free(s);
        return ak_error_oom(reterr);
    }
    if (req->take_body)
        s->body = (char *)(uintptr_t)req->body;
    ak_timer_set(s->silence, s->silence_limit);
    *ret = s;
    return 0;
}

void ak_http_stream_stop(struct ak_http_stream *self)
{
    if (self && self->ops)
        finish_text(self, AK_E_CANCELLED, "cancelled");
}

/* libcurl is told when it comes with the next bytes, see on_body(): one way for all states and callers. */
void ak_http_stream_pause(struct ak_http_stream *self)
{
    if (!self->ops || self->paused)
        return;
    self->paused = true;
    ak_timer_clear(self->wake);
    ak_timer_clear(self->silence);
}

void ak_http_stream_resume(struct ak_http_stream *self)
{
    if (!self->ops || !self->paused)
        return;
    self->paused = false;
    self->last_byte = ak_now();
    ak_timer_set(self->silence, self->silence_limit);
    ak_timer_set(self->wake, 0);
}

void ak_http_stream_set_timeout(struct ak_http_stream *self, ak_msec silence)
{
    if (!self->ops)
        return;
    self->silence_limit = AK_MIN(silence, MAX_SILENCE);
    self->last_byte = ak_now();
    if (!self->paused)
        ak_timer_set(self->silence, self->silence_limit);
}
