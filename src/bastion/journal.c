/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/journal.h"

#include <errno.h>
#include <string.h>

#include <ak/base/alloc.h>

#define MAX_RECORD (16u << 10)

int ak_journal_init(struct ak_journal *self, const char *boot_id)
{
    *self = (struct ak_journal){.boot_id = boot_id};
    self->entries = ak_calloc(AK_JOURNAL_RECORDS, sizeof(*self->entries));
    return self->entries ? 0 : -ENOMEM;
}

static void drop_first(struct ak_journal *self)
{
    struct ak_journal_entry *entry = &self->entries[self->first];

    self->bytes -= entry->len;
    ak_free(entry->text);
    *entry = (struct ak_journal_entry){0};
    self->first = (self->first + 1) % AK_JOURNAL_RECORDS;
    self->len--;
}

void ak_journal_done(struct ak_journal *self)
{
    while (self->len)
        drop_first(self);
    ak_free(self->entries);
    self->entries = NULL;
}

/* ---- a record as JSON ---- */

static int set_text(json_t *object, const char *key, const char *value)
{
    return value ? json_object_set_new(object, key, json_string(value)) : 0;
}

static int set_statement(json_t *object, const struct ak_journal_record *r)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(16u << 10);
    AK_AUTO(ak_buf) quoted = AK_BUF_INIT(64u << 10);
    json_t *value = NULL;

    if (!r->statement)
        return 0;
    if (ak_journal_excerpt(r->statement, r->statement_len, &text) < 0 ||
        ak_buf_add_json_string(&quoted, ak_buf_text(&text), text.len) < 0)
        return -ENOMEM;
    /* any bytes: what is no UTF-8 was replaced by now */
    if (ak_json_parse(ak_buf_text(&quoted), quoted.len, &value, NULL) < 0)
        return -ENOMEM;
    return json_object_set_new(object, "statement", value);
}

static json_t *make(const struct ak_journal *self, const struct ak_journal_record *r)
{
    char time[AK_RFC3339_SIZE];
    AK_AUTO_JSON *o = json_pack(
        "{ss sI ss ss s{ss ss ss} ss sI sI}", "time", ak_format_rfc3339_micro(r->time, time), "seq",
        (json_int_t)self->head, "bootID", self->boot_id, "sessionID", r->session_id, "tool",
        "namespace", r->ns, "name", r->tool, "type", r->type, "verdict", r->verdict, "bytes",
        (json_int_t)r->bytes, "milliseconds", (json_int_t)r->duration);

    if (!o || set_text(o, "kind", r->session_kind) < 0 ||
        (r->caller && json_object_set(o, "caller", (json_t *)(uintptr_t)r->caller) < 0) ||
        set_text(o, "operation", r->operation) < 0 ||
        set_text(o, "statementClass", ak_statement_class_name(r->class_)) < 0 ||
        set_statement(o, r) < 0 || set_text(o, "statementHash", r->statement_hash) < 0 ||
        set_text(o, "rule", r->rule) < 0 ||
        (r->rows >= 0 && json_object_set_new(o, "rows", json_integer(r->rows)) < 0) ||
        set_text(o, "code", r->code) < 0)
        return NULL;
    return AK_TAKE(o);
}

/* ---- the ring ---- */

static int keep(struct ak_journal *self, char *text, size_t len)
{
    while (self->len && (self->len == AK_JOURNAL_RECORDS || self->bytes + len > AK_JOURNAL_BYTES)) {
        if (self->entries[self->first].seq > self->acked)
            self->dropped++;
        drop_first(self);
    }
    self->entries[(self->first + self->len++) % AK_JOURNAL_RECORDS] =
        (struct ak_journal_entry){.seq = self->head, .text = text, .len = len};
    self->bytes += len;
    return 0;
}

int ak_journal_add(struct ak_journal *self, const struct ak_journal_record *record,
                   struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(MAX_RECORD);

    self->head++;
    AK_AUTO_JSON *tree = make(self, record);
    int r = tree ? ak_json_write(tree, &text, reterr) : ak_error_oom(reterr);
    if (r < 0) {
        self->dropped++;
        return r;
    }
    size_t len = text.len;
    char *taken = ak_buf_take(&text);
    if (!taken) {
        self->dropped++;
        return ak_error_oom(reterr);
    }
    return keep(self, taken, len);
}

const struct ak_journal_entry *ak_journal_next(const struct ak_journal *self, uint64_t after)
{
    for (size_t i = 0; i < self->len; i++) {
        const struct ak_journal_entry *one = &self->entries[(self->first + i) % AK_JOURNAL_RECORDS];
        if (one->seq > after)
            return one;
    }
    return NULL;
}

int ak_journal_ack(struct ak_journal *self, uint64_t seq)
{
    if (seq > self->head)
        return -EINVAL;
    self->acked = AK_MAX(self->acked, seq);
    while (self->len && self->entries[self->first].seq <= self->acked)
        drop_first(self);
    return 0;
}
