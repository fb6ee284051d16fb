/* SPDX-License-Identifier: Apache-2.0 */
/* exo agent apply: server-side apply of what manifests hold, whatever the kind. */
#include <ak/base/text.h>

#include "exo/kinds.h"
#include "exo/manifests.h"
#include "exo/objects.h"
#include "exo/output.h"
#include "exo/verbs.h"

/* What it was before tells created from configured from unchanged; who may not look is told "applied". */
static const char *how(const json_t *before, int looked, const json_t *after)
{
    if (looked == AK_E_NOT_FOUND)
        return "created";
    if (looked < 0)
        return "applied";
    return ak_streq(ak_json_text(before, "metadata", "resourceVersion", NULL),
                    ak_json_text(after, "metadata", "resourceVersion", NULL))
               ? "unchanged"
               : "configured";
}

static int explain(int code, const struct ak_resource *kind, const char *name,
                   struct ak_error **reterr)
{
    if (code == AK_E_CONFLICT)
        return ak_error_wrap(reterr, code, "%s \"%s\" (--force-conflicts takes the fields over)",
                             kind->kind, name);
    return ak_error_wrap(reterr, code, "%s \"%s\"", kind->kind, name);
}

static int apply_one(struct ak_exo *self, json_t *object, struct ak_error **reterr)
{
    const struct ak_exo_options *o = self->options;
    AK_AUTO(ak_buf) path = AK_BUF_INIT(8192);
    AK_AUTO_JSON *before = NULL;
    AK_AUTO_JSON *after = NULL;
    struct ak_resource kind;
    const char *ns;
    char label[384];

    int r = ak_manifests_kind(self, object, &kind, reterr);
    if (r >= 0)
        r = ak_manifests_place(self, object, &kind, &ns, reterr);
    if (r < 0)
        return r;
    const char *name = ak_json_text(object, "metadata", "name", NULL);
    r = ak_resource_path(&kind, ns, name, NULL, &path);
    if (r >= 0)
        r = ak_buf_adds(&path, "?fieldManager=");
    if (r >= 0)
        r = ak_buf_add_url_escaped(&path, o->field_manager);
    if (r >= 0)
        r = ak_buf_addf(&path, "%s%s", o->force_conflicts ? "&force=true" : "",
                        o->dry_run ? "&dryRun=All" : "");
    if (r < 0)
        return ak_error_set(reterr, -EINVAL, "%s \"%s\": not a name", kind.kind, name);
    /* Both are the server's bookkeeping, and refused in an apply: what `get -o yaml` printed can be applied. */
    ak_output_strip(object);
    (void)json_object_del(json_object_get(object, "metadata"), "resourceVersion");
    (void)json_object_del(json_object_get(object, "metadata"), "uid");
    int looked = ak_client_get(self->client, &kind, ns, name, &before, NULL);
    r = ak_objects_send(self, "PATCH", ak_buf_text(&path), "application/apply-patch+yaml", object,
                        &after, reterr);
    if (r < 0)
        return explain(r, &kind, name, reterr);
    return ak_output_line(reterr, "%s %s%s", ak_kinds_label(&kind, name, label),
                          how(before, looked, after), o->dry_run ? " (dry run)" : "");
}

int ak_verb_apply(struct ak_exo *self, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_error) first = NULL;
    AK_AUTO_JSON *objects = NULL;
    int failed = 0;

    if (!self->options->files.len)
        return ak_error_set(reterr, -EINVAL, "agent apply needs -f FILE");
    int r = ak_manifests_read(self, &objects, reterr);
    if (r < 0)
        return r;
    /* One that fails does not keep the others back. */
    for (size_t i = 0; i < json_array_size(objects); i++) {
        AK_AUTO_PTR(ak_error) err = NULL;
        r = apply_one(self, json_array_get(objects, i), &err);
        if (r >= 0)
            continue;
        if (failed++)
            ak_screen_complain(&self->screen, "exo: %s", ak_error_message(err));
        else
            first = AK_TAKE(err);
    }
    if (failed) {
        r = ak_error_code(first);
        if (reterr)
            *reterr = AK_TAKE(first);
        return r;
    }
    return AK_EXIT_OK;
}
