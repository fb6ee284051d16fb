/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was done through this bastion, one record for each statement, operation and refusal: a line of JSON on standard output, and
 * a ring from which the manager takes them. A record that makes room before the manager has it is counted as dropped.
 * Thread: any, but for what says loop.
 */
#ifndef AK_BASTION_AUDIT_H
#define AK_BASTION_AUDIT_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/thread.h>
#include <stdint.h>

#include "bastion/engine.h"
#include "bastion/session.h"

#define AK_AUDIT_RECORDS 4096
#define AK_AUDIT_BYTES (4u << 20)
#define AK_AUDIT_TEXT 1024 /* bytes of a statement that are kept */
#define AK_AUDIT_HASH 65   /* SHA-256 in hex, with its end */

struct ak_audit_entry {
    const char *session_id, *kind;
    const char *caller;    /* JSON */
    const char *operation; /* "" of a statement in a session */
    enum ak_statement_class class;
    const char *text; /* already cut and without passwords */
    const char *hash;
    const char *verdict;               /* Allowed, Refused, Failed */
    const char *rule;                  /* NULL: none */
    const char *code;                  /* the system's; NULL: none */
    int64_t rows, bytes, milliseconds; /* rows -1: not known */
};

struct ak_audit_record {
    char *json;
    size_t len;
};
struct ak_audit {
    const struct ak_target *target;
    const char *boot_id;
    void (*wake)(void *user); /* a record is there; any thread, no lock held */
    void *user;
    struct ak_mutex lock;                          /* guards what follows */
    struct ak_audit_record ring[AK_AUDIT_RECORDS]; /* seq modulo its size */
    uint64_t first, head; /* the oldest that is there, and the newest; first > head: none */
    uint64_t acked, dropped, printed;
    size_t bytes;
};
void ak_audit_init(struct ak_audit *self, const struct ak_target *target, const char *boot_id,
                   void (*wake)(void *user), void *user);
void ak_audit_done(struct ak_audit *self);
void ak_audit_add(struct ak_audit *self, const struct ak_audit_entry *entry);
/* Prints what was not printed yet. Thread: loop. */
void ak_audit_print(struct ak_audit *self);
void ak_audit_ack(struct ak_audit *self, uint64_t seq);
/* A copy of the first record after `seq`: its number; 0: there is none; -ENOMEM. */
AK_MUST_USE int64_t ak_audit_next(struct ak_audit *self, uint64_t seq, struct ak_buf *out);

/* The beginning of a statement for people to read, what looks like a password cut off; and the hash of all of it. */
void ak_audit_text(const char *text, size_t len, char ret[static AK_AUDIT_TEXT + 8]);
void ak_audit_hash(const char *text, size_t len, char ret[static AK_AUDIT_HASH]);

#endif
