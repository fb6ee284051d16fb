/* SPDX-License-Identifier: Apache-2.0 */
#include "object_internal.h"

#include <string.h>

/* No member of a decoded struct needs more than a pointer or an int64_t does. */
#define ALIGNMENT 8u

void *ak__pack_room(struct ak__pack *self, size_t size)
{
    size_t at = self->fixed;

    self->fixed += (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    return self->base && size ? self->base + at : NULL;
}

const char *ak__pack_text(struct ak__pack *self, const char *text)
{
    size_t at = self->text, len;

    if (!text)
        return NULL;
    len = strlen(text) + 1;
    self->text += len;
    return self->base ? memcpy(self->base + self->fixed_size + at, text, len) : NULL;
}

size_t ak__pack_total(const struct ak__pack *self)
{
    return self->fixed + self->text;
}

static void pack_one_text(struct ak__pack *self, const char *const *from, const char **to)
{
    const char *copy = ak__pack_text(self, *from);

    if (to)
        *to = copy;
}

static void pack_sub(struct ak__pack *self, const struct ak_type *type, const void *const *from,
                     const void **to)
{
    void *copy;

    if (!*from)
        return;
    copy = ak__pack_room(self, type->size);
    if (copy)
        memcpy(copy, *from, type->size);
    ak__pack_struct(self, type, *from, copy);
    if (to)
        *to = copy;
}

static void pack_list(struct ak__pack *self, const struct ak_type *type, const struct ak_list *from,
                      struct ak_list *to)
{
    char *copy = ak__pack_room(self, from->len * type->size);

    if (copy)
        memcpy(copy, from->items, from->len * type->size);
    for (size_t i = 0; i < from->len; i++)
        ak__pack_struct(self, type, (const char *)from->items + i * type->size,
                        copy ? copy + i * type->size : NULL);
    if (to)
        to->items = copy;
}

static void pack_strings(struct ak__pack *self, const struct ak_string_list *from,
                         struct ak_string_list *to)
{
    const char **copy = ak__pack_room(self, from->len * sizeof(copy[0]));

    for (size_t i = 0; i < from->len; i++)
        pack_one_text(self, &from->items[i], copy ? &copy[i] : NULL);
    if (to)
        to->items = copy;
}

static void pack_map(struct ak__pack *self, const struct ak_string_map *from,
                     struct ak_string_map *to)
{
    struct ak_pair *copy = ak__pack_room(self, from->len * sizeof(copy[0]));

    for (size_t i = 0; i < from->len; i++) {
        pack_one_text(self, &from->items[i].key, copy ? &copy[i].key : NULL);
        pack_one_text(self, &from->items[i].value, copy ? &copy[i].value : NULL);
    }
    if (to)
        to->items = copy;
}

static void pack_field(struct ak__pack *self, const struct ak_field *field, const void *from,
                       void *to)
{
    switch (field->type) {
    case AK_F_STRING:
    case AK_F_JSON:
    case AK_F_INT_OR_STRING:
        pack_one_text(self, from, to);
        break;
    case AK_F_STRUCT:
        pack_sub(self, field->sub, from, to);
        break;
    case AK_F_LIST:
        pack_list(self, field->sub, from, to);
        break;
    case AK_F_STRING_LIST:
        pack_strings(self, from, to);
        break;
    case AK_F_STRING_MAP:
        pack_map(self, from, to);
        break;
    default: /* plain values came with the struct */
        break;
    }
}

void ak__pack_struct(struct ak__pack *self, const struct ak_type *type, const void *from,
                     void *copy)
{
    for (size_t i = 0; i < type->n_fields; i++) {
        const struct ak_field *field = &type->fields[i];

        pack_field(self, field, (const char *)from + field->offset,
                   copy ? (char *)copy + field->offset : NULL);
    }
}
