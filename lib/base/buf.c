/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/buf.h>

#include <ak/base/alloc.h>
#include <ak/base/error.h>
#include <ak/base/secret.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CAP_MIN ((size_t)64)
#define FILE_STEP ((size_t)4096)

static void release(struct ak_buf *self)
{
    if (self->wipe && self->data)
        ak_wipe(self->data, self->cap);
    ak_free(self->data);
    self->data = NULL;
    self->len = 0;
    self->cap = 0;
}

void ak_buf_done(struct ak_buf *self)
{
    release(self);
}

void ak_buf_clear(struct ak_buf *self)
{
    if (self->wipe && self->data)
        ak_wipe(self->data, self->cap);
    self->len = 0;
    if (self->data)
        self->data[0] = '\0';
}

/* realloc() would leave a copy of a secret behind: buffers that wipe move by hand. */
static int resize(struct ak_buf *self, size_t cap)
{
    char *data;

    if (!self->wipe) {
        data = ak_realloc(self->data, cap);
        if (!data)
            return -ENOMEM;
    } else {
        data = ak_malloc(cap);
        if (!data)
            return -ENOMEM;
        if (self->data) {
            memcpy(data, self->data, self->len + 1);
            ak_wipe(self->data, self->cap);
            ak_free(self->data);
        }
    }
    self->data = data;
    self->cap = cap;
    self->data[self->len] = '\0';
    return 0;
}

/* Makes room for `len` more bytes and the NUL. Doubles, so that many small adds stay linear. */
static int reserve(struct ak_buf *self, size_t len)
{
    size_t need, cap;

    if (len > self->max || self->len > self->max - len)
        return AK_E_TOO_LARGE;
    if (__builtin_add_overflow(self->len + 1, len, &need))
        return AK_E_TOO_LARGE;
    if (need <= self->cap)
        return 0;
    cap = AK_MAX(self->cap, CAP_MIN);
    while (cap < need)
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    /* The limit is known, so the last step need not overshoot it. */
    if (self->max < SIZE_MAX && cap > self->max + 1)
        cap = AK_MAX(need, self->max + 1);
    return resize(self, cap);
}

int ak_buf_add(struct ak_buf *self, const void *data, size_t len)
{
    int r = reserve(self, len);

    if (r < 0)
        return r;
    if (len)
        memcpy(self->data + self->len, data, len);
    self->len += len;
    self->data[self->len] = '\0';
    return 0;
}

int ak_buf_adds(struct ak_buf *self, const char *text)
{
    return ak_buf_add(self, text, strlen(text));
}

int ak_buf_vaddf(struct ak_buf *self, const char *fmt, va_list ap)
{
    va_list again;
    int n, r;

    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (n < 0)
        return -EINVAL;
    r = reserve(self, (size_t)n);
    if (r < 0)
        return r;
    (void)vsnprintf(self->data + self->len, (size_t)n + 1, fmt, ap);
    self->len += (size_t)n;
    return 0;
}

int ak_buf_addf(struct ak_buf *self, const char *fmt, ...)
{
    va_list ap;
    int r;

    va_start(ap, fmt);
    r = ak_buf_vaddf(self, fmt, ap);
    va_end(ap);
    return r;
}

static bool is_continuation(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

/* Bytes of the UTF-8 sequence at s (RFC 3629: no overlong forms, no surrogates), 0 if it is none. */
static size_t utf8_length(const unsigned char *s, size_t len)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t n;

    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        n = 2;
    else if (s[0] >= 0xe0 && s[0] <= 0xef)
        n = 3;
    else if (s[0] >= 0xf0 && s[0] <= 0xf4)
        n = 4;
    else
        return 0;
    if (s[0] == 0xe0)
        low = 0xa0;
    else if (s[0] == 0xed)
        high = 0x9f;
    else if (s[0] == 0xf0)
        low = 0x90;
    else if (s[0] == 0xf4)
        high = 0x8f;
    if (len < n || s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if (!is_continuation(s[i]))
            return 0;
    return n;
}

/* The text that stands for one character in a JSON string; NULL: the character itself. */
static const char *json_escape(unsigned char c, char tmp[static 8])
{
    static const char *const escapes[] = {
        ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n",  ['\f'] = "\\f",
        ['\r'] = "\\r", ['"'] = "\\\"", ['\\'] = "\\\\",
    };

    if (c < AK_ARRAY_LEN(escapes) && escapes[c])
        return escapes[c];
    if (c >= 0x20 && c != 0x7f)
        return NULL;
    (void)snprintf(tmp, 8, "\\u%04x", c);
    return tmp;
}

static int add_json_chars(struct ak_buf *self, const char *text, size_t len)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t i = 0, plain = 0; /* plain: start of the bytes that can be copied as they are */
    char tmp[8];
    int r;

    while (i < len) {
        size_t n = utf8_length(s + i, len - i);
        const char *replacement = n ? json_escape(s[i], tmp) : "\xef\xbf\xbd";

        if (n && (n > 1 || !replacement)) {
            i += n;
            continue;
        }
        r = ak_buf_add(self, text + plain, i - plain);
        if (r < 0)
            return r;
        r = ak_buf_adds(self, replacement);
        if (r < 0)
            return r;
        plain = ++i;
    }
    return ak_buf_add(self, text + plain, len - plain);
}

int ak_buf_add_json_string(struct ak_buf *self, const char *text, size_t len)
{
    size_t before = self->len;
    int r;

    r = ak_buf_add(self, "\"", 1);
    if (r >= 0)
        r = add_json_chars(self, text, len);
    if (r >= 0)
        r = ak_buf_add(self, "\"", 1);
    if (r < 0 && self->data) {
        self->len = before;
        self->data[before] = '\0';
    }
    return r;
}

static bool is_url_unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

int ak_buf_add_url_escaped(struct ak_buf *self, const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t n = 0;
    char *out;
    int r;

    for (const char *p = text; *p; p++)
        n += is_url_unreserved((unsigned char)*p) ? 1 : 3;
    r = reserve(self, n);
    if (r < 0)
        return r;
    out = self->data + self->len;
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;

        if (is_url_unreserved(c)) {
            *out++ = *p;
            continue;
        }
        *out++ = '%';
        *out++ = hex[c >> 4];
        *out++ = hex[c & 15];
    }
    *out = '\0';
    self->len += n;
    return 0;
}

void ak_buf_consume(struct ak_buf *self, size_t n)
{
    if (!self->data)
        return;
    n = AK_MIN(n, self->len);
    memmove(self->data, self->data + n, self->len - n + 1);
    self->len -= n;
    if (self->wipe)
        ak_wipe(self->data + self->len, n);
}

const char *ak_buf_text(const struct ak_buf *self)
{
    return self->data ? self->data : "";
}

char *ak_buf_take(struct ak_buf *self)
{
    char *data = self->data ? self->data : ak_strdup("");

    if (!data)
        return NULL;
    self->data = NULL;
    self->len = 0;
    self->cap = 0;
    return data;
}

/* 1: more may follow, 0: end of file. One byte over the limit is asked for, to notice that it is over. */
static int read_step(struct ak_buf *self, int fd)
{
    size_t room = self->max - self->len, want = AK_MIN(room, FILE_STEP);
    char extra;
    ssize_t n;
    int r;

    if (!want) {
        n = read(fd, &extra, 1);
        return n < 0 ? (errno == EINTR ? 1 : -errno) : n > 0 ? AK_E_TOO_LARGE : 0;
    }
    r = reserve(self, want);
    if (r < 0)
        return r;
    n = read(fd, self->data + self->len, want);
    if (n < 0)
        return errno == EINTR ? 1 : -errno;
    self->len += (size_t)n;
    self->data[self->len] = '\0';
    return n > 0;
}

int ak_buf_add_file(struct ak_buf *self, const char *path)
{
    size_t before = self->len;
    int fd, r;

    if (before > self->max)
        return AK_E_TOO_LARGE;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return -errno;
    do
        r = read_step(self, fd);
    while (r > 0);
    (void)close(fd);
    if (r < 0 && self->data) {
        if (self->wipe)
            ak_wipe(self->data + before, self->len - before);
        self->len = before;
        self->data[before] = '\0';
    }
    return r;
}
