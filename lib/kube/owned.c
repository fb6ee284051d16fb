/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hash of what a field manager applied, from two sides: from the desired object, and from the live
 * object cut down to the fields that managedFields says the manager owns (FieldsV1: "f:name" a member,
 * "k:{...}" an item of a list by its key fields, "v:..." an item of a set, "i:n" an item by index, "."
 * the thing itself; no children: the whole value).
 *
 * Both sides must come out equal, so what the server does to a list or a value on its way decides how
 * values are hashed:
 * - null, "", {} and [] count as absent: the server drops most of them ("omitempty");
 * - a list of objects counts as a set: the server keeps its own order of a list with key fields, and the
 *   desired side does not know which lists have them;
 * - a list of plain values keeps its order.
 * What does not come out equal, and so must not be applied: false or 0 where the server leaves them out,
 * quantities that are not in the server's spelling ("1000m" becomes "1"), an empty object that the
 * server fills with defaults.
 */
#include <ak/kube/object.h>

#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#define ABSENT 0 /* the hash of a value that counts as absent */
#define MAX_FIELDS_ENTRIES 64

static uint64_t hash_value(const json_t *v);

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t both[2] = {a, b};

    return ak_hash_bytes(AK_HASH_SEED, both, sizeof(both));
}

static uint64_t tagged(char tag, const void *data, size_t len)
{
    return ak_hash_bytes(ak_hash_bytes(AK_HASH_SEED, &tag, 1), data, len);
}

static uint64_t hash_key(const char *key)
{
    return tagged('k', key, strlen(key));
}

static uint64_t hash_number(const json_t *v)
{
    double real = json_is_real(v) ? json_real_value(v) : 0;
    int64_t whole = json_is_integer(v) ? json_integer_value(v) : 0;

    if (json_is_real(v) && real >= -9007199254740992.0 && real <= 9007199254740992.0)
        whole = (int64_t)real;
    if (json_is_real(v) && (double)whole != real)
        return tagged('r', &real, sizeof(real));
    return tagged('i', &whole, sizeof(whole)); /* 1 and 1.0 are one number */
}

static bool is_composite(const json_t *v)
{
    return json_is_object(v) || json_is_array(v);
}

/* One item joins a list's hash: as of a set if it is an object, else at its place. */
static void join(uint64_t *list, const json_t *item, uint64_t hash)
{
    if (is_composite(item))
        *list += mix('*', hash);
    else
        *list = mix(*list, hash);
}

static uint64_t hash_list(const json_t *v)
{
    uint64_t h = 0;

    for (size_t i = 0; i < json_array_size(v); i++)
        join(&h, json_array_get(v, i), hash_value(json_array_get(v, i)));
    return json_array_size(v) ? mix('[', h) : ABSENT;
}

static uint64_t hash_object(const json_t *v)
{
    uint64_t h = 0;
    bool any = false;
    const char *key;
    json_t *child;

    json_object_foreach((json_t *)(uintptr_t)v, key, child)
    {
        uint64_t one = hash_value(child);

        if (one == ABSENT)
            continue;
        h += mix(hash_key(key), one);
        any = true;
    }
    return any ? mix('{', h) : ABSENT;
}

static uint64_t hash_value(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return hash_object(v);
    case JSON_ARRAY:
        return hash_list(v);
    case JSON_STRING:
        return json_string_length(v) ? tagged('s', json_string_value(v), json_string_length(v))
                                     : ABSENT;
    case JSON_INTEGER:
    case JSON_REAL:
        return hash_number(v);
    case JSON_TRUE:
        return tagged('t', "", 0);
    case JSON_FALSE:
        return tagged('f', "", 0);
    default:
        return ABSENT;
    }
}

/* Nothing below: the whole value is meant. ({".": {}} is an empty thing whose members belong to others.) */
static bool is_leaf(const json_t *fields)
{
    return json_object_size(fields) == 0;
}

static bool has_all(const json_t *item, const json_t *key)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)key, name, value)
    {
        if (!json_equal(json_object_get(item, name), value))
            return false;
    }
    return true;
}

/* Is this item of a list the one that `name` ("k:{...}", "v:...", "i:...") stands for? `key` is its parsed
 * value. */
static bool names_item(const char *name, const json_t *key, const json_t *item, size_t index)
{
    if (name[0] == 'k')
        return json_is_object(item) && has_all(item, key);
    if (name[0] == 'v')
        return json_equal(item, key);
    return json_is_integer(key) && json_integer_value(key) == (json_int_t)index;
}

static uint64_t hash_owned(const json_t *v, const json_t *fields);

/* The field set of the item, or NULL if it is not ours. keys[i] belongs to the i-th member of fields. */
static const json_t *find_item_fields(const json_t *fields, json_t *const *keys, const json_t *item,
                                      size_t index)
{
    const char *name;
    json_t *child;
    size_t i = 0;

    json_object_foreach((json_t *)(uintptr_t)fields, name, child)
    {
        const json_t *key = keys[i++];

        if (key && names_item(name, key, item, index))
            return child;
    }
    return NULL;
}

static void drop_keys(json_t **keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        json_decref(keys[i]);
    ak_free(keys);
}

static uint64_t hash_owned_list(const json_t *v, const json_t *fields)
{
    size_t n = json_object_size(fields), i = 0;
    json_t **keys = ak_calloc(n, sizeof(keys[0]));
    uint64_t h = 0;
    bool any = false;
    const char *name;
    json_t *child;

    if (!keys)
        return ABSENT; /* a wrong hash costs one needless apply */
    json_object_foreach((json_t *)(uintptr_t)fields, name, child)
    {
        if (strchr("kvi", name[0]) && name[1] == ':')
            (void)!ak_json_parse(name + 2, strlen(name + 2), &keys[i], NULL);
        i++;
    }
    for (i = 0; i < json_array_size(v); i++) {
        const json_t *item = json_array_get(v, i);
        const json_t *ours = find_item_fields(fields, keys, item, i);

        if (!ours)
            continue;
        join(&h, item, hash_owned(item, ours));
        any = true;
    }
    drop_keys(keys, n);
    return any ? mix('[', h) : ABSENT;
}

static uint64_t hash_owned_object(const json_t *v, const json_t *fields)
{
    uint64_t h = 0;
    bool any = false;
    const char *name;
    json_t *child;

    json_object_foreach((json_t *)(uintptr_t)fields, name, child)
    {
        const json_t *value = ak_has_prefix(name, "f:") ? json_object_get(v, name + 2) : NULL;
        uint64_t one = value ? hash_owned(value, child) : ABSENT;

        if (one == ABSENT)
            continue;
        h += mix(hash_key(name + 2), one);
        any = true;
    }
    return any ? mix('{', h) : ABSENT;
}

static uint64_t hash_owned(const json_t *v, const json_t *fields)
{
    if (is_leaf(fields) || !is_composite(v))
        return hash_value(v);
    return json_is_array(v) ? hash_owned_list(v, fields) : hash_owned_object(v, fields);
}

static bool is_entry_of(const json_t *entry, const char *manager)
{
    return ak_streq(json_string_value(json_object_get(entry, "manager")), manager) &&
           ak_streq(json_string_value(json_object_get(entry, "operation")), "Apply") &&
           json_is_object(json_object_get(entry, "fieldsV1"));
}

/* The manager's fields in one set. Usually there is one entry; the apiserver keeps a second one for what
 * was applied to a subresource. Owned by the caller. */
static json_t *collect_fields(const json_t *live, const char *manager)
{
    const json_t *entries = json_object_get(json_object_get(live, "metadata"), "managedFields");
    json_t *all = NULL;

    for (size_t i = 0; i < json_array_size(entries) && i < MAX_FIELDS_ENTRIES; i++) {
        const json_t *entry = json_array_get(entries, i);
        json_t *fields = json_object_get(entry, "fieldsV1");

        if (!is_entry_of(entry, manager))
            continue;
        if (!all) {
            all = json_incref(fields);
            continue;
        }
        json_t *merged = ak_json_copy(all);
        json_decref(all);
        all = merged;
        if (!all || json_object_update_recursive(all, fields) < 0)
            break;
    }
    return all;
}

static const char *const root_identity[] = {"apiVersion", "kind", NULL};
static const char *const meta_identity[] = {"name", "namespace", "uid", NULL};

static bool is_in(const char *const *names, const char *name)
{
    for (; *names; names++)
        if (ak_streq(*names, name))
            return true;
    return false;
}

/* A copy (of references) without the members that identify the object. */
static json_t *without_identity(const json_t *object)
{
    json_t *out = json_object(), *meta = json_object();
    const char *key;
    json_t *value;
    int r = 0;

    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        if (!is_in(root_identity, key) && !ak_streq(key, "metadata"))
            r |= json_object_set(out, key, value);
    }
    json_object_foreach(json_object_get(object, "metadata"), key, value)
    {
        if (!is_in(meta_identity, key))
            r |= json_object_set(meta, key, value);
    }
    r |= json_object_set_new(out, "metadata", meta);
    if (r == 0)
        return out;
    json_decref(out);
    return NULL;
}

uint64_t ak_owned_hash(const json_t *live, const char *manager)
{
    json_t *fields = collect_fields(live, manager), *rest;
    uint64_t h = ABSENT;

    if (!fields)
        return 0;
    rest = without_identity(live);
    if (rest && !is_leaf(fields))
        h = hash_owned_object(rest, fields);
    json_decref(rest);
    json_decref(fields);
    return h == ABSENT ? 1 : h; /* 0 says that it owns nothing */
}

uint64_t ak_desired_hash(const json_t *desired)
{
    json_t *rest = without_identity(desired);
    uint64_t h = rest ? hash_object(rest) : ABSENT;

    json_decref(rest);
    return h == ABSENT ? 1 : h;
}
