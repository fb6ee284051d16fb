/* SPDX-License-Identifier: Apache-2.0 */
/* exo agent delete: by name, by labels, or what manifests hold. */
#include <time.h>

#include <ak/base/text.h>

#include "exo/kinds.h"
#include "exo/manifests.h"
#include "exo/objects.h"
#include "exo/output.h"
#include "exo/verbs.h"

#define LOOK_AGAIN 250 /* ms */
#define DEFAULT_TIMEOUT AK_MINUTES(5)

static bool is_gone(struct ak_exo *self, const struct ak_resource *kind, const char *ns,
                    const char *name, const char *uid)
{
    AK_AUTO_JSON *now = NULL;
    int r = ak_client_get(self->client, kind, ns, name, &now, NULL);

    return r == AK_E_NOT_FOUND ||
           (r >= 0 && uid && !ak_streq(uid, ak_json_text(now, "metadata", "uid", NULL)));
}

static int wait_gone(struct ak_exo *self, const struct ak_resource *kind, const char *ns,
                     const char *name, const char *uid, struct ak_error **reterr)
{
    static const struct timespec nap = {.tv_nsec = LOOK_AGAIN * 1000000L};
    ak_msec span = self->options->timeout ? self->options->timeout : DEFAULT_TIMEOUT;
    ak_msec deadline = ak_now() + span;

    while (!is_gone(self, kind, ns, name, uid)) {
        if (ak_now() >= deadline)
            return ak_error_set(reterr, -ETIMEDOUT, "%s \"%s\" is being deleted, but not gone yet",
                                kind->kind, name);
        (void)nanosleep(&nap, NULL);
    }
    return 0;
}

static int delete_one(struct ak_exo *self, const struct ak_resource *kind, const char *ns,
                      const char *name, struct ak_error **reterr)
{
    const struct ak_exo_options *o = self->options;
    AK_AUTO(ak_buf) path = AK_BUF_INIT(8192);
    AK_AUTO_JSON *answer = NULL;
    char label[384];

    if (ak_resource_path(kind, ns, name, NULL, &path) < 0 ||
        ak_buf_addf(&path, "?propagationPolicy=Background%s", o->dry_run ? "&dryRun=All" : "") < 0)
        return ak_error_set(reterr, -EINVAL, "%s \"%s\": not a name", kind->kind, name);
    int r = ak_objects_send(self, "DELETE", ak_buf_text(&path), NULL, NULL, &answer, reterr);
    if (r == AK_E_NOT_FOUND && o->ignore_not_found) {
        if (reterr)
            *reterr = ak_error_free(*reterr);
        return 0;
    }
    if (r < 0)
        return r;
    r = ak_output_line(reterr, "%s deleted%s", ak_kinds_label(kind, name, label),
                       o->dry_run ? " (dry run)" : "");
    if (r < 0 || !o->wait || o->dry_run)
        return r;
    const char *uid = ak_json_text(answer, "metadata", "uid", NULL);
    if (!uid) /* a Status: gone at once */
        uid = ak_json_text(answer, "details", "uid", NULL);
    return wait_gone(self, kind, ns, name, uid, reterr);
}

static int delete_manifests(struct ak_exo *self, struct ak_error **reterr)
{
    AK_AUTO_JSON *objects = NULL;
    int r = ak_manifests_read(self, &objects, reterr);

    for (size_t i = json_array_size(objects); r >= 0 && i-- > 0;) { /* the last first */
        json_t *one = json_array_get(objects, i);
        struct ak_resource kind;
        const char *ns;
        r = ak_manifests_kind(self, one, &kind, reterr);
        if (r >= 0)
            r = ak_manifests_place(self, one, &kind, &ns, reterr);
        if (r >= 0)
            r = delete_one(self, &kind, ns, ak_json_text(one, "metadata", "name", NULL), reterr);
    }
    return r;
}

static int delete_selected(struct ak_exo *self, const struct ak_resource *kind,
                           struct ak_error **reterr)
{
    const struct ak_objects_query q = {
        .resource = kind,
        .ns = self->ns,
        .selector = self->options->selector,
        .form = AK_OBJECTS_METADATA,
    };
    AK_AUTO_JSON *list = NULL;
    int r = ak_objects_read(self, &q, &list, reterr);
    const json_t *items = json_object_get(list, "items");

    for (size_t i = 0; r >= 0 && i < json_array_size(items); i++) {
        const char *name = ak_json_text(json_array_get(items, i), "metadata", "name", NULL);
        if (name)
            r = delete_one(self, kind, self->ns, name, reterr);
    }
    if (r >= 0 && !json_array_size(items))
        ak_screen_complain(&self->screen, "No %s found in namespace \"%s\".", kind->plural,
                           self->ns);
    return r;
}

int ak_verb_delete(struct ak_exo *self, struct ak_error **reterr)
{
    const struct ak_exo_options *o = self->options;
    const struct ak_resource *kind = ak_kinds_find(o->command->kind);
    int r = 0;

    if ((o->n_args > 0) + (o->files.len > 0) + (o->selector != NULL) != 1)
        return ak_error_set(reterr, -EINVAL, "agent delete needs names, or -f FILE, or -l LABELS");
    if (o->files.len)
        r = delete_manifests(self, reterr);
    else if (o->selector)
        r = delete_selected(self, kind, reterr);
    for (size_t i = 0; r >= 0 && i < o->n_args; i++)
        r = delete_one(self, kind, self->ns, o->args[i], reterr);
    return r < 0 ? r : AK_EXIT_OK;
}
