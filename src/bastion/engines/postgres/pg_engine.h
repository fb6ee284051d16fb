/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of struct ak_engine for postgres, cockroachdb and redshift, one file each. */
#ifndef AK_BASTION_PG_ENGINE_H
#define AK_BASTION_PG_ENGINE_H

#include "bastion/engine.h"
#include "bastion/engines/postgres/pg_conn.h"

extern const struct ak_engine ak_engine_postgres;

/*
 * What our own connections ask for at their start: UTF-8, ISO dates, a name to be found by, the Tool's schema.
 * `path` keeps the text; at most 6 entries.
 */
AK_MUST_USE int ak__pg_settings(const struct ak_target *target, struct ak_buf *path,
                                struct ak_pg_setting ret[static 6], size_t *ret_n,
                                struct ak_error **reterr);

AK_MUST_USE int ak__pg_call(const struct ak_target *target, struct ak_session *session,
                            struct ak_call *call, struct ak_error **reterr);
AK_MUST_USE int ak__pg_serve(const struct ak_target *target, struct ak_session *session, int fd,
                             struct ak_error **reterr);
AK_MUST_USE int ak__pg_provision(const struct ak_target *target, const struct ak_cancel *cancel,
                                 ak_msec deadline, struct ak_provision_result *ret,
                                 struct ak_error **reterr);
AK_MUST_USE int ak__pg_deprovision(const struct ak_target *target, const struct ak_cancel *cancel,
                                   ak_msec deadline, struct ak_provision_result *ret,
                                   struct ak_error **reterr);

#endif
