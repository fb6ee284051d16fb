/* SPDX-License-Identifier: Apache-2.0 */
/* What the objects of a Tool have in common. NULL: no memory. */
#ifndef AK_MANAGER_TOOL_PARTS_H
#define AK_MANAGER_TOOL_PARTS_H

#include "manager/controllers/tool/specs/specs.h"

AK_MUST_USE json_t *ak_tool_part_labels(const struct ak_meta *meta, const char *component);
AK_MUST_USE json_t *ak_tool_part_owners(const struct ak_meta *meta);
/* Name, namespace, labels and owner of an object in the Tool's namespace. */
AK_MUST_USE json_t *ak_tool_part_metadata(const struct ak_meta *meta, const char *name,
                                          const char *component);

#endif
