/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/tools/audit.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/base/time.h>

#define PREFIX "sha256:"
#define DIGITS 64
#define LINE_EXTRA 512 /* bytes of a line beside its record */

void ak_audit_init(struct ak_audit *self, void (*write)(const char *line, size_t len, void *user),
                   void *user)
{
    *self = (struct ak_audit){.write = write, .user = user, .head = AK_AUDIT_NONE};
    ak_mutex_init(&self->lock);
}

void ak_audit_done(struct ak_audit *self)
{
    ak_mutex_done(&self->lock);
}

static bool is_hash(const char *text)
{
    return ak_has_prefix(text, PREFIX) && strlen(text) == strlen(PREFIX) + DIGITS &&
           strspn(text + strlen(PREFIX), "0123456789abcdef") == DIGITS;
}

void ak_audit_go_on_from(struct ak_audit *self, const char *head)
{
    if (!is_hash(head))
        return;
    ak_mutex_lock(&self->lock);
    if (!self->begun)
        memcpy(self->head, head, strlen(head) + 1);
    ak_mutex_unlock(&self->lock);
}

bool ak_audit_head(struct ak_audit *self, char ret[static AK_AUDIT_HASH_SIZE])
{
    ak_mutex_lock(&self->lock);
    bool begun = self->begun;
    memcpy(ret, self->head, sizeof(self->head));
    ak_mutex_unlock(&self->lock);
    return begun;
}

/* ---- the text that is hashed */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int write_member(const json_t *object, const char *name, bool first, struct ak_buf *out,
                        struct ak_error **reterr)
{
    int r = first ? 0 : ak_buf_adds(out, ",");

    if (r >= 0)
        r = ak_buf_add_json_string(out, name, strlen(name));
    if (r >= 0)
        r = ak_buf_adds(out, ":");
    return r < 0 ? r : ak_audit_write(json_object_get(object, name), out, reterr);
}

static int write_object(const json_t *object, struct ak_buf *out, struct ak_error **reterr)
{
    const char **names = ak_calloc(json_object_size(object) + 1, sizeof(*names)), *name;
    json_t *value;
    size_t n = 0;
    int r = names ? ak_buf_adds(out, "{") : -ENOMEM;

    if (r >= 0) {
        json_object_foreach((json_t *)(uintptr_t)object, name, value) names[n++] = name;
        qsort(names, n, sizeof(*names), by_name);
    }
    for (size_t i = 0; r >= 0 && i < n; i++)
        r = write_member(object, names[i], i == 0, out, reterr);
    ak_free(names);
    return r < 0 ? r : ak_buf_adds(out, "}");
}

static int write_array(const json_t *array, struct ak_buf *out, struct ak_error **reterr)
{
    int r = ak_buf_adds(out, "[");

    for (size_t i = 0; r >= 0 && i < json_array_size(array); i++) {
        r = i ? ak_buf_adds(out, ",") : 0;
        if (r >= 0)
            r = ak_audit_write(json_array_get(array, i), out, reterr);
    }
    return r < 0 ? r : ak_buf_adds(out, "]");
}

/* As deep as ak_json_parse() lets a tree be. */
int ak_audit_write(const json_t *value, struct ak_buf *out, struct ak_error **reterr)
{
    int r;

    if (json_is_object(value))
        r = write_object(value, out, reterr);
    else if (json_is_array(value))
        r = write_array(value, out, reterr);
    else
        return ak_json_write(value, out, reterr);
    return r < 0 ? ak_error_set(reterr, r, "a record that is too long, or no memory") : 0;
}

static int digest(const char *prev, const struct ak_buf *text, char ret[static AK_AUDIT_HASH_SIZE])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
              EVP_DigestUpdate(ctx, prev, strlen(prev)) == 1 &&
              EVP_DigestUpdate(ctx, "\n", 1) == 1 &&
              EVP_DigestUpdate(ctx, text->data, text->len) == 1 &&
              EVP_DigestFinal_ex(ctx, raw, &len) == 1;

    EVP_MD_CTX_free(ctx);
    if (!ok)
        return -ENOMEM;
    memcpy(ret, PREFIX, sizeof(PREFIX));
    for (unsigned int i = 0; i < DIGITS / 2; i++)
        (void)snprintf(ret + strlen(PREFIX) + 2 * (size_t)i, 3, "%02x", raw[i]);
    return 0;
}

int ak_audit_hash(const char *prev, const json_t *record, char ret[static AK_AUDIT_HASH_SIZE],
                  struct ak_buf *ret_text, struct ak_error **reterr)
{
    int r = ak_audit_write(record, ret_text, reterr);

    if (r < 0)
        return r == -ENOMEM ? ak_error_oom(reterr)
                            : ak_error_set(reterr, r, "a record of the audit log");
    return digest(prev, ret_text, ret) < 0 ? ak_error_oom(reterr) : 0;
}

/* ---- lines */

/* The first line of a process. The lock is held. */
static int begin(struct ak_audit *self, struct ak_error **reterr) AK_REQUIRES(self->lock)
{
    AK_AUTO(ak_buf) line = AK_BUF_INIT(LINE_EXTRA);
    char now[AK_RFC3339_SIZE];

    if (self->begun)
        return 0;
    int r = ak_buf_addf(&line,
                        "{\"kind\":\"ToolAuditBegin\",\"time\":\"%s\",\"version\":\"%s\","
                        "\"head\":\"%s\"}\n",
                        ak_format_rfc3339_micro(ak_wall_now(), now), AK_VERSION, self->head);
    if (r < 0)
        return ak_error_set(reterr, r, "the audit log");
    self->write(line.data, line.len, self->user);
    self->begun = true;
    return 0;
}

static int add(struct ak_audit *self, const json_t *record, struct ak_error **reterr)
    AK_REQUIRES(self->lock)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_AUDIT_MAX_RECORD);
    AK_AUTO(ak_buf) line = AK_BUF_INIT(AK_AUDIT_MAX_RECORD + LINE_EXTRA);
    char hash[AK_AUDIT_HASH_SIZE];
    int r = ak_audit_hash(self->head, record, hash, &text, reterr);

    if (r < 0)
        return r;
    r = ak_buf_addf(&line, "{\"kind\":\"ToolAudit\",\"seq\":%llu,\"prev\":\"%s\",\"record\":",
                    (unsigned long long)self->seq + 1, self->head);
    if (r >= 0)
        r = ak_buf_add(&line, text.data, text.len);
    if (r >= 0)
        r = ak_buf_addf(&line, ",\"hash\":\"%s\"}\n", hash);
    if (r < 0)
        return ak_error_set(reterr, r, "the audit log");
    r = begin(self, reterr);
    if (r < 0)
        return r;
    self->write(line.data, line.len, self->user);
    self->seq++;
    memcpy(self->head, hash, sizeof(self->head));
    return 0;
}

int ak_audit_add(struct ak_audit *self, const json_t *record, struct ak_error **reterr)
{
    ak_mutex_lock(&self->lock);
    int r = add(self, record, reterr);
    ak_mutex_unlock(&self->lock);
    return r;
}
