/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/tool_call.h"

#include <ak/base/alloc.h>
#include <ak/base/buf.h>
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <ak/net/sse.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROTOCOL_VERSION "2025-06-18"
#define MAX_HEAD (64u << 10)
#define MAX_SESSION 256
#define MAX_REQUEST (1u << 20)

struct endpoint {
    struct sockaddr_in address;
    char host[64]; /* with the port, as it stands in the URL */
    const char *path;
    char session[MAX_SESSION + 1]; /* "": none */
};

/* ---- the URL ---- */

static int parse_url(const char *url, struct endpoint *ret, struct ak_error **reterr)
{
    static const char scheme[] = "http://";
    const char *host = ak_has_prefix(url, scheme) ? url + strlen(scheme) : "";
    size_t len = strcspn(host, "/");
    char name[sizeof(ret->host)];
    char *colon = NULL;
    uint16_t port = 80;

    *ret = (struct endpoint){.address.sin_family = AF_INET};
    if (len == 0 || len >= sizeof(ret->host))
        return ak_error_set(reterr, -EINVAL, "\"%s\": must be http://ADDRESS:PORT/PATH", url);
    memcpy(ret->host, host, len);
    memcpy(name, ret->host, sizeof(name));
    colon = strrchr(name, ':');
    if (colon)
        *colon = '\0';
    ret->path = host[len] ? host + len : "/";
    if ((colon && ak_parse_u16(colon + 1, &port) < 0) ||
        inet_pton(AF_INET, ak_streq(name, "localhost") ? "127.0.0.1" : name,
                  &ret->address.sin_addr) != 1)
        return ak_error_set(reterr, -EINVAL, "\"%s\": must be a numeric address", url);
    ret->address.sin_port = htons(port);
    return 0;
}

/* ---- one HTTP exchange ---- */

enum framing { TO_END, LENGTH, CHUNKED };

struct reply {
    struct ak_buf head;
    struct ak_buf chunk; /* of a chunk's size line */
    struct ak_buf body;  /* of a reply that is no stream */
    struct ak_sse_parser events;
    enum framing framing;
    uint64_t left; /* of the body, or of the chunk */
    int status;
    bool has_head, is_stream, is_complete;
    int64_t id;      /* of the answer that is wanted */
    json_t *message; /* that answer */
};

static void reply_init(struct reply *self, int64_t id)
{
    *self = (struct reply){
        .head = AK_BUF_INIT(MAX_HEAD),
        .chunk = AK_BUF_INIT(1024),
        .body = AK_BUF_INIT(AK_TOOL_CALL_MAX_REPLY),
        .id = id,
    };
    ak_sse_parser_init(&self->events, AK_TOOL_CALL_MAX_REPLY);
}

static void reply_done(struct reply *self)
{
    ak_buf_done(&self->head);
    ak_buf_done(&self->chunk);
    ak_buf_done(&self->body);
    ak_sse_parser_done(&self->events);
    json_decref(self->message);
}
AK_DEFINE_AUTO(reply, reply_done)

/* Keeps it if it is the answer; requests and notifications of the server are passed over. */
static int take_message(struct reply *self, const char *text, size_t len)
{
    AK_AUTO_JSON *message = NULL;
    int r = ak_json_parse(text, len, &message, NULL);

    if (r < 0)
        return r == -ENOMEM ? r : AK_E_PROTOCOL;
    if (json_integer_value(json_object_get(message, "id")) == self->id &&
        !json_object_get(message, "method") && !self->message) {
        self->message = AK_TAKE(message);
        self->is_complete = true;
    }
    return 0;
}

static int on_event(const struct ak_sse_event *event, void *user)
{
    return take_message(user, event->data, event->len);
}

static int take_body(struct reply *self, const char *data, size_t len)
{
    if (!self->is_stream || self->status != 200)
        return ak_buf_add(&self->body, data, len);
    return ak_sse_parser_feed(&self->events, data, len, on_event, self);
}

/* The value of a header, without blanks around it. Header names are at the start of a line. */
static const char *find_header(const struct reply *self, const char *name, size_t *ret_len)
{
    size_t name_len = strlen(name);

    for (const char *line = strchr(ak_buf_text(&self->head), '\n'); line;
         line = strchr(line + 1, '\n')) {
        const char *value = line + 1 + name_len;

        if (strncasecmp(line + 1, name, name_len) != 0 || *value != ':')
            continue;
        value += 1 + strspn(value + 1, " \t");
        *ret_len = strcspn(value, "\r\n");
        return value;
    }
    return NULL;
}

static int parse_head(struct reply *self)
{
    char text[32];
    uint64_t status = 0;
    size_t len = 0;
    const char *value = NULL;

    (void)snprintf(text, sizeof(text), "%.3s", ak_buf_text(&self->head) + 9);
    if (!ak_has_prefix(ak_buf_text(&self->head), "HTTP/1.") || ak_parse_u64(text, &status) < 0)
        return AK_E_PROTOCOL;
    self->status = (int)status;
    value = find_header(self, "content-type", &len);
    self->is_stream =
        value && strncasecmp(value, AK_SSE_CONTENT_TYPE, strlen(AK_SSE_CONTENT_TYPE)) == 0;
    value = find_header(self, "transfer-encoding", &len);
    if (value && strncasecmp(value, "chunked", 7) == 0)
        self->framing = CHUNKED;
    value = self->framing == TO_END ? find_header(self, "content-length", &len) : NULL;
    if (value) {
        (void)snprintf(text, sizeof(text), "%.*s", (int)AK_MIN(len, sizeof(text) - 1), value);
        if (ak_parse_u64(text, &self->left) < 0)
            return AK_E_PROTOCOL;
        self->framing = LENGTH;
        self->is_complete = self->left == 0;
    }
    self->has_head = true;
    return 0;
}

static int hex_value(char ch)
{
    const char *digits = "0123456789abcdef";
    const char *at = ch ? strchr(digits, ch | 0x20) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* "1a;extension\r\n", perhaps after the line end of the chunk before. */
static int parse_chunk_size(struct reply *self)
{
    const char *text = ak_buf_text(&self->chunk);
    uint64_t size = 0;
    size_t i = 0;

    for (i = 0; hex_value(text[i]) >= 0 && i < 8; i++)
        size = size * 16 + (uint64_t)hex_value(text[i]);
    if (i == 0)
        return AK_E_PROTOCOL;
    self->left = size;
    self->is_complete = self->is_complete || size == 0;
    ak_buf_clear(&self->chunk);
    return 0;
}

/* Takes what it can of the bytes; returns how many, at least one. */
static int64_t take_framed(struct reply *self, const char *data, size_t len)
{
    size_t n = self->framing == TO_END ? len : (size_t)AK_MIN((uint64_t)len, self->left);
    int r = 0;

    if (self->framing == CHUNKED && self->left == 0) {
        if (data[0] == '\n' && self->chunk.len > 0) {
            r = parse_chunk_size(self);
        } else if (data[0] != '\r' && data[0] != '\n') {
            r = ak_buf_add(&self->chunk, data, 1);
        }
        return r < 0 ? r : 1;
    }
    r = take_body(self, data, n);
    self->left -= self->framing == TO_END ? 0 : n;
    self->is_complete = self->is_complete || (self->framing == LENGTH && self->left == 0);
    return r < 0 ? r : (int64_t)n;
}

static int64_t take_head(struct reply *self, const char *data)
{
    int r = ak_buf_add(&self->head, data, 1);

    if (r >= 0 && ak_has_suffix(ak_buf_text(&self->head), "\r\n\r\n"))
        r = parse_head(self);
    return r < 0 ? r : 1;
}

static int take_bytes(struct reply *self, const char *data, size_t len)
{
    while (len > 0 && !self->is_complete) {
        int64_t n = self->has_head ? take_framed(self, data, len) : take_head(self, data);

        if (n < 0)
            return (int)n;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

static int send_all(int fd, const struct ak_buf *text)
{
    size_t done = 0;

    while (done < text->len) {
        ssize_t n = send(fd, text->data + done, text->len - done, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        done += (size_t)n;
    }
    return 0;
}

static int receive(int fd, struct reply *reply)
{
    char block[16384];
    ssize_t n = 0;
    int r = 0;

    while (r >= 0 && !reply->is_complete && (n = recv(fd, block, sizeof(block), 0)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        r = n < 0 ? -errno : take_bytes(reply, block, (size_t)n);
    }
    if (r >= 0 && !reply->is_complete && (!reply->has_head || reply->framing != TO_END))
        r = AK_E_PROTOCOL;
    return r;
}

static int compose(const struct endpoint *to, const char *method, const json_t *message,
                   struct ak_buf *out)
{
    AK_AUTO(ak_buf) body = AK_BUF_INIT(MAX_REQUEST);
    int r = message ? ak_json_write(message, &body, NULL) : 0;

    if (r >= 0)
        r = ak_buf_addf(out,
                        "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n"
                        "Accept: application/json, text/event-stream\r\n"
                        "MCP-Protocol-Version: " PROTOCOL_VERSION "\r\n"
                        "User-Agent: agentlet/" AK_VERSION "\r\n",
                        method, to->path, to->host);
    if (r >= 0 && to->session[0])
        r = ak_buf_addf(out, "Mcp-Session-Id: %s\r\n", to->session);
    if (r >= 0 && message)
        r = ak_buf_adds(out, "Content-Type: application/json\r\n");
    if (r >= 0)
        r = ak_buf_addf(out, "Content-Length: %zu\r\n\r\n", body.len);
    return r < 0 ? r : ak_buf_add(out, ak_buf_text(&body), body.len);
}

static int exchange(const struct endpoint *to, const char *method, const json_t *message,
                    struct reply *reply, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) request = AK_BUF_INIT(MAX_REQUEST + MAX_HEAD);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r = fd < 0 ? -errno : compose(to, method, message, &request);

    if (r >= 0 && connect(fd, (const struct sockaddr *)&to->address, sizeof(to->address)) < 0)
        r = -errno;
    if (r >= 0)
        r = send_all(fd, &request);
    if (r >= 0)
        r = receive(fd, reply);
    if (fd >= 0)
        (void)close(fd);
    return r < 0 ? ak_error_set(reterr, r, "the MCP endpoint %s: %s", to->host, ak_code_text(r))
                 : 0;
}

/* ---- MCP ---- */

static int check_reply(struct reply *reply, struct ak_error **reterr)
{
    const char *message = NULL;

    if (!reply->message && reply->body.len > 0 &&
        take_message(reply, reply->body.data, reply->body.len) == -ENOMEM)
        return ak_error_oom(reterr);
    message = ak_json_text(reply->message, "error", "message", NULL);
    if (json_object_get(reply->message, "error"))
        return ak_error_set(reterr, AK_E_INVALID, "the MCP endpoint refuses it: %s",
                            message ? message : "no reason given");
    if (reply->status / 100 != 2)
        return ak_error_set(reterr, AK_E_PROTOCOL, "the MCP endpoint answers with HTTP %d",
                            reply->status);
    if (!json_object_get(reply->message, "result"))
        return ak_error_set(reterr, AK_E_PROTOCOL, "the MCP endpoint gives no answer");
    return 0;
}

static int call(const struct endpoint *to, int64_t id, const char *method, json_t *params,
                struct reply *reply, struct ak_error **reterr)
{
    AK_AUTO_JSON *message = json_pack("{s:s, s:I, s:s, s:o}", "jsonrpc", "2.0", "id",
                                      (json_int_t)id, "method", method, "params", params);
    int r = message ? exchange(to, "POST", message, reply, reterr) : ak_error_oom(reterr);

    return r < 0 ? r : check_reply(reply, reterr);
}

static int initialize(struct endpoint *to, struct ak_error **reterr)
{
    AK_AUTO(reply) reply;
    AK_AUTO(reply) second;
    AK_AUTO_JSON *note =
        json_pack("{s:s, s:s}", "jsonrpc", "2.0", "method", "notifications/initialized");
    json_t *params =
        json_pack("{s:s, s:{}, s:{s:s, s:s}}", "protocolVersion", PROTOCOL_VERSION, "capabilities",
                  "clientInfo", "name", "agentlet", "version", AK_VERSION);
    const char *session = NULL;
    size_t len = 0;
    int r = 0;

    reply_init(&reply, 1);
    reply_init(&second, -1);
    if (!note || !params)
        return ak_error_oom(reterr);
    r = call(to, 1, "initialize", params, &reply, reterr);
    if (r < 0)
        return r;
    session = find_header(&reply, "mcp-session-id", &len);
    if (session && len <= MAX_SESSION)
        memcpy(to->session, session, len);
    return exchange(to, "POST", note, &second, reterr);
}

static void end_session(const struct endpoint *to)
{
    AK_AUTO(reply) reply;

    reply_init(&reply, -1);
    if (to->session[0])
        (void)!exchange(to, "DELETE", NULL, &reply, NULL);
}

int ak_tool_call(const char *url, const char *tool, const json_t *arguments, json_t **ret,
                 struct ak_error **reterr)
{
    struct endpoint to;
    AK_AUTO(reply) reply;
    json_t *params = NULL;
    int r = parse_url(url, &to, reterr);

    reply_init(&reply, 2);
    if (r >= 0)
        r = initialize(&to, reterr);
    if (r < 0)
        return r;
    params = json_pack("{s:s, s:O}", "name", tool, "arguments", (json_t *)(uintptr_t)arguments);
    r = params ? call(&to, 2, "tools/call", params, &reply, reterr) : ak_error_oom(reterr);
    end_session(&to);
    if (r >= 0)
        *ret = json_incref(json_object_get(reply.message, "result"));
    return r;
}
