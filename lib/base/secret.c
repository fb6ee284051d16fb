/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/secret.h>

#include <ak/base/alloc.h>
#include <string.h>

struct ak_secret {
    size_t len;
    char data[];
};

void ak_wipe(void *data, size_t len)
{
    explicit_bzero(data, len);
}

struct ak_secret *ak_secret_new(const void *data, size_t len)
{
    struct ak_secret *self;
    size_t size;

    if (__builtin_add_overflow(len, sizeof(*self) + 1, &size))
        return NULL;
    self = ak_malloc(size);
    if (!self)
        return NULL;
    self->len = len;
    if (len)
        memcpy(self->data, data, len);
    self->data[len] = '\0';
    return self;
}

struct ak_secret *ak_secret_free(struct ak_secret *self)
{
    if (self)
        ak_wipe(self, sizeof(*self) + self->len + 1);
    ak_free(self);
    return NULL;
}

const char *ak_secret_peek(const struct ak_secret *self, size_t *ret_len)
{
    if (ret_len)
        *ret_len = self ? self->len : 0;
    return self ? self->data : "";
}

/* The time taken depends on the length of the first secret only, never on where they differ. */
bool ak_secret_equal(const struct ak_secret *a, const struct ak_secret *b)
{
    volatile unsigned char diff;

    if (!a || !b)
        return a == b;
    diff = a->len != b->len;
    for (size_t i = 0; i < a->len; i++) {
        unsigned char other = (unsigned char)b->data[b->len ? i % b->len : 0];

        diff = (unsigned char)(diff | ((unsigned char)a->data[i] ^ other));
    }
    return diff == 0;
}
