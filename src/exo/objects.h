/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects of one kind, asked from the apiserver with the user's own rights. Tables are made by the
 * apiserver from the definition's printer columns, so that exo and kubectl show the same.
 */
#ifndef AK_EXO_OBJECTS_H
#define AK_EXO_OBJECTS_H

#include "exo/exo.h"

#define AK_OBJECTS_PAGE 500
#define AK_OBJECTS_MAX 200000 /* of one list; more is AK_E_TOO_LARGE */
#define AK_OBJECTS_MAX_PATH (64u << 10)

enum ak_objects_form {
    AK_OBJECTS_WHOLE,
    AK_OBJECTS_TABLE,    /* meta.k8s.io/v1 Table */
    AK_OBJECTS_METADATA, /* PartialObjectMetadata */
};
struct ak_objects_query {
    const struct ak_resource *resource;
    const char *ns;       /* NULL: everywhere */
    const char *name;     /* NULL: all */
    const char *selector; /* or NULL */
    const char *fields;   /* field selector, or NULL */
    enum ak_objects_form form;
};
/* One answer: an object, or a list (a Table) with all pages in it. */
AK_MUST_USE int ak_objects_read(struct ak_exo *self, const struct ak_objects_query *query,
                                json_t **ret, struct ak_error **reterr);
/* The same, but *ret is NULL if there is none, or no such kind. */
AK_MUST_USE int ak_objects_find(struct ak_exo *self, const struct ak_objects_query *query,
                                json_t **ret, struct ak_error **reterr);
const char *ak_objects_accept(enum ak_objects_form form);
/* What a watch of the same adds to the path of the collection. */
AK_MUST_USE int ak_objects_path(const struct ak_objects_query *query, struct ak_buf *path,
                                struct ak_error **reterr);

/* Makes one request with a JSON body; *ret may be NULL. `what` begins the error. */
AK_MUST_USE int ak_objects_send(struct ak_exo *self, const char *method, const char *path,
                                const char *content_type, const json_t *body, json_t **ret,
                                struct ak_error **reterr);
struct ak_permission {
    const char *verb, *group, *resource, *sub, *ns; /* sub, ns may be NULL */
};
/* SelfSubjectAccessReview. */
AK_MUST_USE int ak_objects_may(struct ak_exo *self, const struct ak_permission *what, bool *ret,
                               struct ak_error **reterr);

#endif
