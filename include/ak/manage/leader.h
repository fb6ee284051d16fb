/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leader election on a coordination.k8s.io/v1 Lease, as client-go's leaderelection does it: the clock
 * of the holder is never compared with ours, only observed changes are. The lease is given back on a
 * graceful stop. We stop before anybody else can take over: leadership ends `renew_deadline` after the
 * last renewal that we know of, measured from before that request was sent, on CLOCK_BOOTTIME (a paused
 * process or a suspended machine sees at once on waking that its time is over).
 */
#ifndef AK_MANAGE_LEADER_H
#define AK_MANAGE_LEADER_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/time.h>
#include <ak/kube/client.h>
#include <stdbool.h>

struct ak_leader;
#define AK_LEADER_ADDRESS_SIZE                                                                     \
    272 /* of a buffer for an address: a name or an IP address, and a port */
#define AK_LEADER_NOTE_SIZE 128 /* of a buffer for a note */
struct ak_leader_options {
    const char *namespace_, *name; /* of the Lease */
    const char *identity;          /* unique per process: pod name + "_" + random */
    ak_msec lease;                 /* 0: 15 s */
    ak_msec renew_deadline;        /* 0: 10 s */
    ak_msec retry_period;          /* 0: 2 s; candidates look twice as often */
    /* An annotation of the Lease in which its holder says where it is reached, and what we write there when we hold
     * it (NULL: nothing). Both are borrowed. annotation NULL: none is read or written. */
    const char *address_annotation, *address;
    /* A note that each holder leaves to the next, in an annotation of the Lease that stays when it is given back;
     * NULL: none. inherit: what the last one left, before our leadership begins; may be called again with the
     * same. leave: what we leave, as of each renewal and of giving back; false: what is there stays. Thread: the
     * leader's. */
    const char *note_annotation;
    void (*inherit)(const char *note, void *note_user);
    bool (*leave)(char ret[static AK_LEADER_NOTE_SIZE], void *note_user);
    void *note_user;
    /* Called on the leader thread. started: leadership begins (start controllers, quickly). stopped: it
     * ended, for any reason; when it returns nothing of ours writes any more. */
    void (*started)(void *user);
    void (*stopped)(void *user);
    void *user;
};
AK_PUBLIC struct ak_leader *ak_leader_free(struct ak_leader *self); /* stops first */
AK_PUBLIC AK_MUST_USE int ak_leader_new(struct ak_client *client,
                                        const struct ak_leader_options *options,
                                        struct ak_leader **ret, struct ak_error **reterr);
AK_DEFINE_AUTO_PTR(ak_leader, ak_leader_free)
AK_PUBLIC AK_MUST_USE int ak_leader_start(struct ak_leader *self, struct ak_error **reterr);
AK_PUBLIC void ak_leader_stop(struct ak_leader *self); /* stopped(), gives the Lease back, joins */
/* May we write at this instant? Thread: any; cheap: an atomic read and a clock read. */
AK_PUBLIC bool ak_leader_is_leading(const struct ak_leader *self);
AK_PUBLIC bool ak_leader_may_write(void *self); /* the same, for struct ak_apply */
/* Where the holder of the Lease says that it is reached, as we saw it last (candidates look about once a
 * second). false: nobody holds it, or it does not say. Thread: any. */
AK_PUBLIC bool ak_leader_find_address(struct ak_leader *self,
                                      char ret[static AK_LEADER_ADDRESS_SIZE]);
#endif
