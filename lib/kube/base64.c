/* SPDX-License-Identifier: Apache-2.0 */
#include "config_internal.h"

#include <limits.h>
#include <openssl/evp.h>
#include <string.h>

#include <ak/base/alloc.h>

void ak__wipe_text(const char *text)
{
    if (text)
        ak_wipe((void *)(uintptr_t)text, strlen(text));
}

int ak__base64_decode(const char *text, struct ak_buf *out)
{
    size_t len = strlen(text);
    EVP_ENCODE_CTX *ctx;
    unsigned char *raw;
    int n = 0, rest = 0, r = -EINVAL;

    if (len > INT_MAX / 2)
        return AK_E_TOO_LARGE;
    ctx = EVP_ENCODE_CTX_new();
    raw = ak_malloc(len + 4);
    if (!ctx || !raw) {
        r = -ENOMEM;
        goto out;
    }
    /* Line breaks inside are fine, as they are for YAML's folded texts. */
    EVP_DecodeInit(ctx);
    if (EVP_DecodeUpdate(ctx, raw, &n, (const unsigned char *)text, (int)len) >= 0 &&
        EVP_DecodeFinal(ctx, raw + n, &rest) >= 0)
        r = ak_buf_add(out, raw, (size_t)n + (size_t)rest);
    ak_wipe(raw, len + 4);
out:
    EVP_ENCODE_CTX_free(ctx);
    ak_free(raw);
    return r;
}

int ak__base64_encode(const void *data, size_t len, struct ak_buf *out)
{
    unsigned char *text;
    int n, r;

    if (len > INT_MAX / 2)
        return AK_E_TOO_LARGE;
    text = ak_malloc(len / 3 * 4 + 8);
    if (!text)
        return -ENOMEM;
    n = EVP_EncodeBlock(text, data, (int)len);
    r = ak_buf_add(out, text, (size_t)n);
    ak_wipe(text, (size_t)n);
    ak_free(text);
    return r;
}
