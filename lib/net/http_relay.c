/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HEAD (the upstream was asked; lines of its answer are collected), BODY (bytes go over), CUT (the upstream broke off;
 * what it sent is still on its way to the client, then the answer is aborted). Each end goes through finish().
 */
#include <ak/net/http_relay.h>

#include <string.h>
#include <strings.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "http_head.h"

#define LOW_WATER (16u << 10)
#define MAX_LINES 200 /* of an answer's head */
#define DEFAULT_HEAD AK_SECONDS(60)
#define DEFAULT_IDLE AK_MINUTES(5)
#define MAX_CONNECTION_LINE 1024

enum relay_state {
    RELAY_HEAD,
    RELAY_BODY,
    RELAY_CUT,
};

/* "Name: value" lines, each NUL-terminated. */
struct lines {
    struct ak_buf text;
    size_t n;
};

struct ak_http_relay {
    enum relay_state state;
    struct ak_http_exchange *ex; /* NULL: the client is answered, or gone */
    struct ak_http_stream *stream;
    ak_msec idle_timeout;
    struct lines own;   /* of the options' add_reply */
    struct lines reply; /* of the upstream's answer */
    bool is_coded;      /* it had a Transfer-Encoding */
    bool has_length;
    char *connection; /* values of the answer's Connection, comma separated */
    bool (*keep)(const char *name, const char *value, void *user);
    void (*failed)(struct ak_http_exchange *ex, int code, const struct ak_error *err, void *user);
    void (*end)(int status, uint64_t bytes, int code, void *user);
    void *user;
    int status;
    int code; /* why the upstream broke off */
    uint64_t bytes;
};

/* --- header lines --- */

static int lines_add(struct lines *self, const char *name, const char *value)
{
    int r = ak_buf_adds(&self->text, name);

    if (r >= 0 && value)
        r = ak_buf_adds(&self->text, ": ");
    if (r >= 0 && value)
        r = ak_buf_adds(&self->text, value);
    if (r >= 0)
        r = ak_buf_add(&self->text, "", 1);
    self->n += r >= 0;
    return r;
}

/* Pointers to the lines of `a` and `b`, NULL-terminated; the caller ak_free()s the array. */
static const char **lines_list(const struct lines *a, const struct lines *b)
{
    const char **list = ak_calloc(a->n + (b ? b->n : 0) + 1, sizeof(*list));
    const char **at = list;

    for (int i = 0; list && i < 2; i++) {
        const struct lines *part = i ? b : a;
        const char *line = part ? part->text.data : NULL;

        for (size_t k = 0; part && k < part->n; k++) {
            *at++ = line;
            line += strlen(line) + 1;
        }
    }
    return list;
}

static bool lines_have(const struct lines *self, const char *name)
{
    const char *line = self->text.data;

    for (size_t i = 0; i < self->n; i++, line += strlen(line) + 1)
        if (ak__http_is_line(line, name))
            return true;
    return false;
}

static bool is_in(const char *const *names, const char *name)
{
    for (; names && *names; names++)
        if (strcasecmp(*names, name) == 0)
            return true;
    return false;
}

/* Is the name one of a comma separated list? */
static bool is_named(const char *list, const char *name)
{
    size_t len = strlen(name);

    for (const char *p = list; p && *p; p += strcspn(p, ",")) {
        p += strspn(p, ", \t");
        if (strncasecmp(p, name, len) == 0 && strchr(", \t", p[len]))
            return true;
    }
    return false;
}

/* Of one connection only, whatever Connection says: RFC 9110 section 7.6.1 and what older software sends. */
static const char *const hop_by_hop[] = {"Connection",
                                         "Keep-Alive",
                                         "Proxy-Connection",
                                         "Proxy-Authenticate",
                                         "Proxy-Authorization",
                                         "TE",
                                         "Trailer",
                                         "Transfer-Encoding",
                                         "Upgrade",
                                         NULL};
/* What the client library writes itself. */
static const char *const of_the_request[] = {"Host", "Content-Length", "Expect", NULL};

/* --- the request --- */

struct outgoing {
    const struct ak_http_relay_options *options;
    struct lines lines; /* wiped: may hold credentials */
    const char *connection;
    const char *content_type, *accept, *agent;
    int failed;
};

static bool is_replaced(const struct outgoing *out, const char *name)
{
    if (out->options->bearer && strcasecmp(name, "Authorization") == 0)
        return true;
    return is_in(out->options->remove, name) || ak__http_find_line(out->options->add, name);
}

static int take_request_header(const char *name, const char *value, void *user)
{
    struct outgoing *out = user;

    if (is_in(hop_by_hop, name) || is_in(of_the_request, name) || is_named(out->connection, name) ||
        is_replaced(out, name))
        return 0;
    if (strcasecmp(name, "Content-Type") == 0 && !out->content_type) {
        out->content_type = value;
        return 0;
    }
    if (strcasecmp(name, "Accept") == 0)
        out->accept = value;
    if (strcasecmp(name, "User-Agent") == 0)
        out->agent = value;
    /* For libcurl "Name:" would take a header away, "Name;" is an empty one. */
    if (!*value) {
        AK_AUTO_TEXT char *empty = ak_asprintf("%s;", name);

        out->failed = empty ? lines_add(&out->lines, empty, NULL) : -ENOMEM;
    } else {
        out->failed = lines_add(&out->lines, name, value);
    }
    return out->failed < 0;
}

static int join_connection(const char *name, const char *value, void *user)
{
    struct ak_buf *joined = user;

    if (strcasecmp(name, "Connection") != 0)
        return 0;
    return ak_buf_addf(joined, "%s%s", joined->len ? "," : "", value) < 0;
}

static int collect_request(const struct ak_http_exchange *ex, struct outgoing *out,
                           const char *connection)
{
    const struct ak_http_relay_options *o = out->options;
    const char *type = ak__http_find_line(o->add, "Content-Type");
    int r = 0;

    out->connection = connection;
    out->content_type = type;
    if (ak_http_each_header(ex, take_request_header, out))
        return out->failed;
    for (const char *const *line = o->add; r >= 0 && line && *line; line++)
        if (!ak__http_is_line(*line, "Content-Type"))
            r = lines_add(&out->lines, *line, NULL);
    /* Without these lines libcurl would write its own. */
    if (r >= 0 && !out->accept && !ak__http_find_line(o->add, "Accept"))
        r = lines_add(&out->lines, "Accept:", NULL);
    if (r >= 0 && !out->agent && !ak__http_find_line(o->add, "User-Agent"))
        r = lines_add(&out->lines, "User-Agent:", NULL);
    return r;
}

/* --- ends --- */

static void relay_free(struct ak_http_relay *self)
{
    ak_buf_done(&self->own.text);
    ak_buf_done(&self->reply.text);
    ak_free(self->connection);
    ak_free(self);
}

static void finish(struct ak_http_relay *self, int code)
{
    if (self->end)
        self->end(self->status, self->bytes, code, self->user);
    relay_free(self);
}

/* The client went: nobody wants the rest. */
static void on_client_gone(void *user)
{
    struct ak_http_relay *self = user;

    self->ex = NULL;
    if (self->stream)
        ak_http_stream_stop(self->stream); /* finishes in on_end() */
    else
        finish(self, self->code < 0 ? self->code : AK_E_CANCELLED);
}

static void on_cut_drained(void *user)
{
    struct ak_http_relay *self = user;

    ak_http_reply_abort(AK_TAKE(self->ex));
    finish(self, self->code);
}

static void answer_failure(struct ak_http_relay *self, int code, const struct ak_error *err)
{
    struct ak_http_exchange *ex = AK_TAKE(self->ex);
    int status = code == -ETIMEDOUT ? 504 : code == AK_E_CANCELLED ? 503 : 502;
    const char *text = status == 504   ? "the upstream did not answer in time\n"
                       : status == 503 ? "the relay was stopped\n"
                                       : "the upstream cannot be reached\n";

    ak_http_on_close(ex, NULL, NULL);
    if (self->failed)
        self->failed(ex, code, err, self->user);
    else
        ak_http_reply_text(ex, status, "text/plain; charset=utf-8", text, strlen(text), NULL);
}

/* --- the answer --- */

static int join_reply_connection(struct ak_http_relay *self, const char *value)
{
    char *more = ak_asprintf("%s,%s", self->connection ? self->connection : "", value);

    if (!more)
        return -ENOMEM;
    ak_free(self->connection);
    self->connection = more;
    return strlen(more) > MAX_CONNECTION_LINE ? AK_E_TOO_LARGE : 0;
}

/* It frames our answer too: nothing may be said about the length that two readers could understand differently. */
static int check_length(struct ak_http_relay *self, const char *value)
{
    uint64_t length;

    if (self->has_length || ak_parse_u64(value, &length) < 0)
        return AK_E_PROTOCOL;
    self->has_length = true;
    return 0;
}

static int on_header(const char *name, const char *value, void *user)
{
    struct ak_http_relay *self = user;
    int r = 0;

    if (self->reply.n >= MAX_LINES)
        return AK_E_TOO_LARGE;
    if (strpbrk(name, " \t"))
        return AK_E_PROTOCOL;
    self->is_coded |= strcasecmp(name, "Transfer-Encoding") == 0;
    if (strcasecmp(name, "Connection") == 0)
        return join_reply_connection(self, value);
    if (strcasecmp(name, "Content-Length") == 0)
        r = check_length(self, value);
    if (r < 0 || is_in(hop_by_hop, name) || lines_have(&self->own, name) ||
        (self->keep && !self->keep(name, value, self->user)))
        return r;
    return lines_add(&self->reply, name, value);
}

/* Connection and Transfer-Encoding may come behind the headers that they make void. */
static int drop_void(const struct ak_http_relay *self, const char **list)
{
    const char **to = list;

    for (const char **from = list; *from; from++) {
        AK_AUTO_TEXT char *name = ak_strndup(*from, strcspn(*from, ":"));

        if (!name)
            return -ENOMEM;
        if (!is_named(self->connection, name) &&
            !(self->is_coded && strcasecmp(name, "Content-Length") == 0))
            *to++ = *from;
    }
    *to = NULL;
    return 0;
}

static int on_begin(int status, ak_msec retry_after, void *user)
{
    struct ak_http_relay *self = user;
    const char **list = lines_list(&self->reply, &self->own);

    (void)retry_after; /* passes as a header */
    if (!list || drop_void(self, list) < 0) {
        ak_free(list);
        return -ENOMEM;
    }
    self->state = RELAY_BODY;
    self->status = status;
    ak_http_reply_begin_with(self->ex, status, NULL, list);
    ak_free(list);
    ak_buf_done(&self->reply.text);
    if (!ak_http_stream_has_body(self->stream))
        ak_http_release_body(self->ex);
    ak_http_stream_set_timeout(self->stream, self->idle_timeout);
    return 0;
}

static void on_drained(void *user)
{
    struct ak_http_relay *self = user;

    if (self->stream)
        ak_http_stream_resume(self->stream);
}

static int on_data(const char *data, size_t len, void *user)
{
    struct ak_http_relay *self = user;
    int64_t waiting = ak_http_reply_chunk(self->ex, data, len);

    if (waiting < 0)
        return (int)waiting;
    self->bytes += len;
    if (waiting > AK_HTTP_RELAY_HIGH_WATER) {
        ak_http_stream_pause(self->stream);
        ak_http_on_drain(self->ex, LOW_WATER, on_drained, self);
    }
    return 0;
}

static void on_end(int code, const struct ak_error *err, void *user)
{
    struct ak_http_relay *self = user;

    self->stream = NULL;
    if (!self->ex) {
        finish(self, AK_E_CANCELLED);
    } else if (self->state == RELAY_HEAD) {
        /* An answer without a head cannot be a good one. */
        answer_failure(self, code < 0 ? code : AK_E_PROTOCOL, err);
        finish(self, code < 0 ? code : AK_E_PROTOCOL);
    } else if (code >= 0) {
        struct ak_http_exchange *ex = AK_TAKE(self->ex);

        ak_http_on_close(ex, NULL, NULL);
        ak_http_on_drain(ex, 0, NULL, NULL);
        ak_http_reply_end(ex);
        finish(self, 0);
    } else {
        self->state = RELAY_CUT;
        self->code = code;
        ak_http_on_drain(self->ex, 0, on_cut_drained, self);
    }
}

static const struct ak_http_stream_ops ops = {on_begin, on_data, on_end, on_header};

/* --- start and stop --- */

static int copy_options(struct ak_http_relay *self, const struct ak_http_relay_options *o)
{
    int r = 0;

    self->idle_timeout = o->idle_timeout ? o->idle_timeout : DEFAULT_IDLE;
    self->keep = o->keep_reply_header;
    self->failed = o->failed;
    self->end = o->end;
    self->own.text.max = AK_HTTP_RELAY_MAX_REPLY_HEAD;
    self->reply.text.max = AK_HTTP_RELAY_MAX_REPLY_HEAD;
    for (const char *const *line = o->add_reply; r >= 0 && line && *line; line++)
        r = lines_add(&self->own, *line, NULL);
    return r;
}

static int ask(struct ak_http_relay *self, struct ak_http_client *client, struct ak_loop *loop,
               const struct ak_http_relay_options *o, struct ak_error **reterr)
{
    struct outgoing out = {.options = o, .lines.text = {.max = 64u << 10, .wipe = true}};
    AK_AUTO(ak_buf) connection = {.max = MAX_CONNECTION_LINE};
    const char *query = ak_http_query(self->ex);
    AK_AUTO_TEXT char *path =
        o->path ? ak_strdup(o->path)
                : ak_asprintf("%s%s%s", ak_http_path(self->ex), *query ? "?" : "", query);
    struct ak_http_request req = {.method = ak_http_method(self->ex),
                                  .path = path,
                                  .bearer = o->bearer,
                                  .timeout = o->head_timeout ? o->head_timeout : DEFAULT_HEAD};
    const char **list = NULL;
    AK_AUTO_TEXT char *body = NULL;
    int r = path ? 0 : -ENOMEM;

    if (r >= 0 && ak_http_each_header(self->ex, join_connection, &connection))
        r = AK_E_TOO_LARGE;
    if (r >= 0)
        r = collect_request(self->ex, &out, ak_buf_text(&connection));
    if (r >= 0) {
        list = lines_list(&out.lines, NULL);
        r = list ? 0 : -ENOMEM;
    }
    req.headers = list;
    req.content_type = out.content_type;
    if (r >= 0) {
        body = ak_http_take_body(self->ex, &req.body_len);
        r = req.body_len && !body ? -ENOMEM : 0;
    }
    req.body = body;
    req.take_body = body != NULL;
    r = r < 0 ? ak_error_set(reterr, r, "the request's header: %s", ak_code_text(r))
              : ak_http_stream_start(client, loop, &req, &ops, self, &self->stream, reterr);
    if (r >= 0)
        body = NULL; /* the stream's */
    ak_free(list);
    ak_buf_done(&out.lines.text);
    return r;
}

int ak_http_relay_start(struct ak_http_exchange *ex, struct ak_http_client *client,
                        struct ak_loop *loop, const struct ak_http_relay_options *options,
                        void *user, struct ak_http_relay **ret, struct ak_error **reterr)
{
    struct ak_http_relay *self = ak_new0(struct ak_http_relay);
    int r;

    if (!self)
        return ak_error_oom(reterr);
    self->ex = ex;
    self->user = user;
    r = copy_options(self, options);
    r = r < 0 ? ak_error_set(reterr, r, "the answer's header: %s", ak_code_text(r))
              : ask(self, client, loop, options, reterr);
    if (r < 0) {
        relay_free(self);
        return r;
    }
    ak_http_drop_request(ex);
    ak_http_on_close(ex, on_client_gone, self);
    if (ret)
        *ret = self;
    return 0;
}

void ak_http_relay_stop(struct ak_http_relay *self)
{
    if (self->state == RELAY_HEAD) {
        ak_http_stream_stop(self->stream); /* on_end() answers */
        return;
    }
    if (self->ex)
        ak_http_reply_abort(AK_TAKE(self->ex));
    if (self->stream)
        ak_http_stream_stop(self->stream);
    else
        finish(self, self->code);
}
