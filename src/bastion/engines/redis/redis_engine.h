/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of struct ak_engine for Redis, one file each. */
#ifndef AK_BASTION_ENGINES_REDIS_ENGINE_H
#define AK_BASTION_ENGINES_REDIS_ENGINE_H

#include "bastion/engine.h"

extern const struct ak_engine ak_engine_redis;

AK_MUST_USE int ak__redis_call(const struct ak_target *target, struct ak_session *session,
                               struct ak_call *call, struct ak_error **reterr);
AK_MUST_USE int ak__redis_serve(const struct ak_target *target, struct ak_session *session, int fd,
                                struct ak_error **reterr);
AK_MUST_USE int ak__redis_provision(const struct ak_target *target, const struct ak_cancel *cancel,
                                    ak_msec deadline, struct ak_provision_result *ret,
                                    struct ak_error **reterr);
AK_MUST_USE int ak__redis_deprovision(const struct ak_target *target,
                                      const struct ak_cancel *cancel, ak_msec deadline,
                                      struct ak_provision_result *ret, struct ak_error **reterr);

#endif
