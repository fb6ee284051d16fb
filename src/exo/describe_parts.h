/* SPDX-License-Identifier: Apache-2.0 */
/* What descriptions of objects are made of. Pure; what is not there is left out. */
#ifndef AK_EXO_DESCRIBE_PARTS_H
#define AK_EXO_DESCRIBE_PARTS_H

#include <ak/base/buf.h>
#include <ak/base/time.h>
#include <ak/json/json.h>

#include "terminal/table.h"

/* What a row of the description reads: a path of at most four names. */
struct ak_describe_row {
    const char *label, *path[5]; /* NULL-terminated */
};

/* "Label:   text". Text of others is one line without control characters. */
AK_MUST_USE int ak_describe_line(struct ak_buf *out, int indent, const char *label,
                                 const char *text);
/* Name, namespace, labels, age. */
AK_MUST_USE int ak_describe_meta(struct ak_buf *out, const json_t *object, ak_msec now);
AK_MUST_USE int ak_describe_rows(struct ak_buf *out, int indent, const json_t *tree,
                                 const struct ak_describe_row *items, size_t n);
AK_MUST_USE int ak_describe_pairs(struct ak_buf *out, const char *label, json_t *map);
AK_MUST_USE int ak_describe_table(struct ak_table *table, const char *title, struct ak_buf *out);
AK_MUST_USE int ak_describe_conditions(const json_t *object, ak_msec now, struct ak_buf *out);
/* The newest of an array of core/v1 Events, or of NULL. */
AK_MUST_USE int ak_describe_events(const json_t *list, ak_msec now, struct ak_buf *out);

#endif
