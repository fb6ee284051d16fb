/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/json/split.h>

#include <ak/base/alloc.h>
#include <ak/json/json.h>
#include <stdint.h>
#include <string.h>

/* A buffer that one large value needed is not kept for the small ones that follow. */
#define KEEP_BYTES ((size_t)64 << 10)
/* Longer names of a list's members are skipped like any other that is not wanted. */
#define KEY_SIZE 16

/* Where the next byte that is not part of a value belongs. */
enum outer {
    OUTER_FRAME,   /* FRAMES: between two values */
    OUTER_OPEN,    /* LIST: before the top-level { */
    OUTER_KEY,     /* behind {: a member's name or } */
    OUTER_KEY_REQ, /* behind a comma: a member's name */
    OUTER_COLON,
    OUTER_MEMBER,     /* a member's value */
    OUTER_MEMBER_END, /* comma or } */
    OUTER_ITEM,       /* behind the [ of "items": a value or ] */
    OUTER_ITEM_REQ,   /* behind a comma: a value */
    OUTER_ITEM_END,   /* comma or ] */
    OUTER_DONE,       /* behind the top-level } */
};

/* What is being read inside a value (or inside a member's name). */
enum inner {
    INNER_NONE,
    INNER_CONTAINER, /* between the brackets of an object or array */
    INNER_STRING,    /* in a string of such a container */
    INNER_ESCAPE,    /* behind a backslash of it */
    INNER_KEY,       /* in the name of a top-level member */
    INNER_KEY_ESCAPE,
    INNER_TEXT, /* in a string that is skipped as a whole value */
    INNER_TEXT_ESCAPE,
    INNER_LITERAL, /* in a number, true, false or null that is skipped */
};

enum target { TARGET_SKIP, TARGET_VALUE, TARGET_METADATA };

struct ak_split {
    enum ak_split_mode mode;
    size_t max_value;
    ak_split_fn fn;
    void *user;

    enum outer outer;
    enum inner inner;
    enum target target; /* what happens to the value that is being read */
    int failed;         /* the code of the first failure */

    uint64_t in_object[AK_JSON_MAX_DEPTH / 64]; /* bit d: level d is an object, not an array */
    size_t depth;

    char key[KEY_SIZE];
    size_t key_len; /* KEY_SIZE: too long to be one that is wanted */

    struct ak_buf value; /* what came of the value in earlier feeds */
};

struct ak_split *ak_split_free(struct ak_split *self)
{
    if (self)
        ak_buf_done(&self->value);
    ak_free(self);
    return NULL;
}

void ak_split_reset(struct ak_split *self, enum ak_split_mode mode)
{
    self->mode = mode;
    self->outer = mode == AK_SPLIT_FRAMES ? OUTER_FRAME : OUTER_OPEN;
    self->inner = INNER_NONE;
    self->failed = 0;
    self->depth = 0;
    ak_buf_done(&self->value);
}

struct ak_split *ak_split_new(enum ak_split_mode mode, size_t max_value, ak_split_fn fn, void *user)
{
    struct ak_split *self = ak_new0(struct ak_split);

    if (!self)
        return NULL;
    self->max_value = max_value;
    self->fn = fn;
    self->user = user;
    self->value = (struct ak_buf)AK_BUF_INIT(max_value);
    ak_split_reset(self, mode);
    return self;
}

static int unexpected(char c, const char *where, struct ak_error **reterr)
{
    return ak_error_set(reterr, AK_E_PROTOCOL, "not JSON: unexpected byte 0x%02x %s",
                        (unsigned char)c, where);
}

/* ---- levels ---- */

static int push(struct ak_split *self, bool object, struct ak_error **reterr)
{
    uint64_t bit;

    if (self->depth == AK_JSON_MAX_DEPTH)
        return ak_error_set(reterr, AK_E_TOO_LARGE, "JSON nests deeper than %d levels",
                            AK_JSON_MAX_DEPTH);
    bit = 1ULL << (self->depth % 64);
    if (object)
        self->in_object[self->depth / 64] |= bit;
    else
        self->in_object[self->depth / 64] &= ~bit;
    self->depth++;
    return 0;
}

static int pop(struct ak_split *self, char c, struct ak_error **reterr)
{
    size_t level = self->depth - 1;
    bool object = self->in_object[level / 64] >> (level % 64) & 1;

    if (object != (c == '}'))
        return unexpected(c, "closes the wrong bracket", reterr);
    self->depth = level;
    return 0;
}

/* ---- values ---- */

/* The value ends before data[end]; start is where this feed's part of it begins. */
static int finish_value(struct ak_split *self, const char *data, size_t start, size_t end,
                        struct ak_error **reterr)
{
    const char *text = data + start;
    size_t len = end - start;
    int r;

    self->inner = INNER_NONE;
    if (self->target == TARGET_SKIP)
        return 0;
    if (self->value.len + len > self->max_value)
        return ak_error_set(reterr, AK_E_TOO_LARGE, "one value is larger than %zu bytes",
                            self->max_value);
    if (self->value.len) {
        r = ak_buf_add(&self->value, text, len);
        if (r < 0)
            return ak_error_oom(reterr);
        text = self->value.data;
        len = self->value.len;
    }
    r = self->fn(self->target == TARGET_METADATA ? AK_SPLIT_METADATA : AK_SPLIT_VALUE, text, len,
                 self->user, reterr);
    if (self->value.cap > KEEP_BYTES)
        ak_buf_done(&self->value);
    else
        ak_buf_clear(&self->value);
    return AK_MIN(r, 0);
}

/* Keeps the part of an unfinished value for the next feed. */
static int save_value(struct ak_split *self, const char *data, size_t start, size_t len,
                      struct ak_error **reterr)
{
    int r;

    if (self->inner == INNER_NONE || self->inner == INNER_KEY || self->inner == INNER_KEY_ESCAPE ||
        self->target == TARGET_SKIP)
        return 0;
    r = ak_buf_add(&self->value, data + start, len - start);
    if (r == AK_E_TOO_LARGE)
        return ak_error_set(reterr, r, "one value is larger than %zu bytes", self->max_value);
    return r < 0 ? ak_error_oom(reterr) : 0;
}

/* Runs to the end of the string or of the data. 1: data[*pos] is its closing quote, which is taken. */
static int run_string(const char *data, size_t len, size_t *pos, bool *escape)
{
    size_t i = *pos;

    for (; i < len; i++) {
        if (*escape) {
            *escape = false;
        } else if (data[i] == '\\') {
            *escape = true;
        } else if (data[i] == '"') {
            *pos = i + 1;
            return 1;
        }
    }
    *pos = i;
    return 0;
}

/* 1: the value is complete, 0: data is used up. */
static int run_container(struct ak_split *self, const char *data, size_t len, size_t *pos,
                         struct ak_error **reterr)
{
    int r = 0;

    while (*pos < len) {
        if (self->inner == INNER_CONTAINER) {
            char c = data[(*pos)++];

            if (c == '"')
                self->inner = INNER_STRING;
            else if (c == '{' || c == '[')
                r = push(self, c == '{', reterr);
            else if (c == '}' || c == ']')
                r = pop(self, c, reterr);
            if (r < 0)
                return r;
            if (self->depth == 0)
                return 1;
        } else {
            bool escape = self->inner == INNER_ESCAPE;

            if (run_string(data, len, pos, &escape))
                self->inner = INNER_CONTAINER;
            else
                self->inner = escape ? INNER_ESCAPE : INNER_STRING;
        }
    }
    return 0;
}

static int run_text(struct ak_split *self, const char *data, size_t len, size_t *pos)
{
    bool escape = self->inner == INNER_TEXT_ESCAPE;
    int r = run_string(data, len, pos, &escape);

    self->inner = escape ? INNER_TEXT_ESCAPE : INNER_TEXT;
    return r;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static int run_literal(const char *data, size_t len, size_t *pos)
{
    for (; *pos < len; (*pos)++) {
        char c = data[*pos];

        if (is_space(c) || c == ',' || c == '}' || c == ']')
            return 1;
    }
    return 0;
}

static int run_value(struct ak_split *self, const char *data, size_t len, size_t *pos,
                     struct ak_error **reterr)
{
    if (self->inner == INNER_LITERAL)
        return run_literal(data, len, pos);
    if (self->inner == INNER_TEXT || self->inner == INNER_TEXT_ESCAPE)
        return run_text(self, data, len, pos);
    return run_container(self, data, len, pos, reterr);
}

/* The first byte of a value decides what it is. Only skipped values may be text or numbers. */
static int begin_value(struct ak_split *self, char c, enum target target, struct ak_error **reterr)
{
    self->target = target;
    self->depth = 0;
    if (c == '{' || c == '[') {
        self->inner = INNER_CONTAINER;
        return push(self, c == '{', reterr);
    }
    if (target != TARGET_SKIP)
        return unexpected(c, "where an object must begin", reterr);
    if (c == '"')
        self->inner = INNER_TEXT;
    else if (c == '-' || (c >= '0' && c <= '9') || c == 't' || c == 'f' || c == 'n')
        self->inner = INNER_LITERAL;
    else
        return unexpected(c, "where a value must begin", reterr);
    return 0;
}

/* ---- a list's members ---- */

static void run_key(struct ak_split *self, const char *data, size_t len, size_t *pos)
{
    for (; *pos < len; (*pos)++) {
        char c = data[*pos];

        if (self->inner == INNER_KEY_ESCAPE) {
            self->inner = INNER_KEY;
        } else if (c == '\\') {
            self->inner = INNER_KEY_ESCAPE;
            self->key_len = KEY_SIZE; /* the apiserver escapes nothing in the names we want */
        } else if (c == '"') {
            self->inner = INNER_NONE;
            self->outer = OUTER_COLON;
            (*pos)++;
            return;
        } else if (self->key_len < KEY_SIZE) {
            self->key[self->key_len++] = c;
        }
    }
}

static bool key_is(const struct ak_split *self, const char *name)
{
    return self->key_len == strlen(name) && memcmp(self->key, name, self->key_len) == 0;
}

static int begin_member(struct ak_split *self, char c, struct ak_error **reterr)
{
    if (key_is(self, "items") && c == '[') {
        self->outer = OUTER_ITEM;
        return 0;
    }
    if (key_is(self, "items") && c != 'n') /* an empty list may be null */
        return unexpected(c, "where a list must begin", reterr);
    self->outer = OUTER_MEMBER_END;
    return begin_value(self, c, key_is(self, "metadata") ? TARGET_METADATA : TARGET_SKIP, reterr);
}

static int begin_item(struct ak_split *self, char c, enum outer next, struct ak_error **reterr)
{
    self->outer = next;
    return begin_value(self, c, TARGET_VALUE, reterr);
}

/* One byte that is part of no value. */
static int step(struct ak_split *self, char c, struct ak_error **reterr)
{
    switch (self->outer) {
    case OUTER_FRAME:
        return begin_item(self, c, OUTER_FRAME, reterr);
    case OUTER_OPEN:
        if (c != '{')
            break;
        self->outer = OUTER_KEY;
        return 0;
    case OUTER_KEY:
    case OUTER_KEY_REQ:
        if (c == '"') {
            self->inner = INNER_KEY;
            self->key_len = 0;
            return 0;
        }
        if (c != '}' || self->outer == OUTER_KEY_REQ)
            break;
        self->outer = OUTER_DONE;
        return 0;
    case OUTER_COLON:
        if (c != ':')
            break;
        self->outer = OUTER_MEMBER;
        return 0;
    case OUTER_MEMBER:
        return begin_member(self, c, reterr);
    case OUTER_MEMBER_END:
        if (c != ',' && c != '}')
            break;
        self->outer = c == ',' ? OUTER_KEY_REQ : OUTER_DONE;
        return 0;
    case OUTER_ITEM:
    case OUTER_ITEM_REQ:
        if (c != ']' || self->outer == OUTER_ITEM_REQ)
            return begin_item(self, c, OUTER_ITEM_END, reterr);
        self->outer = OUTER_MEMBER_END;
        return 0;
    case OUTER_ITEM_END:
        if (c != ',' && c != ']')
            break;
        self->outer = c == ',' ? OUTER_ITEM_REQ : OUTER_MEMBER_END;
        return 0;
    case OUTER_DONE:
        break;
    }
    return unexpected(c, "in a list", reterr);
}

static int feed(struct ak_split *self, const char *data, size_t len, struct ak_error **reterr)
{
    size_t pos = 0, start = 0; /* start: where this feed's part of the current value begins */
    int r;

    while (pos < len) {
        if (self->inner == INNER_NONE) {
            start = pos;
            r = is_space(data[pos]) ? 0 : step(self, data[pos], reterr);
            pos++;
        } else if (self->inner == INNER_KEY || self->inner == INNER_KEY_ESCAPE) {
            run_key(self, data, len, &pos);
            r = 0;
        } else {
            r = run_value(self, data, len, &pos, reterr);
            if (r == 1)
                r = finish_value(self, data, start, pos, reterr);
        }
        if (r < 0)
            return r;
    }
    return save_value(self, data, start, len, reterr);
}

int ak_split_feed(struct ak_split *self, const char *data, size_t len, struct ak_error **reterr)
{
    int r;

    if (self->failed)
        return ak_error_set(reterr, self->failed, "the stream failed before");
    r = feed(self, data, len, reterr);
    if (r < 0)
        self->failed = r;
    return r;
}

int ak_split_end(struct ak_split *self, struct ak_error **reterr)
{
    bool complete = self->inner == INNER_NONE &&
                    self->outer == (self->mode == AK_SPLIT_FRAMES ? OUTER_FRAME : OUTER_DONE);

    if (self->failed)
        return ak_error_set(reterr, self->failed, "the stream failed before");
    if (!complete)
        return ak_error_set(reterr, AK_E_PROTOCOL, "the stream ended inside a value");
    return 0;
}
