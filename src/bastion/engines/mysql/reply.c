/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/mysql/reply.h"

enum state { FIRST, COLUMNS, COLUMNS_END, ROWS };

void ak_mysql_reply_begin(struct ak_mysql_reply *self, enum ak_mysql_reply_kind kind)
{
    *self = (struct ak_mysql_reply){.kind = kind};
    self->state = kind == AK_MYSQL_REPLY_ROWS || kind == AK_MYSQL_REPLY_COLUMNS ? ROWS : FIRST;
}

static bool is_err(const uint8_t *head, size_t len)
{
    return len && head[0] == 0xff;
}

static bool is_eof(const uint8_t *head, size_t len)
{
    return len && head[0] == 0xfe && len < 9;
}

static int ended_by_err(struct ak_mysql_reply *self, const uint8_t *head, size_t head_len)
{
    struct ak_mysql_err err;

    self->code = ak_mysql_parse_err(head, head_len, &err) < 0 ? UINT16_MAX : err.code;
    return 1;
}

/* Another result may follow this one. */
static int ended_by_status(struct ak_mysql_reply *self, uint16_t status)
{
    self->state = FIRST;
    return self->kind == AK_MYSQL_REPLY_RESULT && (status & AK_MYSQL_STATUS_MORE_RESULTS) ? 0 : 1;
}

static uint16_t eof_status(const uint8_t *head, size_t head_len)
{
    return head_len >= 5 ? (uint16_t)(head[3] | head[4] << 8) : 0;
}

static int first_of_result(struct ak_mysql_reply *self, const uint8_t *head, size_t head_len)
{
    struct ak_mysql_reader in = ak_mysql_reader_of(head, head_len);
    struct ak_mysql_ok ok;

    /* 0xfb: the server asks for a file of the client's, though nobody offered that. */
    if (!head_len || head[0] == 0xfb)
        return AK_E_PROTOCOL;
    if (head[0] == 0x00) {
        if (ak_mysql_parse_ok(head, head_len, &ok) < 0)
            return AK_E_PROTOCOL;
        self->rows += (int64_t)AK_MIN(ok.affected, (uint64_t)INT32_MAX);
        return ended_by_status(self, ok.status);
    }
    self->columns_left = ak_mysql_read_lenenc(&in, NULL);
    if (in.is_bad || !self->columns_left)
        return AK_E_PROTOCOL;
    self->state = COLUMNS;
    return 0;
}

static int first_of_prepare(struct ak_mysql_reply *self, const uint8_t *head, size_t head_len)
{
    struct ak_mysql_reader in = ak_mysql_reader_of(head, head_len);
    uint64_t columns, params;

    if (ak_mysql_read_int(&in, 1) != 0)
        return AK_E_PROTOCOL;
    self->statement_id = (uint32_t)ak_mysql_read_int(&in, 4);
    columns = ak_mysql_read_int(&in, 2);
    params = ak_mysql_read_int(&in, 2);
    if (in.is_bad)
        return AK_E_PROTOCOL;
    self->has_second = params && columns;
    self->rows = (int64_t)columns; /* kept until the columns' turn comes */
    self->columns_left = params ? params : columns;
    self->state = COLUMNS;
    return self->columns_left ? 0 : 1;
}

static int columns_ended(struct ak_mysql_reply *self, const uint8_t *head, size_t head_len)
{
    const uint16_t status = eof_status(head, head_len);

    if (self->kind == AK_MYSQL_REPLY_PREPARE) {
        if (!self->has_second)
            return 1;
        self->has_second = false;
        self->columns_left = (uint64_t)self->rows;
        self->state = COLUMNS;
        return 0;
    }
    /* With a cursor, rows come when they are fetched. */
    if (status & AK_MYSQL_STATUS_CURSOR)
        return ended_by_status(self, status);
    self->state = ROWS;
    return 0;
}

static int row(struct ak_mysql_reply *self, const uint8_t *head, size_t head_len, size_t len)
{
    if (is_eof(head, len))
        return ended_by_status(self, eof_status(head, head_len));
    self->rows++;
    return 0;
}

int ak_mysql_reply_packet(struct ak_mysql_reply *self, const uint8_t *head, size_t head_len,
                          size_t len)
{
    const bool is_rest = self->continues;

    self->continues = len == AK_MYSQL_PACKET_MAX;
    self->bytes += len;
    if (is_rest)
        return 0;
    if (self->kind == AK_MYSQL_REPLY_SINGLE)
        return is_err(head, len) ? ended_by_err(self, head, head_len) : 1;
    if (self->state != COLUMNS && is_err(head, len))
        return ended_by_err(self, head, head_len);
    switch (self->state) {
    case FIRST:
        return self->kind == AK_MYSQL_REPLY_PREPARE ? first_of_prepare(self, head, head_len)
                                                    : first_of_result(self, head, head_len);
    case COLUMNS:
        if (--self->columns_left == 0)
            self->state = COLUMNS_END;
        return 0;
    case COLUMNS_END:
        return is_eof(head, len) ? columns_ended(self, head, head_len) : AK_E_PROTOCOL;
    default:
        return row(self, head, head_len, len);
    }
}
