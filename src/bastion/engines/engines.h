/* SPDX-License-Identifier: Apache-2.0 */
/* One of each family; ak_engine_of() finds it by name. */
#ifndef AK_BASTION_ENGINES_H
#define AK_BASTION_ENGINES_H

#include "bastion/engine.h"

extern const struct ak_engine ak_engine_postgres;
extern const struct ak_engine ak_engine_mysql;
extern const struct ak_engine ak_engine_redis;
extern const struct ak_engine ak_engine_http;
extern const struct ak_engine ak_engine_process;

#endif
