/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What client programs print: as text, as rows in the three ways that they come in, with a password to be blotted
 * out. The first byte: bit 0 the output is cut, bits 1 and 2 which rows, the rest how many of them are wanted.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <ak/base/alloc.h>

#include "bastion/engines/process/output.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void rows(const char *text, size_t len, uint8_t how)
{
    static const struct {
        char separator, end;
        bool quoted;
    } kinds[] = {
        {'\t', '\n', false}, {',', '\n', true}, {'\x1f', '\x1e', false}, {'|', '\n', true}};
    const int64_t max = how >> 3;
    struct ak_call call = {.max_rows = max, .max_bytes = 1 << 20};
    const json_t *columns, *list, *row;
    size_t i;

    if (ak_output_rows(text, len, kinds[how >> 1 & 3].separator, kinds[how >> 1 & 3].end,
                       kinds[how >> 1 & 3].quoted, how & 1, &call, NULL) < 0)
        return;
    columns = json_object_get(call.ret_result, "columns");
    list = json_object_get(call.ret_result, "rows");
    if (!json_is_array(list) || (int64_t)json_array_size(list) > max ||
        call.ret_rows != (int64_t)json_array_size(list))
        abort();
    json_array_foreach(list, i, row) if (json_array_size(row) != json_array_size(columns)) abort();
    json_decref(call.ret_result);
}

static void text(const char *data, size_t len, bool cut)
{
    static const struct ak_symptom symptoms[] = {{"denied", AK_E_FORBIDDEN},
                                                 {"refused", -ECONNREFUSED}};
    AK_AUTO(ak_client_output) output = {.text = ak_malloc(len + 1), .len = len, .truncated = cut};
    AK_AUTO_PTR(ak_error) err = NULL;
    struct ak_probe_result probe = {.reachable = false};
    struct ak_call call = {.max_rows = 1};

    if (!output.text)
        return;
    memcpy(output.text, data, len);
    output.text[len] = '\0';
    ak_output_scrub(&output, "s3cret");
    if (memmem(output.text, output.len, "s3cret", 6))
        abort();
    (void)!ak_output_fail(ak_output_diagnose(symptoms, AK_ARRAY_LEN(symptoms), output.text),
                          output.text, &err);
    ak_output_probe(AK_E_INVALID, output.text, &probe);
    if (ak_output_text(&output, &call, NULL) >= 0) {
        if (!json_is_string(json_object_get(call.ret_result, "text")))
            abort();
        json_decref(call.ret_result);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    rows((const char *)data + 1, size - 1, data[0]);
    text((const char *)data + 1, size - 1, data[0] & 1);
    return 0;
}
