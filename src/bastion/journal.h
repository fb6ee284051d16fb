/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of what was done through this bastion, until the manager has written them into its log: numbered from 1, each
 * kept as the JSON text that goes out. At most AK_JOURNAL_RECORDS and AK_JOURNAL_BYTES wait; then the oldest goes, and
 * is counted. Pure; of one thread at a time.
 */
#ifndef AK_BASTION_JOURNAL_H
#define AK_BASTION_JOURNAL_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/time.h>
#include <ak/json/json.h>
#include <stddef.h>
#include <stdint.h>

#include "engines/engine.h"

#define AK_JOURNAL_RECORDS 4096
#define AK_JOURNAL_BYTES (4u << 20)
#define AK_JOURNAL_STATEMENT                                                                       \
    1024 /* bytes of a statement that are kept; its hash is over all of it */

struct ak_journal_record {
    ak_msec time; /* wall clock, of the end */
    const char *session_id, *session_kind;
    const char *ns, *tool, *type; /* of the Tool; like session_id and verdict never NULL */
    const json_t *caller;         /* {kind, name, ...}; borrowed */
    const char *operation;        /* NULL: a statement of a session */
    enum ak_statement_class class_;
    const char *statement; /* NULL: none; the first AK_JOURNAL_STATEMENT bytes are enough */
    size_t statement_len;
    const char *statement_hash; /* ak_journal_hash(); NULL: none */
    const char *verdict;        /* Allowed, Refused, Failed */
    const char *rule;           /* that decided; NULL: none */
    int64_t rows;               /* negative: not known */
    uint64_t bytes;
    ak_msec duration;
    const char *code; /* the system's own, NULL: none */
};

struct ak_journal_entry {
    uint64_t seq;
    char *text; /* JSON, without a line end */
    size_t len;
};
struct ak_journal {
    const char *boot_id;              /* borrowed */
    struct ak_journal_entry *entries; /* a ring of AK_JOURNAL_RECORDS */
    size_t first, len, bytes;
    uint64_t head, acked,
        dropped; /* the last number; the last that is written elsewhere; lost before that */
};
AK_MUST_USE int ak_journal_init(struct ak_journal *self, const char *boot_id);
void ak_journal_done(struct ak_journal *self);
AK_DEFINE_AUTO(ak_journal, ak_journal_done)
/* Numbers it and keeps it. On failure (-ENOMEM) it is counted as dropped, with its number. */
AK_MUST_USE int ak_journal_add(struct ak_journal *self, const struct ak_journal_record *record,
                               struct ak_error **reterr);
/* The first entry behind number `after`, or NULL. Borrowed until the journal is changed. */
const struct ak_journal_entry *ak_journal_next(const struct ak_journal *self, uint64_t after);
/* Everything up to the number is safe elsewhere. -EINVAL: there is no such number yet. Going back does nothing. */
AK_MUST_USE int ak_journal_ack(struct ak_journal *self, uint64_t seq);

/* "sha256:..." of a statement. */
#define AK_JOURNAL_HASH_SIZE 72
AK_MUST_USE int ak_journal_hash(const char *text, size_t len,
                                char ret[static AK_JOURNAL_HASH_SIZE]);
/* The statement's beginning as it may be shown: the literal behind PASSWORD, IDENTIFIED BY and AUTH is '***'. */
AK_MUST_USE int ak_journal_excerpt(const char *text, size_t len, struct ak_buf *out);

#endif
