/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/kube/object.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <ak/kube/condition.h>

struct port {
    const char *name;
    int64_t number;
};
struct spec {
    const char *text;
    const char *json;
    struct ak_string_list words;
    struct ak_string_map map;
    AK_LIST_OF(struct port) ports;
    const struct port *one;
};
struct body {
    const struct spec *spec;
    ak_condition_list conditions;
};
static const struct ak_field port_fields[] = {
    AK_FIELD_STRING(struct port, name, "name", 0),
    AK_FIELD_INT(struct port, number, "number", 0, 80),
};
static const struct ak_type port_type = AK_TYPE("port", struct port, port_fields);
static const struct ak_field spec_fields[] = {
    AK_FIELD_STRING(struct spec, text, "text", 0),
    AK_FIELD(struct spec, json, "json", AK_F_JSON, .flags = 0),
    AK_FIELD(struct spec, words, "words", AK_F_STRING_LIST, .flags = 0),
    AK_FIELD(struct spec, map, "map", AK_F_STRING_MAP, .flags = 0),
    AK_FIELD_LIST(struct spec, ports, "ports", 0, &port_type),
    AK_FIELD_STRUCT(struct spec, one, "one", 0, &port_type),
};
static const struct ak_type spec_type = AK_TYPE("spec", struct spec, spec_fields);
static const struct ak_field body_fields[] = {
    AK_FIELD_STRUCT(struct body, spec, "spec", 0, &spec_type),
    AK_FIELD_LIST(struct body, conditions, "conditions", 0, &ak_condition_type),
};
static const struct ak_type body_type = AK_TYPE("body", struct body, body_fields);

#define RESOURCE                                                                                   \
    {                                                                                              \
        "example.com", "v1", "Thing", "things", true                                               \
    }
static const struct ak_kind full = {.resource = RESOURCE,
                                    .type = &body_type,
                                    .flags = AK_KIND_LABELS | AK_KIND_ANNOTATIONS |
                                             AK_KIND_OWNED_HASH | AK_KIND_FINALIZERS,
                                    .annotation_prefix = "ours/"};
static const struct ak_kind bare = {.resource = RESOURCE};

static const char *const text =
    "{'metadata':{'name':'n','namespace':'ns','uid':'u1','resourceVersion':'7','generation':3,"
    "'creationTimestamp':'2026-01-02T03:04:05Z','labels':{'b':'2','a':'1'},"
    "'annotations':{'ours/x':'y','theirs/x':'z'},'finalizers':['f'],"
    "'ownerReferences':[{'apiVersion':'v1','kind':'K','name':'o','uid':'ou'},"
    "{'apiVersion':'v1','kind':'K','name':'p','uid':'pu','controller':true}],"
    "'managedFields':[{'manager':'us','operation':'Apply','fieldsV1':{'f:spec':{'f:text':{},"
    "'f:ports':{'k:{\\'name\\':\\'web\\'}':{'.':{},'f:name':{},'f:number':{}}}}}},"
    "{'manager':'them','operation':'Update','fieldsV1':{'f:spec':{'f:words':{}}}}]},"
    "'spec':{'text':'hello','json':{'a':[1,2]},'words':['x','y'],'map':{'k':'v'},"
    "'ports':[{'name':'dns','number':53},{'name':'web'}],'one':{'name':'single','number':1}},"
    "'conditions':[{'type':'Ready','status':'True','reason':'R','message':'m'}]}";

/* JSON with single quotes, so that it can be read. */
static json_t *parse(const char *quoted)
{
    AK_AUTO_TEXT char *plain = ak_strdup(quoted);
    json_t *tree = NULL;

    for (char *p = plain; *p; p++)
        if (*p == '\'')
            *p = '"'; /* and \\' becomes \\", a quote inside a text */
    if (ak_json_parse(plain, strlen(plain), &tree, NULL) < 0)
        fail_msg("not JSON: %s", plain);
    return tree;
}

static const struct ak_object *decode(const struct ak_kind *kind, const char *quoted)
{
    AK_AUTO_JSON *tree = parse(quoted);
    const struct ak_object *object = NULL;

    assert_int_equal(ak_object_decode(kind, tree, "us", &object, NULL), 0);
    return object;
}

static void an_object_keeps_what_its_kind_declares(void **state)
{
    AK_AUTO_OBJECT o = decode(&full, text);
    const struct ak_meta *m = ak_object_meta(o);
    const struct body *b = ak_object_body(o);

    (void)state;
    assert_string_equal(m->name, "n");
    assert_string_equal(m->namespace_, "ns");
    assert_string_equal(m->uid, "u1");
    assert_string_equal(m->resource_version, "7");
    assert_int_equal(m->generation, 3);
    assert_true(m->created > 0);
    assert_int_equal(m->deleting, 0);
    assert_string_equal(ak_string_map_get(&m->labels, "b"), "2");
    assert_int_equal(m->annotations.len, 1);
    assert_string_equal(ak_string_map_get(&m->annotations, "ours/x"), "y");
    assert_true(ak_string_list_has(&m->finalizers, "f"));
    assert_string_equal(ak_meta_controller(m)->uid, "pu");
    assert_true(ak_meta_is_owned_by(m, "ou"));
    assert_false(ak_meta_is_owned_by(m, "xx"));
    assert_string_equal(b->spec->text, "hello");
    assert_string_equal(b->spec->json, "{\"a\":[1,2]}");
    assert_true(ak_string_list_has(&b->spec->words, "y"));
    assert_string_equal(ak_string_map_get(&b->spec->map, "k"), "v");
    assert_int_equal(b->spec->ports.len, 2);
    assert_int_equal(b->spec->ports.items[0].number, 53);
    assert_string_equal(b->spec->ports.items[1].name, "web");
    assert_int_equal(b->spec->ports.items[1].number, 80);
    assert_string_equal(b->spec->one->name, "single");
    assert_true(ak_condition_is_true(b->conditions.items, b->conditions.len, "Ready"));
    assert_null(ak_object_decode_error(o));
}

static void metadata_alone_is_small(void **state)
{
    AK_AUTO_OBJECT o = decode(&bare, text);
    const struct ak_meta *m = ak_object_meta(o);

    (void)state;
    assert_null(ak_object_body(o));
    assert_int_equal(m->labels.len + m->annotations.len + m->finalizers.len, 0);
    assert_int_equal(m->owners.len, 2); /* always kept: they decide what we may touch */
    assert_int_equal(ak_object_owned_hash(o), 0);
    assert_true(ak_object_footprint(o) < 512);
}

static void a_body_that_does_not_fit_is_kept_as_an_error(void **state)
{
    AK_AUTO_OBJECT o = decode(&full, "{'metadata':{'name':'n'},'spec':{'text':5}}");
    const struct body *b = ak_object_body(o);

    (void)state;
    assert_string_equal(ak_object_meta(o)->name, "n");
    assert_string_equal(ak_object_meta(o)->namespace_, "");
    assert_non_null(strstr(ak_object_decode_error(o), "spec.text"));
    assert_null(b->spec);
    assert_int_equal(b->conditions.len, 0);
}

static void an_object_without_a_name_is_refused(void **state)
{
    static const char *const cases[] = {"{}", "{'metadata':5}", "{'metadata':{}}"};

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_JSON *tree = parse(cases[i]);
        const struct ak_object *o = NULL;

        assert_true(ak_object_decode(&full, tree, "us", &o, NULL) < 0);
        assert_null(o);
    }
}

static void references_keep_an_object(void **state)
{
    const struct ak_object *o = decode(&full, text);
    const struct ak_object *second = ak_object_ref(o);

    (void)state;
    (void)ak_object_unref(o);
    assert_string_equal(ak_object_meta(second)->name, "n");
    (void)ak_object_unref(second);
    (void)ak_object_unref(NULL);
}

/* live (with what the manager "us" owns), desired, equal? */
static const struct {
    const char *fields, *live, *desired;
    bool equal;
    const char *why;
} hashes[] = {
    {"{'f:spec':{'f:a':{}}}", "{'spec':{'a':1,'b':2}}", "{'spec':{'a':1}}", true,
     "others' fields do not count"},
    {"{'f:spec':{'f:a':{}}}", "{'spec':{'a':2}}", "{'spec':{'a':1}}", false, "drift"},
    {"{'f:spec':{'f:a':{}}}", "{'spec':{}}", "{'spec':{'a':1}}", false, "a removed field"},
    {"{'f:spec':{'f:a':{},'f:b':{}}}", "{'spec':{'a':1,'b':2}}", "{'spec':{'a':1}}", false,
     "one too many"},
    {"{'f:spec':{'f:a':{}}}", "{'spec':{'a':1.0}}", "{'spec':{'a':1}}", true, "1.0 is 1"},
    {"{'f:spec':{'f:a':{}}}", "{'spec':{'a':'1'}}", "{'spec':{'a':1}}", false, "'1' is not 1"},
    {"{'f:spec':{'f:a':{}}}", "{'spec':{'a':false}}", "{'spec':{'a':true}}", false, "booleans"},
    {"{'f:spec':{'f:a':{},'f:e':{}}}", "{'spec':{'a':1}}",
     "{'spec':{'a':1,'e':'','l':[],'o':{},'n':null}}", true, "what the server leaves out"},
    {"{'f:spec':{'f:sel':{}}}", "{'spec':{'sel':{'x':{'y':1}}}}", "{'spec':{'sel':{'x':{'y':1}}}}",
     true, "an atomic object"},
    {"{'f:l':{'k:{\\'n\\':\\'b\\'}':{'.':{},'f:n':{},'f:v':{}},'k:{\\'n\\':\\'a\\'}':{'.':{},'f:n':"
     "{}}}}",
     "{'l':[{'n':'z'},{'n':'a','d':1},{'n':'b','v':2}]}", "{'l':[{'n':'b','v':2},{'n':'a'}]}", true,
     "a list with keys, in another order, among others'"},
    {"{'f:l':{'k:{\\'n\\':\\'b\\'}':{'.':{},'f:n':{}}}}", "{'l':[{'n':'a'}]}", "{'l':[{'n':'b'}]}",
     false, "an item that is gone"},
    {"{'f:l':{'k:{\\'p\\':80,\\'q\\':\\'TCP\\'}':{'.':{},'f:p':{}}}}", "{'l':[{'p':80,'q':'TCP'}]}",
     "{'l':[{'p':80}]}", true, "a part of the key that the server filled in"},
    {"{'f:l':{}}", "{'l':['a','b']}", "{'l':['b','a']}", false, "the order of plain values"},
    {"{'f:l':{'v:\\'a\\'':{},'v:\\'c\\'':{}}}", "{'l':['a','b','c']}", "{'l':['a','c']}", true,
     "a set"},
    {"{'f:l':{'i:1':{}}}", "{'l':['a','b']}", "{'l':['b']}", true, "an item by its index"},
    {"{'f:metadata':{'f:labels':{'.':{},'f:a':{}}}}",
     "{'metadata':{'name':'x','uid':'u','labels':{'a':'1','b':'2'}}}",
     "{'apiVersion':'v1','kind':'K','metadata':{'name':'x','namespace':'n','labels':{'a':'1'}}}",
     true, "identity does not count"},
    {"{}", "{'metadata':{'name':'x'}}", "{'kind':'K','metadata':{'name':'x'}}", true,
     "nothing but identity"},
};

static json_t *with_fields(const char *live, const char *fields, const char *operation)
{
    json_t *tree = parse(live), *meta = json_object_get(tree, "metadata");

    if (!meta) {
        meta = json_object();
        assert_int_equal(json_object_set_new(tree, "metadata", meta), 0);
    }
    json_t *entry = json_pack("{s:s, s:s, s:o}", "manager", "us", "operation", operation,
                              "fieldsV1", parse(fields));
    json_t *other =
        parse("{'manager':'them','operation':'Apply','fieldsV1':{'f:spec':{'f:b':{}}}}");
    assert_int_equal(json_object_set_new(meta, "managedFields", json_pack("[o, o]", other, entry)),
                     0);
    return tree;
}

static void owned_fields_hash_as_what_was_applied(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(hashes); i++) {
        AK_AUTO_TEXT char *fields = ak_strdup(hashes[i].fields);
        AK_AUTO_JSON *live = NULL;
        AK_AUTO_JSON *desired = parse(hashes[i].desired);

        live = with_fields(hashes[i].live, fields, "Apply");
        if ((ak_owned_hash(live, "us") == ak_desired_hash(desired)) != hashes[i].equal)
            fail_msg("%s", hashes[i].why);
    }
}

static void only_what_was_applied_counts(void **state)
{
    AK_AUTO_JSON *updated = with_fields("{'spec':{'a':1}}", "{'f:spec':{'f:a':{}}}", "Update");
    AK_AUTO_JSON *applied = with_fields("{'spec':{'a':1}}", "{'f:spec':{'f:a':{}}}", "Apply");

    (void)state;
    assert_int_equal(ak_owned_hash(updated, "us"), 0);
    assert_int_equal(ak_owned_hash(applied, "nobody"), 0);
    assert_true(ak_owned_hash(applied, "us") != 0);
}

static void the_apiservers_own_key_order_and_entries_do_not_matter(void **state)
{
    /* since 1.22 the status has an entry of its own */
    AK_AUTO_JSON *live =
        parse("{'metadata':{'managedFields':["
              "{'manager':'us','operation':'Apply','fieldsV1':{'f:spec':{'f:a':{}}}},"
              "{'manager':'us','operation':'Apply','subresource':'status','fieldsV1':{'f:status':{'"
              "f:p':{}}}}]},"
              "'spec':{'a':1},'status':{'p':'x','q':'y'}}");
    AK_AUTO_JSON *desired = parse("{'status':{'p':'x'},'spec':{'a':1}}");

    (void)state;
    assert_true(ak_owned_hash(live, "us") == ak_desired_hash(desired));
}

static void conditions_keep_their_time_while_the_status_stays(void **state)
{
    const struct ak_condition old[] = {
        {.type = "Ready", .status = "True", .last_transition = 5000}};
    struct ak_condition same = {.type = "Ready", .status = "True"};
    struct ak_condition changed = {.type = "Ready", .status = "False"};
    struct ak_condition added = {.type = "New", .status = "True"};

    (void)state;
    ak_condition_carry_time(&same, old, 1, 9999);
    ak_condition_carry_time(&changed, old, 1, 9999);
    ak_condition_carry_time(&added, old, 1, 9999);
    assert_int_equal(same.last_transition, 5000);
    assert_int_equal(changed.last_transition, 9000); /* whole seconds, as it is written */
    assert_int_equal(added.last_transition, 9000);
    assert_null(ak_condition_find(old, 1, "Other"));
}

static void paths_are_escaped_and_never_become_a_collection(void **state)
{
    static const struct ak_resource pods = {"", "v1", "Pod", "pods", true};
    static const struct ak_resource things = RESOURCE;
    static const struct ak_resource nodes = {"", "v1", "Node", "nodes", false};
    const struct {
        const struct ak_resource *r;
        const char *ns, *name, *sub, *want;
    } cases[] = {
        {&pods, "a", "b", "status", "/api/v1/namespaces/a/pods/b/status"},
        {&pods, NULL, NULL, NULL, "/api/v1/pods"},
        {&things, "a", NULL, NULL, "/apis/example.com/v1/namespaces/a/things"},
        {&nodes, "ignored", "n", NULL, "/api/v1/nodes/n"},
        {&pods, "a", "b/../c?d", NULL, "/api/v1/namespaces/a/pods/b%2F..%2Fc%3Fd"},
        {&pods, "a", "", NULL, NULL},
        {&pods, NULL, "b", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_buf) out = AK_BUF_INIT(1000);
        int r = ak_resource_path(cases[i].r, cases[i].ns, cases[i].name, cases[i].sub, &out);

        assert_int_equal(r, cases[i].want ? 0 : -EINVAL);
        assert_string_equal(ak_buf_text(&out), cases[i].want ? cases[i].want : "");
    }
}

static void memory_running_out_is_an_error_and_leaks_nothing(void **state)
{
    AK_AUTO_JSON *tree = parse(text);

    (void)state;
    for (int64_t n = 0; n < 100; n++) {
        AK_AUTO_OBJECT o = NULL;
        int r;

        (void)ak_alloc_fail_after(n);
        r = ak_object_decode(&full, tree, NULL, &o, NULL);
        if (!ak_alloc_fail_after(-1)) {
            assert_int_equal(r, 0);
            return;
        }
        assert_int_equal(r, -ENOMEM);
    }
    fail_msg("never succeeded");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_keeps_what_its_kind_declares),
        cmocka_unit_test(metadata_alone_is_small),
        cmocka_unit_test(a_body_that_does_not_fit_is_kept_as_an_error),
        cmocka_unit_test(an_object_without_a_name_is_refused),
        cmocka_unit_test(references_keep_an_object),
        cmocka_unit_test(owned_fields_hash_as_what_was_applied),
        cmocka_unit_test(only_what_was_applied_counts),
        cmocka_unit_test(the_apiservers_own_key_order_and_entries_do_not_matter),
        cmocka_unit_test(conditions_keep_their_time_while_the_status_stays),
        cmocka_unit_test(paths_are_escaped_and_never_become_a_collection),
        cmocka_unit_test(memory_running_out_is_an_error_and_leaks_nothing),
    };
    return cmocka_run_group_tests_name("kube/object", tests, NULL, NULL);
}
