/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of JSON Schema (draft 7) that values.schema.json of the chart uses, so that a value which
 * Helm refuses is refused here too, with its name:
 * type, enum, const, minimum, maximum, minLength, maxLength, pattern, minItems, maxItems, items, required,
 * properties, additionalProperties, oneOf, anyOf, and $ref to #/definitions/. Other keywords do not count.
 */
#ifndef AK_EXO_INSTALL_SCHEMA_H
#define AK_EXO_INSTALL_SCHEMA_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/json/json.h>

/* -EINVAL: `manager.replicas: must be at least 0`. */
AK_MUST_USE int ak_schema_check(const json_t *schema, const json_t *value,
                                struct ak_error **reterr);
/* The schema of a member, borrowed, references followed; NULL: there is no such member. */
const json_t *ak_schema_member(const json_t *root, const json_t *schema, const char *name);
/* The schema of the items of a list, or NULL. */
const json_t *ak_schema_items(const json_t *root, const json_t *schema);
/* May a value be of that type ("boolean", "integer", ...)? By `type` alone. */
bool ak_schema_allows(const json_t *root, const json_t *schema, const char *type);

#endif
