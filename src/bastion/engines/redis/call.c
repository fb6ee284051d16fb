/* SPDX-License-Identifier: Apache-2.0 */
/* The structured operations, each over a connection of its own. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <ak/base/text.h>
#include <ak/json/json.h>

#include "bastion/engines/redis/connection.h"
#include "bastion/engines/redis/redis_engine.h"
#include "bastion/session.h"
#include "engines/classify.h"

#define MAX_WORDS 256
#define SCAN_STEPS_MAX 100000

/* A result of one column a name, rows added later. */
static json_t *table(const char *const *names)
{
    json_t *result =
        json_pack("{s:[], s:[], s:i, s:b}", "columns", "rows", "rowCount", 0, "truncated", false);

    for (; result && *names; names++) {
        json_t *column = json_pack("{s:s, s:s}", "name", *names, "type", "json");

        if (!column || json_array_append_new(json_object_get(result, "columns"), column) < 0) {
            json_decref(result);
            return NULL;
        }
    }
    return result;
}

/* Counts the rows and gives the result to the call. */
static int finish(struct ak_call *call, json_t *result, bool truncated, int64_t bytes,
                  struct ak_error **reterr)
{
    const size_t n = json_array_size(json_object_get(result, "rows"));

    if (!result || json_object_set_new(result, "rowCount", json_integer((json_int_t)n)) < 0 ||
        json_object_set_new(result, "truncated", json_boolean(truncated)) < 0) {
        json_decref(result);
        return ak_error_oom(reterr);
    }
    call->ret_result = result;
    call->ret_rows = (int64_t)n;
    call->ret_bytes = bytes;
    return 0;
}

static int add_row(json_t *result, json_t *value)
{
    json_t *row = json_array();

    if (!row || json_array_append(row, value) < 0) {
        json_decref(row);
        return -ENOMEM;
    }
    return json_array_append_new(json_object_get(result, "rows"), row) < 0 ? -ENOMEM : 0;
}

static int64_t row_limit(const struct ak_call *call)
{
    const json_t *wish = json_object_get(call->arguments, "maxRows");
    int64_t max = call->max_rows > 0 ? call->max_rows : 1000;

    if (json_is_integer(wish) && json_integer_value(wish) > 0)
        max = AK_MIN(max, json_integer_value(wish));
    return max;
}

/* ---- command ---- */

static int run_command(struct ak_redis *db, struct ak_call *call, const struct ak_login *login,
                       struct ak_error **reterr)
{
    const json_t *args = json_object_get(call->arguments, "args");
    const size_t n = json_array_size(args);
    AK_AUTO(ak_redis_answer) answer = {0};
    const char *words[MAX_WORDS];
    size_t lens[MAX_WORDS];
    json_t *result;
    bool cut;
    int r = 0;

    if (n == 0 || n > MAX_WORDS)
        return ak_error_set(reterr, -EINVAL, "args: must be a list of 1 to %d texts", MAX_WORDS);
    for (size_t i = 0; i < n; i++) {
        words[i] = json_string_value(json_array_get(args, i));
        lens[i] = json_string_length(json_array_get(args, i));
        if (!words[i])
            return ak_error_set(reterr, -EINVAL, "args[%zu]: must be a text", i);
    }
    /* A reader's own rules see to it; with any other user only what is known to read goes on. */
    if (call->read_only && !login->is_minted && ak_classify_redis(words, n) != AK_CLASS_READ)
        return ak_error_set(reterr, AK_E_FORBIDDEN,
                            "only reading is possible here, and %.64s is not known to", words[0]);
    r = ak_redis_command(db, n, words, lens, call->max_bytes, &answer, reterr);
    if (r < 0)
        return r;
    result = table((const char *[]){"reply", NULL});
    cut = answer.truncated;
    if (result && json_is_array(answer.value)) {
        for (size_t i = 0; r >= 0 && i < json_array_size(answer.value); i++) {
            if ((int64_t)i == row_limit(call)) {
                cut = true;
                break;
            }
            r = add_row(result, json_array_get(answer.value, i));
        }
    } else if (result) {
        r = add_row(result, answer.value);
    }
    if (r < 0) {
        json_decref(result);
        return ak_error_oom(reterr);
    }
    return finish(call, result, cut, answer.bytes, reterr);
}

/* ---- scan_keys ---- */

/* One step of SCAN: adds its keys; *cursor is "0" at the end. 1: there is no room for more. */
static int scan_step(struct ak_redis *db, struct ak_call *call, const char *pattern, char *cursor,
                     size_t size, json_t *result, int64_t *bytes, struct ak_error **reterr)
{
    AK_AUTO(ak_redis_answer) answer = {0};
    const json_t *keys;
    const char *next;
    int r =
        ak_redis_command(db, 6, (const char *[]){"SCAN", cursor, "MATCH", pattern, "COUNT", "500"},
                         NULL, AK_REDIS_INNER_BYTES, &answer, reterr);

    if (r < 0)
        return r;
    next = json_string_value(json_array_get(answer.value, 0));
    keys = json_array_get(answer.value, 1);
    if (!next || strlen(next) >= size || !json_is_array(keys))
        return ak_error_set(reterr, AK_E_PROTOCOL, "the server's answer to SCAN is not understood");
    snprintf(cursor, size, "%s", next);
    for (size_t i = 0; i < json_array_size(keys); i++) {
        json_t *key = json_array_get(keys, i);

        *bytes += (int64_t)json_string_length(key);
        if ((int64_t)json_array_size(json_object_get(result, "rows")) >= row_limit(call) ||
            *bytes > call->max_bytes)
            return 1;
        if (add_row(result, key) < 0)
            return ak_error_oom(reterr);
    }
    return 0;
}

static int scan_keys(struct ak_redis *db, struct ak_call *call, struct ak_error **reterr)
{
    const char *pattern = ak_json_text(call->arguments, "pattern", NULL);
    json_t *result = table((const char *[]){"key", NULL});
    char cursor[32] = "0";
    int64_t bytes = 0;
    int r = result ? 0 : ak_error_oom(reterr);

    if (r >= 0 && !pattern)
        r = ak_error_set(reterr, -EINVAL, "pattern: must be a text");
    for (int i = 0; r == 0 && i < SCAN_STEPS_MAX; i++) {
        r = scan_step(db, call, pattern, cursor, sizeof(cursor), result, &bytes, reterr);
        if (ak_streq(cursor, "0"))
            break;
    }
    if (r < 0) {
        json_decref(result);
        return r;
    }
    return finish(call, result, r > 0 || !ak_streq(cursor, "0"), bytes, reterr);
}

/* ---- get ---- */

/* How each type is read, whole or as far as rows are allowed: "?" is the key, "#" the last index. */
static const struct {
    const char *type, *words[6];
} readers[] = {
    {"string", {"GET", "?"}},   {"list", {"LRANGE", "?", "0", "#"}},
    {"set", {"SMEMBERS", "?"}}, {"zset", {"ZRANGE", "?", "0", "#", "WITHSCORES"}},
    {"hash", {"HGETALL", "?"}}, {"stream", {"XRANGE", "?", "-", "+", "COUNT", "#"}},
};

static int read_key(struct ak_redis *db, const struct ak_call *call, const char *type,
                    const char *key, size_t key_len, struct ak_redis_answer *ret,
                    struct ak_error **reterr)
{
    char last[24];

    snprintf(last, sizeof(last), "%lld", (long long)row_limit(call));
    for (size_t i = 0; i < AK_ARRAY_LEN(readers); i++) {
        const char *words[6];
        size_t lens[6], n = 0;

        if (!ak_streq(readers[i].type, type))
            continue;
        for (; n < 6 && readers[i].words[n]; n++) {
            const char *word = readers[i].words[n];

            words[n] = *word == '?' ? key : *word == '#' ? last : word;
            lens[n] = *word == '?' ? key_len : strlen(words[n]);
        }
        return ak_redis_command(db, n, words, lens, call->max_bytes, ret, reterr);
    }
    ret->value = json_null();
    return 0;
}

static int get_key(struct ak_redis *db, struct ak_call *call, struct ak_error **reterr)
{
    const json_t *key = json_object_get(call->arguments, "key");
    AK_AUTO(ak_redis_answer) type = {0}, ttl = {0}, value = {0};
    const char *words[2] = {"TYPE", json_string_value(key)};
    const size_t lens[2] = {4, json_string_length(key)};
    json_t *result, *row;
    int r;

    if (!words[1])
        return ak_error_set(reterr, -EINVAL, "key: must be a text");
    r = ak_redis_command(db, 2, words, lens, 0, &type, reterr);
    if (r < 0)
        return r;
    words[0] = "PTTL";
    r = ak_redis_command(db, 2, words, lens, 0, &ttl, reterr);
    if (r >= 0)
        r = read_key(db, call, json_string_value(type.value), words[1], lens[1], &value, reterr);
    if (r < 0)
        return r;
    result = table((const char *[]){"key", "type", "ttlMilliseconds", "value", NULL});
    row = json_pack("[O, O, O, O]", key, type.value, ttl.value, value.value);
    if (!result || !row || json_array_append_new(json_object_get(result, "rows"), row) < 0) {
        json_decref(result);
        return ak_error_oom(reterr);
    }
    return finish(call, result, value.truncated, value.bytes, reterr);
}

int ak__redis_call(const struct ak_target *target, struct ak_session *session, struct ak_call *call,
                   struct ak_error **reterr)
{
    const char *name = call->operation->name;
    const bool reads = call->read_only || call->operation->at_most == AK_CLASS_READ;
    AK_AUTO(ak_login) login = {0};
    AK_AUTO_PTR(ak_redis) db = NULL;
    int r = ak_login_read(target, reads, &login, reterr);

    if (r >= 0)
        r = ak_redis_open(target, ak_session_cancel(session), call->deadline, &db, reterr);
    if (r < 0)
        return r;
    r = ak_redis_login(db, &login, reterr);
    if (r >= 0)
        r = ak_redis_select(db, target, reterr);
    if (r >= 0 && ak_streq(name, "command"))
        r = run_command(db, call, &login, reterr);
    else if (r >= 0 && ak_streq(name, "scan_keys"))
        r = scan_keys(db, call, reterr);
    else if (r >= 0 && ak_streq(name, "get"))
        r = get_key(db, call, reterr);
    else if (r >= 0)
        r = ak_error_set(reterr, -ENOTSUP, "operation \"%s\" is not known", name);
    snprintf(call->ret_server_code, sizeof(call->ret_server_code), "%s", ak_redis_code(db));
    return r;
}
