/* SPDX-License-Identifier: Apache-2.0 */
/* Records of runs: found by name, shown as rows. */
#ifndef AK_EXO_RECORDS_H
#define AK_EXO_RECORDS_H

#include "exo/exo.h"
#include "terminal/table.h"

/* The list of an Agent's runs (agent NULL: of the namespace; everywhere: of all), newest first. The array is the
 * caller's to release. */
AK_MUST_USE int ak_record_list(struct ak_exo *self, const char *agent, bool everywhere,
                               json_t **ret, struct ak_error **reterr);
/* What the arguments of a command name. Texts live as long as the program. */
struct ak_record_name {
    const char *agent;
    const char *id; /* NULL: not given (only where an agent is) */
};
/* From "NAME [RUN]" of `agent VERB`, or "[AGENT/]ID" of `run VERB`: an id alone is looked up. */
AK_MUST_USE int ak_record_name(struct ak_exo *self, struct ak_record_name *ret,
                               struct ak_error **reterr);
/* The whole record of one run. */
AK_MUST_USE int ak_record_get(struct ak_exo *self, const struct ak_record_name *name, json_t **ret,
                              struct ak_error **reterr);
/* POST .../cancel; *ret may be NULL. */
AK_MUST_USE int ak_record_cancel(struct ak_exo *self, const struct ak_record_name *name,
                                 json_t **ret, struct ak_error **reterr);

/* Rows of a table. */
AK_MUST_USE int ak_record_header(struct ak_table *table, bool wide, bool with_agent,
                                 bool with_namespace);
AK_MUST_USE int ak_record_row(struct ak_table *table, const json_t *record, bool wide,
                              bool with_agent, bool with_namespace, ak_msec wall_now);

#endif
