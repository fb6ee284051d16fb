/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of a bastion from variables that a test gives. */
#ifndef AK_TESTS_BASTION_STAGE_H
#define AK_TESTS_BASTION_STAGE_H

#include "bastion/settings.h"

struct variable {
    const char *name, *value;
};
/* `extra` ends with a NULL name, and wins over what a working serve has. */
int read_settings(enum ak_settings_for what, const struct variable *extra, struct ak_arena *arena,
                  struct ak_bastion_settings *ret, struct ak_error **reterr);
/* {"namespace":"ns","name":"db","uid":"u1","generation":3,"spec":SPEC} */
#define TOOL(spec)                                                                                 \
    "{\"namespace\":\"ns\",\"name\":\"db\",\"uid\":\"u1\",\"generation\":3,\"spec\":" spec "}"
#define POSTGRES "{\"type\":\"postgres\",\"config\":{\"hostname\":\"h\",\"username\":\"me\"}}"

#endif
