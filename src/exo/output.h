/* SPDX-License-Identifier: Apache-2.0 */
/* Objects and records as people and programs want them. */
#ifndef AK_EXO_OUTPUT_H
#define AK_EXO_OUTPUT_H

#include "exo/exo.h"
#include "terminal/table.h"

/* -o json (indented by four, as kubectl) or -o yaml, on stdout; YAML documents of a watch are apart. */
AK_MUST_USE int ak_output_tree(struct ak_exo *self, const json_t *tree, struct ak_error **reterr);
/* Compact JSON as indented text, with a line end. Pure. */
AK_MUST_USE int ak_output_indent(const char *json, size_t len, struct ak_buf *out);
/* Writes the table's rows to stdout. */
AK_MUST_USE int ak_output_table(struct ak_table *table, struct ak_error **reterr);
/* A line on stdout. */
AK_MUST_USE int ak_output_line(struct ak_error **reterr, const char *fmt, ...) AK_PRINTF(2, 3);
/* Removes what nobody wants to read: metadata.managedFields. */
void ak_output_strip(json_t *object);

/* "5m", "3d4h": how long ago, as kubectl's AGE. "<unknown>" if the text is no time. */
const char *ak_output_age(const char *rfc3339, ak_msec wall_now, char buf[static 32]);
const char *ak_output_span(ak_msec span, char buf[static 32]);   /* "3.2s", "1m5s", "2h3m" */
const char *ak_output_thousands(int64_t n, char buf[static 32]); /* "1,234" */
/* "" instead of NULL; "-" where a cell would be empty. */
const char *ak_output_or(const char *text, const char *otherwise);

#endif
