/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/audit.h"

#include <unistd.h>

#include <ak/base/time.h>

#define LINE_MAX_BYTES (32u << 10) /* more than the journal makes of a record */

int ak_audit_init(struct ak_audit *self, const struct ak_target *target, const char *boot_id,
                  int fd, void (*wake)(void *user), void *user)
{
    *self = (struct ak_audit){.target = target, .wake = wake, .user = user, .fd = fd};
    ak_mutex_init(&self->lock);
    return ak_journal_init(&self->journal, boot_id);
}

void ak_audit_done(struct ak_audit *self)
{
    ak_journal_done(&self->journal);
    ak_mutex_done(&self->lock);
}

void ak_audit_add(struct ak_audit *self, const struct ak_journal_record *record)
{
    struct ak_journal_record all = *record;

    all.time = ak_wall_now();
    all.ns = self->target->ns;
    all.tool = self->target->name;
    all.type = self->target->info->name;
    ak_mutex_lock(&self->lock);
    (void)!ak_journal_add(&self->journal, &all, NULL); /* it has counted what it could not keep */
    ak_mutex_unlock(&self->lock);
    self->wake(self->user);
}

int64_t ak_audit_next(struct ak_audit *self, uint64_t seq, struct ak_buf *out)
{
    const struct ak_journal_entry *entry;
    int64_t found = 0;

    ak_mutex_lock(&self->lock);
    entry = ak_journal_next(&self->journal, seq);
    if (entry)
        found = ak_buf_add(out, entry->text, entry->len) < 0 ? -ENOMEM : (int64_t)entry->seq;
    ak_mutex_unlock(&self->lock);
    return found;
}

int ak_audit_ack(struct ak_audit *self, uint64_t seq)
{
    int r;

    ak_audit_print(self); /* what is acknowledged goes from the journal */
    ak_mutex_lock(&self->lock);
    r = ak_journal_ack(&self->journal, seq);
    ak_mutex_unlock(&self->lock);
    return r;
}

static bool write_all(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

/* A log that takes nothing is not tried for ever: the manager's copy is the one that counts. */
void ak_audit_print(struct ak_audit *self)
{
    for (;;) {
        AK_AUTO(ak_buf) line = AK_BUF_INIT(LINE_MAX_BYTES);
        int64_t seq = ak_audit_next(self, self->printed, &line);

        if (seq <= 0 || ak_buf_adds(&line, "\n") < 0)
            return;
        self->printed = (uint64_t)seq;
        if (!write_all(self->fd, line.data, line.len))
            return;
    }
}

struct ak_audit_counts ak_audit_counts(struct ak_audit *self)
{
    struct ak_audit_counts out;

    ak_mutex_lock(&self->lock);
    out = (struct ak_audit_counts){
        .head = self->journal.head, .acked = self->journal.acked, .dropped = self->journal.dropped};
    ak_mutex_unlock(&self->lock);
    return out;
}
