/* SPDX-License-Identifier: Apache-2.0 */
#include "exo/manifests.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <ak/base/text.h>

#include "exo/kinds.h"
#include "exo/output.h"

static int read_all(const char *file, struct ak_buf *out, struct ak_error **reterr)
{
    char some[16384];
    ssize_t n = 0;
    int r = 0;

    if (!ak_streq(file, "-")) {
        r = ak_buf_add_file(out, file);
        return r < 0 ? ak_error_set(reterr, -EINVAL, "%s: %s", file, ak_code_text(r)) : 0;
    }
    while (r >= 0 && (n = read(STDIN_FILENO, some, sizeof(some))) != 0) {
        if (n < 0 && errno != EINTR)
            return ak_error_set(reterr, -errno, "standard input: %s", ak_code_text(-errno));
        if (n > 0)
            r = ak_buf_add(out, some, (size_t)n);
    }
    return r < 0 ? ak_error_set(reterr, -EINVAL, "standard input: %s", ak_code_text(r)) : 0;
}

static int add_documents(json_t *all, json_t *documents, const char *file, struct ak_error **reterr)
{
    for (size_t i = 0; i < json_array_size(documents); i++) {
        json_t *one = json_array_get(documents, i);
        json_t *items = json_object_get(one, "items");
        const char *kind = ak_json_text(one, "kind", NULL);
        if (!json_is_object(one) || !kind || !ak_json_text(one, "apiVersion", NULL))
            return ak_error_set(reterr, -EINVAL, "%s: document %zu has no apiVersion or kind", file,
                                i + 1);
        if (ak_has_suffix(kind, "List") && json_is_array(items)) {
            int r = add_documents(all, items, file, reterr);
            if (r < 0)
                return r;
        } else if (json_array_append(all, one) < 0) {
            return ak_error_oom(reterr);
        }
    }
    return 0;
}

int ak_manifests_read(struct ak_exo *self, json_t **ret_array, struct ak_error **reterr)
{
    const struct ak_flag_list *files = &self->options->files;
    AK_AUTO_JSON *all = json_array();
    int r = all ? 0 : ak_error_oom(reterr);

    for (size_t i = 0; r >= 0 && i < files->len; i++) {
        AK_AUTO(ak_buf) text = {.max = AK_MANIFESTS_MAX, .wipe = true};
        AK_AUTO_JSON *documents = NULL;
        const char *file = ak_streq(files->items[i], "-") ? "standard input" : files->items[i];
        r = read_all(files->items[i], &text, reterr);
        if (r < 0)
            break;
        r = ak_yaml_parse_all(ak_buf_text(&text), text.len, &documents, reterr);
        if (r < 0) {
            r = ak_error_wrap(reterr, -EINVAL, "%s", file);
            break;
        }
        r = add_documents(all, documents, file, reterr);
    }
    if (r >= 0 && !json_array_size(all))
        r = ak_error_set(reterr, -EINVAL, "nothing in what --filename names");
    if (r >= 0)
        *ret_array = AK_TAKE(all);
    return r;
}

static int find_in_list(struct ak_exo *self, const json_t *list, struct ak_resource *ret,
                        struct ak_error **reterr)
{
    const json_t *resources = json_object_get(list, "resources");

    for (size_t i = 0; i < json_array_size(resources); i++) {
        const json_t *one = json_array_get(resources, i);
        const char *name = ak_json_text(one, "name", NULL);
        if (!name || strchr(name, '/') || !ak_streq(ak_json_text(one, "kind", NULL), ret->kind))
            continue;
        ret->plural = ak_arena_strdup(self->arena, name);
        ret->namespaced = json_is_true(json_object_get(one, "namespaced"));
        return ret->plural ? 0 : ak_error_oom(reterr);
    }
    return ak_error_set(reterr, AK_E_NOT_FOUND, "this cluster has no kind \"%s\" in %s%s%s",
                        ret->kind, ret->group, ret->group[0] ? "/" : "", ret->version);
}

int ak_manifests_kind(struct ak_exo *self, const json_t *object, struct ak_resource *ret,
                      struct ak_error **reterr)
{
    const char *version = ak_json_text(object, "apiVersion", NULL);
    const char *kind = ak_json_text(object, "kind", NULL);
    const char *slash = version ? strchr(version, '/') : NULL;
    AK_AUTO(ak_buf) path = AK_BUF_INIT(1024);
    AK_AUTO_JSON *list = NULL;

    if (!version || !kind)
        return ak_error_set(reterr, -EINVAL, "an object without apiVersion or kind");
    *ret = (struct ak_resource){
        .group = slash ? ak_arena_strndup(self->arena, version, (size_t)(slash - version)) : "",
        .version = ak_arena_strdup(self->arena, slash ? slash + 1 : version),
        .kind = ak_arena_strdup(self->arena, kind),
    };
    if (!ret->group || !ret->version || !ret->kind)
        return ak_error_oom(reterr);
    const struct ak_resource *known = ak_kinds_find(kind);
    if (known && ak_streq(known->group, ret->group) && ak_streq(known->version, ret->version)) {
        *ret = *known;
        return 0;
    }
    int r = ak_buf_adds(&path, slash ? "/apis/" : "/api/");
    if (r >= 0 && slash)
        r = ak_buf_add_url_escaped(&path, ret->group);
    if (r >= 0 && slash)
        r = ak_buf_adds(&path, "/");
    if (r >= 0)
        r = ak_buf_add_url_escaped(&path, ret->version);
    if (r < 0)
        return ak_error_set(reterr, -EINVAL, "apiVersion \"%s\" is too long", version);
    const struct ak_call call = {.method = "GET", .path = ak_buf_text(&path)};
    r = ak_client_call(self->client, &call, &list, reterr);
    if (r == AK_E_NOT_FOUND)
        return ak_error_set(reterr, r, "this cluster has no \"%s\"", version);
    return r < 0 ? r : find_in_list(self, list, ret, reterr);
}

int ak_manifests_place(struct ak_exo *self, json_t *object, const struct ak_resource *r,
                       const char **ret_ns, struct ak_error **reterr)
{
    const char *own = ak_json_text(object, "metadata", "namespace", NULL);
    const char *asked = self->options->namespace_;

    *ret_ns = NULL;
    if (!ak_json_text(object, "metadata", "name", NULL))
        return ak_error_set(reterr, -EINVAL, "%s: metadata.name: must be set", r->kind);
    if (!r->namespaced)
        return 0;
    if (own && asked && !ak_streq(own, asked))
        return ak_error_set(reterr, -EINVAL, "%s \"%s\" is for namespace \"%s\", not \"%s\" (-n)",
                            r->kind, ak_json_text(object, "metadata", "name", NULL), own, asked);
    *ret_ns = own ? own : self->ns;
    if (!own && json_object_set_new(json_object_get(object, "metadata"), "namespace",
                                    json_string(self->ns)) < 0)
        return ak_error_oom(reterr);
    return 0;
}
