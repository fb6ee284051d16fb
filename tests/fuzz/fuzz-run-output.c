/* SPDX-License-Identifier: Apache-2.0 */
/* What a program prints belongs to the model that it runs. The first byte chooses the format, the rest is
 * its output. Every line is understood or passed on, and there is a verdict at the end. */
#include "runtimes/reader.h"

#include <ak/json/json.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int check_event(void *user, const char *type, json_t *data)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(64 << 20);
    if (!type[0] || !json_is_object(data) || ak_json_write(data, &text, NULL) < 0)
        abort();
    (*(size_t *)user)++;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AK_AUTO(ak_reader) reader;
    struct ak_reader_verdict verdict;
    size_t events = 0;

    ak_reader_init(&reader, (enum ak_output_format)(size > 0 ? data[0] % AK_OUTPUT_MAX : 0));
    if (size == 0)
        return 0;
    const char *at = (const char *)data + 1, *stop = (const char *)data + size;
    while (at < stop) {
        const char *end = memchr(at, '\n', (size_t)(stop - at));
        size_t len = (size_t)((end ? end : stop) - at);
        if (ak_reader_line(&reader, at, len, check_event, &events) < 0)
            abort();
        at += len + 1;
    }
    ak_reader_end(&reader, data[0] >> 7, &verdict);
    if (!verdict.reason || (verdict.succeeded && data[0] >> 7))
        abort();
    if (verdict.result && strlen(verdict.result) > AK_READER_MAX_RESULT)
        abort();
    return 0;
}
