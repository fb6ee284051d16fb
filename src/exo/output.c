/* SPDX-License-Identifier: Apache-2.0 */
#include "exo/output.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>

#define MAX_TEXT (256u << 20) /* of one list; the apiserver's own limits are far below */
#define INDENT 4

static int new_line(struct ak_buf *out, int depth)
{
    int r = ak_buf_add(out, "\n", 1);
    for (int i = 0; r >= 0 && i < depth; i++)
        r = ak_buf_add(out, "    ", INDENT);
    return r;
}

int ak_output_indent(const char *json, size_t len, struct ak_buf *out)
{
    bool in_string = false, was_escape = false;
    int depth = 0, r = 0;

    for (size_t i = 0; r >= 0 && i < len; i++) {
        char c = json[i];
        char next = i + 1 < len ? json[i + 1] : 0;
        bool opens = c == '{' || c == '[', closes = c == '}' || c == ']';
        bool is_empty = opens && (next == '}' || next == ']');
        if (in_string) {
            in_string = was_escape || c != '"';
            was_escape = !was_escape && c == '\\';
            r = ak_buf_add(out, &c, 1);
            continue;
        }
        in_string = c == '"';
        if (closes && i && json[i - 1] != '{' && json[i - 1] != '[')
            r = new_line(out, depth - 1);
        depth += opens - closes;
        if (r >= 0)
            r = ak_buf_add(out, &c, 1);
        if (r >= 0 && c == ':')
            r = ak_buf_add(out, " ", 1);
        if (r >= 0 && (c == ',' || (opens && !is_empty)))
            r = new_line(out, depth);
    }
    return r < 0 ? r : ak_buf_add(out, "\n", 1);
}

int ak_output_tree(struct ak_exo *self, const json_t *tree, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(MAX_TEXT);
    AK_AUTO(ak_buf) shown = AK_BUF_INIT(2 * MAX_TEXT);
    bool is_yaml = self->options->output == AK_OUT_YAML;
    int r = is_yaml ? ak_yaml_write(tree, &text, reterr) : ak_json_write(tree, &text, reterr);

    if (r < 0)
        return r;
    if (is_yaml && self->options->watch && ak_buf_adds(&shown, "---\n") < 0)
        return ak_error_oom(reterr);
    r = is_yaml ? ak_buf_add(&shown, ak_buf_text(&text), text.len)
                : ak_output_indent(ak_buf_text(&text), text.len, &shown);
    return r < 0 ? ak_error_set(reterr, r, "write the answer") : ak_exo_print(&shown, reterr);
}

int ak_output_table(struct ak_table *table, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(MAX_TEXT);
    int r = ak_table_write(table, &text);
    return r < 0 ? ak_error_set(reterr, r, "write the table") : ak_exo_print(&text, reterr);
}

int ak_output_line(struct ak_error **reterr, const char *fmt, ...)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(1u << 20);
    va_list ap;

    va_start(ap, fmt);
    int r = ak_buf_vaddf(&text, fmt, ap);
    va_end(ap);
    if (r >= 0)
        r = ak_buf_add(&text, "\n", 1);
    return r < 0 ? ak_error_set(reterr, r, "write a line") : ak_exo_print(&text, reterr);
}

void ak_output_strip(json_t *object)
{
    (void)json_object_del(json_object_get(object, "metadata"), "managedFields");
}

const char *ak_output_or(const char *text, const char *otherwise)
{
    return ak_is_empty(text) ? otherwise : text;
}

/* As kubectl: two units while the first is small, then one. */
const char *ak_output_age(const char *rfc3339, ak_msec wall_now, char buf[static 32])
{
    ak_msec then;

    if (!rfc3339 || ak_parse_rfc3339(rfc3339, &then) < 0) {
        (void)snprintf(buf, 32, "<unknown>");
        return buf;
    }
    int64_t s = AK_MAX((wall_now - then) / 1000, 0), m = s / 60, h = m / 60, d = h / 24;
    if (s < 120)
        (void)snprintf(buf, 32, "%" PRId64 "s", s);
    else if (m < 10 && s % 60)
        (void)snprintf(buf, 32, "%" PRId64 "m%" PRId64 "s", m, s % 60);
    else if (m < 180)
        (void)snprintf(buf, 32, "%" PRId64 "m", m);
    else if (h < 8 && m % 60)
        (void)snprintf(buf, 32, "%" PRId64 "h%" PRId64 "m", h, m % 60);
    else if (h < 48)
        (void)snprintf(buf, 32, "%" PRId64 "h", h);
    else if (d < 8 && h % 24)
        (void)snprintf(buf, 32, "%" PRId64 "d%" PRId64 "h", d, h % 24);
    else if (d < 2 * 365)
        (void)snprintf(buf, 32, "%" PRId64 "d", d);
    else
        (void)snprintf(buf, 32, "%" PRId64 "y%" PRId64 "d", d / 365, d % 365);
    return buf;
}

const char *ak_output_span(ak_msec span, char buf[static 32])
{
    int64_t s = span / 1000;

    if (span < 60 * 1000)
        (void)snprintf(buf, 32, "%" PRId64 ".%" PRId64 "s", s, span % 1000 / 100);
    else if (s < 3600)
        (void)snprintf(buf, 32, "%" PRId64 "m%" PRId64 "s", s / 60, s % 60);
    else
        (void)snprintf(buf, 32, "%" PRId64 "h%" PRId64 "m", s / 3600, s / 60 % 60);
    return buf;
}

const char *ak_output_thousands(int64_t n, char buf[static 32])
{
    char digits[24];
    size_t len = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, (uint64_t)AK_MAX(n, 0));
    size_t to = 0;

    for (size_t i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            buf[to++] = ',';
        buf[to++] = digits[i];
    }
    buf[to] = 0;
    return buf;
}
