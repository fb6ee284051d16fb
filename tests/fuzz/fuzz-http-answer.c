/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What systems that are spoken to over HTTP answer, and the files that people give as credentials for them. The first
 * byte: bit 0 the answer is cut, the rest its status. Then a line of a header, and the body.
 */
#include <openssl/evp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/json/json.h>

#include "bastion/engines/http/clickhouse_result.h"
#include "bastion/engines/http/jwt.h"
#include "bastion/engines/http/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void http_request(const char *data, size_t size, bool cut, int status)
{
    AK_AUTO(ak_fetch_reply)
    reply = {.status = status,
             .head = {.max = AK_FETCH_MAX_HEAD},
             .body = {.max = 16u << 20},
             .is_cut = cut};
    const char *line = memchr(data, '\n', size);
    const size_t n = line ? (size_t)(line - data) : 0;
    AK_AUTO_JSON *tree = NULL;
    json_t *result = NULL;
    char words[256];

    /* As the HTTP client leaves it: "Name: value", no NUL within. */
    if (n > 2 && !memchr(data, '\0', n) && memmem(data, n, ": ", 2) &&
        (ak_buf_add(&reply.head, data, n) < 0 || ak_buf_add(&reply.head, "", 1) < 0))
        return;
    if (ak_buf_add(&reply.body, data + n, size - n) < 0)
        return;
    if (ak_request_result(&reply, &result, NULL) >= 0) {
        if (json_integer_value(json_object_get(result, "status")) != status)
            abort();
        json_decref(result);
    }
    if (ak_json_parse(data + n, size - n, &tree, NULL) < 0)
        tree = NULL;
    ak_upstream_words(status, tree, ak_buf_text(&reply.body), reply.body.len, words, sizeof(words));
    if (!words[0])
        abort();
}

static void clickhouse(const char *data, size_t size, bool cut)
{
    struct ak_call call = {.max_rows = 10, .max_bytes = 1000};
    AK_AUTO(ak_rows) rows = {0};

    (void)ak_clickhouse_code(data, size);
    if (ak_rows_init(&rows, &call, NULL) < 0 ||
        ak_clickhouse_rows(data, size, cut, &rows, NULL) < 0 ||
        ak_rows_finish(&rows, &call, NULL) < 0)
        return;
    if (call.ret_rows > 10 || call.ret_bytes > 1000)
        abort();
    json_decref(call.ret_result);
}

static void credentials(const char *data, size_t size)
{
    AK_AUTO(ak_service_account) account = {0};
    AK_AUTO(ak_buf) token = {.max = 64u << 10};
    AK_AUTO_PTR(ak_secret) pem = ak_secret_new(data, size);
    EVP_PKEY *key = NULL;

    /* Making sure that it is none takes OpenSSL milliseconds. */
    if (pem && memmem(data, size, "-----BEGIN", 10) && ak_jwt_key_read(pem, &key, NULL) >= 0)
        EVP_PKEY_free(key);
    if (ak_service_account_parse(data, size, &account, NULL) >= 0)
        (void)!ak_jwt_service_account(&account, "scope", 1000, &token, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data + 1;

    if (!size)
        return 0;
    http_request(text, size - 1, data[0] & 1, 100 + (data[0] >> 1) * 4);
    clickhouse(text, size - 1, data[0] & 1);
    credentials(text, size - 1);
    return 0;
}
