/* SPDX-License-Identifier: Apache-2.0 */
/* What fits behind the words that are there, from the tables. Pure; names come from the caller. */
#ifndef AK_EXO_COMPLETE_H
#define AK_EXO_COMPLETE_H

#include <ak/base/arena.h>
#include <ak/base/buf.h>

#include "exo/command.h"

enum ak_complete_names {
    AK_COMPLETE_NONE,
    AK_COMPLETE_OBJECTS, /* of options.command->kind */
    AK_COMPLETE_AGENTS,
    AK_COMPLETE_RUNS, /* of the agent `of` */
    AK_COMPLETE_ALL_RUNS,
    AK_COMPLETE_NAMESPACES,
    AK_COMPLETE_OPERATIONS, /* of the Tool `of`, as the next two */
    AK_COMPLETE_APPROVALS,
    AK_COMPLETE_RECORDINGS,
};
struct ak_completion {
    struct ak_exo_options options; /* what the words before mean */
    enum ak_complete_names names;  /* what else to ask the cluster for */
    const char *of;                /* the Agent or Tool whose names they are */
    const char *prefix;            /* before each name ("--namespace=") */
    const char *word;              /* what is typed so far */
    bool is_lost;                  /* the words before are no command */
};
/* `words` are those behind "exo", the last one unfinished (it may be ""). Adds "candidate\tabout\n" lines
 * to `out`, or ":files\n". */
AK_MUST_USE int ak_complete(const char *const *words, size_t n, const char *const *environ_,
                            struct ak_arena *arena, struct ak_completion *ret, struct ak_buf *out);

#endif
