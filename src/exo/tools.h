/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs of Tools share: addresses, arguments, channels to a bastion, tables of answers. */
#ifndef AK_EXO_TOOLS_H
#define AK_EXO_TOOLS_H

#include <ak/kube/exec.h>

#include "exo/exo.h"
#include "exo/proxy.h"
#include "terminal/table.h"

#define AK_TOOLS_DEFAULT_HOLD AK_SECONDS(120)
#define AK_TOOLS_MARGIN AK_SECONDS(90) /* beyond the hold: an operation's own time, and the way */
#define AK_TOOLS_MAX_ARGUMENTS (1u << 20)

/* "/namespaces/NS/tools/TOOL/A/B/C"; a part that is NULL ends it. In the arena; NULL on no memory. */
const char *ak_tools_path(struct ak_exo *self, const char *tool, const char *a, const char *b,
                          const char *c);
/* GET or POST below the Tool that the first argument names. *ret may be NULL. */
AK_MUST_USE int ak_tools_do(struct ak_exo *self, const char *method, const char *path,
                            const json_t *body, ak_msec timeout, json_t **ret,
                            struct ak_error **reterr);
/* Seconds that the manager may wait for a bastion, as the query has it. */
ak_msec ak_tools_hold(const struct ak_exo *self);
/* "key=text", "key:=JSON" words, or "-" (an object on standard input), as one object. */
AK_MUST_USE int ak_tools_arguments(const char *const *words, size_t n, json_t **ret,
                                   struct ak_error **reterr);
/* Channels to the bastion, as of pods/exec; `io` says what to do with them, its path and headers are set here. */
AK_MUST_USE int ak_tools_channels(struct ak_exo *self, const char *path, struct ak_exec_options *io,
                                  int *ret_exit_code, struct ak_error **reterr);
/* -o json or yaml: the whole answer. Otherwise a table of its `items`. */
struct ak_tools_column {
    const char *title,
        *path[4]; /* NULL-terminated names; a path of two or more goes into objects */
    enum { AK_COLUMN_TEXT, AK_COLUMN_AGE, AK_COLUMN_SECONDS } form;
};
AK_MUST_USE int ak_tools_list(struct ak_exo *self, const json_t *answer,
                              const struct ak_tools_column *columns, size_t n, const char *none,
                              struct ak_error **reterr);

#endif
