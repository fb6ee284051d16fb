/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes out of a review's text what a handler does not read, before the JSON parser sees it: managedFields,
 * status and annotations are often most of an object, and parsing is most of the work. Looks at structure
 * only; what it does not understand is left as it is, for the parser to judge.
 */
#include "webhook_prune.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <ak/base/text.h>

#define MAX_PATH 256

struct prune {
    const char *p, *end;
    const char *const *skip; /* "object.metadata.managedFields", below request */
    struct ak_buf *out;
    char path[MAX_PATH];
};

static void skip_blanks(struct prune *self)
{
    while (self->p < self->end &&
           (*self->p == ' ' || *self->p == '\n' || *self->p == '\t' || *self->p == '\r'))
        self->p++;
}

/* Behind the closing quote; false: there is none. */
static bool skip_string(struct prune *self)
{
    for (self->p++; self->p < self->end; self->p++) {
        if (*self->p == '\\')
            self->p++;
        else if (*self->p == '"') {
            self->p++;
            return true;
        }
    }
    return false;
}

static bool is_end_of_scalar(char c)
{
    return c == ',' || c == '}' || c == ']' || c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static bool skip_value(struct prune *self)
{
    size_t depth = 0;

    if (self->p == self->end)
        return false;
    if (*self->p != '{' && *self->p != '[' && *self->p != '"') {
        while (self->p < self->end && !is_end_of_scalar(*self->p))
            self->p++;
        return true;
    }
    while (self->p < self->end) {
        char c = *self->p;
        if (c == '"') {
            if (!skip_string(self))
                return false;
        } else {
            self->p++;
            depth += c == '{' || c == '[';
            depth -= c == '}' || c == ']';
        }
        if (!depth)
            return true;
    }
    return false;
}

/* Is the path in the list (1), or the beginning of one that is (-1)? */
static int find_path(const struct prune *self)
{
    size_t len = strlen(self->path);
    int found = 0;

    for (const char *const *skip = self->skip; *skip; skip++) {
        if (strncmp(*skip, self->path, len) != 0)
            continue;
        if (!(*skip)[len])
            return 1;
        if (!len || (*skip)[len] == '.')
            found = -1;
    }
    return found;
}

/* Appends ".key" to the path; false: too long for any path of the list. */
static bool push_key(struct prune *self, const char *key, size_t len)
{
    size_t had = strlen(self->path);

    if (had + len + 2 > MAX_PATH || memchr(key, '\\', len) || memchr(key, '.', len))
        return false;
    if (had)
        self->path[had++] = '.';
    memcpy(self->path + had, key, len);
    self->path[had + len] = '\0';
    return true;
}

static int copy_object(struct prune *self, bool is_root);

static int copy_verbatim(struct prune *self)
{
    const char *begin = self->p;

    return skip_value(self) ? ak_buf_add(self->out, begin, (size_t)(self->p - begin)) : -EINVAL;
}

/* One member, at its key. The path is that of the object. */
static int copy_member(struct prune *self, bool is_root, bool *first)
{
    const char *key = self->p;
    size_t had = strlen(self->path);

    if (self->p == self->end || *key != '"' || !skip_string(self))
        return -EINVAL;
    size_t len = (size_t)(self->p - key); /* with its quotes */
    skip_blanks(self);
    if (self->p == self->end || *self->p++ != ':')
        return -EINVAL;
    skip_blanks(self);
    bool enter = is_root && len == strlen("\"request\"") && memcmp(key, "\"request\"", len) == 0;
    bool known = !is_root && push_key(self, key + 1, len - 2);
    int found = known ? find_path(self) : enter ? -1 : 0;
    int r = 0;
    if (found > 0) {
        r = skip_value(self) ? 0 : -EINVAL;
    } else {
        if (!*first)
            r = ak_buf_adds(self->out, ",");
        *first = false;
        if (r >= 0)
            r = ak_buf_add(self->out, key, len);
        if (r >= 0)
            r = ak_buf_adds(self->out, ":");
        if (r >= 0 && found < 0 && self->p < self->end && *self->p == '{')
            r = copy_object(self, /* is_root= */ false);
        else if (r >= 0)
            r = copy_verbatim(self);
    }
    self->path[had] = '\0';
    return r;
}

/* Recurses no deeper than the paths of the list are long. */
static int copy_object(struct prune *self, bool is_root)
{
    bool first = true;
    int r = ak_buf_adds(self->out, "{");

    self->p++;
    skip_blanks(self);
    if (r >= 0 && self->p < self->end && *self->p == '}') {
        self->p++;
        return ak_buf_adds(self->out, "}");
    }
    while (r >= 0) {
        r = copy_member(self, is_root, &first);
        skip_blanks(self);
        if (r < 0 || self->p == self->end)
            return r < 0 ? r : -EINVAL;
        char c = *self->p++;
        if (c == '}')
            return ak_buf_adds(self->out, "}");
        if (c != ',')
            return -EINVAL;
        skip_blanks(self);
    }
    return r;
}

int ak__review_prune(const char *body, size_t len, const char *const *skip, struct ak_buf *out)
{
    struct prune self = {.p = body, .end = body + len, .skip = skip, .out = out};

    skip_blanks(&self);
    if (self.p == self.end || *self.p != '{')
        return -EINVAL;
    int r = copy_object(&self, /* is_root= */ true);
    return r < 0 ? r : ak_buf_add(out, self.p, (size_t)(self.end - self.p));
}
