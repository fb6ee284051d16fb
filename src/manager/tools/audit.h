/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of what was done through Tools: one JSON line for each record, each with the hash of the one before, so that
 * a line that is taken out or changed later does not go unseen.
 *
 *     {"kind":"ToolAudit","seq":7,"prev":"sha256:..","record":{...},"hash":"sha256:.."}
 *
 * hash = SHA-256 of prev, a line end, and the record as it is written there (compact, members sorted by name). A
 * process begins with the line {"kind":"ToolAuditBegin", ..., "head":..}, which says from which hash it goes on: the
 * last that the leader before noted in the Lease, or AK_AUDIT_NONE.
 */
#ifndef AK_MANAGER_TOOLS_AUDIT_H
#define AK_MANAGER_TOOLS_AUDIT_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/thread.h>
#include <ak/json/json.h>

#define AK_AUDIT_HASH_SIZE 72 /* "sha256:" and 64 digits, with its end */
#define AK_AUDIT_NONE "sha256:0000000000000000000000000000000000000000000000000000000000000000"
#define AK_AUDIT_MAX_RECORD (32u << 10) /* bytes of one line's record */

struct ak_audit {
    void (*write)(const char *line, size_t len,
                  void *user); /* with its line end; the lock is held */
    void *user;
    struct ak_mutex lock; /* guards what follows, and the order of lines */
    uint64_t seq;
    bool begun;
    char head[AK_AUDIT_HASH_SIZE];
};
void ak_audit_init(struct ak_audit *self, void (*write)(const char *line, size_t len, void *user),
                   void *user);
void ak_audit_done(struct ak_audit *self);
/* The head that an earlier process left; only before the first line, and only if it is a hash. */
void ak_audit_go_on_from(struct ak_audit *self, const char *head);
/* A line for this record. AK_E_TOO_LARGE: it is longer than AK_AUDIT_MAX_RECORD. Nothing is written on failure. */
AK_MUST_USE int ak_audit_add(struct ak_audit *self, const json_t *record, struct ak_error **reterr);
/* A copy of the head; false: no line was written yet. */
bool ak_audit_head(struct ak_audit *self, char ret[static AK_AUDIT_HASH_SIZE]);
/* Pure: compact, members sorted by name. */
AK_MUST_USE int ak_audit_write(const json_t *value, struct ak_buf *out, struct ak_error **reterr);
/* Pure: the hash of a record that follows `prev`. */
AK_MUST_USE int ak_audit_hash(const char *prev, const json_t *record,
                              char ret[static AK_AUDIT_HASH_SIZE], struct ak_buf *ret_text,
                              struct ak_error **reterr);

#endif
