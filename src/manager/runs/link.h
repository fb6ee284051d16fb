/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the manager shows to keepers: a client certificate of an authority of its own, in the
 * Secret AK_RUNS_SECRET. Every replica loads it; the first one makes it, the leader renews it.
 * Pods are given the bundle when they are made, so a new authority signs only when it was in the
 * bundle for LINK_SWITCH_AFTER (link.c).
 */
#ifndef AK_MANAGER_RUNS_LINK_H
#define AK_MANAGER_RUNS_LINK_H

#include <ak/base/arena.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/secret.h>
#include <ak/base/thread.h>
#include <ak/kube/client.h>
#include <ak/manage/certs.h>

/* A bundle or certificate that is another one now. Thread: the certificate keeper's. */
typedef void (*ak_link_changed_fn)(bool bundle_changed, void *user);

struct ak_link {
    struct ak_certs_keeper *keeper;
    ak_link_changed_fn changed;
    void *user;
    struct ak_mutex lock; /* guards what follows */
    char *bundle, *cert;
    struct ak_secret *key;
};
struct ak_link_options {
    struct ak_client *client;
    const struct ak_clock *clock;
    const char *namespace_, *manager;
    bool (*may_write)(void *user);
    void *may_write_user;
    ak_link_changed_fn changed;
    void *user;
};
AK_MUST_USE int ak_link_init(struct ak_link *self, const struct ak_link_options *options,
                             struct ak_error **reterr);
void ak_link_done(struct ak_link *self);
AK_MUST_USE int ak_link_start(struct ak_link *self, struct ak_error **reterr);
void ak_link_stop(struct ak_link *self);
/* Copies. -EAGAIN: there is none yet. The caller ak_free()s the first and ak_secret_free()s the second. */
AK_MUST_USE int ak_link_pair(struct ak_link *self, char **ret_cert, struct ak_secret **ret_key);
const char *ak_link_bundle(struct ak_link *self, struct ak_arena *arena); /* or NULL */
bool ak_link_is_there(struct ak_link *self);

#endif
