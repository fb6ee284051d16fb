/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/net/sse.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <ak/base/error.h>
#include <ak/base/text.h>

#define BOM "\xef\xbb\xbf"
#define BOM_LEN 3
/* Of a line beside an event's data: the field's name and its ": ". */
#define FIELD_ROOM 8

/* --- writer --- */

static bool is_one_line(const char *text)
{
    return !strpbrk(text, "\r\n");
}

static int add_field(struct ak_buf *out, const char *name, const char *value)
{
    int r = ak_buf_adds(out, name);

    if (r >= 0)
        r = ak_buf_adds(out, value);
    return r < 0 ? r : ak_buf_add(out, "\n", 1);
}

/* Bytes before the next CRLF, CR or LF; *ret_end: bytes of that. 0: there is none. */
static size_t line_len(const char *data, size_t len, size_t *ret_end)
{
    for (size_t i = 0; i < len; i++) {
        if (data[i] != '\r' && data[i] != '\n')
            continue;
        *ret_end = data[i] == '\r' && i + 1 < len && data[i + 1] == '\n' ? 2 : 1;
        return i;
    }
    *ret_end = 0;
    return len;
}

static int add_data(struct ak_buf *out, const char *data, size_t len)
{
    size_t end;
    int r;

    do {
        size_t n = line_len(data, len, &end);

        r = ak_buf_add(out, "data: ", 6);
        if (r >= 0)
            r = ak_buf_add(out, data, n);
        if (r >= 0)
            r = ak_buf_add(out, "\n", 1);
        data += n + end;
        len -= n + end;
    } while (r >= 0 && end);
    return r;
}

int ak_sse_write(struct ak_buf *out, const char *event, const char *id, const char *data,
                 size_t len)
{
    size_t before = out->len;
    int r = 0;

    if ((event && !is_one_line(event)) || (id && !is_one_line(id)))
        return -EINVAL;
    if (id)
        r = add_field(out, "id: ", id);
    if (r >= 0 && event)
        r = add_field(out, "event: ", event);
    if (r >= 0)
        r = add_data(out, data, len);
    if (r >= 0)
        r = ak_buf_add(out, "\n", 1);
    if (r < 0 && out->data) { /* no half of an event */
        out->len = before;
        out->data[before] = '\0';
    }
    return AK_MIN(r, 0);
}

int ak_sse_write_comment(struct ak_buf *out, const char *text)
{
    size_t before = out->len;
    int r = is_one_line(text) ? add_field(out, ": ", text) : -EINVAL;

    if (r >= 0)
        r = ak_buf_add(out, "\n", 1);
    if (r < 0 && out->data) {
        out->len = before;
        out->data[before] = '\0';
    }
    return AK_MIN(r, 0);
}

int ak_sse_write_retry(struct ak_buf *out, ak_msec retry)
{
    int r = ak_buf_addf(out, "retry: %" PRId64 "\n\n", (int64_t)AK_MAX(retry, 0));

    return AK_MIN(r, 0);
}

/* --- parser --- */

void ak_sse_parser_init(struct ak_sse_parser *self, size_t max_event)
{
    size_t max = max_event ? max_event : AK_SSE_MAX_EVENT;

    memset(self, 0, sizeof(*self));
    self->line.max = max + FIELD_ROOM;
    self->data.max = max + 1; /* the line end behind the last line, taken off at the end */
    self->retry = -1;
}

void ak_sse_parser_done(struct ak_sse_parser *self)
{
    ak_buf_done(&self->line);
    ak_buf_done(&self->data);
}

const char *ak_sse_parser_last_id(const struct ak_sse_parser *self)
{
    return self->id;
}

static void keep(char out[static AK_SSE_MAX_NAME + 1], const char *value, size_t len)
{
    len = AK_MIN(len, AK_SSE_MAX_NAME);
    memcpy(out, value, len);
    out[len] = '\0';
}

static void set_retry(struct ak_sse_parser *self, const char *value, size_t len)
{
    uint64_t ms;

    if (strspn(value, "0123456789") == len && ak_parse_u64(value, &ms) >= 0 && ms <= INT64_MAX)
        self->retry = (ak_msec)ms;
}

static int add_data_line(struct ak_sse_parser *self, const char *value, size_t len)
{
    int r = ak_buf_add(&self->data, value, len);

    if (r >= 0)
        r = ak_buf_add(&self->data, "\n", 1);
    self->has_data = true;
    return r;
}

static int dispatch(struct ak_sse_parser *self, ak_sse_fn fn, void *user)
{
    struct ak_sse_event event = {.type = self->type[0] ? self->type : "message", .id = self->id};
    int r = 0;

    memcpy(self->id, self->next_id, sizeof(self->id));
    if (self->has_data) {
        self->data.data[--self->data.len] = '\0';
        event.data = self->data.data;
        event.len = self->data.len;
        r = fn(&event, user);
    }
    self->type[0] = '\0';
    self->has_data = false;
    /* One large event must not be kept in memory for the rest of the stream. */
    if (self->data.cap > (64u << 10))
        ak_buf_done(&self->data);
    else
        ak_buf_clear(&self->data);
    return AK_MIN(r, 0);
}

static int take_line(struct ak_sse_parser *self, ak_sse_fn fn, void *user)
{
    const char *line = ak_buf_text(&self->line), *value;
    size_t len = self->line.len, name, value_len;

    if (len == 0)
        return dispatch(self, fn, user);
    value = memchr(line, ':', len);
    name = value ? (size_t)(value - line) : len;
    value = value ? value + 1 : line + len;
    value += value < line + len && *value == ' ';
    value_len = len - (size_t)(value - line);
    if (name == 4 && memcmp(line, "data", 4) == 0)
        return add_data_line(self, value, value_len);
    if (name == 5 && memcmp(line, "event", 5) == 0)
        keep(self->type, value, value_len);
    else if (name == 2 && memcmp(line, "id", 2) == 0 && !memchr(value, '\0', value_len))
        keep(self->next_id, value, value_len);
    else if (name == 5 && memcmp(line, "retry", 5) == 0)
        set_retry(self, value, value_len);
    return 0;
}

/* A byte order mark before the first line is skipped. What only looked like the beginning of one is text. */
static int skip_bom(struct ak_sse_parser *self, const char **data, size_t *len)
{
    int r = 0;

    while (self->bom >= 0 && *len) {
        if (**data == BOM[self->bom]) {
            self->bom = self->bom + 1 == BOM_LEN ? -1 : self->bom + 1;
            (*data)++;
            (*len)--;
            continue;
        }
        r = ak_buf_add(&self->line, BOM, (size_t)self->bom);
        self->bom = -1;
    }
    return r;
}

static int feed(struct ak_sse_parser *self, const char *data, size_t len, ak_sse_fn fn, void *user)
{
    int r = skip_bom(self, &data, &len);

    while (r >= 0 && len) {
        size_t end, n;

        if (self->after_cr && *data == '\n') {
            self->after_cr = false;
            data++;
            len--;
            continue;
        }
        self->after_cr = false;
        n = line_len(data, len, &end);
        /* Comments may be of any length; nobody reads them. */
        self->comment |= self->line.len == 0 && n && data[0] == ':';
        r = self->comment ? 0 : ak_buf_add(&self->line, data, n);
        if (r >= 0 && end) {
            r = self->comment ? 0 : take_line(self, fn, user);
            self->after_cr = end == 1 && data[n] == '\r';
            self->comment = false;
            ak_buf_clear(&self->line);
        }
        data += n + end;
        len -= n + end;
    }
    return r;
}

int ak_sse_parser_feed(struct ak_sse_parser *self, const char *data, size_t len, ak_sse_fn fn,
                       void *user)
{
    if (self->failed >= 0)
        self->failed = feed(self, data, len, fn, user);
    return self->failed;
}
