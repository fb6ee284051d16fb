/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/tool_result.h"

#include <string.h>

#include <ak/base/text.h>

#define TAIL_ROOM 256 /* bytes that are kept for what follows the rows */

/* --- the list --- */

static json_t *tool_of(const json_t *item)
{
    const char *name = ak_json_text(item, "name", NULL);
    const char *title = ak_json_text(item, "title", NULL);
    const char *description = ak_json_text(item, "description", NULL);
    json_t *schema = json_object_get(item, "inputSchema");
    bool reads = json_is_true(json_object_get(item, "readOnlyHint"));
    AK_AUTO_JSON *any =
        json_is_object(schema) ? json_incref(schema) : json_pack("{ss}", "type", "object");

    return json_pack("{sssssssOs{sssbsb}}", "name", name, "title", title ? title : name,
                     "description", description ? description : "", "inputSchema", any,
                     "annotations", "title", title ? title : name, "readOnlyHint", reads,
                     "destructiveHint", !reads);
}

static bool is_item(const json_t *item)
{
    return !ak_is_empty(ak_json_text(item, "name", NULL)) &&
           !ak_is_empty(ak_json_text(item, "tool", NULL)) &&
           !ak_is_empty(ak_json_text(item, "operation", NULL));
}

int ak_tool_list(const json_t *list, json_t **ret, struct ak_error **reterr)
{
    const json_t *items = json_object_get(list, "items");
    AK_AUTO_JSON *tools = json_array();

    if (!json_is_array(items))
        return ak_error_set(reterr, AK_E_PROTOCOL, "the list of tools has no items");
    if (json_array_size(items) > AK_TOOL_LIST_MAX)
        return ak_error_set(reterr, AK_E_TOO_LARGE, "the list has %zu tools, more than %d",
                            json_array_size(items), AK_TOOL_LIST_MAX);
    for (size_t i = 0; tools && i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        if (!is_item(item))
            return ak_error_set(reterr, AK_E_PROTOCOL, "item %zu of the list of tools is none", i);
        if (json_array_append_new(tools, tool_of(item)) < 0)
            return ak_error_oom(reterr);
    }
    if (!tools)
        return ak_error_oom(reterr);
    *ret = AK_TAKE(tools);
    return 0;
}

/* --- results --- */

/* Cuts at the limit, but never within a character. */
static int add_cut(struct ak_buf *out, const char *text, size_t len, bool *ret_cut)
{
    size_t room = AK_TOOL_TEXT_MAX > out->len ? AK_TOOL_TEXT_MAX - out->len : 0;

    *ret_cut = len > room;
    if (*ret_cut) {
        len = room;
        while (len && ((unsigned char)text[len] & 0xc0) == 0x80)
            len--;
    }
    return ak_buf_add(out, text, len);
}

static int add_columns(const json_t *columns, struct ak_buf *out)
{
    int r = ak_buf_adds(out, "{\"columns\":[");

    for (size_t i = 0; r >= 0 && i < json_array_size(columns); i++) {
        const char *name = ak_json_text(json_array_get(columns, i), "name", NULL);
        r = i ? ak_buf_adds(out, ",") : 0;
        if (r >= 0)
            r = ak_buf_add_json_string(out, name ? name : "", name ? strlen(name) : 0);
    }
    return r < 0 ? r : ak_buf_adds(out, "],\"rows\":[");
}

/* As many rows as fit; *ret_cut: not all of them. */
static int add_rows(const json_t *rows, struct ak_buf *out, size_t *ret_n, bool *ret_cut)
{
    int r = 0;

    *ret_cut = false;
    for (size_t i = 0; r >= 0 && i < json_array_size(rows); i++) {
        size_t before = out->len;
        r = i ? ak_buf_adds(out, ",") : 0;
        if (r >= 0)
            r = ak_json_write(json_array_get(rows, i), out, NULL);
        if (r >= 0 && out->len > AK_TOOL_TEXT_MAX - TAIL_ROOM) {
            out->len = before;
            out->data[before] = '\0';
            *ret_cut = true;
            break;
        }
        if (r >= 0)
            *ret_n = i + 1;
    }
    return r;
}

static int write_rows(const json_t *result, struct ak_buf *out, bool *ret_cut)
{
    const json_t *rows = json_object_get(result, "rows");
    bool truncated = json_is_true(json_object_get(result, "truncated"));
    size_t n = 0;
    int r = add_columns(json_object_get(result, "columns"), out);

    if (r >= 0)
        r = add_rows(rows, out, &n, ret_cut);
    if (r >= 0)
        r = ak_buf_addf(out, "],\"rowCount\":%zu", n);
    if (r >= 0 && (truncated || *ret_cut))
        r = ak_buf_adds(out,
                        ",\"truncated\":true,\"note\":\"there are more rows than these; ask for "
                        "fewer rows or columns\"");
    return r < 0 ? r : ak_buf_adds(out, "}");
}

static int write_text(const json_t *result, struct ak_buf *out, bool *ret_cut)
{
    const json_t *text = json_object_get(result, "text");
    json_int_t code = json_integer_value(json_object_get(result, "exitCode"));
    bool truncated = json_is_true(json_object_get(result, "truncated"));
    int r = add_cut(out, json_string_value(text), json_string_length(text), ret_cut);

    if (r >= 0 && (truncated || *ret_cut))
        r = ak_buf_adds(out, "\n[cut: there was more output than this]");
    if (r >= 0 && code)
        r = ak_buf_addf(out, "%s[exit code %lld]", out->len ? "\n" : "", (long long)code);
    return r;
}

static int write_other(const json_t *result, struct ak_buf *out, bool *ret_cut)
{
    AK_AUTO(ak_buf) whole = AK_BUF_INIT(AK_JSON_MAX_BYTES * 2);
    int r = ak_json_write(result, &whole, NULL);

    if (r >= 0)
        r = add_cut(out, ak_buf_text(&whole), whole.len, ret_cut);
    if (r >= 0 && *ret_cut)
        r = ak_buf_adds(out, "\n[cut: the result is longer than this]");
    return r;
}

static bool is_failure(const json_t *result)
{
    return json_integer_value(json_object_get(result, "exitCode")) != 0 ||
           (json_is_integer(json_object_get(result, "status")) &&
            json_integer_value(json_object_get(result, "status")) >= 400);
}

int ak_tool_result(const json_t *answer, json_t **ret, struct ak_error **reterr)
{
    json_t *result = json_object_get(answer, "result");
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_JSON_MAX_BYTES * 2);
    AK_AUTO_JSON *whole = NULL;
    bool cut = false;
    int r;

    if (!result)
        return ak_error_set(reterr, AK_E_PROTOCOL, "the manager's answer has no result");
    if (json_is_array(json_object_get(result, "rows")))
        r = write_rows(result, &text, &cut);
    else if (json_is_string(json_object_get(result, "text")))
        r = write_text(result, &text, &cut);
    else
        r = write_other(result, &text, &cut);
    if (r < 0)
        return r == -ENOMEM ? ak_error_oom(reterr)
                            : ak_error_set(reterr, r, "the result cannot be written");
    whole = json_pack("{s[{ssss%}]sb}", "content", "type", "text", "text", ak_buf_text(&text),
                      text.len, "isError", is_failure(result));
    if (!whole ||
        (json_is_object(result) && !cut && json_object_set(whole, "structuredContent", result) < 0))
        return ak_error_oom(reterr);
    *ret = AK_TAKE(whole);
    return 0;
}

/* --- refusals --- */

static const char *words_of(int status)
{
    switch (status) {
    case 401:
        return "the manager does not know this agent's token";
    case 403:
        return "this is not allowed";
    case 404:
        return "there is no such tool any more";
    case 413:
        return "the arguments are too large";
    case 429:
        return "too many calls are under way; try again in a moment";
    case 504:
        return "it took too long";
    default:
        return status >= 500 ? "the tool cannot be used at the moment; try again later"
                             : "the call was refused";
    }
}

int ak_tool_refusal(int status, const json_t *tree, struct ak_buf *out)
{
    const char *message = ak_json_text(tree, "message", NULL);
    const char *code = ak_json_text(tree, "details", "code", NULL);
    bool cut;
    int r = ak_is_empty(message) ? ak_buf_adds(out, words_of(status))
                                 : add_cut(out, message, strlen(message), &cut);

    if (r >= 0 && !ak_is_empty(code))
        r = ak_buf_addf(out, " (%.64s)", code);
    return r;
}
