/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/redis/connection.h"

#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "bastion/engines/redis/resp.h"
#include "bastion/wire_target.h"

#define CONNECT_TIMEOUT AK_SECONDS(10)
#define READ_AHEAD (16u << 10)
#define LINE_MAX_BYTES (4u << 10)
#define DEPTH_MAX 16
#define EXACT_MAX (1LL << 53)

struct ak_redis {
    struct ak_wire *wire;
    size_t at, end;
    char code[64];
    int64_t budget; /* bytes that a reply may still have */
    bool is_cut;    /* the budget was not enough */
    char line[LINE_MAX_BYTES];
    uint8_t ahead[READ_AHEAD];
};

struct ak_redis *ak_redis_free(struct ak_redis *self)
{
    if (!self)
        return NULL;
    ak_wire_free(self->wire);
    ak_wipe(self->ahead, sizeof(self->ahead));
    ak_free(self);
    return NULL;
}

const char *ak_redis_code(const struct ak_redis *self)
{
    return self->code;
}

struct ak_wire *ak_redis_wire(struct ak_redis *self)
{
    return self->wire;
}

void ak_redis_set_deadline(struct ak_redis *self, ak_msec deadline)
{
    ak_wire_set_deadline(self->wire, deadline);
}

void ak_redis_answer_done(struct ak_redis_answer *self)
{
    json_decref(self->value);
    *self = (struct ak_redis_answer){0};
}

int ak_redis_open_on(struct ak_wire *wire, ak_msec deadline, struct ak_redis **ret,
                     struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_redis) self = ak_new0(struct ak_redis);
    int r = 0;

    if (!self) {
        ak_wire_free(wire);
        return ak_error_oom(reterr);
    }
    self->wire = wire;
    ak_wire_set_deadline(self->wire, AK_MIN(deadline, ak_now() + CONNECT_TIMEOUT));
    if (ak_wire_needs_tls(self->wire))
        r = ak_wire_start_tls(self->wire, reterr);
    if (r < 0)
        return r;
    ak_wire_set_deadline(self->wire, deadline);
    *ret = AK_TAKE(self);
    return 0;
}

int ak_redis_open(const struct ak_target *target, const struct ak_cancel *cancel, ak_msec deadline,
                  struct ak_redis **ret, struct ak_error **reterr)
{
    AK_AUTO(ak_arena) arena = {0};
    struct ak_wire_options options;
    struct ak_wire *wire = NULL;
    int r;

    ak_arena_init(&arena, 512, 0);
    r = ak_wire_options_for(target, cancel, &arena, &options, reterr);
    if (r < 0)
        return r;
    options.timeout = CONNECT_TIMEOUT;
    if (deadline != AK_MSEC_NEVER)
        options.timeout = AK_MIN(options.timeout, AK_MAX(deadline - ak_now(), (ak_msec)1));
    r = ak_wire_connect(&options, &wire, reterr);
    return r < 0 ? r : ak_redis_open_on(wire, deadline, ret, reterr);
}

/* ---- replies ---- */

static int fill(struct ak_redis *self, struct ak_error **reterr)
{
    ssize_t n = ak_wire_read(self->wire, self->ahead, 1, READ_AHEAD, reterr);

    if (n < 0)
        return (int)n;
    self->at = 0;
    self->end = (size_t)n;
    return 0;
}

static int not_understood(struct ak_error **reterr)
{
    return ak_error_set(reterr, AK_E_PROTOCOL, "the server does not speak the protocol of Redis");
}

static int read_line(struct ak_redis *self, struct ak_error **reterr)
{
    size_t n = 0;

    for (;;) {
        int r = self->at == self->end ? fill(self, reterr) : 0;

        if (r < 0)
            return r;
        if (n == LINE_MAX_BYTES - 1)
            return not_understood(reterr);
        self->line[n++] = (char)self->ahead[self->at++];
        if (self->line[n - 1] == '\n')
            break;
    }
    if (n < 3 || self->line[n - 2] != '\r')
        return not_understood(reterr);
    self->line[n - 2] = '\0';
    return 0;
}

static json_t *of_text(const char *text, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    AK_AUTO(ak_buf) out = AK_BUF_INIT(2 * len + 2);
    json_t *value = json_stringn(text, len);
    int r;

    if (value)
        return value;
    r = ak_buf_adds(&out, "0x");
    for (size_t i = 0; r >= 0 && i < len; i++)
        r = ak_buf_add(&out, (char[]){digits[(uint8_t)text[i] >> 4], digits[text[i] & 15]}, 2);
    return r < 0 ? NULL : json_stringn(out.data, out.len);
}

static int read_bulk(struct ak_redis *self, uint64_t len, json_t **ret, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT((size_t)len + 2);
    int r = 0;

    if ((int64_t)len > self->budget) {
        self->is_cut = true;
        return 0;
    }
    self->budget -= (int64_t)len;
    while (r >= 0 && text.len < len + 2) {
        size_t n = AK_MIN((size_t)len + 2 - text.len, self->end - self->at);

        if (n == 0)
            r = fill(self, reterr);
        else if (ak_buf_add(&text, self->ahead + self->at, n) < 0)
            r = ak_error_oom(reterr);
        else
            self->at += n;
    }
    if (r < 0)
        return r;
    *ret = of_text(text.data, (size_t)len);
    return *ret ? 0 : ak_error_oom(reterr);
}

static int read_value(struct ak_redis *self, int depth, json_t **ret, struct ak_error **reterr);

/* What is there when the budget ends is kept. */
static int read_list(struct ak_redis *self, uint64_t n, int depth, json_t **ret,
                     struct ak_error **reterr)
{
    json_t *list = json_array();
    int r = list ? 0 : ak_error_oom(reterr);

    for (uint64_t i = 0; r >= 0 && i < n && !self->is_cut; i++) {
        json_t *value = NULL;

        self->budget -= 8;
        if (self->budget < 0) {
            self->is_cut = true;
            break;
        }
        r = read_value(self, depth + 1, &value, reterr);
        if (r >= 0 && value && json_array_append_new(list, value) < 0)
            r = ak_error_oom(reterr);
    }
    if (r < 0) {
        json_decref(list);
        return r;
    }
    *ret = list;
    return 0;
}

static json_t *of_integer(const char *text)
{
    int64_t n;

    if (ak_parse_i64(text, &n) >= 0 && n <= EXACT_MAX && n >= -EXACT_MAX)
        return json_integer(n);
    return json_string(text);
}

static int server_error(struct ak_redis *self, struct ak_error **reterr)
{
    const char *text = self->line + 1;

    snprintf(self->code, sizeof(self->code), "%.*s", (int)strcspn(text, " "), text);
    return ak_error_set(reterr, AK_E_INVALID, "%s", text);
}

static int read_value(struct ak_redis *self, int depth, json_t **ret, struct ak_error **reterr)
{
    int64_t n = 0;
    int r = read_line(self, reterr);
    const char type = self->line[0];

    if (r < 0)
        return r;
    if (depth > DEPTH_MAX)
        return not_understood(reterr);
    if ((type == '$' || type == '*') &&
        (ak_parse_i64(self->line + 1, &n) < 0 || n < -1 || n > INT32_MAX))
        return not_understood(reterr);
    switch (type) {
    case '-':
        if (depth == 0)
            return server_error(self, reterr);
        *ret = json_pack("{s:s}", "error", self->line + 1);
        break;
    case '+':
        *ret = of_text(self->line + 1, strlen(self->line + 1));
        break;
    case ':':
        *ret = of_integer(self->line + 1);
        break;
    case '$':
        if (n >= 0)
            return read_bulk(self, (uint64_t)n, ret, reterr);
        *ret = json_null();
        break;
    case '*':
        if (n >= 0)
            return read_list(self, (uint64_t)n, depth, ret, reterr);
        *ret = json_null();
        break;
    default:
        return not_understood(reterr);
    }
    return *ret ? 0 : ak_error_oom(reterr);
}

int ak_redis_command(struct ak_redis *self, size_t n, const char *const *words, const size_t *lens,
                     int64_t max_bytes, struct ak_redis_answer *ret, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) out = {.max = 64u << 20, .wipe = true};
    json_t *value = NULL;
    int r;

    if (ak_redis_put(&out, n, words, lens) < 0)
        return ak_error_set(reterr, AK_E_TOO_LARGE, "the command is too long");
    self->code[0] = '\0';
    self->is_cut = false;
    self->budget = max_bytes > 0 ? max_bytes : AK_REDIS_INNER_BYTES;
    r = ak_wire_write(self->wire, out.data, out.len, reterr);
    if (r >= 0)
        r = read_value(self, 0, &value, reterr);
    if (r < 0)
        return r;
    if (!value)
        value = json_null();
    *ret = (struct ak_redis_answer){.value = value,
                                    .truncated = self->is_cut,
                                    .bytes = (max_bytes > 0 ? max_bytes : AK_REDIS_INNER_BYTES) -
                                             AK_MAX(self->budget, 0)};
    return 0;
}

int ak_redis_login(struct ak_redis *self, const struct ak_login *login, struct ak_error **reterr)
{
    AK_AUTO(ak_redis_answer) answer = {0};
    const char *words[3] = {"AUTH"};
    size_t lens[3] = {4}, n = 1;
    int r;

    if (!login->password)
        return 0;
    if (!ak_is_empty(login->username)) {
        words[n] = login->username;
        lens[n++] = strlen(login->username);
    }
    words[n] = ak_secret_peek(login->password, &lens[n]);
    if (lens[n] == 0)
        return 0; /* an empty credential: the server asks for none */
    r = ak_redis_command(self, n + 1, words, lens, 0, &answer, reterr);
    return r == AK_E_INVALID ? AK_E_UNAUTHORIZED : r;
}

int ak_redis_select(struct ak_redis *self, const struct ak_target *target, struct ak_error **reterr)
{
    const struct ak_tool_config *config = target->spec->config;
    AK_AUTO(ak_redis_answer) answer = {0};

    if (!config || ak_is_empty(config->database_name))
        return 0;
    return ak_redis_command(self, 2, (const char *[]){"SELECT", config->database_name}, NULL, 0,
                            &answer, reterr);
}
