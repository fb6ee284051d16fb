/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a Lease says and what that means for us: the decisions of leader election without I/O. Times are
 * our own boot clock; the times that are written in the Lease are never compared with anything.
 */
#ifndef AK_MANAGE_LEASE_H
#define AK_MANAGE_LEASE_H

#include <ak/base/time.h>
#include <ak/json/json.h>
#include <stdbool.h>

#define AK_LEASE_MAX_SECONDS 3600 /* a Lease edited by hand cannot lock us out for longer */

/* What we saw of the Lease last. */
struct ak_lease_seen {
    uint64_t spec_hash; /* 0: nothing yet */
    ak_msec since;      /* when we first saw it like this */
};

enum ak_lease_verdict {
    AK_LEASE_OURS,  /* we hold it: renew */
    AK_LEASE_FREE,  /* nobody holds it, or its holder is silent for too long: take it */
    AK_LEASE_TAKEN, /* somebody holds it: wait */
};
/* Notes what is seen. `own_duration` counts where the Lease names none. */
enum ak_lease_verdict ak_lease_judge(const json_t *lease, const char *identity,
                                     ak_msec own_duration, ak_msec now, struct ak_lease_seen *seen);
/* The holder's name, "" if there is none. */
const char *ak_lease_holder(const json_t *lease);

/* The next content. Other fields of the object (labels, annotations) stay. Negative: memory. */
/* What the holder wrote there; NULL: nothing, or nobody holds it. Borrowed. */
const char *ak_lease_address(const json_t *lease, const char *annotation);
/* NULL takes it away: what an earlier holder wrote must not stay. */
int ak_lease_set_address(json_t *lease, const char *annotation, const char *address);
json_t *ak_lease_make(const char *ns, const char *name);
int ak_lease_renew(json_t *lease, const char *identity, ak_msec duration, ak_msec wall);
int ak_lease_release(json_t *lease, ak_msec wall);
#endif
