/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/mysql/connection.h"

#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "bastion/engines/mysql/auth.h"
#include "bastion/wire_target.h"

#define READ_AHEAD (16u << 10)
#define LOGIN_MESSAGE_MAX (64u << 10)
#define LOGIN_STEPS_MAX 16 /* messages until a server has made up its mind */
#define KILL_TIMEOUT AK_SECONDS(3)

struct ak_mysql {
    const struct ak_target *target;
    struct ak_wire *wire;
    struct ak_mysql_greeting greeting;
    struct ak_mysql_err refusal;
    uint8_t sequence; /* of the next packet, either way */
    size_t skipped;   /* bytes of a packet that was too large, still to be read */
    bool skips_more;  /* ... and its message goes on behind it */
    bool reads_ahead; /* after the login; before it, and for relays, no byte too many is read */
    size_t at, end;   /* of what was read ahead */
    struct ak_buf message;
    uint8_t ahead[READ_AHEAD];
};

struct ak_mysql *ak_mysql_free(struct ak_mysql *self)
{
    if (!self)
        return NULL;
    ak_wire_free(self->wire);
    ak_buf_done(&self->message);
    ak_wipe(self->ahead, sizeof(self->ahead));
    ak_free(self);
    return NULL;
}

const struct ak_mysql_greeting *ak_mysql_greeting(const struct ak_mysql *self)
{
    return &self->greeting;
}

const struct ak_mysql_err *ak_mysql_refusal(const struct ak_mysql *self)
{
    return &self->refusal;
}

void ak_mysql_set_refusal(struct ak_mysql *self, const struct ak_mysql_err *err)
{
    self->refusal = *err;
}

struct ak_wire *ak_mysql_wire(struct ak_mysql *self)
{
    return self->wire;
}

void ak_mysql_set_deadline(struct ak_mysql *self, ak_msec deadline)
{
    ak_wire_set_deadline(self->wire, deadline);
}

void ak_mysql_server_text(const struct ak_mysql *self, char *buf, size_t size)
{
    const char *version = self->greeting.version;

    snprintf(buf, size, "%s %.*s", self->greeting.is_mariadb ? "MariaDB" : "MySQL",
             (int)strcspn(version, "-"), version);
}

/* ---- packets ---- */

static int fill(struct ak_mysql *self, uint8_t *to, size_t len, struct ak_error **reterr)
{
    while (len) {
        size_t part = AK_MIN(len, self->end - self->at);
        ssize_t n;

        if (part) {
            memcpy(to, self->ahead + self->at, part);
            self->at += part;
            to += part;
            len -= part;
            continue;
        }
        if (!self->reads_ahead || len >= READ_AHEAD)
            return ak_wire_read_exact(self->wire, to, len, reterr);
        n = ak_wire_read(self->wire, self->ahead, 1, READ_AHEAD, reterr);
        if (n < 0)
            return (int)n;
        self->at = 0;
        self->end = (size_t)n;
    }
    return 0;
}

/* The header of the next packet; gives its length. */
static int receive_header(struct ak_mysql *self, size_t *ret_len, struct ak_error **reterr)
{
    uint8_t head[AK_MYSQL_HEADER];
    int r = fill(self, head, sizeof(head), reterr);

    if (r < 0)
        return r;
    if (head[3] != self->sequence)
        return ak_error_set(reterr, AK_E_PROTOCOL, "the server's packets are out of order");
    self->sequence++;
    *ret_len = (size_t)head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16;
    return 0;
}

/* Reads and drops what is left of a message that was too large. */
static int skip(struct ak_mysql *self, struct ak_error **reterr)
{
    uint8_t part[4096];
    size_t n;
    int r = 0;

    while (r >= 0 && (self->skipped || self->skips_more)) {
        if (!self->skipped) {
            r = receive_header(self, &self->skipped, reterr);
            self->skips_more = self->skipped == AK_MYSQL_PACKET_MAX;
            continue;
        }
        n = AK_MIN(self->skipped, sizeof(part));
        r = fill(self, part, n, reterr);
        self->skipped -= n;
    }
    return r;
}

static int receive_packet(struct ak_mysql *self, size_t max, size_t *ret_len,
                          struct ak_error **reterr)
{
    uint8_t part[4096];
    size_t len = 0, left, n;
    int r = receive_header(self, &len, reterr);

    if (r < 0)
        return r;
    if (len > max - self->message.len) {
        self->skipped = len;
        self->skips_more = len == AK_MYSQL_PACKET_MAX;
        return ak_error_set(reterr, AK_E_TOO_LARGE, "the server's message has more than %zu bytes",
                            max);
    }
    self->message.max = max;
    for (left = len; left && r >= 0; left -= n) {
        n = AK_MIN(left, sizeof(part));
        r = fill(self, part, n, reterr);
        if (r >= 0 && ak_buf_add(&self->message, part, n) < 0)
            r = ak_error_oom(reterr);
    }
    *ret_len = len;
    return r < 0 ? r : 0;
}

int ak_mysql_receive(struct ak_mysql *self, size_t max, const uint8_t **ret_data, size_t *ret_len,
                     struct ak_error **reterr)
{
    size_t len = 0;
    int r = skip(self, reterr);

    ak_buf_clear(&self->message);
    do {
        if (r >= 0)
            r = receive_packet(self, max, &len, reterr);
        if (r < 0)
            return r;
    } while (len == AK_MYSQL_PACKET_MAX);
    *ret_data = (const uint8_t *)ak_buf_text(&self->message);
    *ret_len = self->message.len;
    return 0;
}

/* One message of a few bytes, which may be secret. */
static int reply(struct ak_mysql *self, const void *data, size_t len, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) out = {.max = LOGIN_MESSAGE_MAX + AK_MYSQL_HEADER, .wipe = true};
    int r = ak_mysql_put_packet(&out, self->sequence++, len ? data : "", len);

    if (r < 0)
        return ak_error_set(reterr, r, "the login's message is too long");
    return ak_wire_write(self->wire, out.data, out.len, reterr);
}

int ak_mysql_send(struct ak_mysql *self, uint8_t command, const void *data, size_t len,
                  struct ak_error **reterr)
{
    AK_AUTO(ak_buf) message = AK_BUF_INIT(len + 1);
    AK_AUTO(ak_buf) out = AK_BUF_INIT(len + 1 + (len / AK_MYSQL_PACKET_MAX + 2) * AK_MYSQL_HEADER);
    int r = ak_mysql_put_int(&message, command, 1);

    if (r >= 0 && len)
        r = ak_buf_add(&message, data, len);
    if (r >= 0)
        r = ak_mysql_put_packet(&out, 0, message.data, message.len);
    if (r < 0)
        return ak_error_oom(reterr);
    r = ak_wire_write(self->wire, out.data, out.len, reterr);
    self->sequence = (uint8_t)(len / AK_MYSQL_PACKET_MAX + 1);
    return r;
}

/* ---- greeting ---- */

static int dial(const struct ak_target *target, const struct ak_cancel *cancel, ak_msec deadline,
                struct ak_wire **ret, struct ak_error **reterr)
{
    AK_AUTO(ak_arena) arena = {0};
    struct ak_wire_options options;
    int r;

    ak_arena_init(&arena, 512, 0);
    r = ak_wire_options_for(target, cancel, &arena, &options, reterr);
    if (r < 0)
        return r;
    options.timeout = AK_MYSQL_CONNECT_TIMEOUT;
    if (deadline != AK_MSEC_NEVER)
        options.timeout = AK_MIN(options.timeout, AK_MAX(deadline - ak_now(), (ak_msec)1));
    return ak_wire_connect(&options, ret, reterr);
}

int ak_mysql_open_on(const struct ak_target *target, struct ak_wire *wire, ak_msec deadline,
                     struct ak_mysql **ret, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_mysql) self = ak_new0(struct ak_mysql);
    const uint8_t *data;
    size_t len;
    int r;

    if (!self) {
        ak_wire_free(wire);
        return ak_error_oom(reterr);
    }
    self->target = target;
    self->wire = wire;
    self->message = (struct ak_buf){.max = LOGIN_MESSAGE_MAX};
    ak_wire_set_deadline(self->wire, AK_MIN(deadline, ak_now() + AK_MYSQL_CONNECT_TIMEOUT));
    r = ak_mysql_receive(self, LOGIN_MESSAGE_MAX, &data, &len, reterr);
    if (r < 0)
        return r;
    r = ak_mysql_parse_greeting(data, len, &self->greeting, reterr);
    if (r < 0)
        return ak_error_wrap(reterr, r, "%s", ak_wire_peer(self->wire));
    ak_wire_set_deadline(self->wire, deadline);
    *ret = AK_TAKE(self);
    return 0;
}

int ak_mysql_open(const struct ak_target *target, const struct ak_cancel *cancel, ak_msec deadline,
                  struct ak_mysql **ret, struct ak_error **reterr)
{
    struct ak_wire *wire = NULL;
    int r = dial(target, cancel, deadline, &wire, reterr);

    return r < 0 ? r : ak_mysql_open_on(target, wire, deadline, ret, reterr);
}

/* ---- login ---- */

#define ALWAYS                                                                                     \
    (AK_MYSQL_LONG_PASSWORD | AK_MYSQL_LONG_FLAG | AK_MYSQL_PROTOCOL_41 | AK_MYSQL_TRANSACTIONS |  \
     AK_MYSQL_SECURE_CONNECTION | AK_MYSQL_MULTI_RESULTS | AK_MYSQL_PS_MULTI_RESULTS |             \
     AK_MYSQL_PLUGIN_AUTH | AK_MYSQL_CONNECT_ATTRIBUTES)
/* Never: they would let one text hold several statements, or the server ask for files. */
#define NEVER (AK_MYSQL_MULTI_STATEMENTS | AK_MYSQL_LOCAL_FILES | AK_MYSQL_PLUGIN_AUTH_LENENC)

static int start_tls(struct ak_mysql *self, uint32_t capabilities, uint8_t charset,
                     struct ak_error **reterr)
{
    const bool offered = (self->greeting.capabilities & AK_MYSQL_TLS) != 0;
    AK_AUTO(ak_buf) request = AK_BUF_INIT(64);
    static const uint8_t zeros[23];
    int r;

    if (!offered && ak_wire_needs_tls(self->wire))
        return ak_error_set(reterr, AK_E_PROTOCOL,
                            "%s offers no TLS, which the Tool's TLS mode demands",
                            ak_wire_peer(self->wire));
    if (!offered || !ak_wire_wants_tls(self->wire))
        return 0;
    r = ak_mysql_put_int(&request, capabilities | AK_MYSQL_TLS, 4);
    if (r >= 0)
        r = ak_mysql_put_int(&request, AK_MYSQL_PACKET_MAX + 1, 4);
    if (r >= 0)
        r = ak_mysql_put_int(&request, charset, 1);
    if (r >= 0)
        r = ak_buf_add(&request, zeros, sizeof(zeros));
    if (r < 0)
        return ak_error_oom(reterr);
    r = reply(self, request.data, request.len, reterr);
    return r < 0 ? r : ak_wire_start_tls(self->wire, reterr);
}

/* Who we are, for performance_schema and the like. */
static int put_attributes(const struct ak_target *target, struct ak_buf *out)
{
    AK_AUTO(ak_buf) all = AK_BUF_INIT(1024);
    char tool[256];
    const char *const texts[] = {"program_name", "agentkube", "agentkube_tool", tool};
    int r = 0;

    snprintf(tool, sizeof(tool), "%s/%s", target->ns ? target->ns : "",
             target->name ? target->name : "");
    for (size_t i = 0; r >= 0 && i < AK_ARRAY_LEN(texts); i++)
        r = ak_mysql_put_string(&all, texts[i], strlen(texts[i]));
    return r < 0 ? r : ak_mysql_put_string(out, all.data, all.len);
}

static int put_hello(struct ak_mysql *self, uint32_t capabilities, const struct ak_login *login,
                     const struct ak_mysql_how *how, const struct ak_buf *proof, const char *plugin,
                     struct ak_buf *out)
{
    static const uint8_t zeros[23];
    const char *user = login->username ? login->username : "";
    const uint8_t charset = how->charset ? how->charset : AK_MYSQL_CHARSET_UTF8MB4;
    int r = ak_mysql_put_int(out, capabilities, 4);

    if (r >= 0)
        r = ak_mysql_put_int(out, AK_MYSQL_PACKET_MAX + 1, 4);
    if (r >= 0)
        r = ak_mysql_put_int(out, charset, 1);
    if (r >= 0)
        r = ak_buf_add(out, zeros, sizeof(zeros));
    if (r >= 0)
        r = ak_buf_add(out, user, strlen(user) + 1);
    if (r >= 0)
        r = ak_mysql_put_int(out, proof->len, 1);
    if (r >= 0 && proof->len)
        r = ak_buf_add(out, proof->data, proof->len);
    if (r >= 0 && (capabilities & AK_MYSQL_WITH_DATABASE))
        r = ak_buf_add(out, how->database, strlen(how->database) + 1);
    if (r >= 0 && (capabilities & AK_MYSQL_PLUGIN_AUTH))
        r = ak_buf_add(out, plugin, strlen(plugin) + 1);
    if (r >= 0 && (capabilities & AK_MYSQL_CONNECT_ATTRIBUTES))
        r = put_attributes(self->target, out);
    return r;
}

/* What the server still wants of a password, while it says neither OK nor ERR. */
struct proving {
    const struct ak_login *login;
    char plugin[AK_MYSQL_NAME_MAX];
    uint8_t scramble[64];
    size_t scramble_len;
    bool asked_key;
};

static int send_hello(struct ak_mysql *self, struct proving *p, const struct ak_mysql_how *how,
                      struct ak_error **reterr)
{
    uint32_t capabilities = (ALWAYS | how->capabilities) & ~(uint32_t)NEVER;
    AK_AUTO(ak_buf) proof = {.max = 255, .wipe = true};
    AK_AUTO(ak_buf) out = {.max = LOGIN_MESSAGE_MAX, .wipe = true};
    int r;

    capabilities &= self->greeting.capabilities | AK_MYSQL_LONG_PASSWORD;
    if (!ak_is_empty(how->database))
        capabilities |= AK_MYSQL_WITH_DATABASE;
    r = start_tls(self, capabilities, how->charset ? how->charset : AK_MYSQL_CHARSET_UTF8MB4,
                  reterr);
    if (r < 0)
        return r;
    if (ak_wire_is_tls(self->wire))
        capabilities |= AK_MYSQL_TLS;
    /* A proof that is not possible, or long, comes when the server switches to its plugin. */
    if (ak_streq(p->plugin, AK_MYSQL_NATIVE) || ak_streq(p->plugin, AK_MYSQL_CACHING_SHA2)) {
        r = ak_mysql_prove(p->plugin, p->login->password, p->scramble, p->scramble_len,
                           ak_wire_is_tls(self->wire), &proof, reterr);
        if (r < 0)
            return r;
    } else {
        snprintf(p->plugin, sizeof(p->plugin), "%s", AK_MYSQL_NATIVE);
    }
    if (put_hello(self, capabilities, p->login, how, &proof, p->plugin, &out) < 0)
        return ak_error_set(reterr, -EINVAL, "the name of the user or the database is too long");
    return reply(self, out.data, out.len, reterr);
}

static int switch_plugin(struct ak_mysql *self, struct proving *p, const uint8_t *data, size_t len,
                         struct ak_error **reterr)
{
    struct ak_mysql_reader in = ak_mysql_reader_of(data + 1, len - 1);
    AK_AUTO(ak_buf) proof = {.max = LOGIN_MESSAGE_MAX, .wipe = true};
    const char *name;
    size_t name_len;
    int r;

    if (len == 1)
        return ak_error_set(reterr, AK_E_UNAUTHORIZED,
                            "the server wants the password as MySQL 4.0 hashed it: refused");
    name = ak_mysql_read_text(&in, &name_len);
    snprintf(p->plugin, sizeof(p->plugin), "%.*s", (int)AK_MIN(name_len, sizeof(p->plugin) - 1),
             name);
    /* A NUL ends it, which does not count. */
    p->scramble_len = ak_mysql_left(&in);
    if (p->scramble_len && p->scramble_len != 32 && in.at[p->scramble_len - 1] == '\0')
        p->scramble_len--;
    p->scramble_len = AK_MIN(p->scramble_len, sizeof(p->scramble));
    memcpy(p->scramble, in.at, p->scramble_len);
    r = ak_mysql_prove(p->plugin, p->login->password, p->scramble, p->scramble_len,
                       ak_wire_is_tls(self->wire), &proof, reterr);
    return r < 0 ? r : reply(self, proof.data, proof.len, reterr);
}

/* The server has no memory of this password and wants all of it. */
static int prove_in_full(struct ak_mysql *self, struct proving *p, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) clear = {.max = LOGIN_MESSAGE_MAX, .wipe = true};
    size_t len;
    const char *text = p->login->password ? ak_secret_peek(p->login->password, &len) : "";

    if (ak_wire_is_tls(self->wire)) {
        if (ak_buf_add(&clear, text, strlen(text)) < 0 || ak_buf_add(&clear, "", 1) < 0)
            return ak_error_oom(reterr);
        return reply(self, clear.data, clear.len, reterr);
    }
    /* Without TLS whoever is in between could hand out a key of his own: only where the Tool does not ask for more. */
    if (ak_wire_needs_tls(self->wire))
        return ak_error_set(reterr, AK_E_UNAUTHORIZED, "the server wants the password without TLS");
    p->asked_key = true;
    return reply(self, "\2", 1, reterr);
}

static int more_data(struct ak_mysql *self, struct proving *p, const uint8_t *data, size_t len,
                     struct ak_error **reterr)
{
    AK_AUTO(ak_buf) sealed = AK_BUF_INIT(2048);
    int r;

    if (ak_streq(p->plugin, AK_MYSQL_CACHING_SHA2) && len == 2 && data[1] == 3)
        return 0; /* the server remembers; an OK follows */
    if (ak_streq(p->plugin, AK_MYSQL_CACHING_SHA2) && len == 2 && data[1] == 4 && !p->asked_key)
        return prove_in_full(self, p, reterr);
    if ((p->asked_key || ak_streq(p->plugin, AK_MYSQL_SHA256)) && len > 2 &&
        !ak_wire_is_tls(self->wire) && !ak_wire_needs_tls(self->wire)) {
        p->asked_key = false;
        r = ak_mysql_encrypt(p->login->password, p->scramble, p->scramble_len,
                             (const char *)data + 1, len - 1, &sealed, reterr);
        return r < 0 ? r : reply(self, sealed.data, sealed.len, reterr);
    }
    return ak_error_set(reterr, AK_E_PROTOCOL, "the server's login does not follow the protocol");
}

/* One message of the server's; 1: logged in. */
static int login_step(struct ak_mysql *self, struct proving *p, struct ak_error **reterr)
{
    const uint8_t *data;
    size_t len;
    int r = ak_mysql_receive(self, LOGIN_MESSAGE_MAX, &data, &len, reterr);

    if (r < 0)
        return r;
    switch (len ? data[0] : -1) {
    case 0x00:
        return 1;
    case 0x01:
        return more_data(self, p, data, len, reterr);
    case 0xfe:
        return switch_plugin(self, p, data, len, reterr);
    case 0xff:
        if (ak_mysql_parse_err(data, len, &self->refusal) >= 0)
            return ak_mysql_err_set(&self->refusal, AK_E_UNAUTHORIZED, reterr);
        break;
    default:
        break;
    }
    return ak_error_set(reterr, AK_E_PROTOCOL, "the server's login does not follow the protocol");
}

int ak_mysql_login(struct ak_mysql *self, const struct ak_login *login,
                   const struct ak_mysql_how *how, struct ak_error **reterr)
{
    struct proving p = {.login = login, .scramble_len = AK_MYSQL_SCRAMBLE};
    int r;

    memcpy(p.scramble, self->greeting.scramble, AK_MYSQL_SCRAMBLE);
    snprintf(p.plugin, sizeof(p.plugin), "%s",
             self->greeting.plugin[0] ? self->greeting.plugin : AK_MYSQL_NATIVE);
    r = send_hello(self, &p, how, reterr);
    for (int i = 0; r == 0 && i < LOGIN_STEPS_MAX; i++)
        r = login_step(self, &p, reterr);
    if (r == 0)
        r = ak_error_set(reterr, AK_E_PROTOCOL, "the server's login does not come to an end");
    if (r < 0)
        return r;
    self->reads_ahead = true;
    return 0;
}

void ak_mysql_kill_query(const struct ak_target *target, const struct ak_login *login,
                         uint32_t thread_id)
{
    AK_AUTO_PTR(ak_mysql) db = NULL;
    const uint8_t *data;
    size_t len;
    char sql[64];

    if (ak_mysql_open(target, NULL, ak_now() + KILL_TIMEOUT, &db, NULL) < 0 ||
        ak_mysql_login(db, login, &(struct ak_mysql_how){0}, NULL) < 0)
        return;
    snprintf(sql, sizeof(sql), "KILL QUERY %u", (unsigned)thread_id);
    if (ak_mysql_send(db, AK_MYSQL_COM_QUERY, sql, strlen(sql), NULL) >= 0)
        (void)!ak_mysql_receive(db, LOGIN_MESSAGE_MAX, &data, &len, NULL);
}
