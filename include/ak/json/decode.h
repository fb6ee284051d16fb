/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Table-driven decoding: JSON into plain C structs that live in one arena and are read-only from
 * then on. A table declares what is read; everything else is skipped, so a type is also the list of
 * fields that somebody needs.
 *
 *     struct port { const char *name; int64_t number; };
 *     static const struct ak_field port_fields[] = {
 *         AK_FIELD_STRING(struct port, name, "name", 0),
 *         AK_FIELD_INT(struct port, number, "containerPort", AK_FIELD_REQUIRED, 0),
 *     };
 *     static const struct ak_type port_type = AK_TYPE("port", struct port, port_fields);
 *
 * Errors name the path as kubectl users know it: `spec.upstreams[2].port: expected an integer, found a string`.
 * Tables for our own kinds are generated from api/v1alpha1/; tables for Kubernetes' kinds are written
 * by hand beside their only reader.
 */
#ifndef AK_JSON_DECODE_H
#define AK_JSON_DECODE_H

#include <ak/base/arena.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/time.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a member of a decoded struct looks like. All pointers point into the object's arena. */
struct ak_opt_int {
    int64_t value;
    bool set;
};
struct ak_opt_bool {
    bool value;
    bool set;
};
struct ak_list {
    const void *items;
    size_t len;
}; /* same layout as AK_LIST_OF */
#define AK_LIST_OF(type)                                                                           \
    struct {                                                                                       \
        const type *items;                                                                         \
        size_t len;                                                                                \
    }
struct ak_string_list {
    const char *const *items;
    size_t len;
};
struct ak_pair {
    const char *key;
    const char *value;
};
struct ak_string_map {
    const struct ak_pair *items;
    size_t len;
}; /* sorted by key (strcmp) */

enum ak_field_type {
    AK_F_STRING,   /* const char *; absent: NULL (or the default) */
    AK_F_BOOL,     /* bool; absent: the default */
    AK_F_OPT_BOOL, /* struct ak_opt_bool */
    AK_F_INT,      /* int64_t; absent: the default */
    AK_F_OPT_INT,  /* struct ak_opt_int */
    AK_F_NUMBER,   /* double */
    AK_F_TIME,     /* ak_msec, wall clock, from RFC 3339; absent: 0 */
    AK_F_ENUM, /* int: index into enum_names (entry 0 is "", "not set"); unknown text is an error */
    AK_F_STRUCT, /* const struct X *; absent: NULL, or a struct of defaults with AK_FIELD_MATERIALIZE */
    AK_F_LIST,          /* AK_LIST_OF(struct X) */
    AK_F_STRING_LIST,   /* struct ak_string_list */
    AK_F_STRING_MAP,    /* struct ak_string_map */
    AK_F_JSON,          /* const char *: the value as compact JSON text; absent: NULL */
    AK_F_INT_OR_STRING, /* const char *: IntOrString or Quantity as text */
    AK_F_MAX
};
enum ak_field_flags {
    AK_FIELD_REQUIRED = 1 << 0,    /* absent or null is an error */
    AK_FIELD_MATERIALIZE = 1 << 1, /* AK_F_STRUCT: absent gives a struct with its defaults */
    AK_FIELD_LENIENT =
        1 << 2, /* a value of a wrong type counts as absent (objects of other owners) */
};

struct ak_type;
struct ak_field {
    const char *name; /* in JSON */
    enum ak_field_type type;
    uint32_t flags;
    uint32_t offset;
    const struct ak_type *sub;     /* STRUCT, LIST */
    const char *const *enum_names; /* ENUM: NULL-terminated, [0] is "" */
    const char *default_text;      /* STRING, INT_OR_STRING; not copied */
    int64_t default_int;           /* INT, BOOL, ENUM, NUMBER */
};
struct ak_type {
    const char *name; /* for errors and docs */
    size_t size;
    const struct ak_field *fields;
    size_t n_fields;
};
#define AK_TYPE(type_name, ctype, field_array)                                                     \
    {                                                                                              \
        .name = (type_name), .size = sizeof(ctype), .fields = (field_array),                       \
        .n_fields = AK_ARRAY_LEN(field_array)                                                      \
    }
#define AK_FIELD(ctype, member, json_name, ftype, ...)                                             \
    {                                                                                              \
        .name = (json_name), .type = (ftype), .offset = (uint32_t)offsetof(ctype, member),         \
        __VA_ARGS__                                                                                \
    }
#define AK_FIELD_STRING(ctype, member, json_name, fl)                                              \
    AK_FIELD(ctype, member, json_name, AK_F_STRING, .flags = (fl))
#define AK_FIELD_INT(ctype, member, json_name, fl, def)                                            \
    AK_FIELD(ctype, member, json_name, AK_F_INT, .flags = (fl), .default_int = (def))
#define AK_FIELD_BOOL(ctype, member, json_name, fl, def)                                           \
    AK_FIELD(ctype, member, json_name, AK_F_BOOL, .flags = (fl), .default_int = (def))
#define AK_FIELD_STRUCT(ctype, member, json_name, fl, subtype)                                     \
    AK_FIELD(ctype, member, json_name, AK_F_STRUCT, .flags = (fl), .sub = (subtype))
#define AK_FIELD_LIST(ctype, member, json_name, fl, subtype)                                       \
    AK_FIELD(ctype, member, json_name, AK_F_LIST, .flags = (fl), .sub = (subtype))

/*
 * Decodes `tree` into zeroed memory of type->size. Strings and lists go to the arena, each as large as
 * it must be. JSON null counts as absent. AK_E_INVALID with the path; -ENOMEM; AK_E_TOO_LARGE when the
 * arena's limit is reached. On failure *out is half filled and of no use.
 */
AK_PUBLIC AK_MUST_USE int ak_decode(const struct ak_type *type, const json_t *tree, void *out,
                                    struct ak_arena *arena, struct ak_error **reterr);
/* The other way: a struct as JSON. Absent values (NULL, 0 times, empty lists, unset options, enum 0) are left out. */
AK_PUBLIC AK_MUST_USE int ak_encode(const struct ak_type *type, const void *in, json_t **ret,
                                    struct ak_error **reterr);

AK_PUBLIC const char *ak_string_map_get(const struct ak_string_map *map,
                                        const char *key); /* or NULL */
AK_PUBLIC bool ak_string_list_has(const struct ak_string_list *list, const char *value);

#endif
