/* SPDX-License-Identifier: Apache-2.0 */
/* What a Tool's specification says about how it is connected to, as options of a wire. */
#ifndef AK_BASTION_WIRE_TARGET_H
#define AK_BASTION_WIRE_TARGET_H

#include "bastion/engine.h"
#include "bastion/wire.h"

/*
 * Host, port (the usual one of the type if none is given), TLS mode, authorities and the name to check. Texts
 * are the target's or in the arena. -EINVAL: no host name; others as ak_target_ca_path().
 */
AK_MUST_USE int ak_wire_options_for(const struct ak_target *target, const struct ak_cancel *cancel,
                                    struct ak_arena *arena, struct ak_wire_options *ret,
                                    struct ak_error **reterr);

#endif
