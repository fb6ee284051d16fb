/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/flow/route.h>

#include <string.h>

#include <ak/base/text.h>

struct emitting {
    struct ak_queue *queue;
    enum ak_cause cause;
};

static void emit_to_queue(struct ak_key key, void *user)
{
    const struct emitting *e = user;

    /* What the queue refuses it has counted; the manager looks at everything again then. */
    (void)!ak_queue_add(e->queue, key, 0, e->cause);
}

static struct ak_key own_key(const struct ak_object *object)
{
    const struct ak_meta *m = ak_object_meta(object);

    return (struct ak_key){m->namespace_ ? m->namespace_ : "", m->name};
}

void ak_route_change(const struct ak_route *rows, size_t n_rows, const struct ak_change *change,
                     ak_queue_of_fn queue_of, void *queue_user, void *user)
{
    const struct ak_object *object = ak_change_object(change);

    for (size_t i = 0; i < n_rows; i++) {
        const struct ak_route *row = &rows[i];
        struct emitting e = {.cause = row->cause};
        if (row->kind != ak_object_kind(object) || (row->wanted && !row->wanted(change)))
            continue;
        e.queue = queue_of(row->controller, queue_user);
        if (!e.queue)
            continue;
        if (row->keys)
            row->keys(change, emit_to_queue, &e, user);
        else
            emit_to_queue(own_key(object), &e);
    }
}

void ak_route_resync(const struct ak_route *rows, size_t n_rows, const struct ak_object *object,
                     ak_queue_of_fn queue_of, void *queue_user)
{
    for (size_t i = 0; i < n_rows; i++) {
        struct emitting e = {.cause = AK_CAUSE_RESYNC};
        if (rows[i].kind != ak_object_kind(object) || rows[i].keys)
            continue;
        e.queue = queue_of(rows[i].controller, queue_user);
        if (e.queue)
            emit_to_queue(own_key(object), &e);
    }
}

/* Group and kind; the version may differ (an owner reference keeps the one it was written with). */
static bool is_of_kind(const struct ak_owner_ref *ref, const struct ak_resource *r)
{
    const char *slash = ref->api_version ? strchr(ref->api_version, '/') : NULL;
    size_t group_len = slash ? (size_t)(slash - ref->api_version) : 0;

    return ak_streq(ref->kind, r->kind) && strlen(r->group) == group_len &&
           (group_len == 0 || strncmp(ref->api_version, r->group, group_len) == 0);
}

bool ak_route_owner(const struct ak_object *object, const struct ak_resource *owner,
                    struct ak_key *ret)
{
    const struct ak_meta *m = ak_object_meta(object);
    const struct ak_owner_ref *ref = ak_meta_controller(m);

    if (!ref || ak_is_empty(ref->name) || !is_of_kind(ref, owner))
        return false;
    ret->namespace_ = owner->namespaced && m->namespace_ ? m->namespace_ : "";
    ret->name = ref->name;
    return true;
}

void ak_route_owners(const struct ak_change *change, const struct ak_resource *owner,
                     ak_key_emit_fn emit, void *emit_user)
{
    struct ak_key before, after;
    bool had = change->before && ak_route_owner(change->before, owner, &before);
    bool has = change->after && ak_route_owner(change->after, owner, &after);

    if (has)
        emit(after, emit_user);
    if (had && !(has && strcmp(before.name, after.name) == 0))
        emit(before, emit_user);
}

static bool is_same_map(const struct ak_string_map *a, const struct ak_string_map *b)
{
    if (a->len != b->len)
        return false;
    for (size_t i = 0; i < a->len; i++)
        if (strcmp(a->items[i].key, b->items[i].key) != 0 ||
            !ak_streq(a->items[i].value, b->items[i].value))
            return false;
    return true;
}

bool ak_route_spec_changed(const struct ak_change *change)
{
    const struct ak_meta *a, *b;

    if (change->type != AK_CHANGE_UPDATED)
        return true;
    a = ak_object_meta(change->before);
    b = ak_object_meta(change->after);
    return a->generation != b->generation || a->deleting != b->deleting ||
           !is_same_map(&a->labels, &b->labels) || !is_same_map(&a->annotations, &b->annotations);
}
