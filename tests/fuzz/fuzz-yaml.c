/* SPDX-License-Identifier: Apache-2.0 */
/* What parses as YAML can be written as YAML, and reads back as the same tree. */
#include <ak/json/json.h>
#include <stdlib.h>
#include <string.h>

/* Tabs and other control characters are quoted in ways that differ; the tree must not. */
#define OUTPUT_MAX ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_document(const json_t *tree)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(OUTPUT_MAX);
    AK_AUTO_JSON *again = NULL;

    if (ak_yaml_write(tree, &text, NULL) < 0)
        return; /* aliases may have made it too large to write */
    if (text.len > AK_JSON_MAX_BYTES)
        return;
    if (ak_yaml_parse(text.data, text.len, &again, NULL) < 0)
        abort();
    if (ak_json_hash(tree) != ak_json_hash(again))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *all = NULL;
    AK_AUTO_JSON *first = NULL;
    int r;

    r = ak_yaml_parse_all((const char *)data, size, &all, &err);
    if (r < 0) {
        if (all || !err || ak_error_code(err) != r)
            abort();
        return 0;
    }
    for (size_t i = 0; i < json_array_size(all); i++)
        check_document(json_array_get(all, i));
    if (ak_yaml_parse((const char *)data, size, &first, NULL) < 0)
        abort();
    return 0;
}
