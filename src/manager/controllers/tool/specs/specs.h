/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builders of what a Tool owns: pure, from structs to JSON. The golden files in tests/unit/manager/golden/tool
 * show what comes out; docs/bastion.md says what the programs in the pods do with it.
 */
#ifndef AK_MANAGER_TOOL_SPECS_H
#define AK_MANAGER_TOOL_SPECS_H

#include <ak/api/tool.h>
#include <ak/base/arena.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/kube/object.h>
#include <jansson.h>
#include <stdbool.h>

#include "engines/engine.h"
#include "manager/options.h"

/* Names of the containers. */
#define AK_TOOL_CLIENT                                                                             \
    "client" /* third-party programs, without the credential where the protocol allows that */
#define AK_TOOL_BASTION "bastion" /* our program, which holds it; in every pod of a Tool */

/* What the pods of Tools carry, beside AK_ANNOTATION_POD_HASH, of which the cache keeps these only. */
#define AK_TOOL_POD_NAME "agentkube.io/pod-tool"
#define AK_TOOL_POD_UID "agentkube.io/pod-tool-uid"
#define AK_TOOL_POD_ROLE "agentkube.io/pod-role"   /* enum ak_tool_role */
#define AK_TOOL_POD_BUILD "agentkube.io/pod-build" /* hash of all of it, images included */

#define AK_TOOL_ENV_MAX                                                                            \
    (96u << 10) /* bytes of the Tool in a pod's environment; the kernel takes 128 KiB */

enum ak_tool_role {
    AK_TOOL_ROLE_BASTION,
    AK_TOOL_ROLE_PROBE,
    AK_TOOL_ROLE_PROVISION,
    AK_TOOL_ROLE_DEPROVISION,
    AK_TOOL_ROLE_MAX
};
const char *ak_tool_role_name(enum ak_tool_role role);

/* Everything that a pod is built from, resolved. */
struct ak_tool_pod_input {
    enum ak_tool_role role;
    const char *name;                /* of the pod or Job */
    const struct ak_meta *meta;      /* of the Tool */
    const struct ak_tool_spec *spec; /* what the credentials and the image are taken from ... */
    const char *text; /* ... and AGENTKUBE_TOOL: the same, as ak_tool_text() has it */
    const struct ak_engine_info *info; /* of spec.type */
    const struct ak_options *options;
    const char *image;    /* of the client */
    const char *bundle;   /* PEM: who signs the manager's certificate for bastions */
    const char *account;  /* ServiceAccount */
    const char *identity; /* Secret with the minted users; NULL: the given credential is used */
    const char *hash;     /* for AK_ANNOTATION_POD_HASH */
    bool unowned; /* the garbage collector must not take it along: it cleans up after the Tool */
};
AK_MUST_USE int ak_tool_pod_build(const struct ak_tool_pod_input *in, json_t **ret,
                                  struct ak_error **reterr);
/* A Job that runs that pod once. */
AK_MUST_USE int ak_tool_job_build(const struct ak_tool_pod_input *in, json_t **ret,
                                  struct ak_error **reterr);
/* {"namespace","name","uid","generation","spec"}, in the arena. AK_E_TOO_LARGE: more than AK_TOOL_ENV_MAX. */
AK_MUST_USE int ak_tool_text(const struct ak_meta *meta, const struct ak_tool_spec *spec,
                             struct ak_arena *arena, const char **ret, struct ak_error **reterr);

/* What all pods of the Tool are, for the API server. */
AK_MUST_USE int ak_tool_account_build(const struct ak_meta *meta, const char *name, json_t **ret,
                                      struct ak_error **reterr);
/* In: the manager, to the bastion's port. Out: names, and what the spec says the system is. */
AK_MUST_USE int ak_tool_network_build(const struct ak_meta *meta, const char *name,
                                      const struct ak_tool_spec *spec, struct ak_arena *arena,
                                      json_t **ret, struct ak_error **reterr);

struct ak_tool_identity_input {
    const struct ak_meta *meta;
    const char *name;
    const char *text;         /* what the users are made from, kept with them: ak_tool_text() */
    const char *passwords[2]; /* of reader and writer */
};
/* The Secret with the minted users, for POST or PUT. */
AK_MUST_USE int ak_tool_identity_build(const struct ak_tool_identity_input *in, json_t **ret,
                                       struct ak_error **reterr);
#define AK_TOOL_IDENTITY_MADE_FOR "agentkube.io/made-for" /* its annotation with that text */

/* ---- rights in this cluster (kubernetes) ---- */

#define AK_LABEL_TOOL_UID "agentkube.io/tool-uid"

/* One object of rbac.authorization.k8s.io. */
struct ak_tool_right {
    const struct ak_resource *resource;
    const char *ns; /* "": of the cluster */
    const char *name;
    json_t *object; /* borrowed from the list of ak_tool_rights_build() */
};
/*
 * The roles that spec.permissions mean, and their bindings to the account; without rules the cluster's own `view` is
 * bound. *ret_objects owns the trees; *ret is in the arena. Names beyond the Tool's own namespace say whose they are:
 * agentkube:NAMESPACE:NAME.
 */
AK_MUST_USE int ak_tool_rights_build(const struct ak_meta *meta, const char *account,
                                     const struct ak_tool_spec *spec, struct ak_arena *arena,
                                     json_t **ret_objects, const struct ak_tool_right **ret,
                                     size_t *ret_n, struct ak_error **reterr);
/* Whether some of them are not in the Tool's namespace, so that no owner reference removes them. */
bool ak_tool_rights_reach_out(const struct ak_meta *meta, const struct ak_tool_spec *spec);

#endif
