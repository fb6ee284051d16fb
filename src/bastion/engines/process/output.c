/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/process/output.h"

#include <string.h>

#include <ak/base/buf.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#define SCRUB_LEAST 4  /* a shorter one would make holes everywhere, and be found anyway */
#define ERROR_MAX 1000 /* bytes of a program's words in an error */
#define COLUMNS_MAX 1024

void ak_output_scrub(struct ak_client_output *self, const char *password)
{
    size_t n = strlen(password);

    if (n < SCRUB_LEAST || !self->text)
        return;
    for (char *at = self->text;
         (at = memmem(at, self->len - (size_t)(at - self->text), password, n));) {
        char *rest = at + n;
        memset(at, '*', 3);
        memmove(at + 3, rest, self->len - (size_t)(rest - self->text) + 1);
        self->len -= n - 3;
        at += 3;
    }
}

/* The bytes of the character that begins here; 0: no UTF-8. */
static size_t character(const unsigned char *s, size_t left)
{
    size_t n = s[0] < 0x80   ? 1
               : s[0] < 0xc2 ? 0
               : s[0] < 0xe0 ? 2
               : s[0] < 0xf0 ? 3
               : s[0] < 0xf5 ? 4
                             : 0;

    if (n > left)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

void ak_output_message(char *buf, size_t size, const char *text)
{
    size_t len = strlen(text), at = 0, n = 0;

    while (len && strchr(" \t\r\n", text[len - 1]))
        len--;
    while (at < len && strchr(" \t\r\n", text[at]))
        at++;
    while (at < len) {
        size_t step = character((const unsigned char *)text + at, len - at);
        const char *from = step ? text + at : "?";
        if (n + (step ? step : 1) >= size)
            break;
        memcpy(buf + n, from, step ? step : 1);
        n += step ? step : 1;
        at += step ? step : 1;
    }
    buf[n] = '\0';
}

/* A JSON string of any bytes. */
static json_t *string_of(const char *text, size_t len)
{
    AK_AUTO(ak_buf) clean = AK_BUF_INIT(len * 3 + 1);

    for (size_t at = 0; at < len;) {
        size_t step = text[at] ? character((const unsigned char *)text + at, len - at) : 0;
        if (ak_buf_add(&clean, step ? text + at : "\xef\xbf\xbd", step ? step : 3) < 0)
            return NULL;
        at += step ? step : 1;
    }
    return json_stringn(ak_buf_text(&clean), clean.len);
}

int ak_output_text(const struct ak_client_output *output, struct ak_call *call,
                   struct ak_error **reterr)
{
    json_t *text = string_of(output->text ? output->text : "", output->len);
    json_t *result = text ? json_pack("{s:o, s:b, s:i}", "text", text, "truncated",
                                      output->truncated, "exitCode", output->exit_code)
                          : NULL;

    if (!result)
        return ak_error_oom(reterr);
    call->ret_result = result;
    call->ret_bytes = (int64_t)output->len;
    return 0;
}

/* --- reasons --- */

int ak_output_diagnose(const struct ak_symptom *symptoms, size_t n, const char *text)
{
    for (size_t i = 0; i < n; i++)
        if (strstr(text, symptoms[i].text))
            return symptoms[i].code;
    return AK_E_INVALID;
}

int ak_output_fail(int code, const char *text, struct ak_error **reterr)
{
    char message[ERROR_MAX + 1];
    size_t len = strlen(text);

    ak_output_message(message, sizeof(message), len > ERROR_MAX ? text + len - ERROR_MAX : text);
    return ak_error_set(reterr, code, "%s",
                        message[0] ? message : "the client program said nothing");
}

void ak_output_probe(int code, const char *text, struct ak_probe_result *ret)
{
    size_t len = strlen(text);

    ret->reachable =
        code == 0 || code == AK_E_UNAUTHORIZED || code == AK_E_FORBIDDEN || code == AK_E_INVALID;
    ret->authenticated = ret->reachable && code != AK_E_UNAUTHORIZED;
    ret->authorised = code == 0;
    if (code != 0)
        ak_output_message(ret->message, sizeof(ret->message),
                          len >= sizeof(ret->message) ? text + len - sizeof(ret->message) + 1
                                                      : text);
}

/* --- rows --- */

struct rows {
    const char *at, *stop;
    char separator, end;
    bool quoted;
    json_t *columns, *list, *row;
    struct ak_buf cell;
    bool was_quoted, truncated;
};

static json_t *cell_value(struct rows *self)
{
    bool is_null = self->quoted ? !self->was_quoted && !self->cell.len
                                : ak_streq(ak_buf_text(&self->cell), "NULL");

    return is_null ? json_null() : string_of(ak_buf_text(&self->cell), self->cell.len);
}

static int end_cell(struct rows *self)
{
    json_t *value =
        self->columns || self->quoted ? NULL : string_of(ak_buf_text(&self->cell), self->cell.len);

    if (!value)
        value = cell_value(self);
    ak_buf_clear(&self->cell);
    self->was_quoted = false;
    return value && json_array_append_new(self->row, value) == 0 ? 0 : -ENOMEM;
}

static int name_columns(struct rows *self)
{
    json_t *columns = json_array();
    size_t i;
    json_t *name;

    if (!columns || json_array_size(self->row) > COLUMNS_MAX) {
        json_decref(columns);
        return columns ? AK_E_TOO_LARGE : -ENOMEM;
    }
    json_array_foreach(self->row, i, name) if (json_array_append_new(
                                                   columns, json_pack("{s:s, s:s}", "name",
                                                                      json_is_string(name)
                                                                          ? json_string_value(name)
                                                                          : "",
                                                                      "type", "text")) < 0)
    {
        json_decref(columns);
        return -ENOMEM;
    }
    self->columns = columns;
    return 0;
}

/* A row is complete; `max` rows are kept. 1: no more of them. */
static int end_row(struct rows *self, int64_t max)
{
    bool first = !self->columns;
    size_t wanted = first ? 0 : json_array_size(self->columns);
    int r = 0;

    if (first)
        r = name_columns(self);
    else if (json_array_size(self->row) != wanted)
        r = AK_E_PROTOCOL;
    else if ((int64_t)json_array_size(self->list) >= max) {
        self->truncated = true;
        return 1;
    } else
        r = json_array_append(self->list, self->row) < 0 ? -ENOMEM : 0;
    json_decref(self->row);
    self->row = json_array();
    return r < 0 ? r : self->row ? 0 : -ENOMEM;
}

static int add_byte(struct rows *self, char c)
{
    return ak_buf_add(&self->cell, &c, 1);
}

/* A quoted cell from behind its first quote to behind its last one. */
static int quoted_cell(struct rows *self)
{
    int r = 0;

    self->was_quoted = true;
    while (r == 0 && self->at < self->stop) {
        if (*self->at == '"' && (self->at + 1 == self->stop || self->at[1] != '"')) {
            self->at++;
            return 0;
        }
        self->at += *self->at == '"';
        r = add_byte(self, *self->at++);
    }
    return r;
}

static bool row_is_short(const struct rows *self)
{
    return !self->quoted && self->columns &&
           json_array_size(self->row) + 1 < json_array_size(self->columns);
}

static int read_rows(struct rows *self, int64_t max)
{
    int r = 0;

    while (r == 0 && self->at < self->stop) {
        char c = *self->at++;
        if (c == '"' && self->quoted && !self->cell.len)
            r = quoted_cell(self);
        else if (c == self->separator)
            r = end_cell(self);
        else if (c == '\r' && self->at < self->stop && *self->at == '\n')
            continue;
        else if (c != self->end || row_is_short(self))
            r = add_byte(self, c);
        else if (json_array_size(self->row) || self->cell.len || self->was_quoted) {
            r = end_cell(self);
            if (r == 0)
                r = end_row(self, max);
        }
    }
    return r < 0 ? r : 0;
}

int ak_output_rows(const char *text, size_t len, char separator, char end, bool quoted, bool cut,
                   struct ak_call *call, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) whole = AK_BUF_INIT(len + 1);
    struct rows self = {.separator = separator,
                        .end = end,
                        .quoted = quoted,
                        .list = json_array(),
                        .row = json_array(),
                        .cell = AK_BUF_INIT(len + 1)};
    int r = ak_buf_add(&whole, text, len);

    if (cut) /* the last line is not all there */
        while (whole.len && whole.data[whole.len - 1] != end)
            whole.len--;
    else if (r == 0 && len && text[len - 1] != end)
        r = ak_buf_add(&whole, &end, 1);
    self.at = ak_buf_text(&whole);
    self.stop = self.at + whole.len;
    if (r == 0 && (!self.list || !self.row))
        r = -ENOMEM;
    if (r == 0)
        r = read_rows(&self, call->max_rows);
    json_decref(self.row);
    ak_buf_done(&self.cell);
    if (r == 0 && !self.columns)
        self.columns = json_array();
    if (r == 0 && self.columns)
        return ak_output_table(self.columns, self.list, cut || self.truncated, call, reterr);
    json_decref(self.columns);
    json_decref(self.list);
    return r == -ENOMEM || r == 0
               ? ak_error_oom(reterr)
               : ak_error_set(reterr, r, "the client program printed rows that are none");
}

int ak_output_table(json_t *columns, json_t *rows, bool truncated, struct ak_call *call,
                    struct ak_error **reterr)
{
    size_t n = json_array_size(rows);
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_JSON_MAX_BYTES);
    json_t *result;

    if (rows && ak_json_write(rows, &text, NULL) >= 0)
        call->ret_bytes = (int64_t)text.len;
    result = json_pack("{s:o, s:o, s:I, s:b}", "columns", columns, "rows", rows, "rowCount",
                       (json_int_t)n, "truncated", truncated);
    if (!result)
        return ak_error_oom(reterr);
    call->ret_result = result;
    call->ret_rows = (int64_t)n;
    return 0;
}
