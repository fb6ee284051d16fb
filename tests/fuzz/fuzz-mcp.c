/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to the keeper's MCP endpoint. Whatever comes in, what goes out is JSON with the id that came in. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/mcp/methods.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_answer(const struct ak_buf *out, const json_t *id)
{
    AK_AUTO_JSON *tree = NULL;
    const json_t *got;

    if (ak_json_parse(ak_buf_text(out), out->len, &tree, NULL) < 0)
        abort();
    got = json_object_get(tree, "id");
    if (id ? !json_equal(got, id) : !json_is_null(got))
        abort();
}

static void answer(const struct ak_mcp_message *m, enum ak_mcp_era era)
{
    const struct ak_mcp_headers headers = {AK_MCP_STATELESS, m->method, "echo"};
    AK_AUTO(ak_mcp_fault) fault = {0};
    AK_AUTO(ak_buf) out = AK_BUF_INIT(AK_MCP_MAX_REPLY);
    AK_AUTO_JSON *result = NULL;
    int r = era == AK_MCP_NO_SESSIONS ? ak_mcp_check_headers(m, &headers, &fault) : 0;

    if (r >= 0)
        r = ak_mcp_method_run(m, era, &ak_mcp_no_tools, &result, &fault);
    if (r == -EPROTO ? !fault.code || ak_mcp_write_fault(m->id, &fault, &out) < 0
                     : r < 0 || ak_mcp_write_result(m->id, result, &out) < 0)
        abort();
    expect_answer(&out, m->id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AK_AUTO(ak_mcp_message) m = {0};
    AK_AUTO(ak_mcp_fault) fault = {0};
    AK_AUTO(ak_buf) out = AK_BUF_INIT(AK_MCP_MAX_REPLY);

    if (ak_mcp_message_read((const char *)data, size, &m, &fault) < 0) {
        if (!fault.code || ak_mcp_write_fault(m.id, &fault, &out) < 0)
            abort();
        expect_answer(&out, m.id);
    } else if (m.kind == AK_MCP_REQUEST) {
        answer(&m, AK_MCP_SESSIONS);
        answer(&m, AK_MCP_NO_SESSIONS);
    }
    return 0;
}
