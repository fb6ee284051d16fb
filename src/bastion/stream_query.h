/* SPDX-License-Identifier: Apache-2.0 */
/* The query of /v1/exec and /v1/forward: ?tty=true&columns=80&rows=24&readOnly=true&arg=-c&arg=select+1 */
#ifndef AK_BASTION_STREAM_QUERY_H
#define AK_BASTION_STREAM_QUERY_H

#include <ak/base/arena.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AK_STREAM_MAX_ARGS 128

struct ak_stream_query {
    bool terminal, read_only;
    uint16_t columns, rows; /* 0: not said */
    size_t n_args;
    const char *args[AK_STREAM_MAX_ARGS + 1]; /* ended by NULL; in the arena */
};
/* Without '?'. Parameters that it does not know are left alone. AK_E_INVALID names the one that cannot be. */
AK_MUST_USE int ak_stream_query_read(const char *query, struct ak_arena *arena,
                                     struct ak_stream_query *ret, struct ak_error **reterr);

#endif
