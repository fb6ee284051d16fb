/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the manager says to the agentlet: the environment of docs/agentlet.md, checked once at
 * start.
 */
#ifndef AK_AGENTLET_SETTINGS_H
#define AK_AGENTLET_SETTINGS_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/time.h>
#include <stdint.h>

#define AK_SETTINGS_NO_UID UINT64_MAX

/* All text is borrowed from the environment or from literals. */
struct ak_settings {
    const char *agent_name;
    const char *agent_namespace;
    const char *runtime;
    const char *setup_command; /* "": none */
    ak_msec setup_timeout;
    ak_msec grace;
    const char *listen;
    const char *state_dir;
    const char *workspace;
    const char *repo_url;
    const char *repo_ref;        /* "": the default branch */
    const char *repo_secret_dir; /* "": no credential */
    ak_msec repo_timeout;
    const char *termination_log;
    const char *temp_dir;
    const char *home;     /* "": none */
    const char *mode;     /* "supervised" or "system" */
    const char *provider; /* "": the runtime's own; and so on */
    const char *model;
    const char *model_url;
    const char *mcp_url;
    const char *run_command; /* JSON list of texts; "": none */
    const char *goal_file;   /* "": none */
    uint64_t run_max_queued;
    uint64_t run_max_retained;
    const char *link;    /* path of the socket that runs are asked for on; "": none */
    uint64_t keeper_uid; /* who may connect to it; AK_SETTINGS_NO_UID: only our own user */
    const char *cgroup;  /* folder of the container's control group */
};

typedef const char *(*ak_settings_lookup_fn)(const char *name, void *user);

/* -EINVAL names the variable. *ret is always usable for its termination_log. */
AK_MUST_USE int ak_settings_read(ak_settings_lookup_fn lookup, void *user, struct ak_settings *ret,
                                 struct ak_error **reterr);

#endif
