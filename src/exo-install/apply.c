/* SPDX-License-Identifier: Apache-2.0 */
#include "exo-install/apply.h"

#include <stdio.h>

#include <ak/base/text.h>

#include "exo-install/preflight.h"

/* Labels and notes of a release that is gone would make Helm, and us, think that it is there. */
static int drop_leftovers(struct ak_install *self, const json_t *live, struct ak_error **reterr)
{
    enum ak_origin origin;

    int r = ak_preflight_origin(self, live, &origin, NULL, reterr);
    if (r < 0 || origin != AK_ORIGIN_LEFTOVER)
        return r;
    AK_AUTO_JSON *notes = json_pack("{snsnsn}", "meta.helm.sh/release-name",
                                    "meta.helm.sh/release-namespace", "helm.sh/resource-policy");
    AK_AUTO_JSON *labels = json_pack("{snsn}", "helm.sh/chart", "app.kubernetes.io/managed-by");
    AK_AUTO_JSON *body = json_pack("{s{sOsO}}", "metadata", "annotations", notes, "labels", labels);
    if (!body)
        return ak_error_oom(reterr);
    return ak_cluster_patch(self, ak_json_text(live, "kind", NULL),
                            ak_json_text(live, "metadata", "namespace", NULL),
                            ak_json_text(live, "metadata", "name", NULL), body, reterr);
}

/* A busy or restarting apiserver is waited for, within --timeout. */
static int apply_patiently(struct ak_install *self, const json_t *object, uint32_t how,
                           json_t **ret, struct ak_error **reterr)
{
    for (;;) {
        AK_AUTO_PTR(ak_error) err = NULL;
        int r = ak_cluster_apply(self, object, how, ret, &err);
        if (r >= 0)
            return r;
        if (ak_cluster_is_transient(r) && ak_cluster_may_wait(self)) {
            ak_screen_wait(&self->screen, "trying again: %s", ak_error_message(err));
            continue;
        }
        if (reterr)
            *reterr = AK_TAKE(err);
        return r;
    }
}

static const char *what_happened(const json_t *before, const json_t *after)
{
    const char *old = ak_json_text(before, "metadata", "resourceVersion", NULL);
    if (!before)
        return "created";
    return ak_streq(old, ak_json_text(after, "metadata", "resourceVersion", NULL)) ? "unchanged"
                                                                                   : "configured";
}

static int apply_object(struct ak_install *self, const json_t *object, struct ak_error **reterr)
{
    AK_AUTO_JSON *before = NULL;
    AK_AUTO_JSON *after = NULL;
    const struct ak_resource *res;
    char label[384];
    uint32_t how = 0;

    int r = ak_cluster_kind_of(object, &res, reterr);
    if (r < 0)
        return r;
    (void)ak_cluster_label(res, ak_json_text(object, "metadata", "name", NULL), label);
    r = ak_cluster_find_live(self, object, &before, reterr);
    if (r >= 0 && before)
        r = drop_leftovers(self, before, reterr);
    if (r < 0)
        return r;
    if (self->options->force_conflicts || ak_streq(res->kind, "CustomResourceDefinition"))
        how |= AK_APPLY_FORCE;
    r = apply_patiently(self, object, how, &after, reterr);
    if (r == AK_E_CONFLICT)
        return ak_error_wrap(reterr, r,
                             "%s: fields are set by somebody else (--force-conflicts sets them to "
                             "what this version needs)",
                             label);
    if (r < 0)
        return ak_error_wrap(reterr, r, "%s", label);
    ak_screen_done(&self->screen, label, what_happened(before, after));
    return 0;
}

int ak_apply_objects(struct ak_install *self, const json_t *objects, struct ak_error **reterr)
{
    int r = 0;
    for (size_t i = 0; r >= 0 && i < json_array_size(objects); i++)
        r = apply_object(self, json_array_get(objects, i), reterr);
    return r;
}

static int print_yaml(const json_t *objects, struct ak_buf *out, struct ak_error **reterr)
{
    for (size_t i = 0; i < json_array_size(objects); i++) {
        if (ak_buf_adds(out, "---\n") < 0)
            return ak_error_oom(reterr);
        int r = ak_yaml_write(json_array_get(objects, i), out, reterr);
        if (r < 0)
            return r;
    }
    return 0;
}

int ak_apply_print(const struct ak_install *self, const json_t *objects, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_JSON_MAX_BYTES);
    int r;

    if (self->options->output == AK_OUTPUT_JSON) {
        AK_AUTO_JSON *list =
            json_pack("{sssssO}", "apiVersion", "v1", "kind", "List", "items", objects);
        r = list ? ak_json_write(list, &text, reterr) : ak_error_oom(reterr);
        if (r >= 0)
            r = ak_buf_adds(&text, "\n");
    } else {
        r = print_yaml(objects, &text, reterr);
    }
    if (r < 0)
        return r;
    if (fwrite(ak_buf_text(&text), 1, text.len, stdout) != text.len || fflush(stdout) != 0)
        return ak_error_set(reterr, -EIO, "standard output cannot be written");
    return 0;
}
