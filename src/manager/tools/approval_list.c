/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/tools/approval_list.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "manager/invoke/answer.h"
#include "manager/invoke/memo.h"
#include "manager/tools/audit.h"

static bool is_phase(const json_t *item, const char *phase)
{
    return ak_streq(ak_json_text(item, "phase", NULL), phase);
}

static bool is_over(const json_t *item, ak_msec now)
{
    const char *text = ak_json_text(item, "expiresTime", NULL);
    ak_msec expires = 0;

    return !text || ak_parse_rfc3339(text, &expires) < 0 || now >= expires;
}

static int set_text(json_t *item, const char *name, const char *value)
{
    return json_object_set_new(item, name, json_string(value)) < 0 ? -ENOMEM : 0;
}

int ak_approvals_expire(json_t *list, ak_msec now)
{
    int changed = 0;

    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *item = json_array_get(list, i);
        if ((!is_phase(item, "Pending") && !is_phase(item, "Approved")) || !is_over(item, now))
            continue;
        if (set_text(item, "phase", "Expired") < 0)
            return -ENOMEM;
        changed = 1;
    }
    return changed;
}

json_t *ak_approvals_find(json_t *list, const char *hash, ak_msec now)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *item = json_array_get(list, i);
        bool counts =
            is_phase(item, "Pending") || is_phase(item, "Approved") || is_phase(item, "Denied");
        if (counts && !is_over(item, now) && ak_streq(ak_json_text(item, "hash", NULL), hash))
            return item;
    }
    return NULL;
}

json_t *ak_approvals_by_id(json_t *list, const char *id)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (ak_streq(ak_json_text(json_array_get(list, i), "id", NULL), id))
            return json_array_get(list, i);
    return NULL;
}

/* The oldest that nobody needs; negative: all of them are needed. */
static int64_t find_idle(const json_t *list, ak_msec now)
{
    for (size_t i = json_array_size(list); i > 0; i--) {
        const json_t *item = json_array_get(list, i - 1);
        if (is_over(item, now) || is_phase(item, "Used") || is_phase(item, "Expired"))
            return (int64_t)i - 1;
    }
    return -1;
}

int ak_approvals_add(json_t *list, json_t *item, ak_msec now)
{
    while (json_array_size(list) >= AK_TOOLS_MAX_APPROVALS) {
        int64_t idle = find_idle(list, now);
        if (idle < 0) {
            json_decref(item);
            return -ENOBUFS;
        }
        (void)json_array_remove(list, (size_t)idle);
    }
    return json_array_insert_new(list, 0, item) < 0 ? -ENOMEM : 0;
}

int ak_approval_decide(json_t *item, bool approve, const char *by, const char *reason, ak_msec now,
                       ak_msec timeout, struct ak_error **reterr)
{
    const char *phase = ak_json_text(item, "phase", NULL);
    char time[AK_RFC3339_SIZE], until[AK_RFC3339_SIZE];

    if (!is_phase(item, "Pending") || is_over(item, now))
        return ak_invoke_error(reterr, 409, "approval \"%s\" is %s: it cannot be answered any more",
                               ak_json_text(item, "id", NULL),
                               is_phase(item, "Pending") || !phase ? "Expired" : phase);
    int r = set_text(item, "phase", approve ? "Approved" : "Denied");
    if (r >= 0)
        r = set_text(item, "decidedBy", by);
    if (r >= 0)
        r = set_text(item, "decidedTime", ak_format_rfc3339(now, time));
    if (r >= 0 && !ak_is_empty(reason))
        r = set_text(item, "reason", reason);
    if (r >= 0) /* whole seconds: a little longer rather than shorter */
        r = set_text(item, "expiresTime", ak_format_rfc3339(now + timeout + 999, until));
    return r < 0 ? ak_error_oom(reterr) : 0;
}

/* ---- what is shown */

static int add_words(const json_t *list, struct ak_buf *out)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < json_array_size(list); i++) {
        const char *word = json_string_value(json_array_get(list, i));
        r = ak_buf_addf(out, "%s%s", i ? " " : "", word ? word : "?");
    }
    return r;
}

static int add_main_text(const json_t *arguments, struct ak_buf *out, struct ak_error **reterr)
{
    const char *sql = ak_json_text(arguments, "sql", NULL);
    const char *command = ak_json_text(arguments, "command", NULL);
    const char *method = ak_json_text(arguments, "method", NULL);
    const json_t *words = json_object_get(arguments, "args");
    bool only = json_object_size(arguments) == 1;

    if (sql && only)
        return ak_buf_adds(out, sql);
    if (command && only)
        return ak_buf_adds(out, command);
    if (json_is_array(words) && only)
        return add_words(words, out);
    if (method && ak_buf_addf(out, "%s %s ", method, ak_json_text(arguments, "path", NULL)) < 0)
        return -ENOMEM;
    if (sql && ak_buf_addf(out, "%s ", sql) < 0)
        return -ENOMEM;
    return ak_json_write(arguments, out, reterr);
}

static bool is_word_at(const char *text, size_t at, size_t len)
{
    static const char *const words[] = {"password", "passwd",  "identified",
                                        "secret",   "token",   "credential",
                                        "apikey",   "api_key", "authorization"};

    for (size_t i = 0; i < AK_ARRAY_LEN(words); i++) {
        size_t n = strlen(words[i]);
        if (at + n <= len && strncasecmp(text + at, words[i], n) == 0)
            return true;
    }
    return false;
}

/* Where the literal that begins at `at` ends: behind its closing quote, or the end of the text. */
static size_t literal_end(const char *text, size_t at, size_t len)
{
    char quote = text[at++];

    while (at < len) {
        if (text[at] == '\\')
            at++;
        else if (text[at] == quote && (at + 1 >= len || text[at + 1] != quote))
            return at + 1;
        else if (text[at] == quote)
            at++;
        at++;
    }
    return len;
}

/* Literals behind such a word, up to the statement's end, are not for people's eyes. */
static int add_masked(const char *text, size_t len, struct ak_buf *out)
{
    bool secret = false;
    int r = 0;

    for (size_t at = 0; r >= 0 && at < len && out->len <= AK_TOOLS_MAX_PREVIEW;) {
        if (is_word_at(text, at, len))
            secret = true;
        if (text[at] == ';')
            secret = false;
        if (secret && (text[at] == '\'' || text[at] == '"')) {
            at = literal_end(text, at, len);
            r = ak_buf_adds(out, "'***'");
        } else {
            r = ak_buf_add(out, text + at++, 1);
        }
    }
    return r;
}

/* Not in the middle of a character. */
static void cut(struct ak_buf *text, size_t max)
{
    if (text->len <= max)
        return;
    while (max > 0 && ((unsigned char)text->data[max] & 0xc0) == 0x80)
        max--;
    text->len = max;
    text->data[max] = 0;
}

int ak_approval_preview(const json_t *arguments, struct ak_buf *out, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) whole = AK_BUF_INIT(2 * AK_TOOLS_MAX_ARGUMENTS);
    int r = add_main_text(arguments, &whole, reterr);

    if (r >= 0)
        r = add_masked(ak_buf_text(&whole), whole.len, out);
    if (r < 0)
        return ak_error_set(reterr, r, "the preview of an operation");
    cut(out, AK_TOOLS_MAX_PREVIEW);
    return 0;
}

int ak_approval_hash(const char *tool_uid, const struct ak_tools_call *call, bool read_only,
                     char ret[static 65], struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(2 * AK_TOOLS_MAX_ARGUMENTS);
    struct ak_memo_key key;
    int r = call->arguments ? ak_audit_write(call->arguments, &text, reterr) : 0;

    if (r < 0)
        return r;
    r = ak_memo_digest(&key, (const char *const[]){
                                 tool_uid, call->caller.ns ? "Agent" : "Person",
                                 call->caller.ns ? call->caller.ns : "", call->caller.name,
                                 call->operation, read_only ? "r" : "w", ak_buf_text(&text), NULL});
    if (r < 0)
        return ak_error_oom(reterr);
    memcpy(ret, key.text, sizeof(key.text));
    return 0;
}
