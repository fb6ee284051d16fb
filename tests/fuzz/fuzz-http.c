/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to our server. The first byte says in how large steps the rest arrives; whatever the steps are, the same
 * request must come out. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/net/http_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The number of requests, and a sum over what they are. */
static size_t run(const char *data, size_t len, size_t step, uint64_t *ret_sum)
{
    struct ak__http_parser p;
    size_t at = 0, n = 0;
    int r = 0;

    ak__http_parser_init(&p, 4096, 4096);
    while (at < len && r >= 0) {
        size_t used = 0;

        r = ak__http_parser_feed(&p, data + at, len - at < step ? len - at : step, &used);
        at += used;
        if (r == 1) {
            n++;
            *ret_sum += strlen(p.method) + strlen(p.path) * 3 + strlen(p.query) * 5 +
                        p.body.len * 7 + p.n_lines * 11;
            if (ak__http_parser_header(&p, "Host") && p.n_lines == 0)
                abort();
            ak__http_parser_reset(&p);
        }
    }
    ak__http_parser_done(&p);
    return r < 0 ? n * 2 + 1 : n * 2;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t whole = 0, pieces = 0;
    size_t step = size ? (size_t)data[0] % 16 + 1 : 1;
    const char *text = (const char *)data + (size ? 1 : 0);
    size_t len = size ? size - 1 : 0;

    if (run(text, len, len, &whole) != run(text, len, step, &pieces) || whole != pieces)
        abort();
    return 0;
}
