/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libyaml's events into jansson's trees, with an explicit stack. Aliases are copied, and what they
 * copy is counted: a small file cannot become a large tree.
 */
#include <ak/json/json.h>

#include "json_internal.h"
#include "yaml_scalar.h"
#include <ak/base/alloc.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#define ANCHORS_MAX 256
/* Values that all aliases of one text may add together. */
#define ALIASED_VALUES_MAX 100000
#define TAG_PREFIX "tag:yaml.org,2002:"
#define MERGE_KEY "<<"

struct anchor {
    char *name;
    json_t *value; /* borrowed from the tree, or kept alive by `kept` */
};

struct level {
    json_t *container; /* owned; moved into the level below when it ends */
    char *key;         /* the member whose value comes next; NULL: a key comes next */
    bool is_merge;     /* that member is a merge key */
    json_t *merged;    /* what the merge keys of this object bring in, or NULL */
    char *anchor;      /* the container's name, or NULL */
};

struct reader {
    yaml_parser_t parser;
    struct level levels[AK_JSON_MAX_DEPTH];
    size_t depth;
    struct anchor anchors[ANCHORS_MAX];
    size_t n_anchors;
    size_t n_aliased;
    json_t *root; /* the finished document, or NULL */
    struct ak_error **reterr;
};

/* ---- errors ---- */

static int fail_at(struct reader *self, const yaml_mark_t *mark, int code, const char *what)
{
    return ak_error_set(self->reterr, code, "not valid YAML: line %zu: %s", mark->line + 1, what);
}

static int parser_error(struct reader *self)
{
    const yaml_parser_t *p = &self->parser;

    if (p->error == YAML_MEMORY_ERROR)
        return ak_error_oom(self->reterr);
    return fail_at(self, &p->problem_mark, AK_E_INVALID, p->problem ? p->problem : "unreadable");
}

/* ---- anchors ---- */

static int remember(struct reader *self, const yaml_mark_t *mark, const char *name, json_t *value)
{
    struct anchor *a = NULL;

    for (size_t i = 0; i < self->n_anchors; i++)
        if (strcmp(self->anchors[i].name, name) == 0)
            a = &self->anchors[i];
    if (!a) {
        if (self->n_anchors == ANCHORS_MAX)
            return fail_at(self, mark, AK_E_TOO_LARGE, "too many anchors");
        a = &self->anchors[self->n_anchors];
        a->name = ak_strdup(name);
        if (!a->name)
            return ak_error_oom(self->reterr);
        self->n_anchors++;
    }
    json_decref(a->value);
    a->value = json_incref(value);
    return 0;
}

static void forget_anchors(struct reader *self)
{
    for (size_t i = 0; i < self->n_anchors; i++) {
        ak_free(self->anchors[i].name);
        json_decref(self->anchors[i].value);
    }
    memset(self->anchors, 0, sizeof(self->anchors));
    self->n_anchors = 0;
}

/* Values in the tree and how deep it is. Trees are never deeper than AK_JSON_MAX_DEPTH. */
static size_t count_values(const json_t *tree, size_t *ret_depth)
{
    size_t n = 1, deepest = 0, depth;

    *ret_depth = 0;
    if (json_is_array(tree)) {
        for (size_t i = 0; i < json_array_size(tree); i++) {
            n += count_values(json_array_get(tree, i), &depth);
            deepest = AK_MAX(deepest, depth);
        }
        *ret_depth = deepest + 1;
    } else if (json_is_object(tree)) {
        for (void *it = json_object_iter((json_t *)(uintptr_t)tree); it;
             it = json_object_iter_next((json_t *)(uintptr_t)tree, it)) {
            n += count_values(json_object_iter_value(it), &depth);
            deepest = AK_MAX(deepest, depth);
        }
        *ret_depth = deepest + 1;
    }
    return n;
}

/* A copy, charged to the budget of aliases. */
static int copy_aliased(struct reader *self, const yaml_mark_t *mark, const json_t *value,
                        json_t **ret)
{
    size_t depth;
    json_t *copy;

    self->n_aliased += count_values(value, &depth);
    if (self->n_aliased > ALIASED_VALUES_MAX)
        return fail_at(self, mark, AK_E_TOO_LARGE, "aliases bring in too many values");
    if (self->depth + depth > AK_JSON_MAX_DEPTH)
        return fail_at(self, mark, AK_E_TOO_LARGE, "nests too deep");
    copy = json_deep_copy(value); /* read_stream() notices if it could not copy all of it */
    if (!copy)
        return ak_error_oom(self->reterr);
    *ret = copy;
    return 0;
}

static int find_alias(struct reader *self, const yaml_event_t *event, json_t **ret)
{
    const char *name = (const char *)event->data.alias.anchor;

    for (size_t i = 0; i < self->n_anchors; i++)
        if (strcmp(self->anchors[i].name, name) == 0)
            return copy_aliased(self, &event->start_mark, self->anchors[i].value, ret);
    return fail_at(self, &event->start_mark, AK_E_INVALID, "an alias without an anchor before it");
}

/* ---- scalars ---- */

static json_t *scalar_value(const struct ak__yaml_scalar *scalar, const char *text, size_t len)
{
    switch (scalar->kind) {
    case AK__YAML_NULL:
        return json_null();
    case AK__YAML_BOOL:
        return json_boolean(scalar->boolean);
    case AK__YAML_INT:
        return json_integer(scalar->integer);
    case AK__YAML_REAL:
        return json_real(scalar->real);
    case AK__YAML_TEXT:
    case AK__YAML_NOT_FINITE:
        break;
    }
    return json_stringn(text, len);
}

/* An explicit tag must agree with what the text is; there are no types of our own. */
static bool tag_allows(const char *tag, enum ak__yaml_kind kind)
{
    static const struct {
        const char *tag;
        enum ak__yaml_kind kind;
    } tags[] = {
        {TAG_PREFIX "null", AK__YAML_NULL}, {TAG_PREFIX "bool", AK__YAML_BOOL},
        {TAG_PREFIX "int", AK__YAML_INT},   {TAG_PREFIX "float", AK__YAML_REAL},
        {TAG_PREFIX "float", AK__YAML_INT},
    };

    for (size_t i = 0; i < AK_ARRAY_LEN(tags); i++)
        if (strcmp(tags[i].tag, tag) == 0 && tags[i].kind == kind)
            return true;
    return false;
}

static bool is_text_tag(const char *tag)
{
    return strcmp(tag, TAG_PREFIX "str") == 0 || strcmp(tag, "!") == 0 ||
           strcmp(tag, TAG_PREFIX "timestamp") == 0;
}

static int read_scalar(struct reader *self, const yaml_event_t *event, struct ak__yaml_scalar *ret)
{
    const char *text = (const char *)event->data.scalar.value;
    const char *tag = (const char *)event->data.scalar.tag;
    size_t len = event->data.scalar.length;

    *ret = (struct ak__yaml_scalar){.kind = AK__YAML_TEXT};
    if (tag ? is_text_tag(tag) : event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return 0;
    *ret = ak__yaml_resolve(text, len);
    if (ret->kind == AK__YAML_NOT_FINITE)
        return fail_at(self, &event->start_mark, AK_E_INVALID, "a number that JSON cannot hold");
    if (tag && !tag_allows(tag, ret->kind))
        return fail_at(self, &event->start_mark, AK_E_INVALID, "a tag that does not fit its value");
    return 0;
}

/* JSON's names are text: numbers and booleans become what Go's fmt makes of them. */
static char *key_text(const struct ak__yaml_scalar *scalar, const char *text)
{
    char real[32];

    switch (scalar->kind) {
    case AK__YAML_BOOL:
        return ak_strdup(scalar->boolean ? "true" : "false");
    case AK__YAML_INT:
        return ak_asprintf("%lld", (long long)scalar->integer);
    case AK__YAML_REAL:
        return ak_strdup(ak__json_real_text(scalar->real, real));
    case AK__YAML_TEXT:
    case AK__YAML_NULL:
    case AK__YAML_NOT_FINITE:
        break;
    }
    return ak_strdup(text);
}

/* ---- the tree ---- */

static struct level *top(struct reader *self)
{
    return self->depth ? &self->levels[self->depth - 1] : NULL;
}

static bool expects_key(struct reader *self)
{
    struct level *level = top(self);

    return level && json_is_object(level->container) && !level->key;
}

static int take_key(struct reader *self, const yaml_event_t *event)
{
    struct level *level = top(self);
    const char *text = (const char *)event->data.scalar.value;
    struct ak__yaml_scalar scalar;
    int r;

    if (event->type != YAML_SCALAR_EVENT)
        return fail_at(self, &event->start_mark, AK_E_INVALID, "a key must be text");
    r = read_scalar(self, event, &scalar);
    if (r < 0)
        return r;
    if (scalar.kind == AK__YAML_NULL || strlen(text) != event->data.scalar.length)
        return fail_at(self, &event->start_mark, AK_E_INVALID, "a key must be text");
    level->is_merge = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
                      !event->data.scalar.tag && strcmp(text, MERGE_KEY) == 0;
    level->key = key_text(&scalar, text);
    if (!level->key)
        return ak_error_oom(self->reterr);
    if (!level->is_merge && json_object_get(level->container, level->key))
        return fail_at(self, &event->start_mark, AK_E_INVALID, "a key that was there before");
    return 0;
}

/* What "<<" names: an object, or a list of objects of which the first that has a key wins. */
static int take_merge(struct reader *self, const yaml_mark_t *mark, struct level *level,
                      const json_t *value)
{
    bool is_list = json_is_array(value);
    size_t n = is_list ? json_array_size(value) : 1;

    if (!level->merged)
        level->merged = json_object();
    if (!level->merged)
        return ak_error_oom(self->reterr);
    for (size_t i = 0; i < n; i++) {
        json_t *from = is_list ? json_array_get(value, i) : (json_t *)(uintptr_t)value;

        if (!json_is_object(from))
            return fail_at(self, mark, AK_E_INVALID, "only mappings can be merged");
        if (json_object_update_missing(level->merged, from) < 0)
            return ak_error_oom(self->reterr);
    }
    return 0;
}

/* Takes the reference of `value`. */
static int attach(struct reader *self, const yaml_mark_t *mark, json_t *value)
{
    struct level *level = top(self);
    AK_AUTO_JSON *owned = value;
    int r = 0;

    if (!level) {
        json_decref(self->root);
        self->root = AK_TAKE(owned);
        return 0;
    }
    if (json_is_array(level->container))
        return json_array_append(level->container, owned) < 0 ? ak_error_oom(self->reterr) : 0;
    if (level->is_merge)
        r = take_merge(self, mark, level, owned);
    else if (json_object_set(level->container, level->key, owned) < 0)
        r = ak_error_oom(self->reterr);
    ak_free(level->key);
    level->key = NULL;
    level->is_merge = false;
    return r;
}

static int begin_container(struct reader *self, const yaml_event_t *event, bool object)
{
    const yaml_char_t *anchor =
        object ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
    const yaml_char_t *tag =
        object ? event->data.mapping_start.tag : event->data.sequence_start.tag;
    const char *own_tag = object ? TAG_PREFIX "map" : TAG_PREFIX "seq";
    struct level *level;

    if (tag && strcmp((const char *)tag, own_tag) != 0)
        return fail_at(self, &event->start_mark, AK_E_INVALID, "a tag that does not fit its value");
    if (self->depth == AK_JSON_MAX_DEPTH)
        return fail_at(self, &event->start_mark, AK_E_TOO_LARGE, "nests too deep");
    level = &self->levels[self->depth++];
    *level = (struct level){.container = object ? json_object() : json_array()};
    if (anchor)
        level->anchor = ak_strdup((const char *)anchor);
    if (!level->container || (anchor && !level->anchor))
        return ak_error_oom(self->reterr);
    return 0;
}

static void drop_level(struct reader *self)
{
    struct level *level = &self->levels[--self->depth];

    json_decref(level->container);
    json_decref(level->merged);
    ak_free(level->key);
    ak_free(level->anchor);
    *level = (struct level){.container = NULL};
}

static int end_container(struct reader *self, const yaml_event_t *event)
{
    struct level *level = &self->levels[self->depth - 1]; /* libyaml pairs starts and ends */
    json_t *value;
    int r = 0;

    if (level->merged && json_object_update_missing(level->container, level->merged) < 0)
        return ak_error_oom(self->reterr);
    if (level->anchor)
        r = remember(self, &event->start_mark, level->anchor, level->container);
    value = r < 0 ? NULL : json_incref(level->container);
    drop_level(self);
    return r < 0 ? r : attach(self, &event->start_mark, value);
}

static int take_scalar(struct reader *self, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    const char *anchor = (const char *)event->data.scalar.anchor;
    AK_AUTO_JSON *value = NULL;
    struct ak__yaml_scalar scalar;
    int r;

    r = read_scalar(self, event, &scalar);
    if (r < 0)
        return r;
    value = scalar_value(&scalar, text, event->data.scalar.length);
    if (!value)
        return ak_error_oom(self->reterr);
    if (anchor) {
        r = remember(self, &event->start_mark, anchor, value);
        if (r < 0)
            return r;
    }
    return attach(self, &event->start_mark, AK_TAKE(value));
}

static int take_alias(struct reader *self, const yaml_event_t *event)
{
    json_t *value = NULL;
    int r = find_alias(self, event, &value);

    return r < 0 ? r : attach(self, &event->start_mark, value);
}

static int take_event(struct reader *self, const yaml_event_t *event)
{
    bool ends = event->type == YAML_MAPPING_END_EVENT || event->type == YAML_SEQUENCE_END_EVENT;
    bool is_node = event->type == YAML_SCALAR_EVENT || event->type == YAML_ALIAS_EVENT ||
                   event->type == YAML_MAPPING_START_EVENT ||
                   event->type == YAML_SEQUENCE_START_EVENT;

    if (is_node && expects_key(self))
        return take_key(self, event);
    if (ends)
        return end_container(self, event);
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return take_scalar(self, event);
    case YAML_ALIAS_EVENT:
        return take_alias(self, event);
    case YAML_MAPPING_START_EVENT:
        return begin_container(self, event, true);
    case YAML_SEQUENCE_START_EVENT:
        return begin_container(self, event, false);
    default:
        return 0;
    }
}

/* ---- documents ---- */

/* 1: *ret is the next document (JSON null if it is empty). 0: the stream is over. */
static int next_document(struct reader *self, json_t **ret)
{
    for (;;) {
        yaml_event_t event;
        yaml_event_type_t type;
        int r;

        if (!yaml_parser_parse(&self->parser, &event))
            return parser_error(self);
        type = event.type;
        r = take_event(self, &event);
        yaml_event_delete(&event);
        if (r < 0)
            return r;
        if (type == YAML_STREAM_END_EVENT)
            return 0;
        if (type == YAML_DOCUMENT_END_EVENT) {
            forget_anchors(self);
            *ret = self->root ? AK_TAKE(self->root) : json_null();
            return 1;
        }
    }
}

static int read_all(struct reader *self, json_t *array, bool only_first)
{
    json_t *document = NULL;
    int r;

    while ((r = next_document(self, &document)) > 0) {
        if (json_is_null(document) && !only_first)
            continue;
        if (json_array_append_new(array, document) < 0)
            return ak_error_oom(self->reterr);
        if (only_first)
            return 0;
    }
    return r;
}

/* What begins like JSON is read as JSON if it is: YAML forbids tabs where JSON's users put them. */
static bool is_like_json(const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!strchr(" \t\r\n", data[i]))
            return data[i] == '{';
    return false;
}

static int read_as_json(const char *data, size_t len, json_t **ret_array)
{
    AK_AUTO_JSON *tree = NULL;
    AK_AUTO_JSON *array = NULL;
    int r;

    r = ak_json_parse(data, len, &tree, NULL);
    if (r < 0)
        return r;
    array = json_array();
    if (!array || json_array_append(array, tree) < 0)
        return -ENOMEM;
    *ret_array = AK_TAKE(array);
    return 0;
}

static int read_stream(const char *data, size_t len, bool only_first, json_t **ret,
                       struct ak_error **reterr)
{
    AK_AUTO_JSON *array = NULL;
    struct reader *self;
    int r;

    if (len > AK_JSON_MAX_BYTES)
        return ak_error_set(reterr, AK_E_TOO_LARGE, "YAML of %zu bytes: more than %u are not read",
                            len, AK_JSON_MAX_BYTES);
    if (is_like_json(data, len)) {
        r = read_as_json(data, len, ret);
        if (r == 0 || r == -ENOMEM)
            return r < 0 ? ak_error_oom(reterr) : 0;
    }
    array = json_array();
    self = ak_new0(struct reader); /* some ten kilobytes: too much for a stack */
    if (!array || !self || !yaml_parser_initialize(&self->parser)) {
        ak_free(self);
        return ak_error_oom(reterr);
    }
    self->reterr = reterr;
    ak__json_memory_watch();
    yaml_parser_set_input_string(&self->parser, (const unsigned char *)data, len);
    r = read_all(self, array, only_first);
    while (self->depth)
        drop_level(self);
    forget_anchors(self);
    json_decref(self->root);
    yaml_parser_delete(&self->parser);
    ak_free(self);
    /* jansson 2.14 merges as many members as there is memory for, and succeeds. */
    if (r >= 0 && ak__json_memory_failed())
        return ak_error_oom(reterr);
    if (r < 0)
        return r;
    *ret = AK_TAKE(array);
    return 0;
}

int ak_yaml_parse(const char *data, size_t len, json_t **ret, struct ak_error **reterr)
{
    AK_AUTO_JSON *array = NULL;
    int r = read_stream(data, len, true, &array, reterr);

    if (r < 0)
        return r;
    *ret = json_array_size(array) ? json_incref(json_array_get(array, 0)) : json_null();
    return 0;
}

int ak_yaml_parse_all(const char *data, size_t len, json_t **ret_array, struct ak_error **reterr)
{
    return read_stream(data, len, false, ret_array, reterr);
}
