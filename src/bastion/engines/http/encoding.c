/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/http/encoding.h"

#include <limits.h>
#include <openssl/evp.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/error.h>
#include <ak/base/secret.h>

int ak_base64_add(struct ak_buf *out, const void *data, size_t len)
{
    unsigned char *text;
    int n, r;

    if (len > INT_MAX / 2)
        return AK_E_TOO_LARGE;
    text = ak_malloc((len + 2) / 3 * 4 + 1);
    if (!text)
        return -ENOMEM;
    n = EVP_EncodeBlock(text, data, (int)len);
    r = ak_buf_add(out, text, (size_t)n);
    ak_wipe(text, (size_t)n);
    ak_free(text);
    return r;
}

int ak_base64url_add(struct ak_buf *out, const void *data, size_t len)
{
    size_t from = out->len;
    int r = ak_base64_add(out, data, len);

    if (r < 0)
        return r;
    while (out->len > from && out->data[out->len - 1] == '=')
        out->data[--out->len] = '\0';
    for (size_t i = from; i < out->len; i++) {
        if (out->data[i] == '+')
            out->data[i] = '-';
        else if (out->data[i] == '/')
            out->data[i] = '_';
    }
    return 0;
}

int ak_base64_read(struct ak_buf *out, const char *text, size_t len)
{
    EVP_ENCODE_CTX *ctx;
    unsigned char *raw;
    int n = 0, rest = 0, r = -EINVAL;

    if (len > INT_MAX / 2)
        return AK_E_TOO_LARGE;
    ctx = EVP_ENCODE_CTX_new();
    raw = ak_malloc(len + 4);
    if (!ctx || !raw) {
        r = -ENOMEM;
    } else {
        EVP_DecodeInit(ctx);
        if (EVP_DecodeUpdate(ctx, raw, &n, (const unsigned char *)text, (int)len) >= 0 &&
            EVP_DecodeFinal(ctx, raw + n, &rest) >= 0)
            r = ak_buf_add(out, raw, (size_t)n + (size_t)rest);
    }
    if (raw)
        ak_wipe(raw, len + 4);
    EVP_ENCODE_CTX_free(ctx);
    ak_free(raw);
    return r;
}
