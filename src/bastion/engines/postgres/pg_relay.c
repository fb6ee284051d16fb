/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/postgres/pg_relay.h"

#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "bastion/engines/postgres/pg_guard.h"
#include "engines/classify.h"

#define HELD_ERROR 8192u /* of an ErrorResponse; what is beyond is passed on unseen */
#define HELD_TAG 256u
#define KEPT_TEXT 1024u /* of a text once AK_PG_TEXTS_MAX is used up */
#define MAX_WAITING (64u << 10)
/* No server knows such a statement, portal or grammar. */
#define NO_SUCH "agentkube_refused"

struct ak_pg_text {
    unsigned refs;
    enum ak_statement_class class;
    size_t len;
    char text[];
};

struct entry { /* of a map */
    struct ak_pg_text *text;
    char name[];
};

/* --- texts by names --- */

static struct ak_pg_text *text_unref(struct ak_pg_relay *self, struct ak_pg_text *text)
{
    if (text && --text->refs == 0) {
        self->texts_size -= text->len;
        ak_free(text);
    }
    return NULL;
}

static struct ak_pg_text *text_new(struct ak_pg_relay *self, enum ak_statement_class class_,
                                   const char *text, size_t len)
{
    const size_t kept = self->texts_size + len > AK_PG_TEXTS_MAX ? AK_MIN(len, KEPT_TEXT) : len;
    struct ak_pg_text *t = ak_malloc(sizeof(*t) + kept + 1);

    if (!t)
        return NULL;
    *t = (struct ak_pg_text){.refs = 1, .class = class_, .len = kept};
    memcpy(t->text, text, kept);
    t->text[kept] = '\0';
    self->texts_size += kept;
    return t;
}

static void forget(struct ak_pg_relay *self, struct ak_map *map, const char *name)
{
    struct entry *entry = ak_map_remove(map, name);

    if (entry) {
        (void)text_unref(self, entry->text);
        ak_free(entry);
    }
}

/* Takes over one reference to the text, in every case. */
static int remember(struct ak_pg_relay *self, struct ak_map *map, const char *name,
                    struct ak_pg_text *text)
{
    const size_t size = strlen(name) + 1;
    struct entry *entry;
    int r;

    forget(self, map, name);
    entry = ak_malloc(sizeof(*entry) + size);
    if (!entry) {
        (void)text_unref(self, text);
        return -ENOMEM;
    }
    entry->text = text;
    memcpy(entry->name, name, size);
    r = ak_map_put(map, entry->name, entry, NULL);
    if (r < 0) {
        (void)text_unref(self, text);
        ak_free(entry);
    }
    return r;
}

static void forget_all(struct ak_pg_relay *self, struct ak_map *map)
{
    size_t it = 0;
    const char *name;
    void *value;

    while (ak_map_next(map, &it, &name, &value)) {
        struct entry *entry = value;

        (void)text_unref(self, entry->text);
        ak_free(entry);
    }
    ak_map_done(map);
}

/* --- what the server owes --- */

static struct ak_pg_unit *unit_at(const struct ak_pg_relay *self, size_t i)
{
    return &self->units[(self->first_unit + i) % AK_PG_MAX_UNITS];
}

static struct ak_pg_unit *front(const struct ak_pg_relay *self)
{
    return self->n_units ? unit_at(self, 0) : NULL;
}

static void note_busy(struct ak_pg_relay *self)
{
    const bool busy = self->n_units > 0;

    if (busy != self->is_busy) {
        self->is_busy = busy;
        self->hooks->busy(self->user, busy);
    }
}

/* The caller has made sure of the room. */
static void push(struct ak_pg_relay *self, char kind, void *statement, char *refusal)
{
    *unit_at(self, self->n_units++) =
        (struct ak_pg_unit){.kind = kind, .statement = statement, .refusal = refusal};
    note_busy(self);
}

static void pop(struct ak_pg_relay *self, int64_t rows, int code, const char *sqlstate)
{
    struct ak_pg_unit *unit = front(self);

    if (!unit)
        return;
    if (unit->statement)
        self->hooks->end(self->user, unit->statement, rows, unit->bytes, code, sqlstate);
    ak_free(unit->refusal);
    *unit = (struct ak_pg_unit){0};
    self->first_unit = (self->first_unit + 1) % AK_PG_MAX_UNITS;
    self->n_units--;
    note_busy(self);
}

static bool front_is(const struct ak_pg_relay *self, const char *kinds)
{
    const struct ak_pg_unit *unit = front(self);

    return unit && strchr(kinds, unit->kind);
}

/* While the server takes data for COPY it drops every Sync that it meets: those get no answer. */
static void drop_syncs(struct ak_pg_relay *self)
{
    size_t kept = 0;

    for (size_t i = 0; i < self->n_units; i++) {
        const struct ak_pg_unit unit = *unit_at(self, i);

        if (unit.kind != 'S')
            *unit_at(self, kept++) = unit;
    }
    self->n_units = kept;
    note_busy(self);
}

/* --- life --- */

int ak_pg_relay_init(struct ak_pg_relay *self, enum ak_tool_type type, bool reads_only,
                     const struct ak_pg_hooks *hooks, void *user)
{
    *self =
        (struct ak_pg_relay){.type = type, .reads_only = reads_only, .hooks = hooks, .user = user};
    self->client.held = (struct ak_buf)AK_BUF_INIT(AK_PG_TEXT_MAX);
    self->server.held = (struct ak_buf)AK_BUF_INIT(HELD_ERROR);
    self->waiting = (struct ak_buf)AK_BUF_INIT(MAX_WAITING);
    ak_map_init(&self->prepared, AK_PG_MAX_STATEMENTS);
    ak_map_init(&self->portals, AK_PG_MAX_STATEMENTS);
    self->units = ak_calloc(AK_PG_MAX_UNITS, sizeof(*self->units));
    return self->units ? 0 : -ENOMEM;
}

void ak_pg_relay_done(struct ak_pg_relay *self)
{
    while (self->n_units)
        pop(self, -1, AK_E_CANCELLED, NULL);
    forget_all(self, &self->prepared);
    forget_all(self, &self->portals);
    ak_buf_done(&self->client.held);
    ak_buf_done(&self->server.held);
    ak_buf_done(&self->waiting);
    ak_free(self->units);
    self->units = NULL;
}

bool ak_pg_relay_is_paused(void *user)
{
    const struct ak_pg_relay *self = user;

    return self->waiting.len > 0;
}

bool ak_pg_relay_is_between(const struct ak_pg_relay *self)
{
    return self->server.head_len == 0;
}

/* --- messages of one direction --- */

/* Sends on what was held back of the message, and what is still to come of it. */
static int let_go(struct ak_pg_stream *stream, struct ak_buf *out)
{
    int r = ak_buf_add(out, stream->head, AK_PG_HEADER);

    if (r >= 0 && stream->held.len)
        r = ak_buf_add(out, stream->held.data, stream->held.len);
    stream->mode = AK_PG_PASS;
    return r;
}

static void hold(struct ak_pg_stream *stream, size_t max)
{
    stream->mode = AK_PG_HOLD;
    stream->hold_max = max;
}

/* Takes bytes of a head; true when it is whole. */
static bool take_head(struct ak_pg_stream *stream, const uint8_t **data, size_t *len)
{
    const size_t n = AK_MIN(*len, AK_PG_HEADER - stream->head_len);

    memcpy(stream->head + stream->head_len, *data, n);
    stream->head_len += n;
    *data += n;
    *len -= n;
    if (stream->head_len < AK_PG_HEADER)
        return false;
    stream->left = ak_pg_read32(stream->head + 1);
    ak_buf_clear(&stream->held);
    return true;
}

static bool is_length_valid(const struct ak_pg_stream *stream)
{
    return stream->left >= 4 && stream->left <= AK_PG_MAX_MESSAGE;
}

/* Takes bytes of a body; 1 when enough is held to decide. */
static int take_body(struct ak_pg_stream *stream, const uint8_t **data, size_t *len,
                     struct ak_buf *out)
{
    size_t n = AK_MIN(*len, (size_t)stream->left);
    int r = 0;

    if (stream->mode == AK_PG_HOLD) {
        n = AK_MIN(n, stream->hold_max - stream->held.len);
        if (n)
            r = ak_buf_add(&stream->held, *data, n);
    } else if (stream->mode == AK_PG_PASS && n) {
        r = ak_buf_add(out, *data, n);
    }
    *data += n;
    *len -= n;
    stream->left -= (uint32_t)n;
    if (r < 0)
        return r;
    return stream->mode == AK_PG_HOLD &&
           (stream->left == 0 || stream->held.len == stream->hold_max);
}

/* --- from the client --- */

/* A message that the server refuses for certain, where one of the client's would have been. */
static int put_substitute(char kind, struct ak_buf *out)
{
    static const char parse[] = "\0" NO_SUCH "\0\0";        /* no name, a text, no types */
    static const char bind[] = "\0" NO_SUCH "\0\0\0\0\0\0"; /* no portal's name, a statement */
    static const char execute[] = NO_SUCH "\0\0\0\0";       /* a portal, all rows */

    switch (kind) {
    case 'P':
        return ak_pg_put_message(out, 'P', parse, sizeof(parse));
    case 'B':
        return ak_pg_put_message(out, 'B', bind, sizeof(bind));
    case 'E':
        return ak_pg_put_message(out, 'E', execute, sizeof(execute));
    default:
        return ak_pg_put_message(out, 'Q', NO_SUCH, sizeof(NO_SUCH));
    }
}

static int refuse(struct ak_pg_relay *self, char kind, const char *why, struct ak_buf *to_server)
{
    char *refusal = ak_strdup(why);

    if (!refusal)
        return -ENOMEM;
    push(self, kind, NULL, refusal);
    self->client.mode = AK_PG_DROP;
    return put_substitute(kind, to_server);
}

/* Asks whether a statement may run; the message goes to the server, or its substitute does. */
static int begin(struct ak_pg_relay *self, char kind, enum ak_statement_class class_,
                 const char *text, size_t len, struct ak_buf *to_server)
{
    AK_AUTO_PTR(ak_error) why = NULL;
    void *statement = NULL;
    int r = self->hooks->begin(self->user, class_, text, len, &statement, &why);

    if (r == -ENOMEM)
        return r;
    if (r < 0)
        return refuse(self, kind, ak_error_message(why), to_server);
    push(self, kind, statement, NULL);
    return let_go(&self->client, to_server);
}

static enum ak_statement_class classify(const struct ak_pg_relay *self, const char *text,
                                        size_t len)
{
    return self->client.left ? AK_CLASS_UNKNOWN : ak_classify_sql(self->type, text, len, NULL);
}

static int on_query(struct ak_pg_relay *self, struct ak_buf *to_server)
{
    const struct ak_buf *held = &self->client.held;
    const char *text = ak_buf_text(held);
    const size_t len = strnlen(text, held->len);
    const enum ak_statement_class class_ = classify(self, text, len);
    char why[AK_PG_GUARD_WHY];

    if (self->reads_only && !ak_pg_guard(self->type, class_, text, len, why))
        return refuse(self, 'Q', why, to_server);
    return begin(self, 'Q', class_, text, len, to_server);
}

static int on_parse(struct ak_pg_relay *self, struct ak_buf *to_server)
{
    struct ak_pg_reader body = ak_pg_reader(self->client.held.data, self->client.held.len);
    const char *name = ak_pg_gets(&body);
    const size_t rest = (size_t)(body.end - body.at);
    const char *text = (const char *)body.at;
    const size_t len = rest ? strnlen(text, rest) : 0;
    enum ak_statement_class class_;
    struct ak_pg_text *kept;
    char why[AK_PG_GUARD_WHY];
    int r;

    if (body.broken)
        return refuse(self, 'P', "the name of a prepared statement is too long", to_server);
    class_ = classify(self, text, len);
    if (self->reads_only && !ak_pg_guard(self->type, class_, text, len, why))
        return refuse(self, 'P', why, to_server);
    kept = text_new(self, class_, text, len);
    r = kept ? remember(self, &self->prepared, name, kept) : -ENOMEM;
    if (r == AK_E_TOO_LARGE)
        return refuse(self, 'P', "too many prepared statements on one connection", to_server);
    if (r < 0)
        return r;
    push(self, 'P', NULL, NULL);
    return let_go(&self->client, to_server);
}

static int on_bind(struct ak_pg_relay *self, struct ak_buf *to_server)
{
    struct ak_pg_reader body = ak_pg_reader(self->client.held.data, self->client.held.len);
    const char *portal = ak_pg_gets(&body);
    const char *name = ak_pg_gets(&body);
    const struct entry *entry = body.broken ? NULL : ak_map_get(&self->prepared, name);
    int r = 0;

    if (body.broken)
        return refuse(self, 'B', "the names of portal and statement are too long", to_server);
    if (entry) {
        entry->text->refs++;
        r = remember(self, &self->portals, portal, entry->text);
    } else {
        /* Prepared by SQL's PREPARE, or the server will say that there is none. */
        forget(self, &self->portals, portal);
    }
    if (r == AK_E_TOO_LARGE)
        return refuse(self, 'B', "too many portals on one connection", to_server);
    if (r < 0)
        return r;
    push(self, 'B', NULL, NULL);
    return let_go(&self->client, to_server);
}

static int on_execute(struct ak_pg_relay *self, struct ak_buf *to_server)
{
    static const char unseen[] = "(a statement that was prepared by SQL)";
    struct ak_pg_reader body = ak_pg_reader(self->client.held.data, self->client.held.len);
    const char *portal = ak_pg_gets(&body);
    const struct entry *entry = body.broken ? NULL : ak_map_get(&self->portals, portal);

    if (body.broken || self->client.left)
        return refuse(self, 'E', "the name of a portal is too long", to_server);
    if (entry)
        return begin(self, 'E', entry->text->class, entry->text->text, entry->text->len, to_server);
    if (self->reads_only)
        return refuse(self, 'E', "only statements that were seen being prepared can run here",
                      to_server);
    return begin(self, 'E', AK_CLASS_UNKNOWN, unseen, sizeof(unseen) - 1, to_server);
}

static int on_close(struct ak_pg_relay *self, struct ak_buf *to_server)
{
    struct ak_pg_reader body = ak_pg_reader(self->client.held.data, self->client.held.len);
    const char kind = (char)ak_pg_get8(&body);
    const char *name = ak_pg_gets(&body);

    if (!body.broken && (kind == 'S' || kind == 'P'))
        forget(self, kind == 'S' ? &self->prepared : &self->portals, name);
    push(self, 'C', NULL, NULL);
    return let_go(&self->client, to_server);
}

static int on_client_held(struct ak_pg_relay *self, struct ak_buf *to_server)
{
    switch (self->client.head[0]) {
    case 'Q':
        return on_query(self, to_server);
    case 'P':
        return on_parse(self, to_server);
    case 'B':
        return on_bind(self, to_server);
    case 'E':
        return on_execute(self, to_server);
    default:
        return on_close(self, to_server);
    }
}

static int end_with(struct ak_pg_relay *self, const char *message, struct ak_buf *to_client)
{
    int r = ak_pg_put_error(to_client, "FATAL", "08P01", message, NULL);

    self->is_over = true;
    return r < 0 ? r : 1;
}

static int on_client_head(struct ak_pg_relay *self, struct ak_buf *to_server,
                          struct ak_buf *to_client)
{
    struct ak_pg_stream *s = &self->client;

    if (!is_length_valid(s))
        return end_with(self, "invalid message length", to_client);
    s->left -= 4;
    switch (s->head[0]) {
    case 'Q':
    case 'P':
        hold(s, AK_PG_TEXT_MAX);
        return 0;
    case 'B':
    case 'E':
    case 'C':
        hold(s, AK_PG_NAMES_MAX);
        return 0;
    case 'F':
        return refuse(self, 'Q', "functions cannot be called by their numbers here", to_server);
    case 'D':
    case 'S':
        push(self, (char)s->head[0], NULL, NULL);
        return let_go(s, to_server);
    case 'c':
    case 'f':
        if (self->is_copying_in)
            drop_syncs(self);
        return let_go(s, to_server);
    case 'd':
    case 'H':
    case 'X':
        return let_go(s, to_server);
    default:
        return end_with(self, "invalid frontend message type", to_client);
    }
}

/* One step; 1 when the relay is over. */
static int client_step(struct ak_pg_relay *self, const uint8_t **data, size_t *len,
                       struct ak_buf *to_server, struct ak_buf *to_client)
{
    struct ak_pg_stream *s = &self->client;
    int r;

    if (s->head_len < AK_PG_HEADER) {
        if (!take_head(s, data, len))
            return 0;
        r = on_client_head(self, to_server, to_client);
        if (r != 0)
            return r;
    }
    r = take_body(s, data, len, to_server);
    if (r > 0)
        r = on_client_held(self, to_server);
    if (s->left == 0)
        s->head_len = 0;
    return r;
}

static int oom_or(int r, struct ak_error **reterr)
{
    if (r == AK_E_TOO_LARGE)
        return ak_error_set(reterr, r, "too much waits to be sent");
    return r < 0 ? ak_error_oom(reterr) : r;
}

int ak_pg_relay_from_client(void *user, const uint8_t *data, size_t len, struct ak_buf *to_server,
                            struct ak_buf *to_client, struct ak_error **reterr)
{
    struct ak_pg_relay *self = user;
    int r = 0;

    while (r == 0 && len > 0) {
        if (self->n_units == AK_PG_MAX_UNITS) {
            /* The server answers when its buffer is full or it is asked to: it is asked to. */
            r = ak_pg_put_message(to_server, 'H', NULL, 0);
            return oom_or(r < 0 ? r : ak_buf_add(&self->waiting, data, len), reterr);
        }
        r = client_step(self, &data, &len, to_server, to_client);
    }
    return oom_or(r, reterr);
}

/* --- from the server --- */

static int on_server_error(struct ak_pg_relay *self, struct ak_buf *to_client)
{
    struct ak_pg_stream *s = &self->server;
    struct ak_pg_unit *unit = front(self);
    struct ak_pg_server_error error;
    char *refusal = unit ? AK_TAKE(unit->refusal) : NULL;
    int r;

    ak_pg_parse_error(s->held.data, s->held.len, &error);
    if (refusal) {
        r = ak_pg_put_error(to_client, "ERROR", "42501", refusal, "refused by agentkube");
        s->mode = AK_PG_DROP;
        ak_free(refusal);
    } else {
        r = let_go(s, to_client);
    }
    if (front_is(self, "Q")) {
        /* Its ReadyForQuery is still to come. */
        if (unit->statement)
            self->hooks->end(self->user, unit->statement, unit->rows, unit->bytes, AK_E_INVALID,
                             error.sqlstate);
        unit->statement = NULL;
    } else if (front_is(self, "PBEDC")) {
        if (self->is_copying_in)
            drop_syncs(self);
        pop(self, -1, AK_E_INVALID, error.sqlstate);
        while (front_is(self, "PBEDC")) /* the server skips them */
            pop(self, -1, AK_E_CANCELLED, NULL);
    }
    self->is_copying_in = false;
    return r;
}

static int64_t rows_of(const struct ak_pg_unit *unit, const char *tag)
{
    const int64_t tagged = ak_pg_tag_rows(tag);

    return AK_MAX(unit->rows, tagged);
}

static int on_complete(struct ak_pg_relay *self, struct ak_buf *to_client)
{
    struct ak_pg_unit *unit = front(self);
    const char *tag = ak_buf_text(&self->server.held);

    self->is_copying_in = false;
    if (front_is(self, "E"))
        pop(self, rows_of(unit, tag), 0, NULL);
    else if (front_is(self, "Q"))
        unit->rows = rows_of(unit, tag); /* of the last of several statements that says a number */
    return let_go(&self->server, to_client);
}

static int on_server_held(struct ak_pg_relay *self, struct ak_buf *to_client)
{
    if (self->server.head[0] == 'E')
        return on_server_error(self, to_client);
    return on_complete(self, to_client);
}

static void on_row_head(struct ak_pg_relay *self)
{
    struct ak_pg_unit *unit = front(self);

    if (!unit)
        return;
    if (self->server.head[0] == 'D')
        unit->rows++;
    unit->bytes += self->server.left;
}

/* What an answer's type alone says about what it answers. */
static void follow(struct ak_pg_relay *self)
{
    static const struct {
        char answer;
        const char *kinds; /* that end with it */
    } ends[] = {{'1', "P"}, {'2', "B"}, {'3', "C"}, {'n', "D"},
                {'T', "D"}, {'I', "E"}, {'s', "E"}, {'Z', "QS"}};
    const char type = (char)self->server.head[0];
    const struct ak_pg_unit *unit = front(self);

    for (size_t i = 0; i < AK_ARRAY_LEN(ends); i++) {
        if (ends[i].answer == type && front_is(self, ends[i].kinds))
            pop(self, unit->rows, 0, NULL);
    }
    if (type == 'D' || type == 'd')
        on_row_head(self);
    if (type == 'G') {
        self->is_copying_in = true;
        if (front_is(self, "E"))
            drop_syncs(self);
    }
}

static int on_server_head(struct ak_pg_relay *self, struct ak_buf *to_client,
                          struct ak_error **reterr)
{
    struct ak_pg_stream *s = &self->server;

    if (!is_length_valid(s))
        return ak_error_set(reterr, AK_E_PROTOCOL, "the server sent an invalid message");
    s->left -= 4;
    if (s->head[0] == 'E' || s->head[0] == 'C') {
        hold(s, s->head[0] == 'E' ? HELD_ERROR : HELD_TAG);
        return 0;
    }
    follow(self);
    return oom_or(let_go(s, to_client), reterr);
}

static int server_step(struct ak_pg_relay *self, const uint8_t **data, size_t *len,
                       struct ak_buf *to_client, struct ak_error **reterr)
{
    struct ak_pg_stream *s = &self->server;
    int r;

    if (s->head_len < AK_PG_HEADER) {
        if (!take_head(s, data, len))
            return 0;
        r = on_server_head(self, to_client, reterr);
        if (r < 0)
            return r;
    }
    r = take_body(s, data, len, to_client);
    if (r > 0)
        r = on_server_held(self, to_client);
    if (s->left == 0)
        s->head_len = 0;
    return r < 0 ? oom_or(r, reterr) : 0;
}

int ak_pg_relay_from_server(void *user, const uint8_t *data, size_t len, struct ak_buf *to_server,
                            struct ak_buf *to_client, struct ak_error **reterr)
{
    struct ak_pg_relay *self = user;
    struct ak_buf again;
    int r = 0;

    while (r >= 0 && len > 0)
        r = server_step(self, &data, &len, to_client, reterr);
    if (r < 0 || self->waiting.len == 0 || self->n_units > AK_PG_MAX_UNITS / 2)
        return r;
    again = self->waiting;
    self->waiting = (struct ak_buf)AK_BUF_INIT(MAX_WAITING);
    r = ak_pg_relay_from_client(self, (const uint8_t *)again.data, again.len, to_server, to_client,
                                reterr);
    ak_buf_done(&again);
    return r;
}
