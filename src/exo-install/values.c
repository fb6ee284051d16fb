/* SPDX-License-Identifier: Apache-2.0 */
#include "exo-install/values.h"

#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "exo-install/manifests.h"
#include "exo-install/schema.h"

#define MAX_NAME 256 /* bytes of one name in a path */
#define MAX_VALUE (64u << 10)
#define MAX_INDEX 64

void ak_values_done(struct ak_values *self)
{
    json_decref(self->schema);
    json_decref(self->defaults);
    json_decref(self->given);
    json_decref(self->all);
    *self = (struct ak_values){0};
}

int ak_values_init(struct ak_values *self, const char *dir, struct ak_error **reterr)
{
    *self = (struct ak_values){.given = json_object()};
    if (!self->given)
        return ak_error_oom(reterr);
    int r = ak_manifests_tree(dir, "values.yaml", &self->defaults, reterr);
    return r < 0 ? r : ak_manifests_tree(dir, "values.schema.json", &self->schema, reterr);
}

/* Objects are merged, everything else is replaced. keep_null false: null takes the member away. */
static int merge(json_t *into, const json_t *from, bool keep_null, struct ak_error **reterr)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)from, name, value)
    {
        json_t *old = json_object_get(into, name);
        int r = 0;
        if (json_is_null(value) && !keep_null) {
            (void)json_object_del(into, name);
        } else if (json_is_object(old) && json_is_object(value)) {
            r = merge(old, value, keep_null, reterr);
        } else {
            json_t *copy = ak_json_copy(value);
            if (!copy || json_object_set_new(into, name, copy) < 0)
                return ak_error_oom(reterr);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

int ak_values_merge(struct ak_values *self, const json_t *tree, struct ak_error **reterr)
{
    if (json_is_null(tree))
        return 0;
    if (!json_is_object(tree))
        return ak_error_set(reterr, -EINVAL, "must be an object of values");
    return merge(self->given, tree, true, reterr);
}

const json_t *ak_values_at(const json_t *tree, const char *path)
{
    char name[MAX_NAME];

    while (tree && *path) {
        size_t len = strcspn(path, ".");
        if (len >= sizeof(name))
            return NULL;
        (void)memcpy(name, path, len);
        name[len] = 0;
        tree = json_object_get(tree, name);
        path += len + (path[len] == '.');
    }
    return tree;
}

/* ---- --set */

struct setting {
    struct ak_values *values;
    const char *text; /* the whole, for errors */
    const char *at;
    struct ak_error **reterr;
};

static int refuse(struct setting *s, const char *why)
{
    return ak_error_set(s->reterr, -EINVAL, "--set \"%s\": %s", s->text, why);
}

/* Reads to one of `ends`; a backslash takes the next character as it is. */
static int read_word(struct setting *s, const char *ends, struct ak_buf *out)
{
    int r = 0;
    ak_buf_clear(out);
    while (r >= 0 && *s->at && !strchr(ends, *s->at)) {
        if (s->at[0] == '\\' && s->at[1])
            s->at++;
        r = ak_buf_add(out, s->at++, 1);
    }
    return r < 0 ? refuse(s, "is too long") : 0;
}

static json_t *to_scalar(const json_t *root, const json_t *schema, const char *text)
{
    bool any = json_is_true(schema); /* nobody says which: guess, as Helm does */
    int64_t number;
    bool on;

    if (ak_streq(text, "null"))
        return json_null();
    if ((any || ak_schema_allows(root, schema, "boolean")) && ak_parse_bool(text, &on) >= 0)
        return json_boolean(on);
    bool integer = ak_schema_allows(root, schema, "integer");
    if ((any || integer) && ak_parse_i64(text, &number) >= 0)
        return json_integer(number);
    return json_string(text);
}

/* "{a,b}" */
static int read_list(struct setting *s, const json_t *schema, json_t **ret)
{
    AK_AUTO(ak_buf) word = AK_BUF_INIT(MAX_VALUE);
    AK_AUTO_JSON *list = json_array();
    const json_t *items = ak_schema_items(s->values->schema, schema);

    if (!list)
        return ak_error_oom(s->reterr);
    do {
        s->at++; /* { or , */
        int r = read_word(s, ",}", &word);
        if (r < 0)
            return r;
        if (*s->at == '}' && !word.len && !json_array_size(list))
            break; /* {} is empty, not a list of one empty text */
        if (json_array_append_new(list, to_scalar(s->values->schema, items ? items : json_true(),
                                                  ak_buf_text(&word))) < 0)
            return ak_error_oom(s->reterr);
    } while (*s->at == ',');
    if (*s->at != '}')
        return refuse(s, "a list ends with }");
    s->at++;
    *ret = AK_TAKE(list);
    return 0;
}

static int read_value(struct setting *s, const json_t *schema, json_t **ret)
{
    AK_AUTO(ak_buf) word = AK_BUF_INIT(MAX_VALUE);

    if (*s->at == '{')
        return read_list(s, schema, ret);
    int r = read_word(s, ",", &word);
    if (r < 0)
        return r;
    *ret = to_scalar(s->values->schema, schema, ak_buf_text(&word));
    return *ret ? 0 : ak_error_oom(s->reterr);
}

/* Where a value goes: a member of an object, or an item of a list. */
struct place {
    json_t *holder;
    char name[MAX_NAME];
    size_t index;
    const json_t *schema; /* of the value */
};

static json_t *peek(const struct place *p)
{
    return json_is_array(p->holder) ? json_array_get(p->holder, p->index)
                                    : json_object_get(p->holder, p->name);
}

static int put(const struct place *p, json_t *value)
{
    if (!json_is_array(p->holder))
        return json_object_set_new(p->holder, p->name, value);
    return p->index < json_array_size(p->holder) ? json_array_set_new(p->holder, p->index, value)
                                                 : json_array_append_new(p->holder, value);
}

/* The object or list at a place, made if there is none of that type. */
static int descend(struct setting *s, struct place *p, json_t *(*make)(void), json_type type)
{
    json_t *next = peek(p);
    if (!next || json_typeof(next) != type) {
        next = make();
        if (!next || put(p, next) < 0)
            return ak_error_oom(s->reterr);
    }
    p->holder = next;
    return 0;
}

static int read_name(struct setting *s, struct place *p)
{
    AK_AUTO(ak_buf) word = AK_BUF_INIT(MAX_NAME - 1);
    const json_t *root = s->values->schema;

    int r = read_word(s, ".[=,", &word);
    if (r < 0)
        return r;
    if (!word.len)
        return refuse(s, "a name is missing");
    (void)memcpy(p->name, ak_buf_text(&word), word.len + 1);
    p->schema = json_is_true(p->schema) ? p->schema : ak_schema_member(root, p->schema, p->name);
    if (!p->schema)
        return ak_error_set(s->reterr, -EINVAL, "--set \"%s\": there is no value named \"%s\"",
                            s->text, p->name);
    return 0;
}

static int read_index(struct setting *s, struct place *p)
{
    AK_AUTO(ak_buf) word = AK_BUF_INIT(8);
    uint64_t number = 0;

    int r = descend(s, p, json_array, JSON_ARRAY);
    if (r < 0)
        return r;
    s->at++; /* [ */
    r = read_word(s, "]", &word);
    if (r < 0)
        return r;
    if (*s->at != ']' || ak_parse_u64(ak_buf_text(&word), &number) < 0 || number > MAX_INDEX ||
        number > json_array_size(p->holder))
        return refuse(s, "items of a list are set one after the other, from [0]");
    s->at++;
    p->index = number;
    const json_t *items = ak_schema_items(s->values->schema, p->schema);
    p->schema = items ? items : json_true();
    return 0;
}

static int set_next(struct setting *s)
{
    struct place p = {.holder = s->values->given, .schema = s->values->schema};
    json_t *value = NULL;

    int r = read_name(s, &p);
    while (r >= 0 && *s->at != '=') {
        if (*s->at == '[') {
            r = read_index(s, &p);
        } else if (*s->at == '.') {
            s->at++;
            r = descend(s, &p, json_object, JSON_OBJECT);
            if (r >= 0)
                r = read_name(s, &p);
        } else {
            return refuse(s, "must be KEY=VALUE");
        }
    }
    if (r < 0)
        return r;
    s->at++;
    r = read_value(s, p.schema, &value);
    if (r < 0)
        return r;
    return put(&p, value) < 0 ? ak_error_oom(s->reterr) : 0;
}

int ak_values_set(struct ak_values *self, const char *text, struct ak_error **reterr)
{
    struct setting s = {.values = self, .text = text, .at = text, .reterr = reterr};
    int r = set_next(&s);
    while (r >= 0 && *s.at == ',') {
        s.at++;
        r = set_next(&s);
    }
    return r >= 0 && *s.at ? refuse(&s, "has something behind its end") : r;
}

/* ---- flags */

static int put_text(struct ak_values *self, const char *group, const char *member,
                    const char *submember, const char *text, struct ak_error **reterr)
{
    json_t *tree = submember ? json_pack("{s{s{ss}}}", group, member, submember, text)
                             : json_pack("{s{ss}}", group, member, text);
    if (!tree)
        return ak_error_oom(reterr);
    int r = ak_values_merge(self, tree, reterr);
    json_decref(tree);
    return r;
}

/* "host:5000/team/name:tag" or "name@sha256:...": the chart puts a colon between repository and tag, so
 * a digest fits too. Without a tag, the tag is the release's. */
static int put_image(struct ak_values *self, const char *image, struct ak_error **reterr)
{
    const char *slash = strrchr(image, '/');
    const char *colon = strrchr(slash ? slash : image, ':');
    AK_AUTO_TEXT char *repository =
        colon ? ak_strndup(image, (size_t)(colon - image)) : ak_strdup(image);

    if (!repository)
        return ak_error_oom(reterr);
    int r = put_text(self, "image", "manager", "repository", repository, reterr);
    return r < 0 || !colon ? r : put_text(self, "image", "manager", "tag", colon + 1, reterr);
}

static int put_pull_secrets(struct ak_values *self, const struct ak_flag_list *names,
                            struct ak_error **reterr)
{
    AK_AUTO_JSON *tree = json_pack("{s{s[]}}", "image", "pullSecrets");
    json_t *list = ak_json_at(tree, "image", "pullSecrets", NULL);

    if (!names->len)
        return 0;
    for (size_t i = 0; i < names->len; i++)
        if (!list || json_array_append_new(list, json_string(names->items[i])) < 0)
            return ak_error_oom(reterr);
    return ak_values_merge(self, tree, reterr);
}

static int read_file(struct ak_values *self, const char *path, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_MANIFEST_MAX_BYTES);
    AK_AUTO_JSON *tree = NULL;

    int r = ak_buf_add_file(&text, path);
    if (r < 0)
        return ak_error_set(reterr, -EINVAL, "--values \"%s\": %s", path, ak_code_text(r));
    r = ak_yaml_parse(ak_buf_text(&text), text.len, &tree, reterr);
    if (r >= 0)
        r = ak_values_merge(self, tree, reterr);
    if (r >= 0 || r == -ENOMEM)
        return r;
    (void)ak_error_wrap(reterr, r, "--values \"%s\"", path);
    return -EINVAL;
}

/* A number or a switch, by way of --set's own rules. */
static int put_typed(struct ak_values *self, const char *path, const char *flag, const char *value,
                     struct ak_error **reterr)
{
    AK_AUTO_TEXT char *text = ak_asprintf("%s=%s", path, value);
    if (!text)
        return ak_error_oom(reterr);
    if (strpbrk(value, ",\\{}"))
        return ak_error_set(reterr, -EINVAL, "--%s: \"%s\" is not a plain value", flag, value);
    return ak_values_set(self, text, reterr);
}

int ak_values_from_options(struct ak_values *self, const struct ak_install_options *o,
                           struct ak_error **reterr)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < o->values.len; i++)
        r = read_file(self, o->values.items[i], reterr);
    for (size_t i = 0; r >= 0 && i < o->sets.len; i++)
        r = ak_values_set(self, o->sets.items[i], reterr);
    if (r >= 0 && o->managed)
        r = put_typed(self, "manager.managed", "managed", "true", reterr);
    if (r >= 0 && o->base_url)
        r = put_text(self, "manager", "baseURL", NULL, o->base_url, reterr);
    if (r >= 0 && o->replicas)
        r = put_typed(self, "manager.replicas", "replicas", o->replicas, reterr);
    if (r >= 0 && o->webhook)
        r = put_typed(self, "webhook.enabled", "webhook", o->webhook, reterr);
    if (r >= 0 && o->image_registry)
        r = put_text(self, "image", "registry", NULL, o->image_registry, reterr);
    if (r >= 0 && o->image)
        r = put_image(self, o->image, reterr);
    return r < 0 ? r : put_pull_secrets(self, &o->pull_secrets, reterr);
}

int ak_values_finish(struct ak_values *self, struct ak_error **reterr)
{
    json_decref(self->all);
    self->all = ak_json_copy(self->defaults);
    if (!self->all)
        return ak_error_oom(reterr);
    int r = merge(self->all, self->given, false, reterr);
    return r < 0 ? r : ak_schema_check(self->schema, self->all, reterr);
}
