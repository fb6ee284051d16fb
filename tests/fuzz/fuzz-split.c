/* SPDX-License-Identifier: Apache-2.0 */
/* However the bytes are cut, the splitter says the same; what it emits of good JSON is good JSON. */
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <ak/json/split.h>
#include <stdlib.h>

struct outcome {
    size_t n_values;
    uint64_t hash;
    int code;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int count_value(enum ak_split_value what, const char *text, size_t len, void *user,
                       struct ak_error **reterr)
{
    struct outcome *out = user;

    (void)reterr;
    if (len < 2 || len > 4096 || (text[0] != '{' && text[0] != '['))
        abort();
    out->n_values++;
    out->hash = ak_hash_bytes(ak_hash_bytes(out->hash, &what, sizeof(what)), text, len);
    return 0;
}

static struct outcome run(enum ak_split_mode mode, const char *data, size_t size, size_t step)
{
    struct outcome out = {.hash = AK_HASH_SEED};
    AK_AUTO_PTR(ak_split) split = ak_split_new(mode, 4096, count_value, &out);

    if (!split)
        abort();
    for (size_t at = 0; at < size && out.code >= 0; at += step)
        out.code = ak_split_feed(split, data + at, AK_MIN(step, size - at), NULL);
    if (out.code >= 0)
        out.code = ak_split_end(split, NULL);
    return out;
}

static void check(enum ak_split_mode mode, const char *data, size_t size, size_t step)
{
    struct outcome whole = run(mode, data, size, size ? size : 1);
    struct outcome cut = run(mode, data, size, step);

    /* Text that is both too large and wrong may fail for either reason first. */
    if (whole.n_values != cut.n_values || whole.hash != cut.hash ||
        (whole.code < 0) != (cut.code < 0))
        abort();
}

/* The first byte says how the rest is cut. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t step = size ? (size_t)data[0] % 16 + 1 : 1;

    if (size == 0)
        return 0;
    check(AK_SPLIT_FRAMES, (const char *)data + 1, size - 1, step);
    check(AK_SPLIT_LIST, (const char *)data + 1, size - 1, step);
    return 0;
}
