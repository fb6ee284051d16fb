/* SPDX-License-Identifier: Apache-2.0 */
/* What parses can be written, and what was written parses to the same. */
#include <ak/json/json.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_JSON_MAX_BYTES);
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *tree = NULL;
    AK_AUTO_JSON *again = NULL;
    int r;

    r = ak_json_parse((const char *)data, size, &tree, &err);
    if (r < 0) {
        if (tree || !err || ak_error_code(err) != r)
            abort();
        return 0;
    }
    if (ak_json_write(tree, &text, NULL) < 0)
        abort();
    if (ak_json_parse(text.data, text.len, &again, NULL) < 0)
        abort();
    if (ak_json_hash(tree) != ak_json_hash(again))
        abort();
    return 0;
}
