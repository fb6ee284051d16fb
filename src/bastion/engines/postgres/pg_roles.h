/* SPDX-License-Identifier: Apache-2.0 */
/* A run of provisioning: who does it, for whom, and the roles themselves. */
#ifndef AK_BASTION_PG_ROLES_H
#define AK_BASTION_PG_ROLES_H

#include "bastion/engines/postgres/pg_conn.h"
#include "engines/names.h"
#include "engines/policy.h"

struct identity {
    char role[AK_IDENTITY_NAME_SIZE];
    struct ak_login login; /* what is minted for it; only where passwords are set */
    const struct ak_effective_grant *grants;
    size_t n_grants;
    bool is_new;
};

struct job {
    const struct ak_target *target;
    const struct ak_cancel *cancel;
    ak_msec deadline;
    struct ak_provision_result *result;
    struct ak_login admin;
    struct identity identities[2]; /* reader, writer */
    struct ak_arena memory, *arena;
    struct ak_pg *pg; /* the administrator's connection */
    bool only_tables; /* the server has no catalog of rights beyond the standard's */
};
void ak__pg_job_done(struct job *self);
static inline void job_done(struct job *self)
{
    ak__pg_job_done(self);
}
AK_DEFINE_AUTO(job, job_done)

/* Reads who we are and, if `mints`, the identities' passwords and grants. */
AK_MUST_USE int ak__pg_job_init(struct job *self, bool mints, struct ak_error **reterr);
/* As the administrator, to this database; NULL: the Tool's. */
AK_MUST_USE int ak__pg_job_connect(struct job *self, const char *database,
                                   struct ak_error **reterr);
/* Roles exist, may log in, and have no attribute, membership or setting that is not ours. */
AK_MUST_USE int ak__pg_make_roles(struct job *self, struct ak_error **reterr);
/* Logs in as each of them, and sets the password of one that cannot. */
AK_MUST_USE int ak__pg_check_passwords(struct job *self, struct ak_error **reterr);

#endif
