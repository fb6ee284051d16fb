/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packing: a decoded struct, whose parts lie all over an arena, copied into one piece of memory that is
 * exactly as large as needed. Structs and lists come first (aligned), text behind them (not aligned).
 * Two passes with the same code: measure (base NULL), then copy.
 */
#ifndef AK_KUBE_OBJECT_INTERNAL_H
#define AK_KUBE_OBJECT_INTERNAL_H

#include <ak/json/decode.h>

struct ak__pack {
    char *base;         /* NULL: measure only */
    size_t fixed, text; /* bytes taken of each part */
    size_t fixed_size;  /* where text begins */
};
/* Aligned room of `size` bytes; NULL while measuring. */
void *ak__pack_room(struct ak__pack *self, size_t size);
const char *ak__pack_text(struct ak__pack *self, const char *text);
/* Replaces in `copy` (NULL while measuring), a byte copy of `from`, every pointer by one to its copy. */
void ak__pack_struct(struct ak__pack *self, const struct ak_type *type, const void *from,
                     void *copy);
size_t ak__pack_total(const struct ak__pack *self);

#endif
