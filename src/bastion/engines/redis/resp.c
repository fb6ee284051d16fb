/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/redis/resp.h"

#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>

int ak_redis_put(struct ak_buf *out, size_t n, const char *const *words, const size_t *lens)
{
    int r = ak_buf_addf(out, "*%zu\r\n", n);

    for (size_t i = 0; r >= 0 && i < n; i++) {
        const size_t len = lens ? lens[i] : strlen(words[i]);

        r = ak_buf_addf(out, "$%zu\r\n", len);
        if (r >= 0)
            r = ak_buf_add(out, words[i], len);
        if (r >= 0)
            r = ak_buf_add(out, "\r\n", 2);
    }
    return r;
}

/* ---- replies ---- */

bool ak_redis_reply_is_between(const struct ak_redis_reply *self)
{
    return self->depth == 0 && self->line_len == 0 && self->bulk_left == 0;
}

/* A value has ended: whether the whole reply has. */
static bool value_ended(struct ak_redis_reply *self)
{
    while (self->depth) {
        if (--self->left[self->depth - 1])
            return false;
        self->depth--;
        if (self->is_attribute[self->depth])
            return false; /* what it is about follows */
    }
    return true;
}

/* A line is complete: 1 if the reply ends with it. */
static int line_ended(struct ak_redis_reply *self)
{
    const char type = self->line[0];
    char *end;
    int64_t n = 0;

    end = memchr(self->line, '\r', self->line_len);
    if (end)
        *end = '\0';
    if (self->depth == 0 && type != '|')
        self->type = type;
    if (strchr("$=!*~>%|", type) && type) {
        if (!end || ak_parse_i64(self->line + 1, &n) < 0 || n < -1 || n > INT32_MAX)
            return AK_E_PROTOCOL;
    } else if (!strchr("+-:_#,(", type) || !type) {
        return AK_E_PROTOCOL;
    }
    if (type == '-' && self->depth == 0)
        snprintf(self->error, sizeof(self->error), "%.*s", (int)strcspn(self->line + 1, " \r\n"),
                 self->line + 1);
    self->line_len = 0;
    if (type == '|' && n <= 0)
        return n < 0 ? AK_E_PROTOCOL : 0; /* what it is about follows all the same */
    if (strchr("$=!", type) && n >= 0) {
        self->bulk_left = (uint64_t)n + 2;
        return 0;
    }
    if (strchr("*~>%|", type) && n > 0) {
        if (self->depth == AK_REDIS_DEPTH)
            return AK_E_PROTOCOL;
        self->is_attribute[self->depth] = type == '|';
        self->left[self->depth++] = type == '%' || type == '|' ? 2 * (uint64_t)n : (uint64_t)n;
        return 0;
    }
    return value_ended(self);
}

ssize_t ak_redis_reply_take(struct ak_redis_reply *self, const uint8_t *data, size_t len,
                            bool *ret_ended)
{
    size_t at = 0;

    *ret_ended = false;
    if (ak_redis_reply_is_between(self))
        self->error[0] = '\0';
    while (at < len && !*ret_ended) {
        if (self->bulk_left) {
            const size_t n = (size_t)AK_MIN((uint64_t)(len - at), self->bulk_left);

            at += n;
            self->bulk_left -= n;
            if (!self->bulk_left)
                *ret_ended = value_ended(self);
            continue;
        }
        /* A longer line is text; its end still counts. */
        if (self->line_len < sizeof(self->line) - 1)
            self->line[self->line_len++] = (char)data[at];
        self->line[self->line_len] = '\0';
        if (data[at++] == '\n') {
            const int r = line_ended(self);

            if (r < 0)
                return r;
            *ret_ended = r > 0;
        }
    }
    return (ssize_t)at;
}

/* ---- requests ---- */

void ak_redis_request_init(struct ak_redis_request *self)
{
    *self = (struct ak_redis_request){.held = AK_BUF_INIT(AK_REDIS_HELD + 64)};
}

void ak_redis_request_done(struct ak_redis_request *self)
{
    ak_buf_done(&self->held);
}

void ak_redis_request_clear(struct ak_redis_request *self)
{
    struct ak_buf held = self->held;

    ak_buf_clear(&held);
    *self = (struct ak_redis_request){.held = held};
}

/* A number's line, without its mark: exactly digits and CR LF, as a server writes them too. */
static int read_number(struct ak_redis_request *self, uint64_t max, uint64_t *ret)
{
    if (self->line_len < 2 || self->line[self->line_len - 2] != '\r')
        return AK_E_PROTOCOL;
    self->line[self->line_len - 2] = '\0';
    self->line_len = 0;
    if (ak_parse_u64(self->line, ret) < 0 || *ret > max)
        return AK_E_PROTOCOL;
    return 0;
}

/* 1: the request ends here. */
static int number_ended(struct ak_redis_request *self)
{
    uint64_t n;
    int r = read_number(self,
                        self->state == AK_REDIS_COUNT ? AK_REDIS_MAX_WORDS : AK_REDIS_MAX_BULK, &n);

    if (r < 0)
        return r;
    if (self->state == AK_REDIS_COUNT) {
        self->words_left = n;
        self->state = AK_REDIS_LENGTH;
        return n == 0;
    }
    self->bulk_len = (size_t)n;
    self->bulk_left = n + 2;
    self->state = AK_REDIS_BULK;
    return 0;
}

static int word_ended(struct ak_redis_request *self)
{
    if (!self->is_over_held && self->n_words < AK_REDIS_KEPT_WORDS) {
        self->words[self->n_words].at = self->held.len - self->bulk_len - 2;
        self->words[self->n_words++].len = self->bulk_len;
    }
    self->state = AK_REDIS_LENGTH;
    return --self->words_left == 0;
}

/* One byte that is not inside of a text; 1: the request ends with it. */
static int take_byte(struct ak_redis_request *self, char c)
{
    switch (self->state) {
    case AK_REDIS_START:
        self->state = c == '*' ? AK_REDIS_COUNT : AK_REDIS_INLINE;
        return c == '\n';
    case AK_REDIS_INLINE:
        return c == '\n' ? 1 : self->held.len > AK_REDIS_LINE_MAX - 1 ? AK_E_PROTOCOL : 0;
    default:
        break;
    }
    if (self->state == AK_REDIS_LENGTH && self->line_len == 0 && c != '$')
        return AK_E_PROTOCOL;
    if (self->state == AK_REDIS_LENGTH && self->line_len == 0) {
        self->line[self->line_len++] = '+'; /* stands for the mark: it is taken, not a digit */
        return 0;
    }
    if (self->line_len == sizeof(self->line) - 1)
        return AK_E_PROTOCOL;
    self->line[self->line_len++] = c;
    if (c != '\n')
        return 0;
    if (self->state == AK_REDIS_LENGTH) {
        memmove(self->line, self->line + 1, self->line_len - 1);
        self->line_len--;
    }
    return number_ended(self);
}

static ssize_t take_text(struct ak_redis_request *self, const uint8_t *data, size_t len, int *ret)
{
    size_t n = (size_t)AK_MIN((uint64_t)len, self->bulk_left);

    *ret = 0;
    if (!self->is_over_held) {
        n = AK_MIN(n, AK_REDIS_HELD - self->held.len);
        if (ak_buf_add(&self->held, data, n) < 0)
            return -ENOMEM;
    }
    /* The two bytes behind the text are CR LF, or a server could read on somewhere else. */
    for (size_t i = 0; i < n; i++) {
        const uint64_t left = self->bulk_left - i;

        if ((left == 2 && data[i] != '\r') || (left == 1 && data[i] != '\n'))
            return AK_E_PROTOCOL;
        if (left > 2 && n - i > 2)
            i = (size_t)AK_MIN((uint64_t)(n - 2), i + (size_t)(left - 2)) - 1;
    }
    self->bulk_left -= n;
    if (self->bulk_left == 0)
        *ret = word_ended(self);
    return (ssize_t)n;
}

ssize_t ak_redis_request_take(struct ak_redis_request *self, const uint8_t *data, size_t len,
                              bool *ret_ended)
{
    size_t at = 0;
    int r = 0;

    while (at < len && r == 0 && (self->is_over_held || self->held.len < AK_REDIS_HELD)) {
        if (self->state == AK_REDIS_BULK) {
            const ssize_t n = take_text(self, data + at, len - at, &r);

            if (n < 0)
                return n;
            at += (size_t)n;
            continue;
        }
        if (!self->is_over_held && ak_buf_add(&self->held, data + at, 1) < 0)
            return -ENOMEM;
        r = take_byte(self, (char)data[at++]);
    }
    *ret_ended = r > 0;
    return r < 0 ? r : (ssize_t)at;
}
