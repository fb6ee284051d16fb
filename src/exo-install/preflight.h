/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands in the way, found before anything is changed: the server's version, permissions, a Helm
 * release or an install by hand, a newer version, and a rehearsal of every object (dry run on the
 * server), which finds conflicts, quotas, policies and roles that this user may not hand out.
 * All problems are collected, so that one look is enough.
 */
#ifndef AK_EXO_INSTALL_PREFLIGHT_H
#define AK_EXO_INSTALL_PREFLIGHT_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/json/json.h>

#include "exo-install/cluster.h"

enum ak_preflight_for { AK_PREFLIGHT_APPLY, AK_PREFLIGHT_DELETE };

/* `objects` are those to apply or delete. Prints the problems; 0: none, AK_EXIT_PREFLIGHT: some;
 * negative: the cluster could not be asked. */
AK_MUST_USE int ak_preflight_run(struct ak_install *self, const json_t *objects,
                                 enum ak_preflight_for what, struct ak_error **reterr);

/* Who made an object, by what it says itself. */
enum ak_origin {
    AK_ORIGIN_NOBODY, /* not there */
    AK_ORIGIN_SELF,
    AK_ORIGIN_HELM,     /* of a release that exists */
    AK_ORIGIN_LEFTOVER, /* of a release that does not */
    AK_ORIGIN_HAND,
};
/* ret_release: the Helm release's name, if wanted; borrowed from `live`. */
AK_MUST_USE int ak_preflight_origin(struct ak_install *self, const json_t *live,
                                    enum ak_origin *ret, const char **ret_release,
                                    struct ak_error **reterr);
/* Is version a ("0.10.1") newer than b? */
bool ak_preflight_is_newer(const char *a, const char *b);

#endif
