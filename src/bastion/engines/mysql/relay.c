/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/mysql/relay.h"

#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "bastion/engines/mysql/commands.h"

#define HOLD_MAX (AK_MYSQL_STATEMENT_KEPT + AK_MYSQL_HEADER + 1)
#define INBOX_MAX (1u << 20)
#define INBOX_FULL (32u << 10)
#define OPTION_MULTI_STATEMENTS_ON 0

#define ER_SPECIFIC_ACCESS_DENIED 1227
#define ER_UNKNOWN_COMMAND 1047
#define ER_TOO_MANY_PREPARED 1461
#define ER_KILL_DENIED 1095
#define ER_CONNECTION_KILLED 1927
#define LAST_PREPARED UINT32_MAX /* MariaDB: the statement that was prepared last */

int ak_mysql_relay_init(struct ak_mysql_relay *self, enum ak_mysql_guard guard,
                        const struct ak_mysql_hooks *hooks, void *user)
{
    *self = (struct ak_mysql_relay){
        .hooks = hooks,
        .user = user,
        .guard = guard,
        .inbox = AK_BUF_INIT(INBOX_MAX),
        .held = AK_BUF_INIT(HOLD_MAX),
        .text = AK_BUF_INIT(AK_MYSQL_PREPARED_KEPT),
    };
    self->prepared = ak_calloc(AK_MYSQL_MAX_PREPARED, sizeof(*self->prepared));
    return self->prepared ? 0 : -ENOMEM;
}

static void end_statement(struct ak_mysql_relay *self, uint16_t code)
{
    if (self->has_statement)
        self->hooks->end(self->user, self->statement, self->reply.rows, self->reply.bytes, code);
    self->has_statement = false;
    self->statement = NULL;
}

static void set_busy(struct ak_mysql_relay *self, bool busy)
{
    if (self->is_busy != busy)
        self->hooks->busy(self->user, busy);
    self->is_busy = busy;
}

void ak_mysql_relay_done(struct ak_mysql_relay *self)
{
    if (self->hooks) {
        end_statement(self, UINT16_MAX);
        set_busy(self, false);
    }
    for (size_t i = 0; self->prepared && i < self->n_prepared; i++)
        ak_free(self->prepared[i].text);
    ak_free(self->prepared);
    ak_buf_done(&self->inbox);
    ak_buf_done(&self->held);
    ak_buf_done(&self->text);
    *self = (struct ak_mysql_relay){0};
}

bool ak_mysql_relay_is_paused(void *user)
{
    const struct ak_mysql_relay *self = user;

    return self->inbox.len > INBOX_FULL;
}

/* ---- prepared statements ---- */

static struct ak_mysql_prepared *find_prepared(struct ak_mysql_relay *self, uint32_t id)
{
    if (id == LAST_PREPARED)
        id = self->last_prepared;
    for (size_t i = 0; i < self->n_prepared; i++)
        if (self->prepared[i].id == id)
            return &self->prepared[i];
    return NULL;
}

static void forget_prepared(struct ak_mysql_relay *self, uint32_t id)
{
    struct ak_mysql_prepared *found = find_prepared(self, id);

    if (!found)
        return;
    ak_free(found->text);
    *found = self->prepared[--self->n_prepared];
}

static int keep_prepared(struct ak_mysql_relay *self, uint32_t id)
{
    struct ak_mysql_prepared one = {.id = id, .class_ = self->class_, .len = self->text.len};

    /* It may have NULs in it, so it is no string. */
    one.text = ak_malloc(one.len + 1);
    if (!one.text)
        return -ENOMEM;
    memcpy(one.text, ak_buf_text(&self->text), one.len);
    forget_prepared(self, id);
    self->last_prepared = id;
    self->prepared[self->n_prepared++] = one;
    return 0;
}

/* ---- deciding ---- */

static void refuse(struct ak_mysql_relay *self, uint16_t code, const char *text, const char *what)
{
    self->mode = AK_MYSQL_DROP;
    self->refusal.code = code;
    snprintf(self->refusal.message, sizeof(self->refusal.message), "agentkube: %s%s", text, what);
}

/* Asks the session; refuses or lets go. */
static void begin(struct ak_mysql_relay *self, const char *text, size_t len)
{
    AK_AUTO_PTR(ak_error) why = NULL;
    int r = self->hooks->begin(self->user, self->class_, text, len, &self->statement, &why);

    if (r < 0)
        refuse(self, ER_SPECIFIC_ACCESS_DENIED, "", ak_error_message(why));
    else
        self->has_statement = true;
}

static void decide_text(struct ak_mysql_relay *self, const char *text, size_t len, bool is_whole)
{
    struct ak_sql_facts facts = {0};
    const char *why = NULL;
    uint32_t id;

    self->class_ = AK_CLASS_UNKNOWN;
    if (is_whole)
        self->class_ = ak_classify_sql(AK_TOOL_TYPE_MYSQL, text, len, &facts);
    else
        facts.why = "is too long to be understood";
    if (is_whole && ak_mysql_is_kill(text, len, &id) && self->hooks->is_ours(self->user, id))
        self->class_ = AK_CLASS_SESSION;
    else if (!ak_mysql_guard(self->guard, self->class_, &facts, text, len, &why)) {
        refuse(self, ER_SPECIFIC_ACCESS_DENIED, "only reading is possible here, and the statement ",
               why);
        return;
    }
    begin(self, text, len);
    if (self->expects != AK_MYSQL_REPLY_PREPARE || self->mode == AK_MYSQL_DROP)
        return;
    if (self->n_prepared == AK_MYSQL_MAX_PREPARED) {
        end_statement(self, ER_TOO_MANY_PREPARED);
        refuse(self, ER_TOO_MANY_PREPARED, "too many prepared statements", "");
        return;
    }
    ak_buf_clear(&self->text);
    (void)!ak_buf_add(&self->text, text, AK_MIN(len, (size_t)AK_MYSQL_PREPARED_KEPT));
}

static void decide_execute(struct ak_mysql_relay *self, struct ak_mysql_reader *in)
{
    const uint32_t id = (uint32_t)ak_mysql_read_int(in, 4);
    const struct ak_mysql_prepared *found = find_prepared(self, id);

    /* The server does not know it either; its own error goes to the client. */
    if (!found)
        return;
    self->class_ = found->class_;
    begin(self, found->text, found->len);
}

static void decide(struct ak_mysql_relay *self, bool is_whole)
{
    const uint8_t *payload = (const uint8_t *)self->held.data + AK_MYSQL_HEADER;
    const size_t len = self->held.len - AK_MYSQL_HEADER;
    struct ak_mysql_reader in = ak_mysql_reader_of(payload + 1, len - 1);
    const struct ak_mysql_command_rule *rule = ak_mysql_command_rule(payload[0]);

    self->mode = AK_MYSQL_PASS;
    self->expects = rule ? rule->reply : AK_MYSQL_REPLY_NONE;
    if (!rule) {
        refuse(self, ER_UNKNOWN_COMMAND, "this command is not for clients of a Tool", "");
        return;
    }
    switch (rule->treatment) {
    case AK_MYSQL_IS_TEXT:
        decide_text(self, (const char *)payload + 1, len - 1, is_whole);
        break;
    case AK_MYSQL_IS_STATEMENT:
        decide_execute(self, &in);
        break;
    case AK_MYSQL_IS_KILL:
        if (!self->hooks->is_ours(self->user, (uint32_t)ak_mysql_read_int(&in, 4)))
            refuse(self, ER_KILL_DENIED, "this connection is not one of your session", "");
        break;
    case AK_MYSQL_IS_OPTION:
        if (ak_mysql_read_int(&in, 2) == OPTION_MULTI_STATEMENTS_ON)
            refuse(self, ER_SPECIFIC_ACCESS_DENIED,
                   "one statement at a time; several in a text are not possible", "");
        break;
    case AK_MYSQL_IS_RESET:
        if (self->guard == AK_MYSQL_GUARD_STRICT)
            refuse(self, ER_SPECIFIC_ACCESS_DENIED, "a session that may only read cannot be reset",
                   "");
        break;
    default:
        break;
    }
    if (rule->command == AK_MYSQL_COM_STMT_CLOSE)
        forget_prepared(self, (uint32_t)ak_mysql_read_int(&in, 4));
    if (rule->command == AK_MYSQL_COM_QUIT)
        self->is_over = true;
}

/* ---- from the client ---- */

/* A message of the client's has ended. */
static int message_ended(struct ak_mysql_relay *self, struct ak_buf *to_client)
{
    self->is_rest = false;
    if (self->mode == AK_MYSQL_DROP) {
        self->mode = AK_MYSQL_HOLD;
        set_busy(self, false);
        return ak_mysql_put_err(to_client, (uint8_t)(self->sequence + 1), self->refusal.code,
                                "42000", self->refusal.message);
    }
    self->mode = AK_MYSQL_HOLD;
    if (self->expects == AK_MYSQL_REPLY_NONE) {
        set_busy(self, false);
        return 0;
    }
    ak_mysql_reply_begin(&self->reply, self->expects);
    self->is_answering = true;
    self->server_sequence = self->sequence;
    return 0;
}

/* Decides about what is held, and lets it go or drops it. */
static int settle(struct ak_mysql_relay *self, struct ak_buf *to_server)
{
    int r = 0;

    set_busy(self, true);
    decide(self, self->left == 0 && self->is_last);
    if (self->mode == AK_MYSQL_PASS)
        r = ak_buf_add(to_server, self->held.data, self->held.len);
    ak_buf_clear(&self->held);
    return r;
}

/* The header of the client's next packet is there. */
static int packet_begins(struct ak_mysql_relay *self, struct ak_buf *to_server,
                         struct ak_error **reterr)
{
    const uint8_t *h = self->head;

    self->left = (size_t)h[0] | (size_t)h[1] << 8 | (size_t)h[2] << 16;
    self->is_last = self->left < AK_MYSQL_PACKET_MAX;
    if (h[3] != (self->is_rest ? (uint8_t)(self->sequence + 1) : 0) ||
        (!self->is_rest && self->left == 0))
        return ak_error_set(reterr, AK_E_PROTOCOL, "the client's packets are out of order");
    self->sequence = h[3];
    if (self->mode == AK_MYSQL_HOLD)
        return ak_buf_add(&self->held, h, AK_MYSQL_HEADER);
    return self->mode == AK_MYSQL_PASS ? ak_buf_add(to_server, h, AK_MYSQL_HEADER) : 0;
}

/* Takes bytes of the packet under way; gives how many, or a negative code. */
static ssize_t take_payload(struct ak_mysql_relay *self, const uint8_t *data, size_t len,
                            struct ak_buf *to_server)
{
    size_t n = AK_MIN(len, self->left);
    int r = 0;

    if (self->mode == AK_MYSQL_HOLD) {
        n = AK_MIN(n, HOLD_MAX - self->held.len);
        r = ak_buf_add(&self->held, data, n);
        self->left -= n;
        if (r >= 0 && (self->left == 0 || self->held.len == HOLD_MAX))
            r = settle(self, to_server);
    } else {
        if (self->mode == AK_MYSQL_PASS && n)
            r = ak_buf_add(to_server, data, n);
        self->left -= n;
    }
    return r < 0 ? r : (ssize_t)n;
}

/* One step with what is there: bytes taken, or a negative code. */
static ssize_t take(struct ak_mysql_relay *self, const uint8_t *data, size_t len,
                    struct ak_buf *to_server, struct ak_buf *to_client, struct ak_error **reterr)
{
    ssize_t n = 0;
    int r = 0;

    if (self->head_len < AK_MYSQL_HEADER) {
        n = (ssize_t)AK_MIN(len, AK_MYSQL_HEADER - self->head_len);
        memcpy(self->head + self->head_len, data, (size_t)n);
        self->head_len += (size_t)n;
        if (self->head_len < AK_MYSQL_HEADER)
            return n;
        r = packet_begins(self, to_server, reterr);
    } else {
        n = take_payload(self, data, len, to_server);
    }
    if (r < 0 || n < 0)
        return r < 0 ? r : n;
    if (self->left == 0) {
        self->head_len = 0;
        self->is_rest = !self->is_last;
        if (self->is_last)
            r = message_ended(self, to_client);
    }
    return r < 0 ? r : n;
}

/* As much of what came as can go on now; gives how much that is. */
static ssize_t work(struct ak_mysql_relay *self, const uint8_t *data, size_t len,
                    struct ak_buf *to_server, struct ak_buf *to_client, struct ak_error **reterr)
{
    size_t done = 0;

    while (done < len && !self->is_answering && !self->is_over) {
        ssize_t n = take(self, data + done, len - done, to_server, to_client, reterr);

        if (n < 0)
            return n;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static int failed(int r, struct ak_error **reterr)
{
    if (r == -ENOMEM)
        return ak_error_oom(reterr);
    if (r == AK_E_TOO_LARGE)
        return ak_error_set(reterr, r, "the client sends more ahead than there is room for");
    return r;
}

int ak_mysql_relay_from_client(void *user, const uint8_t *data, size_t len,
                               struct ak_buf *to_server, struct ak_buf *to_client,
                               struct ak_error **reterr)
{
    struct ak_mysql_relay *self = user;
    ssize_t n = 0;
    int r = 0;

    if (self->inbox.len == 0)
        n = work(self, data, len, to_server, to_client, reterr);
    if (n < 0)
        return failed((int)n, reterr);
    if (!self->is_over && (size_t)n < len)
        r = ak_buf_add(&self->inbox, data + n, len - (size_t)n);
    return r < 0 ? failed(r, reterr) : self->is_over;
}

/* ---- from the server ---- */

static int answer_ended(struct ak_mysql_relay *self, struct ak_buf *to_server,
                        struct ak_buf *to_client, struct ak_error **reterr)
{
    ssize_t n;
    int r = 0;

    self->is_answering = false;
    if (self->expects == AK_MYSQL_REPLY_PREPARE && !self->reply.code)
        r = keep_prepared(self, self->reply.statement_id);
    if (self->expects == AK_MYSQL_REPLY_PREPARE)
        self->reply.rows = 0;
    end_statement(self, self->reply.code);
    set_busy(self, false);
    if (r < 0)
        return r;
    n = self->inbox.len ? work(self, (const uint8_t *)self->inbox.data, self->inbox.len, to_server,
                               to_client, reterr)
                        : 0;
    if (n > 0)
        ak_buf_consume(&self->inbox, (size_t)n);
    return n < 0 ? (int)n : 0;
}

/* The head of a packet of the server's is complete. */
static int head_of_packet(struct ak_mysql_relay *self, size_t len, struct ak_buf *to_client,
                          struct ak_error **reterr)
{
    int r;

    if (!self->is_answering) {
        /* The server ends the connection in its own words: an ERR out of turn. */
        if (self->from_len > AK_MYSQL_HEADER && self->from[AK_MYSQL_HEADER] == 0xff) {
            self->from_left = len - (self->from_len - AK_MYSQL_HEADER);
            return ak_buf_add(to_client, self->from, self->from_len);
        }
        return ak_error_set(reterr, AK_E_PROTOCOL, "the server speaks without being asked");
    }
    r = ak_mysql_reply_packet(&self->reply, self->from + AK_MYSQL_HEADER,
                              self->from_len - AK_MYSQL_HEADER, len);
    if (r < 0)
        return ak_error_set(reterr, r, "the server's answer does not follow the protocol");
    self->ends_with_packet = r > 0;
    self->server_sequence = self->from[3];
    self->from_left = len - (self->from_len - AK_MYSQL_HEADER);
    return ak_buf_add(to_client, self->from, self->from_len);
}

/* How long the head of the packet under way is; until the header is there, that much. */
static size_t head_wanted(const struct ak_mysql_relay *self, size_t *ret_len)
{
    if (self->from_len < AK_MYSQL_HEADER)
        return AK_MYSQL_HEADER;
    *ret_len = (size_t)self->from[0] | (size_t)self->from[1] << 8 | (size_t)self->from[2] << 16;
    return AK_MYSQL_HEADER + AK_MIN(*ret_len, (size_t)AK_MYSQL_REPLY_HEAD);
}

/* One step; bytes taken, or a negative code. */
static ssize_t take_answer(struct ak_mysql_relay *self, const uint8_t *data, size_t len,
                           struct ak_buf *to_server, struct ak_buf *to_client,
                           struct ak_error **reterr)
{
    size_t packet = 0, n, wanted;
    int r = 0;

    if (self->from_left) {
        n = AK_MIN(len, self->from_left);
        self->from_left -= n;
        r = ak_buf_add(to_client, data, n);
    } else {
        wanted = head_wanted(self, &packet);
        n = AK_MIN(len, wanted - self->from_len);
        memcpy(self->from + self->from_len, data, n);
        self->from_len += n;
        wanted = head_wanted(self, &packet);
        if (self->from_len < wanted)
            return (ssize_t)n;
        r = head_of_packet(self, packet, to_client, reterr);
    }
    if (r >= 0 && self->from_left == 0) {
        self->from_len = 0;
        if (self->is_answering && self->ends_with_packet) {
            self->ends_with_packet = false;
            r = answer_ended(self, to_server, to_client, reterr);
        }
    }
    return r < 0 ? r : (ssize_t)n;
}

int ak_mysql_relay_from_server(void *user, const uint8_t *data, size_t len,
                               struct ak_buf *to_server, struct ak_buf *to_client,
                               struct ak_error **reterr)
{
    struct ak_mysql_relay *self = user;

    while (len) {
        ssize_t n = take_answer(self, data, len, to_server, to_client, reterr);

        if (n < 0)
            return failed((int)n, reterr);
        data += n;
        len -= (size_t)n;
    }
    return self->is_over;
}

size_t ak_mysql_relay_missing(void *user)
{
    const struct ak_mysql_relay *self = user;
    size_t packet = 0, wanted;

    if (self->from_left)
        return self->from_left;
    if (self->from_len == 0)
        return 0;
    wanted = head_wanted(self, &packet);
    return wanted - self->from_len;
}

int ak_mysql_relay_last_words(struct ak_mysql_relay *self, const char *text, struct ak_buf *out)
{
    const uint8_t sequence = self->is_answering ? (uint8_t)(self->server_sequence + 1) : 0;

    return ak_mysql_put_err(out, sequence, ER_CONNECTION_KILLED, "70100", text);
}
