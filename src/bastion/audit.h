/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was done through this bastion, one record for each statement, operation and refusal: the journal, for all
 * threads, from which the manager takes them; and a line of JSON on standard output for each.
 * Thread: any, but for what says loop.
 */
#ifndef AK_BASTION_AUDIT_H
#define AK_BASTION_AUDIT_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/thread.h>
#include <stdint.h>

#include "bastion/engine.h"
#include "bastion/journal.h"

struct ak_audit {
    const struct ak_target *target;
    void (*wake)(void *user); /* a record is there; any thread, no lock held */
    void *user;
    int fd;               /* where lines go; borrowed */
    uint64_t printed;     /* loop: the last record that has its line */
    struct ak_mutex lock; /* guards what follows */
    struct ak_journal journal;
};
/* -ENOMEM; done() is needed in every case. */
AK_MUST_USE int ak_audit_init(struct ak_audit *self, const struct ak_target *target,
                              const char *boot_id, int fd, void (*wake)(void *user), void *user);
void ak_audit_done(struct ak_audit *self);
/* The record's time and Tool are filled in. One that there is no memory for is counted as dropped. */
void ak_audit_add(struct ak_audit *self, const struct ak_journal_record *record);
/* Prints what was not printed yet. Thread: loop. */
void ak_audit_print(struct ak_audit *self);
/* -EINVAL: there is no such record yet. Thread: loop. */
AK_MUST_USE int ak_audit_ack(struct ak_audit *self, uint64_t seq);
/* A copy of the first record after `seq`: its number; 0: there is none; -ENOMEM. */
AK_MUST_USE int64_t ak_audit_next(struct ak_audit *self, uint64_t seq, struct ak_buf *out);

struct ak_audit_counts {
    uint64_t head, acked, dropped; /* as in struct ak_journal */
};
struct ak_audit_counts ak_audit_counts(struct ak_audit *self);

#endif
