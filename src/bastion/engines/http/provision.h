/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Users with exactly a Tool's permissions in the systems that are provisioned over HTTP. Idempotent: what is there
 * already is not in `changed`, what is too much is taken away. Passwords are set each time, as hashes where the
 * system takes them.
 */
#ifndef AK_BASTION_HTTP_PROVISION_H
#define AK_BASTION_HTTP_PROVISION_H

#include "bastion/engines/http/upstream.h"

/* The two identities: their names, and the passwords that the pod was given. */
struct ak_http_identities {
    char names[2][32]; /* reader, writer */
    struct ak_login logins[2];
};
void ak_http_identities_done(struct ak_http_identities *self);
AK_DEFINE_AUTO(ak_http_identities, ak_http_identities_done)
/* Passwords too, or (deprovision) the names only. */
AK_MUST_USE int ak_http_identities_read(const struct ak_target *target, bool with_passwords,
                                        struct ak_http_identities *ret, struct ak_error **reterr);

int ak_http_clickhouse_provision(struct ak_upstream *admin, struct ak_provision_result *ret,
                                 struct ak_error **reterr);
int ak_http_clickhouse_deprovision(struct ak_upstream *admin, struct ak_provision_result *ret,
                                   struct ak_error **reterr);
int ak_http_rabbitmq_provision(struct ak_upstream *admin, struct ak_provision_result *ret,
                               struct ak_error **reterr);
int ak_http_rabbitmq_deprovision(struct ak_upstream *admin, struct ak_provision_result *ret,
                                 struct ak_error **reterr);
int ak_http_elasticsearch_provision(struct ak_upstream *admin, struct ak_provision_result *ret,
                                    struct ak_error **reterr);
int ak_http_elasticsearch_deprovision(struct ak_upstream *admin, struct ak_provision_result *ret,
                                      struct ak_error **reterr);
/* One statement as it is; any status is success. */
AK_MUST_USE int ak_http_clickhouse_run(struct ak_upstream *upstream, const char *sql,
                                       struct ak_fetch_reply *ret, struct ak_error **reterr);

#endif
