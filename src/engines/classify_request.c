/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/text.h>
#include <string.h>
#include <strings.h>

#include "engines/classify.h"
#include "engines/policy.h"

#define SEGMENTS_MAX 16

struct segment {
    const char *text;
    size_t len;
};

/* Parts of a path without its query; what is beyond the last one that fits is left out. */
static size_t split(const char *path, struct segment *out)
{
    size_t n = 0;

    while (*path == '/' && n < SEGMENTS_MAX) {
        size_t len = strcspn(++path, "/?#");
        out[n++] = (struct segment){path, len};
        path += len;
    }
    return n;
}

static bool is(const struct segment *s, const char *word)
{
    return s->len == strlen(word) && strncmp(s->text, word, s->len) == 0;
}

static bool is_any(const struct segment *s, const char *const *words)
{
    for (; *words; words++)
        if (is(s, *words))
            return true;
    return false;
}

/* The first part that begins with "_" is the one that Elasticsearch acts on; what follows may be a name. */
static bool is_search(const char *path)
{
    static const char *const words[] = {"_search",        "_count",   "_msearch",  "_mget",
                                        "_field_caps",    "_explain", "_validate", "_analyze",
                                        "_terms_enum",    "_sql",     "_eql",      "_rank_eval",
                                        "_search_shards", NULL};
    struct segment parts[SEGMENTS_MAX];
    size_t n = split(path, parts);

    for (size_t i = 0; i < n; i++)
        if (parts[i].len && parts[i].text[0] == '_')
            return is_any(&parts[i], words);
    return false;
}

/* Parts of Kubernetes' API that are opened by GET and can do anything. */
static bool is_tunnel(const char *path)
{
    static const char *const owners[] = {"pods", "services", "nodes", NULL};
    static const char *const tunnels[] = {"exec", "attach", "portforward", "proxy",
                                          "run",  "cri",    NULL};
    struct segment parts[SEGMENTS_MAX];
    size_t n = split(path, parts);

    for (size_t i = 0; i + 2 < n; i++)
        if (is_any(&parts[i], owners) && is_any(&parts[i + 2], tunnels))
            return true;
    return false;
}

enum ak_statement_class ak_classify_http(enum ak_tool_type type, const char *method,
                                         const char *path)
{
    bool reads = ak_streq(method, "GET") || ak_streq(method, "HEAD") || ak_streq(method, "OPTIONS");
    bool writes = ak_streq(method, "POST") || ak_streq(method, "PUT") ||
                  ak_streq(method, "PATCH") || ak_streq(method, "DELETE");
    bool is_plain = path && ak_http_path_is_plain(path);

    if (type == AK_TOOL_TYPE_KUBERNETES && path && (!is_plain || is_tunnel(path)))
        return AK_CLASS_ADMIN;
    if (reads)
        return AK_CLASS_READ;
    if (type == AK_TOOL_TYPE_ELASTICSEARCH && ak_streq(method, "POST") && is_plain &&
        is_search(path))
        return AK_CLASS_READ;
    return writes ? AK_CLASS_WRITE : AK_CLASS_UNKNOWN;
}
