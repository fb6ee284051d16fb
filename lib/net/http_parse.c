/* SPDX-License-Identifier: Apache-2.0 */
#include "http_parse.h"

#include <string.h>
#include <strings.h>

#include <ak/base/error.h>
#include <ak/base/text.h>

#define MAX_CHUNK_LINE 256

void ak__http_parser_init(struct ak__http_parser *self, size_t max_header, size_t max_body)
{
    memset(self, 0, sizeof(*self));
    self->max_header = max_header;
    self->head.max = max_header;
    self->body.max = max_body;
    self->line.max = MAX_CHUNK_LINE;
}

void ak__http_parser_done(struct ak__http_parser *self)
{
    ak_buf_done(&self->head);
    ak_buf_done(&self->body);
    ak_buf_done(&self->line);
}

void ak__http_parser_reset(struct ak__http_parser *self)
{
    size_t max_body = self->body.max;

    /* An idle connection keeps no buffers. */
    ak__http_parser_done(self);
    ak__http_parser_init(self, self->max_header, max_body);
}

void ak__http_parser_drop(struct ak__http_parser *self)
{
    ak__http_parser_done(self);
    self->method = self->path = self->query = "";
    self->n_lines = 0;
}

static bool is_token_char(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(const char *s)
{
    if (!*s)
        return false;
    for (; *s; s++)
        if (!is_token_char((unsigned char)*s))
            return false;
    return true;
}

const char *ak__http_parser_header(const struct ak__http_parser *self, const char *name)
{
    for (size_t i = 0; i < self->n_lines; i++)
        if (strcasecmp(self->lines[i].name, name) == 0)
            return self->lines[i].value;
    return NULL;
}

/* "GET /path?query HTTP/1.1". Cuts the line into texts. */
static int parse_request_line(struct ak__http_parser *self, char *line)
{
    char *target = strchr(line, ' '), *version = target ? strchr(target + 1, ' ') : NULL;
    char *query;

    if (!version || strchr(version + 1, ' '))
        return -400;
    *target++ = '\0';
    *version++ = '\0';
    if (!is_token(line) || strlen(line) > 32)
        return -400;
    if (strncmp(version, "HTTP/", 5) != 0)
        return -400;
    if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
        return -505;
    for (const char *p = target; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f)
            return -400;
    if (ak_has_prefix(target, "http://") || ak_has_prefix(target, "https://"))
        target = strchr(strchr(target, ':') + 3, '/'); /* as a proxy is asked */
    if (!target || (target[0] != '/' && strcmp(target, "*") != 0))
        return -400;
    query = strchr(target, '?');
    if (query)
        *query++ = '\0';
    self->method = line;
    self->path = target;
    self->query = query ? query : "";
    self->minor = version[7] - '0';
    self->keep_alive = self->minor == 1;
    return 0;
}

static int parse_header_line(struct ak__http_parser *self, char *line)
{
    char *colon = strchr(line, ':'), *value, *end;

    if (!colon)
        return -400;
    *colon = '\0';
    if (!is_token(line)) /* a folded line begins with a blank, and is refused here too */
        return -400;
    value = colon + 1;
    value += strspn(value, " \t");
    end = value + strlen(value);
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        *--end = '\0';
    for (const char *p = value; *p; p++)
        if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
            return -400;
    if (self->n_lines == AK_HTTP_PARSE_MAX_HEADERS)
        return -431;
    self->lines[self->n_lines++] = (struct ak__http_line){line, value};
    return 0;
}

/* Does a comma separated list have the word? */
static bool has_word(const char *list, const char *word)
{
    size_t len = strlen(word);

    for (const char *p = list; *p; p += strcspn(p, ",")) {
        p += strspn(p, ", \t");
        if (strncasecmp(p, word, len) == 0 &&
            strchr(", \t", p[len])) /* the end of the text included */
            return true;
    }
    return false;
}

static int count_of(const struct ak__http_parser *self, const char *name)
{
    int n = 0;

    for (size_t i = 0; i < self->n_lines; i++)
        n += strcasecmp(self->lines[i].name, name) == 0;
    return n;
}

static int plan_body(struct ak__http_parser *self)
{
    const char *coding = ak__http_parser_header(self, "Transfer-Encoding");
    const char *length = ak__http_parser_header(self, "Content-Length");

    if (count_of(self, "Transfer-Encoding") > 1 || count_of(self, "Content-Length") > 1)
        return -400;
    if (coding && (length || self->minor == 0))
        return -400;
    if (coding && strcasecmp(coding, "chunked") != 0)
        return -501;
    self->state = AK__PARSE_BODY;
    self->left = 0;
    if (coding)
        self->state = AK__PARSE_CHUNK_SIZE;
    else if (length && ak_parse_u64(length, &self->left) < 0)
        return -400;
    if (self->left > self->body.max)
        return -413;
    return 0;
}

static int plan(struct ak__http_parser *self)
{
    const char *expect = ak__http_parser_header(self, "Expect");
    int r;

    if (count_of(self, "Host") > 1 || (self->minor == 1 && count_of(self, "Host") == 0))
        return -400;
    for (size_t i = 0; i < self->n_lines; i++) {
        if (strcasecmp(self->lines[i].name, "Connection") != 0)
            continue;
        if (has_word(self->lines[i].value, "close"))
            self->keep_alive = false;
        else if (self->minor == 0 && has_word(self->lines[i].value, "keep-alive"))
            self->keep_alive = true;
    }
    if (expect && strcasecmp(expect, "100-continue") != 0)
        return -417;
    r = plan_body(self);
    self->wants_continue =
        r == 0 && expect && self->minor == 1 && (self->left || self->state == AK__PARSE_CHUNK_SIZE);
    return r;
}

static int parse_head(struct ak__http_parser *self)
{
    char *line = self->head.data, *end;
    bool first = true;

    if (memchr(self->head.data, '\0', self->head.len))
        return -400;
    for (; (end = strchr(line, '\n')); line = end + 1) {
        int r;

        *end = '\0';
        if (end > line && end[-1] == '\r')
            end[-1] = '\0';
        if (!*line)
            continue; /* the empty line at the end */
        r = first ? parse_request_line(self, line) : parse_header_line(self, line);
        if (r < 0)
            return r;
        first = false;
    }
    return plan(self);
}

static bool is_empty_line(const char *line, size_t len)
{
    return len == 1 || (len == 2 && line[0] == '\r');
}

/* Adds up to the end of the line; 1 if it is complete. */
static int take_line(struct ak_buf *into, const char *data, size_t len, size_t *ret_used)
{
    const char *end = memchr(data, '\n', len);
    int r;

    *ret_used = end ? (size_t)(end - data) + 1 : len;
    r = ak_buf_add(into, data, *ret_used);
    return r < 0 ? r : end != NULL;
}

static int refuse(int r, int status)
{
    return r == -ENOMEM ? -500 : -status;
}

static int feed_head(struct ak__http_parser *self, const char *data, size_t len, size_t *ret_used)
{
    size_t start;
    int r = take_line(&self->head, data, len, ret_used);

    if (r < 0)
        return refuse(r, 431);
    if (r == 0)
        return 0;
    start = self->head.len - 1;
    while (start > 0 && self->head.data[start - 1] != '\n')
        start--;
    if (!is_empty_line(self->head.data + start, self->head.len - start))
        return 0;
    if (start == 0) { /* empty lines before a request are ignored */
        ak_buf_clear(&self->head);
        return 0;
    }
    return parse_head(self);
}

static int feed_data(struct ak__http_parser *self, const char *data, size_t len, size_t *ret_used)
{
    *ret_used = (size_t)AK_MIN(self->left, len);
    if (ak_buf_add(&self->body, data, *ret_used) < 0)
        return -500;
    self->left -= *ret_used;
    if (self->left == 0)
        self->state = self->state == AK__PARSE_BODY ? AK__PARSE_DONE : AK__PARSE_CHUNK_END;
    return 0;
}

static int hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int feed_chunk_size(struct ak__http_parser *self, const char *data, size_t len,
                           size_t *ret_used)
{
    int r = take_line(&self->line, data, len, ret_used);
    const char *p = ak_buf_text(&self->line);
    uint64_t size = 0;

    if (r <= 0)
        return r < 0 ? refuse(r, 400) : 0;
    if (hex_of(*p) < 0)
        return -400;
    for (; hex_of(*p) >= 0; p++) {
        size = size * 16 + (uint64_t)hex_of(*p);
        if (size > self->body.max) /* checked at each digit: it cannot overflow */
            return -413;
    }
    if (!strchr(";\r\n \t", *p) || !*p)
        return -400;
    ak_buf_clear(&self->line);
    if (size > self->body.max - self->body.len)
        return -413;
    self->left = size;
    self->state = size ? AK__PARSE_CHUNK_DATA : AK__PARSE_TRAILERS;
    return 0;
}

static int feed_chunk_end(struct ak__http_parser *self, const char *data, size_t len,
                          size_t *ret_used)
{
    int r = take_line(&self->line, data, len, ret_used);

    if (r <= 0)
        return r < 0 ? refuse(r, 400) : 0;
    if (!is_empty_line(self->line.data, self->line.len))
        return -400;
    ak_buf_clear(&self->line);
    self->state = AK__PARSE_CHUNK_SIZE;
    return 0;
}

/* Read over: nobody here uses trailers. */
static int feed_trailers(struct ak__http_parser *self, const char *data, size_t len,
                         size_t *ret_used)
{
    int r = take_line(&self->line, data, len, ret_used);

    if (r <= 0)
        return r < 0 ? refuse(r, 431) : 0;
    if (is_empty_line(self->line.data, self->line.len))
        self->state = AK__PARSE_DONE;
    else if (++self->n_trailers > AK_HTTP_PARSE_MAX_HEADERS)
        return -431;
    ak_buf_clear(&self->line);
    return 0;
}

static int step(struct ak__http_parser *self, const char *data, size_t len, size_t *ret_used)
{
    switch (self->state) {
    case AK__PARSE_HEAD:
        return feed_head(self, data, len, ret_used);
    case AK__PARSE_CHUNK_SIZE:
        return feed_chunk_size(self, data, len, ret_used);
    case AK__PARSE_CHUNK_END:
        return feed_chunk_end(self, data, len, ret_used);
    case AK__PARSE_TRAILERS:
        return feed_trailers(self, data, len, ret_used);
    default:
        return feed_data(self, data, len, ret_used);
    }
}

int ak__http_parser_feed(struct ak__http_parser *self, const char *data, size_t len,
                         size_t *ret_used)
{
    size_t used = 0;
    int r = 0;

    *ret_used = 0;
    while (r >= 0 && self->state != AK__PARSE_DONE) {
        if (self->state == AK__PARSE_BODY && self->left == 0) {
            self->state = AK__PARSE_DONE;
            break;
        }
        if (*ret_used == len)
            return 0;
        r = step(self, data + *ret_used, len - *ret_used, &used);
        *ret_used += used;
    }
    return r < 0 ? r : 1;
}

size_t ak__http_parser_body_size(const struct ak__http_parser *self)
{
    return self->body.len + (self->state == AK__PARSE_BODY ? (size_t)self->left : 0);
}
