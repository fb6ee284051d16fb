/* SPDX-License-Identifier: Apache-2.0 */
/* What there is of the manager in the cluster. */
#ifndef AK_EXO_MANAGER_H
#define AK_EXO_MANAGER_H

#include "exo/exo.h"

/* *ret is NULL if there is none. */
AK_MUST_USE int ak_manager_deployment(struct ak_exo *self, json_t **ret, struct ak_error **reterr);
const char *ak_manager_image(const json_t *deployment); /* NULL if it is not known */
/* Replicas that are available and wanted. */
void ak_manager_replicas(const json_t *deployment, int64_t *ret_available, int64_t *ret_wanted);

struct ak_manager_leader {
    char holder[256]; /* "" if nobody leads */
    ak_msec renewed;  /* wall clock; 0: never */
    ak_msec duration; /* of the Lease */
    bool is_fresh;    /* renewed within its duration, by this machine's clock, twice as generous */
    bool is_there;
};
AK_MUST_USE int ak_manager_leader(struct ak_exo *self, ak_msec wall_now,
                                  struct ak_manager_leader *ret, struct ak_error **reterr);

#endif
