/* SPDX-License-Identifier: Apache-2.0 */
/* What parses can be written, what was written parses to the same, and jansson alone reads all of it the same way. */
#include <ak/json/json.h>
#include <stdlib.h>

/* NULL: not JSON. */
static void compare_with_jansson(const char *data, size_t size, const json_t *tree)
{
    json_error_t error;
    AK_AUTO_JSON *theirs = json_loadb(data, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);

    if (!theirs != !tree || (tree && !json_equal(tree, theirs)))
        abort();
}

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
        if (r == AK_E_INVALID)
            compare_with_jansson((const char *)data, size, NULL);
        return 0;
    }
    compare_with_jansson((const char *)data, size, tree);
    if (ak_json_write(tree, &text, NULL) < 0)
        abort();
    if (ak_json_parse(text.data, text.len, &again, NULL) < 0)
        abort();
    if (ak_json_hash(tree) != ak_json_hash(again))
        abort();
    return 0;
}
