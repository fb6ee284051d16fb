/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A quick reader for what Kubernetes sends nearly always: plain strings, short integers, no blanks to speak of. jansson
 * reads byte by byte and is three times slower. What is not plain is handed to jansson: a string with \u
 * or beyond ASCII and a number with a fraction by itself, anything that looks like a mistake as a whole, so
 * that there is one judge of what JSON is.
 */
#include "json_internal.h"

#include <ak/json/json.h>
#include <stdbool.h>
#include <string.h>

#define JANSSON_FLAGS (JSON_DECODE_ANY | JSON_ALLOW_NUL)
#define MAX_PLAIN_DIGITS 18 /* fits into an int64 */
#define MAX_UNESCAPED 4096  /* longer strings with escapes are jansson's */

struct reader {
    const char *p, *end;
};

static json_t *read_value(struct reader *self);

static void skip_blanks(struct reader *self)
{
    while (self->p < self->end &&
           (*self->p == ' ' || *self->p == '\n' || *self->p == '\t' || *self->p == '\r'))
        self->p++;
}

static bool take(struct reader *self, char c)
{
    if (self->p == self->end || *self->p != c)
        return false;
    self->p++;
    return true;
}

/* The text between quotes, and whether it stands for itself (1), has simple escapes (2), or is jansson's (3).
 * 0: it has no end. */
static int scan_string(struct reader *self, const char **ret, size_t *ret_len)
{
    const char *begin = ++self->p;
    int kind = 1;

    for (; self->p < self->end; self->p++) {
        unsigned char c = (unsigned char)*self->p;
        if (c == '"') {
            *ret = begin;
            *ret_len = (size_t)(self->p++ - begin);
            return kind;
        }
        if (c < 0x20 || c >= 0x7f) {
            kind = 3;
        } else if (c == '\\') {
            if (++self->p == self->end)
                return 0;
            kind = *self->p == 'u' ? 3 : kind == 1 ? 2 : kind;
        }
    }
    return 0;
}

/* What \c stands for; 0: no such escape. */
static char escaped(char c)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *at = c ? strchr(from, c) : NULL;

    return at ? to[at - from] : '\0';
}

/* Into `out` of MAX_UNESCAPED bytes; false: jansson's to judge. */
static bool unescape(const char *text, size_t len, char *out, size_t *ret_len)
{
    size_t n = 0;

    if (len > MAX_UNESCAPED)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '\\')
            c = escaped(text[++i]);
        if (!c)
            return false;
        out[n++] = c;
    }
    *ret_len = n;
    return true;
}

static json_t *ask_jansson(const char *begin, const char *end)
{
    json_error_t error;

    return json_loadb(begin, (size_t)(end - begin), JANSSON_FLAGS, &error);
}

/* NULL: jansson's to judge. Not a part of its caller: the buffer must not be in every frame of the recursion. */
__attribute__((noinline)) static json_t *read_escaped(const char *text, size_t len)
{
    char plain[MAX_UNESCAPED];

    return unescape(text, len, plain, &len) ? json_stringn_nocheck(plain, len) : NULL;
}

static json_t *read_string(struct reader *self)
{
    const char *begin = self->p, *text = NULL;
    size_t len = 0;
    int kind = scan_string(self, &text, &len);
    json_t *value = NULL;

    if (kind == 1)
        return json_stringn_nocheck(text, len);
    if (kind == 2)
        value = read_escaped(text, len);
    return value || !kind ? value : ask_jansson(begin, self->p);
}

static bool is_end_of_scalar(char c)
{
    return c == ',' || c == '}' || c == ']' || c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static json_t *read_number(const char *begin, const char *end)
{
    const char *digits = begin + (*begin == '-');
    json_int_t value = 0;

    if (end - digits < 1 || end - digits > MAX_PLAIN_DIGITS || (*digits == '0' && end - digits > 1))
        return ask_jansson(begin, end);
    for (const char *p = digits; p < end; p++) {
        if (*p < '0' || *p > '9')
            return ask_jansson(begin, end);
        value = value * 10 + (*p - '0');
    }
    if (digits > begin && !value)
        return ask_jansson(begin, end); /* -0 */
    return json_integer(digits > begin ? -value : value);
}

static json_t *read_scalar(struct reader *self)
{
    const char *begin = self->p;

    while (self->p < self->end && !is_end_of_scalar(*self->p))
        self->p++;
    size_t len = (size_t)(self->p - begin);
    if (len == 4 && memcmp(begin, "true", 4) == 0)
        return json_true();
    if (len == 5 && memcmp(begin, "false", 5) == 0)
        return json_false();
    if (len == 4 && memcmp(begin, "null", 4) == 0)
        return json_null();
    return len ? read_number(begin, self->p) : NULL;
}

static bool read_member(struct reader *self, json_t *object)
{
    const char *key = NULL;
    size_t len = 0;

    skip_blanks(self);
    /* A key that is not plain is so rare that the whole is left to jansson. */
    if (self->p == self->end || *self->p != '"' || scan_string(self, &key, &len) != 1)
        return false;
    skip_blanks(self);
    if (!take(self, ':'))
        return false;
    json_t *value = read_value(self);
    return value && json_object_setn_new_nocheck(object, key, len, value) == 0;
}

static bool read_element(struct reader *self, json_t *array)
{
    json_t *value = read_value(self);

    return value && json_array_append_new(array, value) == 0;
}

static json_t *read_container(struct reader *self, json_t *tree, char last,
                              bool (*read_one)(struct reader *self, json_t *tree))
{
    bool ok = tree != NULL;

    self->p++;
    skip_blanks(self);
    if (ok && take(self, last))
        return tree;
    while (ok) {
        ok = read_one(self, tree);
        skip_blanks(self);
        if (ok && take(self, last))
            return tree;
        ok = ok && take(self, ',');
    }
    json_decref(tree);
    return NULL;
}

static json_t *read_value(struct reader *self)
{
    skip_blanks(self);
    if (self->p == self->end)
        return NULL;
    switch (*self->p) {
    case '{':
        return read_container(self, json_object(), '}', read_member);
    case '[':
        return read_container(self, json_array(), ']', read_element);
    case '"':
        return read_string(self);
    default:
        return read_scalar(self);
    }
}

json_t *ak__json_read(const char *data, size_t len)
{
    struct reader self = {.p = data, .end = data + len};
    json_t *tree = read_value(&self);

    skip_blanks(&self);
    if (tree && self.p == self.end)
        return tree;
    json_decref(tree);
    return NULL;
}
