/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/runs/oom.h"

#include <ak/base/alloc.h>
#include <ak/base/buf.h>
#include <ak/base/text.h>
#include <string.h>

#define KEY "oom_kill "

static int64_t find_count(char *text)
{
    uint64_t n = 0;

    for (char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        size_t len = strcspn(line, "\n");

        if (!ak_has_prefix(line, KEY))
            continue;
        line[len] = '\0';
        return ak_parse_u64(line + strlen(KEY), &n) < 0 || n > INT32_MAX ? 0 : (int64_t)n;
    }
    return 0;
}

int64_t ak_oom_kills(const char *cgroup)
{
    static const char *const files[] = {"memory.events", "memory/memory.oom_control"};

    for (size_t i = 0; i < AK_ARRAY_LEN(files); i++) {
        AK_AUTO_TEXT char *path = ak_asprintf("%s/%s", cgroup, files[i]);
        AK_AUTO(ak_buf) text = AK_BUF_INIT(8192);

        if (path && ak_buf_add_file(&text, path) >= 0 && text.len > 0)
            return find_count(text.data);
    }
    return 0;
}
