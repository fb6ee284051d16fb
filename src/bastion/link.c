/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/link.h"

#include <string.h>
#include <sys/types.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#define KEEP (64u << 10)    /* capacity of a reader that is kept between frames */
#define MAX_FILE (1u << 20) /* bytes of one file, before its encoding */
#define MAX_PATH 256
#define FILES_BELOW "/tmp/"

/* --- frames --- */

static const struct {
    uint8_t type;
    bool from_serve;
    size_t min, max; /* bytes */
} rules[] = {
    {AK_LINK_START_PROGRAM, true, 2, AK_LINK_START},
    {AK_LINK_INPUT, true, 1, AK_LINK_PIECE},
    {AK_LINK_END_INPUT, true, 0, 0},
    {AK_LINK_SIZE, true, 4, 4},
    {AK_LINK_HOLD, true, 0, 0},
    {AK_LINK_QUIT, true, 0, AK_LINK_PIECE},
    {AK_LINK_STARTED, false, 0, 0},
    {AK_LINK_TAKEN, false, 4, 4},
    {AK_LINK_OUTPUT, false, 1, AK_LINK_PIECE},
    {AK_LINK_ERRORS, false, 1, AK_LINK_PIECE},
    {AK_LINK_EXIT, false, 2, AK_LINK_PIECE},
};

uint32_t ak_link_get_u32(const uint8_t *data)
{
    return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
}

void ak_link_put_u32(uint32_t value, uint8_t ret[static 4])
{
    for (unsigned i = 0; i < 4; i++)
        ret[i] = (uint8_t)(value >> (24 - 8 * i));
}

void ak_link_write_head(enum ak_link_type type, size_t len, uint8_t ret[static AK_LINK_HEAD])
{
    ret[0] = (uint8_t)type;
    ak_link_put_u32((uint32_t)len, ret + 1);
}

void ak_link_reader_init(struct ak_link_reader *self, bool from_serve)
{
    *self = (struct ak_link_reader){.buf = {.max = AK_LINK_HEAD + AK_LINK_START},
                                    .from_serve = from_serve};
}

void ak_link_reader_done(struct ak_link_reader *self)
{
    ak_buf_done(&self->buf);
}

static int check_head(const struct ak_link_reader *self, struct ak_error **reterr)
{
    const uint8_t *head = (const uint8_t *)self->buf.data;
    size_t len = ak_link_get_u32(head + 1);

    for (size_t i = 0; i < AK_ARRAY_LEN(rules); i++) {
        if (rules[i].type != head[0] || rules[i].from_serve != self->from_serve)
            continue;
        if (len > rules[i].max)
            return ak_error_set(reterr, AK_E_TOO_LARGE, "a frame of type %d has %zu bytes", head[0],
                                len);
        if (len < rules[i].min)
            break;
        return 0;
    }
    return ak_error_set(reterr, AK_E_PROTOCOL, "no frame has type %d and %zu bytes", head[0], len);
}

static int take(struct ak_link_reader *self, const uint8_t *data, size_t len, size_t want,
                size_t *at)
{
    size_t n = AK_MIN(want - self->buf.len, len - *at);
    int r = ak_buf_add(&self->buf, data + *at, n);

    *at += n;
    return r;
}

ssize_t ak_link_read(struct ak_link_reader *self, const void *data, size_t len,
                     struct ak_link_frame *ret, bool *ret_ready, struct ak_error **reterr)
{
    size_t at = 0, whole;
    bool had_head;
    int r = 0;

    if (self->buf.len >= AK_LINK_HEAD &&
        self->buf.len ==
            AK_LINK_HEAD + ak_link_get_u32((const uint8_t *)self->buf.data + 1)) { /* given out */
        if (self->buf.cap > KEEP) {
            ak_buf_done(&self->buf);
            ak_link_reader_init(self, self->from_serve);
        }
        ak_buf_clear(&self->buf);
    }
    *ret_ready = false;
    had_head = self->buf.len >= AK_LINK_HEAD;
    if (!had_head)
        r = take(self, data, len, AK_LINK_HEAD, &at);
    if (r < 0)
        return ak_error_oom(reterr);
    if (self->buf.len < AK_LINK_HEAD)
        return (ssize_t)at;
    r = had_head ? 0 : check_head(self, reterr);
    if (r < 0)
        return r;
    whole = AK_LINK_HEAD + ak_link_get_u32((const uint8_t *)self->buf.data + 1);
    if (take(self, data, len, whole, &at) < 0)
        return ak_error_oom(reterr);
    if (self->buf.len == whole) {
        const uint8_t *all = (const uint8_t *)self->buf.data;

        *ret = (struct ak_link_frame){
            .type = all[0], .data = all + AK_LINK_HEAD, .len = whole - AK_LINK_HEAD};
        *ret_ready = true;
    }
    return (ssize_t)at;
}

/* --- START: written --- */

static json_t *list_of(const char *const *items)
{
    json_t *list = json_array();

    for (size_t i = 0; list && items && items[i]; i++)
        if (json_array_append_new(list, json_string(items[i])) < 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

/* Bytes of any kind, which JSON has no other way for. */
static json_t *hex_of(const char *data, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    AK_AUTO_TEXT char *text = ak_malloc(2 * len + 1);

    if (!text)
        return NULL;
    for (size_t i = 0; i < len; i++) {
        text[2 * i] = digits[(unsigned char)data[i] >> 4];
        text[2 * i + 1] = digits[(unsigned char)data[i] & 15];
    }
    return json_stringn(text, 2 * len);
}

static json_t *files_of(const struct ak_client_command *command)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < command->n_files; i++) {
        const struct ak_client_file *f = &command->files[i];
        json_t *one = json_pack("{s:s, s:o, s:i}", "path", f->path, "data", hex_of(f->data, f->len),
                                "mode", f->mode ? (int)f->mode : 0600);

        if (json_array_append_new(list, one) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

int ak_link_write_start(const struct ak_link_start *start, struct ak_buf *out,
                        struct ak_error **reterr)
{
    const struct ak_client_command *c = &start->command;
    AK_AUTO_JSON *tree = NULL;

    for (size_t i = 0; i < c->n_files; i++)
        if (c->files[i].len > MAX_FILE)
            return ak_error_set(reterr, AK_E_TOO_LARGE, "file \"%s\": is larger than 1 MiB",
                                c->files[i].path);
    tree = json_pack("{s:o, s:o, s:s, s:b, s:i, s:i, s:o}", "argv", list_of(c->argv), "env",
                     list_of(c->env), "cwd", c->cwd ? c->cwd : "/tmp", "terminal", start->terminal,
                     "rows", start->rows, "columns", start->columns, "files", files_of(c));
    if (!tree) /* no memory, or an argument that is not UTF-8 */
        return ak_error_set(reterr, -EINVAL, "the command is not text in UTF-8");
    return ak_json_write(tree, out, reterr);
}

/* --- START: read --- */

static int read_list(const json_t *list, struct ak_arena *arena, const char *const **ret)
{
    size_t n = json_array_size(list);
    const char **out = n <= AK_LINK_MAX_ARGS ? ak_arena_alloc(arena, (n + 1) * sizeof(*out)) : NULL;

    if (!json_is_array(list) || n > AK_LINK_MAX_ARGS)
        return AK_E_INVALID;
    for (size_t i = 0; out && i < n; i++) {
        const char *text = json_string_value(json_array_get(list, i));

        if (!text)
            return AK_E_INVALID;
        out[i] = ak_arena_strdup(arena, text);
        out = out[i] ? out : NULL;
    }
    *ret = out;
    return out ? 0 : -ENOMEM;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int read_hex(const char *text, struct ak_arena *arena, const char **ret, size_t *ret_len)
{
    size_t n = strlen(text) / 2;
    char *out = ak_arena_alloc(arena, n + 1);

    if (!out)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        int high = digit_of(text[2 * i]), low = digit_of(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return AK_E_INVALID;
        out[i] = (char)(high << 4 | low);
    }
    *ret = out;
    *ret_len = n;
    return text[2 * n] ? AK_E_INVALID : 0;
}

/* Only below /tmp, and nowhere else by a detour. */
static bool is_file_path(const char *path)
{
    return path && strlen(path) < MAX_PATH && ak_has_prefix(path, FILES_BELOW) &&
           !strstr(path, "/../") && !ak_has_suffix(path, "/..") && !ak_has_suffix(path, "/");
}

static int read_files(const json_t *list, struct ak_arena *arena, struct ak_client_command *ret)
{
    size_t n = json_array_size(list);

    if (!json_is_array(list) || n > AK_CLIENT_MAX_FILES)
        return AK_E_INVALID;
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(list, i);
        const char *path = ak_json_text(one, "path", NULL);
        const char *data = ak_json_text(one, "data", NULL);
        json_int_t mode = json_integer_value(json_object_get(one, "mode"));
        struct ak_client_file *f = &ret->files[i];
        int r;

        if (!is_file_path(path) || !data || mode <= 0 || mode > 0777)
            return AK_E_INVALID;
        f->path = ak_arena_strdup(arena, path);
        f->mode = (unsigned)mode;
        r = f->path ? read_hex(data, arena, &f->data, &f->len) : -ENOMEM;
        if (r < 0)
            return r;
    }
    ret->n_files = n;
    return 0;
}

static bool read_size(const json_t *tree, const char *name, uint16_t *ret)
{
    const json_t *value = json_object_get(tree, name);
    json_int_t n = json_integer_value(value);

    *ret = (uint16_t)n;
    return json_is_integer(value) && n >= 0 && n <= UINT16_MAX;
}

int ak_link_read_start(const void *data, size_t len, struct ak_arena *arena,
                       struct ak_link_start *ret, struct ak_error **reterr)
{
    AK_AUTO_JSON *tree = NULL;
    struct ak_link_start out = {0};
    int r = ak_json_parse(data, len, &tree, reterr);

    if (r < 0)
        return r;
    if (!read_size(tree, "rows", &out.rows) || !read_size(tree, "columns", &out.columns) ||
        !ak_json_text(tree, "cwd", NULL) || !json_is_boolean(json_object_get(tree, "terminal")))
        r = AK_E_INVALID;
    out.terminal = json_is_true(json_object_get(tree, "terminal"));
    if (r >= 0)
        r = read_list(json_object_get(tree, "argv"), arena, &out.command.argv);
    if (r >= 0)
        r = read_list(json_object_get(tree, "env"), arena, &out.command.env);
    if (r >= 0)
        r = read_files(json_object_get(tree, "files"), arena, &out.command);
    if (r >= 0 && !out.command.argv[0])
        r = AK_E_INVALID;
    if (r >= 0)
        out.command.cwd = ak_arena_strdup(arena, ak_json_text(tree, "cwd", NULL));
    if (r >= 0 && !out.command.cwd)
        r = -ENOMEM;
    if (r == -ENOMEM)
        return ak_error_oom(reterr);
    if (r < 0)
        return ak_error_set(reterr, r, "it does not say which program to start");
    *ret = out;
    return 0;
}
