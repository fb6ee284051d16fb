/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/audit.h"

#include <ctype.h>
#include <openssl/sha.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/base/time.h>

#define RECORD_MAX (32u << 10)
#define CUT " ***"

/* --- text --- */

/* After these a password may follow, in one way or another of writing it. */
static const char *const words[] = {"password",   "passwd",        "identified",  "requirepass",
                                    "masterauth", "authorization", "secret",      "setuser",
                                    "auth",       "credential",    "private_key", "token"};

static bool begins_word(const char *text, size_t at)
{
    return at == 0 || !isalnum((unsigned char)text[at - 1]);
}

/* Where a secret may begin; len: nowhere. */
static size_t find_secret(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (len - i > 3 && memcmp(text + i, "://", 3) == 0) {
            size_t n = 3;

            while (i + n < len && !strchr(" \t\r\n/'\"", text[i + n]) && text[i + n] != '@')
                n++;
            if (i + n < len && text[i + n] == '@')
                return i + 3;
        }
        for (size_t k = 0; begins_word(text, i) && k < AK_ARRAY_LEN(words); k++) {
            size_t n = strlen(words[k]);

            if (len - i >= n && strncasecmp(text + i, words[k], n) == 0 && len - i > n &&
                !isalpha((unsigned char)text[i + n]))
                return i + n;
        }
    }
    return len;
}

void ak_audit_text(const char *text, size_t len, char ret[static AK_AUDIT_TEXT + 8])
{
    size_t shown = AK_MIN(len, (size_t)AK_AUDIT_TEXT);
    size_t end = find_secret(text, shown);

    memcpy(ret, text, end);
    memcpy(ret + end, end < shown ? CUT : "", end < shown ? sizeof(CUT) : 1);
}

void ak_audit_hash(const char *text, size_t len, char ret[static AK_AUDIT_HASH])
{
    unsigned char digest[SHA256_DIGEST_LENGTH];

    (void)SHA256((const unsigned char *)text, len, digest);
    for (size_t i = 0; i < sizeof(digest); i++)
        (void)snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}

/* --- records --- */

static int add_text(struct ak_buf *out, const char *name, const char *text)
{
    int r = ak_buf_addf(out, ",\"%s\":", name);

    return r < 0 ? r : ak_buf_add_json_string(out, text, strlen(text));
}

static int write_record(const struct ak_audit *self, uint64_t seq, const struct ak_audit_entry *e,
                        struct ak_buf *out)
{
    const struct ak_target *t = self->target;
    char time[AK_RFC3339_SIZE];
    int r = ak_buf_addf(out,
                        "{\"time\":\"%s\",\"seq\":%llu,\"bootID\":\"%s\",\"sessionID\":\"%s\","
                        "\"kind\":\"%s\",\"tool\":{\"namespace\":\"%s\",\"name\":\"%s\","
                        "\"type\":\"%s\"},\"caller\":%s",
                        ak_format_rfc3339_micro(ak_wall_now(), time), (unsigned long long)seq,
                        self->boot_id, e->session_id, e->kind, t->ns, t->name, t->info->name,
                        e->caller);

    if (r >= 0 && e->operation[0])
        r = add_text(out, "operation", e->operation);
    if (r >= 0)
        r = ak_buf_addf(out, ",\"statementClass\":\"%s\"", ak_statement_class_name(e->class));
    if (r >= 0)
        r = add_text(out, "statement", e->text);
    if (r >= 0)
        r = ak_buf_addf(out, ",\"statementHash\":\"%s\",\"verdict\":\"%s\"", e->hash, e->verdict);
    if (r >= 0 && e->rule)
        r = add_text(out, "rule", e->rule);
    if (r >= 0 && e->rows >= 0)
        r = ak_buf_addf(out, ",\"rows\":%lld", (long long)e->rows);
    if (r >= 0)
        r = ak_buf_addf(out, ",\"bytes\":%lld,\"milliseconds\":%lld", (long long)e->bytes,
                        (long long)e->milliseconds);
    if (r >= 0 && !ak_is_empty(e->code))
        r = add_text(out, "code", e->code);
    return r < 0 ? r : ak_buf_adds(out, "}");
}

static void drop_first(struct ak_audit *self) AK_REQUIRES(self->lock)
{
    struct ak_audit_record *r = &self->ring[self->first % AK_AUDIT_RECORDS];

    self->bytes -= r->len;
    if (self->first > self->acked)
        self->dropped++;
    ak_free(r->json);
    *r = (struct ak_audit_record){0};
    self->first++;
}

void ak_audit_add(struct ak_audit *self, const struct ak_audit_entry *entry)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(RECORD_MAX);
    int r;

    ak_mutex_lock(&self->lock);
    r = write_record(self, self->head + 1, entry, &text);
    if (r >= 0) {
        while (self->first <= self->head && (self->head + 1 - self->first >= AK_AUDIT_RECORDS ||
                                             self->bytes + text.len > AK_AUDIT_BYTES))
            drop_first(self);
        self->head++;
        self->bytes += text.len;
        self->ring[self->head % AK_AUDIT_RECORDS].len = text.len;
        self->ring[self->head % AK_AUDIT_RECORDS].json = ak_buf_take(&text);
    } else {
        self->dropped++;
    }
    ak_mutex_unlock(&self->lock);
    self->wake(self->user);
}

int64_t ak_audit_next(struct ak_audit *self, uint64_t seq, struct ak_buf *out)
{
    int64_t found = 0;

    ak_mutex_lock(&self->lock);
    for (uint64_t at = AK_MAX(seq + 1, self->first); !found && at <= self->head; at++) {
        const struct ak_audit_record *r = &self->ring[at % AK_AUDIT_RECORDS];

        if (r->json)
            found = ak_buf_add(out, r->json, r->len) < 0 ? -ENOMEM : (int64_t)at;
    }
    ak_mutex_unlock(&self->lock);
    return found;
}

void ak_audit_ack(struct ak_audit *self, uint64_t seq)
{
    ak_mutex_lock(&self->lock);
    self->acked = AK_MAX(self->acked, AK_MIN(seq, self->head));
    while (self->first <= self->acked && self->first <= self->printed)
        drop_first(self);
    ak_mutex_unlock(&self->lock);
}

void ak_audit_print(struct ak_audit *self)
{
    for (;;) {
        AK_AUTO(ak_buf) line = AK_BUF_INIT(RECORD_MAX + 1);
        int64_t seq = ak_audit_next(self, self->printed, &line);

        if (seq <= 0 || ak_buf_adds(&line, "\n") < 0)
            return;
        if (write(STDOUT_FILENO, line.data, line.len) < 0 && errno == EINTR)
            continue;
        ak_mutex_lock(&self->lock);
        self->printed = (uint64_t)seq;
        ak_mutex_unlock(&self->lock);
    }
}

void ak_audit_init(struct ak_audit *self, const struct ak_target *target, const char *boot_id,
                   void (*wake)(void *user), void *user)
{
    *self = (struct ak_audit){
        .target = target, .boot_id = boot_id, .wake = wake, .user = user, .first = 1};
    ak_mutex_init(&self->lock);
}

void ak_audit_done(struct ak_audit *self)
{
    ak_mutex_lock(&self->lock);
    while (self->first <= self->head)
        drop_first(self);
    ak_mutex_unlock(&self->lock);
    ak_mutex_done(&self->lock);
}
