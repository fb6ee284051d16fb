/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/postgres/pg_rights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/alloc.h>

static const struct ak_pg_thing things_of_app[] = {
    {.kind = 'n', .schema = "public", .name = "public", .owner = "owner"},
    {.kind = 'n', .schema = "o\"dd", .name = "o\"dd", .owner = "owner"},
    {.kind = 'r', .schema = "public", .name = "orders", .owner = "maker"},
    {.kind = 'r', .schema = "public", .name = "customers", .owner = "maker"},
    {.kind = 'S',
     .schema = "public",
     .name = "orders_id_seq",
     .owner = "maker",
     .detail = "orders"},
    {.kind = 'S', .schema = "public", .name = "free", .owner = "maker"},
    {.kind = 'f', .schema = "public", .name = "fn", .owner = "maker", .detail = "integer"},
    {.kind = 'f', .schema = "public", .name = "fn", .owner = "maker", .detail = "text"},
    {.kind = 'r', .schema = "o\"dd", .name = "t'", .owner = "maker"},
};
static const struct ak_pg_things things = {things_of_app, AK_ARRAY_LEN(things_of_app)};

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* All of a set as GRANTs to "r", sorted. */
static void write_all(const struct ak_pg_rights *rights, struct ak_buf *out)
{
    char *lines[64];
    size_t it = 0, n = 0;
    const char *key;
    void *value;

    while (ak_map_next(&rights->by_key, &it, &key, &value)) {
        AK_AUTO(ak_buf) sql = AK_BUF_INIT(1024);

        assert_int_equal(ak_pg_right_sql(value, true, "app", "r", &sql), 0);
        assert_true(n < AK_ARRAY_LEN(lines));
        lines[n++] = ak_buf_take(&sql);
    }
    qsort(lines, n, sizeof(*lines), by_text);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(ak_buf_addf(out, "%s\n", lines[i]), 0);
        ak_free(lines[i]);
    }
}

#define ALWAYS() "GRANT CONNECT ON DATABASE \"app\" TO \"r\";\n"
#define USAGE "GRANT USAGE ON SCHEMA \"public\" TO \"r\";\n"

struct grant_case {
    const char *about;
    struct ak_effective_grant grant;
    const char *expected;
};

static void check_statements(const struct grant_case *c)
{
    AK_AUTO(ak_arena) arena = {0};
    AK_AUTO(ak_pg_rights) rights = {0};
    AK_AUTO(ak_buf) text = AK_BUF_INIT(65536);

    ak_arena_init(&arena, 1024, 1 << 20);
    ak_pg_rights_init(&rights, &arena);
    assert_int_equal(ak_pg_rights_expand(&rights, &c->grant, 1, "app", &things, true, NULL), 0);
    write_all(&rights, &text);
    if (strcmp(ak_buf_text(&text), c->expected) != 0)
        fail_msg("%s:\n%s", c->about, ak_buf_text(&text));
}

static void test_grants_on_named_objects_become_statements(void **state)
{
    const struct grant_case cases[] = {
        {"one table",
         {.database = "app",
          .privileges = (const char *const[]){"SELECT", NULL},
          .objects = (const char *const[]){"orders", NULL}},
         ALWAYS() "GRANT SELECT ON TABLE \"public\".\"orders\" TO \"r\";\n" USAGE},
        {"who inserts needs the counter",
         {.database = "app",
          .privileges = (const char *const[]){"INSERT", NULL},
          .objects = (const char *const[]){"orders", NULL}},
         ALWAYS() "GRANT INSERT ON TABLE \"public\".\"orders\" TO \"r\";\n" USAGE
                  "GRANT USAGE ON SEQUENCE \"public\".\"orders_id_seq\" TO \"r\";\n"},
        {"the whole schema, future tables too",
         {.database = "app",
          .privileges = (const char *const[]){"SELECT", NULL},
          .objects = (const char *const[]){NULL}},
         "ALTER DEFAULT PRIVILEGES FOR ROLE \"maker\" IN SCHEMA \"public\" GRANT SELECT ON TABLES "
         "TO "
         "\"r\";\n"
         "ALTER DEFAULT PRIVILEGES FOR ROLE \"owner\" IN SCHEMA \"public\" GRANT SELECT ON TABLES "
         "TO "
         "\"r\";\n" ALWAYS() "GRANT SELECT ON TABLE \"public\".\"customers\" TO \"r\";\n"
                             "GRANT SELECT ON TABLE \"public\".\"orders\" TO \"r\";\n" USAGE},
        {"a function has all its forms",
         {.database = "app",
          .privileges = (const char *const[]){"EXECUTE", NULL},
          .objects = (const char *const[]){"fn", NULL}},
         ALWAYS() "GRANT EXECUTE ON ROUTINE \"public\".\"fn\"(integer) TO \"r\";\n"
                  "GRANT EXECUTE ON ROUTINE \"public\".\"fn\"(text) TO \"r\";\n" USAGE},
        {"a sequence by its name",
         {.database = "app",
          .privileges = (const char *const[]){"SELECT", NULL},
          .objects = (const char *const[]){"free", NULL}},
         ALWAYS() "GRANT SELECT ON SEQUENCE \"public\".\"free\" TO \"r\";\n" USAGE},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++)
        check_statements(&cases[i]);
}

static void test_grants_on_anything_else_become_statements(void **state)
{
    const struct grant_case cases[] = {
        {"names are quoted",
         {.database = "app",
          .schema = "o\"dd",
          .privileges = (const char *const[]){"DELETE", NULL},
          .objects = (const char *const[]){"t'", NULL}},
         ALWAYS() "GRANT DELETE ON TABLE \"o\"\"dd\".\"t'\" TO \"r\";\n"
                  "GRANT USAGE ON SCHEMA \"o\"\"dd\" TO \"r\";\n"},
        {"the database and the schema themselves",
         {.database = "app",
          .privileges = (const char *const[]){"TEMP", "CREATE", NULL},
          .objects = (const char *const[]){NULL}},
         ALWAYS() "GRANT CREATE ON SCHEMA \"public\" TO \"r\";\n"
                  "GRANT TEMPORARY ON DATABASE \"app\" TO \"r\";\n" USAGE},
        {"another database",
         {.database = "other",
          .privileges = (const char *const[]){"SELECT", NULL},
          .objects = (const char *const[]){NULL}},
         ""},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++)
        check_statements(&cases[i]);
}

static void test_what_does_not_exist_is_named(void **state)
{
    const struct {
        struct ak_effective_grant grant;
        const char *message;
    } cases[] = {
        {{.database = "app",
          .privileges = (const char *const[]){"SELECT", NULL},
          .objects = (const char *const[]){"nothing", NULL},
          .index = 2},
         "spec.permissions.grants[2]: SELECT: table \"nothing\" does not exist in schema "
         "\"public\" of "
         "database \"app\""},
        {{.database = "app",
          .schema = "gone",
          .privileges = (const char *const[]){"SELECT", NULL},
          .objects = (const char *const[]){NULL},
          .index = SIZE_MAX},
         "schema \"gone\" does not exist in database \"app\""},
        {{.database = "app",
          .privileges = (const char *const[]){"PG_READ_SERVER_FILES", NULL},
          .objects = (const char *const[]){NULL}},
         "spec.permissions.grants[0]: PostgreSQL has no privilege \"PG_READ_SERVER_FILES\""},
        {{.database = "app",
          .privileges = (const char *const[]){"EXECUTE", NULL},
          .objects = (const char *const[]){"orders", NULL}},
         "spec.permissions.grants[0]: EXECUTE: function \"orders\" does not exist in schema "
         "\"public\" "
         "of database \"app\""},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_arena) arena = {0};
        AK_AUTO(ak_pg_rights) rights = {0};
        AK_AUTO_PTR(ak_error) err = NULL;

        ak_arena_init(&arena, 1024, 1 << 20);
        ak_pg_rights_init(&rights, &arena);
        assert_int_equal(
            ak_pg_rights_expand(&rights, &cases[i].grant, 1, "app", &things, true, &err),
            AK_E_INVALID);
        assert_string_equal(ak_error_message(err), cases[i].message);
    }
}

static void test_rights_are_the_same_only_if_all_their_parts_are(void **state)
{
    static const struct ak_pg_right rights[] = {
        {.on = AK_PG_ON_TABLE, .privilege = "SELECT", .schema = "a", .object = "b"},
        {.on = AK_PG_ON_TABLE, .privilege = "SELECT", .schema = "a b", .object = ""},
        {.on = AK_PG_ON_TABLE, .privilege = "SELECT", .schema = "", .object = "a b"},
        {.on = AK_PG_ON_SEQUENCE, .privilege = "SELECT", .schema = "a", .object = "b"},
        {.on = AK_PG_ON_COLUMN, .privilege = "SELECT", .schema = "a", .object = "b", .detail = "c"},
        {.on = AK_PG_ON_COLUMN, .privilege = "SELECT", .schema = "a", .object = "b", .detail = "d"},
        {.on = AK_PG_ON_TABLE, .privilege = "INSERT", .schema = "a", .object = "b"},
    };
    AK_AUTO(ak_arena) arena = {0};
    AK_AUTO(ak_pg_rights) set = {0};

    (void)state;
    ak_arena_init(&arena, 1024, 1 << 20);
    ak_pg_rights_init(&set, &arena);
    for (size_t i = 0; i < AK_ARRAY_LEN(rights); i++) {
        assert_false(ak_pg_rights_has(&set, &rights[i]));
        assert_int_equal(ak_pg_rights_add(&set, &rights[i]), 0);
        assert_int_equal(ak_pg_rights_add(&set, &rights[i]), 0);
        assert_true(ak_pg_rights_has(&set, &rights[i]));
        assert_int_equal(set.by_key.len, i + 1);
    }
}

static void test_no_memory_is_an_error(void **state)
{
    const struct ak_effective_grant grant = {.database = "app",
                                             .privileges = (const char *const[]){"INSERT", NULL},
                                             .objects = (const char *const[]){NULL}};
    bool failed = true;

    (void)state;
    for (int64_t n = 0; failed; n++) {
        AK_AUTO(ak_arena) arena = {0};
        AK_AUTO(ak_pg_rights) rights = {0};
        int r;

        ak_arena_init(&arena, 64, 1 << 20);
        ak_pg_rights_init(&rights, &arena);
        (void)ak_alloc_fail_after(n);
        r = ak_pg_rights_expand(&rights, &grant, 1, "app", &things, true, NULL);
        failed = ak_alloc_fail_after(-1);
        assert_int_equal(r, failed ? -ENOMEM : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grants_on_named_objects_become_statements),
        cmocka_unit_test(test_grants_on_anything_else_become_statements),
        cmocka_unit_test(test_what_does_not_exist_is_named),
        cmocka_unit_test(test_rights_are_the_same_only_if_all_their_parts_are),
        cmocka_unit_test(test_no_memory_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
