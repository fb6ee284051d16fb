/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/redis/relay.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#define INBOX_MAX (1u << 20)
#define INBOX_FULL (32u << 10)
#define WORD_MAX 64 /* of a name of a command that is looked at */

int ak_redis_relay_init(struct ak_redis_relay *self, bool only_reads,
                        const struct ak_redis_hooks *hooks, void *user)
{
    *self = (struct ak_redis_relay){
        .hooks = hooks, .user = user, .only_reads = only_reads, .inbox = AK_BUF_INIT(INBOX_MAX)};
    ak_redis_request_init(&self->request);
    return 0;
}

static void update_busy(struct ak_redis_relay *self)
{
    const bool busy = self->n_ahead > 0 || self->streams;

    if (busy != self->is_busy)
        self->hooks->busy(self->user, busy);
    self->is_busy = busy;
}

static void end_oldest(struct ak_redis_relay *self, int code, const char *server_code)
{
    void *statement = self->ahead[self->first];

    self->first = (self->first + 1) % AK_REDIS_MAX_AHEAD;
    self->n_ahead--;
    if (statement)
        self->hooks->end(self->user, statement, self->reply_bytes, code, server_code);
}

void ak_redis_relay_done(struct ak_redis_relay *self)
{
    while (self->hooks && self->n_ahead)
        end_oldest(self, AK_E_CANCELLED, NULL);
    if (self->hooks && self->is_busy)
        self->hooks->busy(self->user, false);
    ak_redis_request_done(&self->request);
    ak_buf_done(&self->inbox);
    *self = (struct ak_redis_relay){0};
}

bool ak_redis_relay_is_paused(void *user)
{
    const struct ak_redis_relay *self = user;

    return self->inbox.len > INBOX_FULL;
}

size_t ak_redis_relay_missing(void *user)
{
    const struct ak_redis_relay *self = user;

    if (ak_redis_reply_is_between(&self->reply))
        return 0;
    return self->reply.bulk_left ? (size_t)AK_MIN(self->reply.bulk_left, (uint64_t)65536) : 1;
}

/* ---- deciding ---- */

static void answer(struct ak_redis_relay *self, const char *text)
{
    self->mode = AK_REDIS_DROP;
    snprintf(self->local, sizeof(self->local), "%.317s", text);
    for (char *at = self->local; *at; at++)
        if (*at == '\r' || *at == '\n')
            *at = ' ';
}

/* A refused command: an error in its place. */
static int refuse(struct ak_redis_relay *self, const char *why, struct ak_buf *to_server)
{
    const char *words[] = {"AGENTKUBE.REFUSED", why};
    char text[320];

    if (self->in_multi && self->n_ahead < AK_REDIS_MAX_AHEAD) {
        /* Between MULTI and EXEC the server must know of it, or it would run the rest: it gets a command that it does
         * not know, whose error says why and spoils the transaction. */
        self->mode = AK_REDIS_DROP;
        self->ahead[(self->first + self->n_ahead++) % AK_REDIS_MAX_AHEAD] = NULL;
        return ak_redis_put(to_server, 2, words, NULL);
    }
    snprintf(text, sizeof(text), "-NOPERM agentkube: %s", why);
    answer(self, text);
    return 0;
}

struct words {
    char text[AK_REDIS_KEPT_WORDS][WORD_MAX];
    const char *argv[AK_REDIS_KEPT_WORDS];
    size_t n;
};

static void split_inline(struct ak_redis_request *request)
{
    const char *text = ak_buf_text(&request->held);
    size_t at = 0;

    request->n_words = 0;
    while (request->n_words < AK_REDIS_KEPT_WORDS) {
        size_t len;

        at += strspn(text + at, " \t\r\n");
        len = strcspn(text + at, " \t\r\n");
        if (!len)
            break;
        request->words[request->n_words].at = at;
        request->words[request->n_words++].len = len;
        at += len;
    }
}

/* Copies of the words, each cut to what a name can have. */
static void read_words(const struct ak_redis_request *request, struct words *ret)
{
    ret->n = request->n_words;
    for (size_t i = 0; i < ret->n; i++) {
        snprintf(ret->text[i], WORD_MAX, "%.*s", (int)AK_MIN(request->words[i].len, WORD_MAX - 1),
                 request->held.data + request->words[i].at);
        ret->argv[i] = ret->text[i];
    }
}

static bool is(const struct words *words, const char *name)
{
    return words->n && strcasecmp(words->argv[0], name) == 0;
}

static bool is_sub(const struct words *words, const char *name, const char *sub)
{
    return is(words, name) && words->n > 1 && strcasecmp(words->argv[1], sub) == 0;
}

/* What would leave the identity that the session has, or the order of requests and replies. */
static const char *forbidden(const struct words *words)
{
    if (is(words, "RESET"))
        return "RESET would log out";
    if (is(words, "SYNC") || is(words, "PSYNC") || is(words, "REPLCONF"))
        return "replication is not for clients of a Tool";
    if (is_sub(words, "CLIENT", "REPLY"))
        return "CLIENT REPLY is not possible here";
    return NULL;
}

/* HELLO goes without its AUTH: the version of the protocol, and a name. */
static int pass_hello(struct ak_redis_relay *self, const struct words *words,
                      struct ak_buf *to_server)
{
    const char *out[4] = {"HELLO"};
    size_t n = 1;

    if (words->n > 1)
        out[n++] = words->argv[1];
    for (size_t i = 2; i < words->n; i++) {
        if (strcasecmp(words->argv[i], "AUTH") == 0)
            i += 2;
        else if (strcasecmp(words->argv[i], "SETNAME") == 0 && i + 1 < words->n && n == 2) {
            out[n++] = "SETNAME";
            out[n++] = words->argv[++i];
        } else {
            answer(self, "-ERR syntax error in HELLO");
            return 0;
        }
    }
    self->mode = AK_REDIS_DROP;
    self->ahead[(self->first + self->n_ahead++) % AK_REDIS_MAX_AHEAD] = NULL;
    return ak_redis_put(to_server, n, out, NULL);
}

/* The command as people write it, for the audit. */
static void say(const struct ak_redis_request *request, struct ak_buf *out)
{
    for (size_t i = 0; i < request->n_words; i++) {
        if (i && ak_buf_add(out, " ", 1) < 0)
            return;
        if (ak_buf_add(out, request->held.data + request->words[i].at,
                       AK_MIN(request->words[i].len, out->max - out->len)) < 0)
            return;
    }
}

static bool starts_stream(const struct words *words)
{
    return is(words, "MONITOR") || is(words, "SUBSCRIBE") || is(words, "PSUBSCRIBE") ||
           is(words, "SSUBSCRIBE");
}

static int let_go(struct ak_redis_relay *self, const struct words *words,
                  enum ak_statement_class class_, struct ak_buf *to_server)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(2048);
    AK_AUTO_PTR(ak_error) why = NULL;
    void *statement = NULL;
    int r;

    say(&self->request, &text);
    r = self->hooks->begin(self->user, class_, ak_buf_text(&text), text.len, &statement, &why);
    if (r < 0)
        return refuse(self, ak_error_message(why), to_server);
    self->mode = AK_REDIS_PASS;
    self->ahead[(self->first + self->n_ahead++) % AK_REDIS_MAX_AHEAD] = statement;
    self->streams = self->streams || starts_stream(words);
    if (is(words, "MULTI"))
        self->in_multi = true;
    else if (is(words, "EXEC") || is(words, "DISCARD"))
        self->in_multi = false;
    return ak_buf_add(to_server, self->request.held.data, self->request.held.len);
}

static int decide(struct ak_redis_relay *self, bool is_whole, struct ak_buf *to_server)
{
    enum ak_statement_class class_;
    struct words *words = ak_malloc(sizeof(*words));
    const char *why;
    int r = 0;

    if (!words)
        return -ENOMEM;
    read_words(&self->request, words);
    class_ = ak_classify_redis(words->argv, words->n);
    /* STORE may stand where nobody looks any more. */
    if ((!is_whole || words->n == AK_REDIS_KEPT_WORDS) && is(words, "SORT"))
        class_ = AK_CLASS_UNKNOWN;
    why = forbidden(words);
    if (!words->n && is_whole)
        self->mode = AK_REDIS_DROP; /* an empty request has no reply */
    else if (!words->n)
        r = refuse(self, "no command has such a name", to_server);
    else if (is(words, "AUTH"))
        answer(self, "+OK");
    else if (is(words, "HELLO"))
        r = pass_hello(self, words, to_server);
    else if (why)
        r = refuse(self, why, to_server);
    else if (self->only_reads && class_ != AK_CLASS_READ && class_ != AK_CLASS_SESSION)
        r = refuse(self, "only reading is possible here, and this is not known to", to_server);
    else
        r = let_go(self, words, class_, to_server);
    ak_free(words);
    return r;
}

/* An inline request becomes one of the usual form: a server could cut its words in another way than we do. */
static int normalise(struct ak_redis_relay *self)
{
    struct ak_redis_request *request = &self->request;
    const char *words[AK_REDIS_KEPT_WORDS];
    size_t lens[AK_REDIS_KEPT_WORDS];
    AK_AUTO(ak_buf) text = AK_BUF_INIT(2 * AK_REDIS_HELD);
    bool ended;
    int r;

    if (request->state != AK_REDIS_INLINE && request->state != AK_REDIS_START)
        return 0;
    if (memchr(request->held.data, '"', request->held.len) ||
        memchr(request->held.data, '\'', request->held.len) ||
        memchr(request->held.data, 0, request->held.len))
        return AK_E_PROTOCOL;
    split_inline(request);
    if (request->n_words == AK_REDIS_KEPT_WORDS)
        return AK_E_PROTOCOL;
    for (size_t i = 0; i < request->n_words; i++) {
        words[i] = request->held.data + request->words[i].at;
        lens[i] = request->words[i].len;
    }
    r = request->n_words ? ak_redis_put(&text, request->n_words, words, lens) : 0;
    ak_redis_request_clear(request);
    if (r < 0 || !text.len)
        return r;
    /* What does not fit would go on without its end. */
    if (ak_redis_request_take(request, (const uint8_t *)text.data, text.len, &ended) !=
            (ssize_t)text.len ||
        !ended)
        return AK_E_PROTOCOL;
    return 0;
}

/* ---- from the client ---- */

static bool must_wait(const struct ak_redis_relay *self)
{
    return self->local[0] || self->n_ahead >= AK_REDIS_MAX_AHEAD - 1;
}

/* Gives a reply of ours, if it is its turn. */
static int give_local(struct ak_redis_relay *self, struct ak_buf *to_client)
{
    int r;

    if (!self->local[0] || !ak_redis_reply_is_between(&self->reply) ||
        (self->n_ahead && !self->streams))
        return 0;
    r = ak_buf_addf(to_client, "%s\r\n", self->local);
    self->local[0] = '\0';
    return r;
}

/* A request is complete, or as much of it as can be held. */
static int settle(struct ak_redis_relay *self, bool ended, struct ak_buf *to_server)
{
    int r = normalise(self);

    if (r >= 0)
        r = decide(self, ended, to_server);
    ak_buf_clear(&self->request.held);
    self->request.is_over_held = true;
    return r;
}

/* One step: bytes taken. */
static ssize_t take(struct ak_redis_relay *self, const uint8_t *data, size_t len,
                    struct ak_buf *to_server, struct ak_buf *to_client)
{
    const bool held = self->mode == AK_REDIS_HOLD;
    bool ended = false;
    ssize_t n = ak_redis_request_take(&self->request, data, len, &ended);
    int r = 0;

    if (n < 0)
        return n;
    if (!held && self->mode == AK_REDIS_PASS && n)
        r = ak_buf_add(to_server, data, (size_t)n);
    if (r >= 0 && held && (ended || self->request.held.len >= AK_REDIS_HELD))
        r = settle(self, ended, to_server);
    if (r >= 0 && ended) {
        self->mode = AK_REDIS_HOLD;
        ak_redis_request_clear(&self->request);
        r = give_local(self, to_client);
    }
    update_busy(self);
    return r < 0 ? r : n;
}

static ssize_t work(struct ak_redis_relay *self, const uint8_t *data, size_t len,
                    struct ak_buf *to_server, struct ak_buf *to_client)
{
    size_t done = 0;

    while (done < len && !must_wait(self)) {
        ssize_t n = take(self, data + done, len - done, to_server, to_client);

        if (n < 0)
            return n;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static int failed(ssize_t r, struct ak_buf *to_client, struct ak_error **reterr)
{
    if (r == -ENOMEM)
        return ak_error_oom(reterr);
    if (r == AK_E_PROTOCOL)
        return ak_buf_adds(to_client, "-ERR Protocol error: this is not a request of Redis\r\n") < 0
                   ? AK_E_PROTOCOL
                   : 1;
    return ak_error_set(reterr, (int)r, "the client sends more ahead than there is room for");
}

int ak_redis_relay_from_client(void *user, const uint8_t *data, size_t len,
                               struct ak_buf *to_server, struct ak_buf *to_client,
                               struct ak_error **reterr)
{
    struct ak_redis_relay *self = user;
    ssize_t n = self->inbox.len ? 0 : work(self, data, len, to_server, to_client);
    int r = 0;

    if (n < 0)
        return failed(n, to_client, reterr);
    if ((size_t)n < len)
        r = ak_buf_add(&self->inbox, data + n, len - (size_t)n);
    return r < 0 ? failed(r, to_client, reterr) : 0;
}

/* ---- from the server ---- */

static int reply_ended(struct ak_redis_relay *self, struct ak_buf *to_client)
{
    /* Pushes of RESP3 are no replies. */
    if (self->reply.type != '>' && self->n_ahead)
        end_oldest(self, self->reply.error[0] ? AK_E_INVALID : 0, self->reply.error);
    self->reply_bytes = 0;
    update_busy(self);
    return give_local(self, to_client);
}

int ak_redis_relay_from_server(void *user, const uint8_t *data, size_t len,
                               struct ak_buf *to_server, struct ak_buf *to_client,
                               struct ak_error **reterr)
{
    struct ak_redis_relay *self = user;
    int r = 0;

    while (len && r >= 0) {
        bool ended;
        ssize_t n = ak_redis_reply_take(&self->reply, data, len, &ended);

        if (n < 0)
            return ak_error_set(reterr, (int)n, "the server does not speak the protocol of Redis");
        r = ak_buf_add(to_client, data, (size_t)n);
        self->reply_bytes += (uint64_t)n;
        if (r >= 0 && ended)
            r = reply_ended(self, to_client);
        data += n;
        len -= (size_t)n;
    }
    if (r >= 0 && self->inbox.len && !must_wait(self)) {
        ssize_t n =
            work(self, (const uint8_t *)self->inbox.data, self->inbox.len, to_server, to_client);

        if (n < 0)
            return failed(n, to_client, reterr);
        ak_buf_consume(&self->inbox, (size_t)n);
    }
    return r < 0 ? ak_error_oom(reterr) : 0;
}
