/* SPDX-License-Identifier: Apache-2.0 */
#include "exo/describe_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ak/base/text.h>

#include "exo/output.h"
#include "terminal/cells.h"

#define LABEL_COLUMNS 18
#define MAX_EVENTS 20

/* "Label:   text"; nothing if there is no text. Text of others is one line without control characters. */
int ak_describe_line(struct ak_buf *out, int indent, const char *label, const char *text)
{
    if (ak_is_empty(text))
        return 0;
    int r = ak_buf_addf(out, "%*s%s:%*s", indent, "", label,
                        (int)AK_MAX(LABEL_COLUMNS - indent - (int)strlen(label) - 1, 1), "");
    if (r >= 0)
        r = ak_cells_add_line(out, text, strlen(text), 4096);
    return r < 0 ? r : ak_buf_add(out, "\n", 1);
}

static const json_t *value_at(const json_t *tree, const char *const path[5])
{
    for (size_t i = 0; path[i]; i++)
        tree = json_object_get(tree, path[i]);
    return tree;
}

int ak_describe_rows(struct ak_buf *out, int indent, const json_t *tree,
                     const struct ak_describe_row *items, size_t n)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < n; i++) {
        const json_t *value = value_at(tree, items[i].path);
        char number[32];
        if (json_is_string(value)) {
            r = ak_describe_line(out, indent, items[i].label, json_string_value(value));
        } else if (json_is_integer(value)) {
            (void)snprintf(number, sizeof(number), "%" PRId64, (int64_t)json_integer_value(value));
            r = ak_describe_line(out, indent, items[i].label, number);
        } else if (json_is_boolean(value)) {
            r = ak_describe_line(out, indent, items[i].label,
                                 json_is_true(value) ? "true" : "false");
        }
    }
    return r;
}

int ak_describe_pairs(struct ak_buf *out, const char *label, json_t *map)
{
    const char *key;
    json_t *value;
    bool first = true;
    int r = 0;

    json_object_foreach(map, key, value)
    {
        AK_AUTO(ak_buf) text = AK_BUF_INIT(1u << 20);
        if (r >= 0)
            r = ak_buf_addf(&text, "%s=%s", key, ak_output_or(json_string_value(value), ""));
        if (r >= 0 && first)
            r = ak_describe_line(out, 0, label, ak_buf_text(&text));
        else if (r >= 0)
            r = ak_buf_addf(out, "%*s%s\n", LABEL_COLUMNS, "", ak_buf_text(&text));
        first = false;
    }
    return r;
}

int ak_describe_meta(struct ak_buf *out, const json_t *object, ak_msec now)
{
    json_t *meta = json_object_get(object, "metadata");
    char age[32];
    int r = ak_describe_line(out, 0, "Name", ak_json_text(meta, "name", NULL));

    if (r >= 0)
        r = ak_describe_line(out, 0, "Namespace", ak_json_text(meta, "namespace", NULL));
    if (r >= 0)
        r = ak_describe_pairs(out, "Labels", json_object_get(meta, "labels"));
    if (r < 0)
        return r;
    const char *created = ak_json_text(meta, "creationTimestamp", NULL);
    return ak_describe_line(out, 0, "Age", ak_output_age(created, now, age));
}

int ak_describe_table(struct ak_table *table, const char *title, struct ak_buf *out)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(8u << 20);
    int r = ak_table_write(table, &text);
    const char *at = ak_buf_text(&text);

    if (r >= 0)
        r = ak_buf_addf(out, "%s:\n", title);
    while (r >= 0 && *at) {
        size_t len = strcspn(at, "\n");
        r = ak_buf_addf(out, "  %.*s\n", (int)len, at);
        at += len + (at[len] == '\n');
    }
    return r;
}

int ak_describe_conditions(const json_t *object, ak_msec now, struct ak_buf *out)
{
    const json_t *list = ak_json_at(object, "status", "conditions", NULL);
    AK_AUTO(ak_table) table = {0};
    int r = ak_table_add(&table, "TYPE", "STATUS", "SINCE", "REASON", "MESSAGE");

    for (size_t i = 0; r >= 0 && i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        char age[32];
        r = ak_table_add(&table, ak_json_text(one, "type", NULL), ak_json_text(one, "status", NULL),
                         ak_output_age(ak_json_text(one, "lastTransitionTime", NULL), now, age),
                         ak_json_text(one, "reason", NULL), ak_json_text(one, "message", NULL));
    }
    return r < 0 || !json_array_size(list) ? r : ak_describe_table(&table, "Conditions", out);
}

static const char *time_of(const json_t *event)
{
    const char *at = ak_json_text(event, "lastTimestamp", NULL);
    return ak_output_or(at ? at : ak_json_text(event, "eventTime", NULL), "");
}

static int by_time(const void *a, const void *b)
{
    return strcmp(time_of(*(json_t *const *)a), time_of(*(json_t *const *)b));
}

int ak_describe_events(const json_t *list, ak_msec now, struct ak_buf *out)
{
    const json_t *sorted[512];
    size_t n = AK_MIN(json_array_size(list), AK_ARRAY_LEN(sorted));
    AK_AUTO(ak_table) table = {0};
    int r = ak_table_add(&table, "TYPE", "REASON", "AGE", "MESSAGE");

    for (size_t i = 0; i < n; i++)
        sorted[i] = json_array_get(list, i);
    qsort(sorted, n, sizeof(sorted[0]), by_time); /* RFC 3339 in UTC sorts as text */
    for (size_t i = n > MAX_EVENTS ? n - MAX_EVENTS : 0; r >= 0 && i < n; i++) {
        json_int_t count = json_integer_value(json_object_get(sorted[i], "count"));
        char age[32], times[64];
        (void)ak_output_age(time_of(sorted[i]), now, age);
        (void)snprintf(times, sizeof(times), count > 1 ? "%s (x%" PRId64 ")" : "%s", age,
                       (int64_t)count);
        r = ak_table_add(&table, ak_json_text(sorted[i], "type", NULL),
                         ak_json_text(sorted[i], "reason", NULL), times,
                         ak_json_text(sorted[i], "message", NULL));
    }
    return r < 0 || !n ? r : ak_describe_table(&table, "Events", out);
}
