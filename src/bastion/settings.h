/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the manager says to the bastion's programs: the environment of docs/bastion.md, checked once at start. No
 * credential is ever in it, only the folders that hold them.
 */
#ifndef AK_BASTION_SETTINGS_H
#define AK_BASTION_SETTINGS_H

#include <ak/base/arena.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <stdint.h>

#include "bastion/engine.h"
#include "door/listen.h"

#define AK_TOOL_TEXT_MAX (1u << 20) /* bytes of AGENTKUBE_TOOL */

/* Text is borrowed from the environment, literals, and the arena that it was read into. */
struct ak_bastion_settings {
    struct ak_target target;
    int64_t generation;  /* of the Tool */
    const char *pod_uid; /* "": unknown */
    const char *manager_ca, *manager_name;
    const char *token_file;
    const char *result_file;
    struct ak_listen relay, probe;
    uint32_t serve_uid; /* of `serve`, as `client` must see it */
    /* Of the spec, with its defaults. */
    ak_msec idle_timeout, max_session; /* max_session 0: none */
    size_t max_sessions;
    int64_t max_rows, max_bytes;
    ak_msec timeout; /* of an operation */
    bool recording;
};
typedef const char *(*ak_bastion_lookup_fn)(const char *name, void *user);

enum ak_settings_for { AK_SETTINGS_SERVE, AK_SETTINGS_VERB, AK_SETTINGS_CLIENT };
/* -EINVAL names the variable. For CLIENT no Tool is wanted, for VERB (probe and the like) no manager. */
AK_MUST_USE int ak_bastion_settings_read(enum ak_settings_for what, ak_bastion_lookup_fn lookup,
                                         void *user, struct ak_arena *arena,
                                         struct ak_bastion_settings *ret, struct ak_error **reterr);

#endif
