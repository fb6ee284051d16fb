/* SPDX-License-Identifier: Apache-2.0 */
/* exo KIND list, get: as a table, as text, and again with each change. */
#include <ak/base/text.h>

#include "exo/kinds.h"
#include "exo/objects.h"
#include "exo/output.h"
#include "exo/rows.h"
#include "exo/verbs.h"
#include "exo/watch.h"

static struct ak_objects_query query_of(const struct ak_exo *self, const char *name)
{
    const struct ak_exo_options *o = self->options;
    bool is_table = o->output == AK_OUT_TABLE || o->output == AK_OUT_WIDE;

    return (struct ak_objects_query){
        .resource = ak_kinds_find(o->command->kind),
        .ns = o->all_namespaces ? NULL : self->ns,
        .name = name,
        .selector = o->selector,
        .form = is_table ? AK_OBJECTS_TABLE : AK_OBJECTS_WHOLE,
    };
}

/* Puts one answer into the other: the rows of a table, or an item of a list. */
static int collect(json_t **all, json_t *one, bool is_table)
{
    if (!*all) {
        *all = is_table
                   ? json_incref(one)
                   : json_pack("{ssss s[O]}", "apiVersion", "v1", "kind", "List", "items", one);
        return *all ? 0 : -ENOMEM;
    }
    const char *member = is_table ? "rows" : "items";
    json_t *to = json_object_get(*all, member);
    return (is_table ? json_array_extend(to, json_object_get(one, member))
                     : json_array_append(to, one)) < 0
               ? -ENOMEM
               : 0;
}

/* Each name by itself, as kubectl does it: what is there is shown, and the first failure is the result. */
static int read_names(struct ak_exo *self, json_t **ret, struct ak_error **reterr)
{
    const struct ak_exo_options *o = self->options;
    int first = 0;

    for (size_t i = 0; i < o->n_args; i++) {
        AK_AUTO_PTR(ak_error) err = NULL;
        AK_AUTO_JSON *one = NULL;
        struct ak_objects_query q = query_of(self, o->args[i]);
        int r = ak_objects_read(self, &q, &one, &err);
        if (r >= 0 && collect(ret, one, q.form == AK_OBJECTS_TABLE) < 0)
            return ak_error_oom(reterr);
        if (r >= 0)
            continue;
        if (first < 0)
            ak_screen_complain(&self->screen, "exo: %s", ak_error_message(err));
        else if (reterr)
            *reterr = AK_TAKE(err);
        first = first < 0 ? first : r;
    }
    return first;
}

static int print_nothing(struct ak_exo *self)
{
    const struct ak_exo_options *o = self->options;

    if (o->output == AK_OUT_NAME)
        return 0;
    if (o->all_namespaces)
        ak_screen_complain(&self->screen, "No %s found.", ak_kinds_find(o->command->kind)->plural);
    else
        ak_screen_complain(&self->screen, "No %s found in namespace \"%s\".",
                           ak_kinds_find(o->command->kind)->plural, self->ns);
    return 0;
}

static int print_objects(struct ak_exo *self, json_t *answer, struct ak_error **reterr)
{
    const struct ak_exo_options *o = self->options;
    const struct ak_resource *resource = ak_kinds_find(o->command->kind);
    json_t *items = json_object_get(answer, "items");
    char label[384];
    int r = 0;

    for (size_t i = 0; i < json_array_size(items); i++) {
        json_t *item = json_array_get(items, i);
        const char *name = ak_json_text(item, "metadata", "name", NULL);
        ak_output_strip(item);
        if (o->output == AK_OUT_NAME && r >= 0)
            r = ak_output_line(reterr, "%s", ak_kinds_label(resource, name ? name : "", label));
    }
    if (o->output == AK_OUT_NAME || r < 0)
        return r;
    bool is_one = o->n_args == 1 && json_array_size(items) == 1;
    return ak_output_tree(self, is_one ? json_array_get(items, 0) : answer, reterr);
}

static int print(struct ak_exo *self, json_t *answer, struct ak_rows *rows,
                 struct ak_error **reterr)
{
    bool is_table = json_is_array(json_object_get(answer, "rows"));

    if (!is_table && rows->is_table)
        return ak_error_set(reterr, AK_E_PROTOCOL, "the apiserver did not make a table");
    if (!is_table)
        return print_objects(self, answer, reterr);
    if (!json_array_size(json_object_get(answer, "rows")) && !self->options->watch)
        return print_nothing(self);
    return ak_rows_print(rows, answer, reterr);
}

/* Of a list or table its own, of a single object the object's. */
static const char *version_of(const json_t *answer)
{
    const char *version = ak_json_text(answer, "metadata", "resourceVersion", NULL);
    const json_t *first = json_array_get(json_object_get(answer, "items"), 0);

    return version ? version : ak_json_text(first, "metadata", "resourceVersion", NULL);
}

int ak_verb_list(struct ak_exo *self, struct ak_error **reterr)
{
    const struct ak_exo_options *o = self->options;
    AK_AUTO_PTR(ak_error) first = NULL;
    AK_AUTO(ak_rows) rows = {0};
    AK_AUTO_JSON *answer = NULL;

    if (o->n_args && o->all_namespaces)
        return ak_error_set(reterr, -EINVAL, "a name belongs to one namespace: without -A");
    if (o->n_args && o->selector)
        return ak_error_set(reterr, -EINVAL, "either names or labels");
    if (o->watch && o->n_args > 1)
        return ak_error_set(reterr, -EINVAL, "--watch takes one name at most");
    struct ak_objects_query q = query_of(self, NULL);
    ak_rows_init(&rows, q.form == AK_OBJECTS_TABLE, o->output == AK_OUT_WIDE, !q.ns, o->no_headers);
    int r =
        o->n_args ? read_names(self, &answer, &first) : ak_objects_read(self, &q, &answer, &first);
    if (answer) {
        int printed = print(self, answer, &rows, reterr);
        if (printed < 0)
            return printed;
    }
    if (r < 0) {
        if (reterr)
            *reterr = AK_TAKE(first);
        return r;
    }
    if (!o->watch)
        return AK_EXIT_OK;
    /* From where the list was. A single object is watched as a collection of that name. */
    if (o->n_args)
        q.fields = ak_arena_printf(self->arena, "metadata.name=%s", o->args[0]);
    return ak_watch(self, &q, version_of(answer), &rows, reterr);
}
