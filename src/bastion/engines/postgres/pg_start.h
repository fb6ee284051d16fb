/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of beginning a connection, for the files of this folder. */
#ifndef AK_BASTION_PG_START_H
#define AK_BASTION_PG_START_H

#include "bastion/engines/postgres/pg_conn.h"

struct ak_pg *ak__pg_new(void);
/* TCP, then SSLRequest and TLS as the mode wants. With ALLOW it stays plain; see ak_pg_connect() for its second
 * try. */
AK_MUST_USE int ak__pg_dial(const struct ak_wire_options *options, ak_msec deadline,
                            struct ak_wire **ret, struct ak_error **reterr);

#endif
