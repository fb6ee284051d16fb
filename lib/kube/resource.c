/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/kube/resource.h>

#include <stdio.h>

#include <ak/base/text.h>

const char *ak_resource_api_version(const struct ak_resource *r, char buf[static 128])
{
    (void)snprintf(buf, 128, "%s%s%s", r->group, r->group[0] ? "/" : "", r->version);
    return buf;
}

static int add_part(struct ak_buf *out, const char *text)
{
    int r = ak_buf_add(out, "/", 1);

    return r < 0 ? r : ak_buf_add_url_escaped(out, text);
}

int ak_resource_path(const struct ak_resource *r, const char *ns, const char *name, const char *sub,
                     struct ak_buf *out)
{
    bool in_ns = r->namespaced && !ak_is_empty(ns);
    /* In order; a part that does not apply is NULL. */
    const char *parts[] = {
        r->group[0] ? "apis" : "api",
        r->group[0] ? r->group : NULL,
        r->version,
        in_ns ? "namespaces" : NULL,
        in_ns ? ns : NULL,
        r->plural,
        name,
        name ? sub : NULL,
    };
    size_t before = out->len;

    /* "pods/" + "" would be the collection: a DELETE of everything. And an object needs its namespace. */
    if ((name && !name[0]) || (name && r->namespaced && !in_ns))
        return -EINVAL;
    for (size_t i = 0; i < AK_ARRAY_LEN(parts); i++) {
        int rc = parts[i] ? add_part(out, parts[i]) : 0;

        if (rc < 0) {
            if (out->data)
                out->data[before] = '\0';
            out->len = before;
            return rc;
        }
    }
    return 0;
}
