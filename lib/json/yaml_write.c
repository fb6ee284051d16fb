/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/json/json.h>

#include "json_internal.h"
#include "yaml_scalar.h"
#include <ak/base/alloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct writer {
    yaml_emitter_t emitter;
    struct ak_buf *out;
    int code; /* of the last failed ak_buf_add() */
    struct ak_error **reterr;
};

static int write_some(void *user, unsigned char *data, size_t len)
{
    struct writer *self = user;

    self->code = ak_buf_add(self->out, data, len);
    return self->code >= 0;
}

/* What the emitter or an event's constructor could not do. */
static int failed(struct writer *self)
{
    if (self->code == AK_E_TOO_LARGE)
        return ak_error_set(self->reterr, AK_E_TOO_LARGE, "YAML text is larger than %zu bytes",
                            self->out->max);
    if (self->code == -ENOMEM || self->emitter.error == YAML_NO_ERROR ||
        self->emitter.error == YAML_MEMORY_ERROR)
        return ak_error_oom(self->reterr);
    return ak_error_set(self->reterr, -EINVAL, "cannot be written as YAML: %s",
                        self->emitter.problem ? self->emitter.problem : "unknown reason");
}

/* `made`: whether the event could be made; the emitter takes it either way. */
static int emit(struct writer *self, int made, yaml_event_t *event)
{
    return made && yaml_emitter_emit(&self->emitter, event) ? 0 : failed(self);
}

static int write_scalar(struct writer *self, const char *text, size_t len,
                        yaml_scalar_style_t style)
{
    yaml_event_t event;
    int made;

    made = yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text, (int)len, 1,
                                        1, style);
    return emit(self, made, &event);
}

static int write_text(struct writer *self, const char *text, size_t len)
{
    yaml_scalar_style_t style = YAML_PLAIN_SCALAR_STYLE;

    if (memchr(text, '\n', len))
        style = YAML_LITERAL_SCALAR_STYLE;
    else if (ak__yaml_needs_quotes(text, len))
        style = YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    return write_scalar(self, text, len, style);
}

static int write_plain(struct writer *self, const char *text)
{
    return write_scalar(self, text, strlen(text), YAML_PLAIN_SCALAR_STYLE);
}

static int write_number(struct writer *self, const json_t *tree)
{
    char text[32];

    if (json_is_real(tree))
        return write_plain(self, ak__json_real_text(json_real_value(tree), text));
    (void)snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(tree));
    return write_plain(self, text);
}

static int write_value(struct writer *self, const json_t *tree, size_t depth);

static int write_array(struct writer *self, const json_t *tree, size_t depth)
{
    yaml_event_t event;
    int r;

    r = emit(self,
             yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_SEQUENCE_STYLE),
             &event);
    for (size_t i = 0; r >= 0 && i < json_array_size(tree); i++)
        r = write_value(self, json_array_get(tree, i), depth);
    return r < 0 ? r : emit(self, yaml_sequence_end_event_initialize(&event), &event);
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The keys in alphabetical order, as kubectl prints them. Borrowed text in an owned array. */
static int sorted_keys(struct writer *self, json_t *tree, const char ***ret)
{
    const char **keys = ak_calloc(json_object_size(tree), sizeof(*keys));
    size_t n = 0;

    if (!keys)
        return ak_error_oom(self->reterr);
    for (void *it = json_object_iter(tree); it; it = json_object_iter_next(tree, it))
        keys[n++] = json_object_iter_key(it);
    qsort(keys, n, sizeof(*keys), compare_keys);
    *ret = keys;
    return 0;
}

static int write_members(struct writer *self, json_t *tree, size_t depth)
{
    const char **keys = NULL;
    int r;

    r = sorted_keys(self, tree, &keys);
    if (r < 0)
        return r;
    for (size_t i = 0; r >= 0 && i < json_object_size(tree); i++) {
        r = write_text(self, keys[i], strlen(keys[i]));
        if (r >= 0)
            r = write_value(self, json_object_get(tree, keys[i]), depth);
    }
    ak_free(keys);
    return r;
}

static int write_object(struct writer *self, const json_t *tree, size_t depth)
{
    yaml_event_t event;
    int r;

    r = emit(self,
             yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE),
             &event);
    if (r >= 0)
        r = write_members(self, (json_t *)(uintptr_t)tree, depth);
    return r < 0 ? r : emit(self, yaml_mapping_end_event_initialize(&event), &event);
}

static int write_value(struct writer *self, const json_t *tree, size_t depth)
{
    if (depth > AK_JSON_MAX_DEPTH)
        return ak_error_set(self->reterr, AK_E_TOO_LARGE, "nests deeper than %d levels",
                            AK_JSON_MAX_DEPTH);
    switch (json_typeof(tree)) {
    case JSON_OBJECT:
        return write_object(self, tree, depth + 1);
    case JSON_ARRAY:
        return write_array(self, tree, depth + 1);
    case JSON_STRING:
        return write_text(self, json_string_value(tree), json_string_length(tree));
    case JSON_INTEGER:
    case JSON_REAL:
        return write_number(self, tree);
    case JSON_TRUE:
        return write_plain(self, "true");
    case JSON_FALSE:
        return write_plain(self, "false");
    case JSON_NULL:
        break;
    }
    return write_plain(self, "null");
}

static int write_document(struct writer *self, const json_t *tree)
{
    yaml_event_t event;
    int r;

    r = emit(self, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING), &event);
    if (r >= 0)
        r = emit(self, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1), &event);
    if (r >= 0)
        r = write_value(self, tree, 0);
    if (r >= 0)
        r = emit(self, yaml_document_end_event_initialize(&event, 1), &event);
    if (r >= 0)
        r = emit(self, yaml_stream_end_event_initialize(&event), &event);
    if (r >= 0 && !yaml_emitter_flush(&self->emitter))
        r = failed(self);
    return r;
}

int ak_yaml_write(const json_t *tree, struct ak_buf *out, struct ak_error **reterr)
{
    struct writer self = {.out = out, .reterr = reterr};
    size_t before = out->len;
    int r;

    if (!yaml_emitter_initialize(&self.emitter))
        return ak_error_oom(reterr);
    yaml_emitter_set_output(&self.emitter, write_some, &self);
    yaml_emitter_set_unicode(&self.emitter, 1);
    yaml_emitter_set_width(&self.emitter, -1);
    r = write_document(&self, tree);
    yaml_emitter_delete(&self.emitter);
    if (r < 0 && out->data) {
        out->len = before;
        out->data[before] = '\0';
    }
    return r;
}
