/* SPDX-License-Identifier: Apache-2.0 */
#include "engines/classify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <ak/base/alloc.h>

#define PG AK_TOOL_TYPE_POSTGRES
#define MY AK_TOOL_TYPE_MYSQL
#define MS AK_TOOL_TYPE_SQLSERVER
#define CH AK_TOOL_TYPE_CLICKHOUSE
#define SF AK_TOOL_TYPE_SNOWFLAKE
#define BQ AK_TOOL_TYPE_BIGQUERY
#define ORA AK_TOOL_TYPE_ORACLE
#define R AK_CLASS_READ
#define W AK_CLASS_WRITE
#define A AK_CLASS_ADMIN
#define S AK_CLASS_SESSION
#define U AK_CLASS_UNKNOWN

static const struct {
    enum ak_tool_type type;
    enum ak_statement_class class;
    const char *sql;
} statements[] = {
    /* what reads */
    {PG, R, "select 1"},
    {PG, R, "SELECT a, count(*) FROM t WHERE b IN (1, 2) GROUP BY a HAVING count(*) > 1;"},
    {PG, R, "with x as (select 1 a), y as (select 2) select * from x join y using (a)"},
    {PG, R, "with recursive n(i) as (select 1 union all select i + 1 from n) select * from n"},
    {PG, R, "select 'insert into t; drop table t'"},
    {PG, R, "select $$ delete from t; $$, $x$ ' $x$"},
    {PG, R, "select \"delete\" from t"},
    {PG, R, "select t.update, t.\"drop\" from t"},
    {PG, R, "select E'it\\'s' -- delete from t"},
    {PG, R, "/* delete */ select 1"},
    {PG, R, "table t"},
    {PG, R, "values (1), (2)"},
    {PG, R, "explain delete from t"},
    {PG, R, "explain (analyze, buffers) select 1"},
    {PG, R, "show search_path"},
    {PG, R, "copy (select 1) to stdout with csv"},
    {PG, R, "copy t to stdout"},
    {PG, R, "select x::numeric(10, 2), extract(year from d), cast(y as varchar(3)) from t"},
    {PG, R, "select * from (values (1, 2)) as v(a, b)"},
    {PG, R, "select pg_catalog.lower('X')"},
    {PG, R, "prepare p as select $1"},
    {PG, R, "prepare p(int, text) as select $1"},
    {PG, R, "declare c cursor for select 1"},
    {PG, R, "fetch 10 from c"},
    {PG, R, "(select 1) union (select 2)"},
    {PG, R, "select data #>> '{a}' from t"},
    {PG, R, "select sum(x) over (partition by y order by z), count(*) filter (where a) from t"},
    {MY, R, "select `drop`, \"delete\" from t # insert"},
    {MY, R, "show create procedure p"},
    {MY, R, "describe t"},
    {MY, R, "select replace(a, 'x', 'y') from t -- update\n where b = 1"},
    {MS, R, "select [delete] from t"},
    {CH, R, "select count() from t format JSON"},
    {BQ, R, "select * from `p.d.t` # delete"},
    {PG, R,
     "SELECT c.oid, n.nspname FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON "
     "n.oid "
     "= c.relnamespace WHERE c.relname OPERATOR(pg_catalog.~) '^(t)$' COLLATE pg_catalog.default "
     "AND "
     "pg_catalog.pg_table_is_visible(c.oid) ORDER BY 2, 3;"},
    {PG, R,
     "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), (SELECT "
     "pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) FROM pg_catalog.pg_attrdef d WHERE "
     "d.adrelid = "
     "a.attrelid AND a.atthasdef), a.attnotnull FROM pg_catalog.pg_attribute a WHERE a.attrelid = "
     "'16385' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum;"},
    /* a comment, or blanks, in front of it */
    {PG, W, "/* select */ delete from t"},
    {PG, W, "-- select\ndelete from t"},
    {PG, W, "\n\t ;; delete from t"},
    {MY, W, "# select\ndelete from t"},
    /* several statements */
    {PG, W, "select 1; delete from t"},
    {PG, A, "select 1; drop table t; select 2"},
    {PG, W, "select ';'; insert into t values (1)"},
    {PG, S, "commit; select 1"},
    {PG, W, "commit; delete from t"},
    {MS, W, "select 1 delete from t"},
    {MS, U, "select 1 exec sp_who"},
    {MS, U, "sp_configure 'xp_cmdshell', 1"},
    {MS, A, "select 1 drop table t"},
    /* writes that do not begin like one */
    {PG, W, "with x as (delete from t returning *) select * from x"},
    {PG, W, "with x as (insert into t select 1 returning a) select a from x"},
    {PG, W, "select * into u from t"},
    {PG, W, "select * from t for update"},
    {PG, W, "select * from t for no key update"},
    {PG, W, "select * from t for key share"},
    {PG, W, "explain analyze delete from t"},
    {PG, W, "explain (analyze) insert into t values (1)"},
    {PG, A, "explain analyze create table u as select 1"},
    {PG, U, "explain analyze execute p"},
    {PG, W, "prepare p as delete from t"},
    {PG, W, "prepare p(int) as delete from t"},
    {PG, U, "prepare p(int) as select writes($1)"},
    {PG, U, "execute p"},
    {PG, W, "select nextval('s')"},
    {PG, W, "select \"nextval\"('s')"},
    {PG, W, "notify x"},
    {PG, W, "lock table t"},
    {PG, W, "prepare transaction 'x'"},
    {PG, W, "commit prepared 'x'"},
    {PG, W, "truncate t"},
    {MY, A, "select 1 into outfile '/tmp/x'"},
    {MY, W, "select 1 into @a"},
    {MY, W, "select 1 lock in share mode"},
    {MY, A, "select 1 procedure analyse()"},
    {MY, W, "replace into t values (1)"},
    {MY, W, "load data infile 'x' into table t"},
    {MY, A, "select load_file('/etc/passwd')"},
    {ORA, W, "explain plan for select 1 from dual"},
    /* COPY */
    {PG, W, "copy t from stdin"},
    {PG, A, "copy t from '/etc/passwd'"},
    {PG, A, "copy (select 1) to '/tmp/x'"},
    {PG, A, "copy t to program 'sh'"},
    {PG, A, "copy (select 1 as to, stdout from t) to '/tmp/x'"},
    {PG, W, "copy (delete from t returning *) to stdout"},
    /* code */
    {PG, U, "do $$ begin delete from t; end $$"},
    {PG, U, "call p()"},
    {PG, U, "execute p(2)"},
    {MY, U, "handler t open"},
    {MY, U, "prepare s from 'delete from t'"},
    {MS, U, "declare @s varchar(9) = 'x' exec (@s)"},
    {ORA, U, "begin delete_all; end;"},
    {SF, U, "begin let x := 1; end"},
    {BQ, U, "begin select 1; end"},
    {MY, U, "set statement max_statement_time=1 for drop table t"},
    /* functions */
    {PG, U, "select my_function(1)"},
    {PG, U, "select s.lower('x')"},
    {PG, U, "select \"lower\"('x')"},
    {PG, U, "select s . f /* x */ (1)"},
    {PG, U, "select * from (values (1, 2)) v(a, b)"},
    {PG, U, "select distinct on (a) f(a) from t"},
    {PG, A, "select distinct on (a) pg_read_file(a) from t"},
    {MS, U, "select top (1) dbo.f(a) from t"},
    {CH, A, "with url('http://x') as y select y"},
    {CH, U, "with f(1) as y select y"},
    {PG, R, "with f(a) as (select 1) select a from f"},
    {PG, A, "select 1 as lo_import('x')"},
    {PG, A, "select pg_read_file('/etc/passwd')"},
    {PG, A, "select pg_read_file /* */ ('/etc/passwd')"},
    {PG, A, "select lo_import('/etc/passwd')"},
    {PG, A, "select * from dblink('x', 'delete from t') as t(a int)"},
    {PG, A, "select set_config('role', 'postgres', false)"},
    {PG, A, "select pg_terminate_backend(1)"},
    {PG, A, "select query_to_xml('delete from t', true, true, '')"},
    {PG, A, "explain select pg_read_file('x')"},
    {CH, A, "select * from url('http://x', CSV)"},
    {CH, A, "select * from file('x')"},
    {MS, A, "select * from openrowset('x', 'y', 'z')"},
    {BQ, A, "select * from external_query('c', 'delete from t')"},
    /* the session */
    {PG, S, "begin"},
    {PG, S, "begin isolation level serializable, read only"},
    {PG, S, "set statement_timeout = 5"},
    {PG, S, "set client_encoding = 'UTF8'"},
    {PG, S, "reset all"},
    {PG, A, "set default_transaction_read_only = off"},
    {PG, A, "set session characteristics as transaction read write"},
    {PG, A, "set transaction read write"},
    {PG, A, "begin read write"},
    {PG, A, "start transaction read /* */ write"},
    {PG, A, "set role postgres"},
    {PG, A, "set local role postgres"},
    {PG, A, "set \"role\" = 'postgres'"},
    {PG, A, "set session authorization postgres"},
    {PG, A, "reset role"},
    {PG, A, "set standard_conforming_strings = off"},
    {PG, A, "set client_encoding = 'SJIS'"},
    {MY, S, "set names utf8mb4"},
    {MY, A, "set names gbk"},
    {MY, A, "set global read_only = 0"},
    {MY, A, "set @@global.read_only = 0"},
    {MY, A, "set @@session.sql_mode = ''"},
    {MY, A, "set @@session.`sql_mode` = ''"},
    {MY, A, "set password = 'x'"},
    {MY, U, "set @a = f()"},
    {CH, A, "set readonly = 0"},
    {SF, A, "use role accountadmin"},
    {PG, A, "discard all; drop table t"},
    /* objects and rights */
    {PG, A, "create table t (a int)"},
    {PG, A, "grant all on t to public"},
    {PG, A, "alter role x superuser"},
    {PG, A, "vacuum"},
    {MY, A, "flush tables"},
    {MS, A, "backup database x to disk = 'y'"},
    /* what servers read in more than one way */
    {MY, U, "select 1 /*! ; delete from t */"},
    {MY, U, "select /*M! 1 */ 2"},
    {MY, U, "select /*+ SET_VAR(sql_mode='') */ 1"},
    {MY, U, "select 1 --delete from t"},
    {PG, U, "select 1 /* /* */ delete from t */"},
    {PG, U, "select 'x"},
    {PG, U, "select $a$ x"},
    {PG, U, "select /* x"},
    {PG, U, "\\! sh"},
    {PG, U, "select 1delete"},
    {MY, U, "select 1 -- x\r delete from t"},
    {SF, U, "select 1 // '\n; delete from t --'"},
    {ORA, U, "select q'[']' from dual"},
    {BQ, U, "select '''x'''"},
    {MS, U,
     "select 1\xc2\xa0"
     "delete from t"},
    {PG, U, "select 1 \x01"},
    /* where a string ends is a setting of the server */
    {PG, W, "select '\\'; delete from t --'"},
    {PG, U, "select '\\', ' delete from t where '"},
    {MY, W, "select '\\'; delete from t -- '"},
    {MY, W, "select '\\\\'; delete from t -- '"},
    {PG, U, "select 'a\\' || 'b'"}, /* reads one way, has no end the other way */
    {PG, R, "select 'a\\b'"},
    /* no statement at all */
    {PG, R, ""},
    {PG, R, " -- x"},
    {PG, U, "1"},
    {PG, U, "frobnicate"},
};

static void a_statement_has_the_class_of_the_worst_that_it_can_mean(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(statements); i++) {
        struct ak_sql_facts facts;
        const char *sql = statements[i].sql;
        enum ak_statement_class got = ak_classify_sql(statements[i].type, sql, strlen(sql), &facts);
        if (got != statements[i].class)
            fail_msg("%s: %s is %s (%s), not %s", ak_tool_type_to_string(statements[i].type), sql,
                     ak_statement_class_name(got), facts.why ? facts.why : "-",
                     ak_statement_class_name(statements[i].class));
        if (got != AK_CLASS_READ && got != AK_CLASS_SESSION && !facts.why)
            fail_msg("%s: does not say why", sql);
    }
}

static void bytes_that_are_no_text_are_unknown(void **state)
{
    static const struct {
        const char *sql;
        size_t len;
    } texts[] = {
        {"select 1\0; delete from t", 24}, {"select '\xff'", 10},
        {"select '\xc0\xaf'", 11},         {"select '\xed\xa0\x80'", 12},
        {"select '\xf4\x90\x80\x80'", 13}, {"select '\xe2\x82'", 11},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(texts); i++)
        assert_int_equal(ak_classify_sql(PG, texts[i].sql, texts[i].len, NULL), AK_CLASS_UNKNOWN);
    const char *good = "select '\xe2\x82\xac', gr\xc3\xb6\xc3\x9f"
                       "e from t";
    assert_int_equal(ak_classify_sql(PG, good, strlen(good), NULL), AK_CLASS_READ);
}

static void a_very_long_statement_is_unknown_and_one_below_the_limit_is_read(void **state)
{
    size_t max = AK_SQL_CLASSIFY_MAX;
    char *sql = ak_malloc(max + 2);

    (void)state;
    assert_non_null(sql);
    memset(sql, ' ', max + 1);
    memcpy(sql, "select 1;", 9);
    assert_int_equal(ak_classify_sql(PG, sql, max, NULL), AK_CLASS_READ);
    assert_int_equal(ak_classify_sql(PG, sql, max + 1, NULL), AK_CLASS_UNKNOWN);
    memcpy(sql + max - 14, "delete from t ", 14);
    assert_int_equal(ak_classify_sql(PG, sql, max, NULL), AK_CLASS_WRITE);
    for (size_t i = 8; i + 2 < max; i += 2) /* half a million names and marks */
        memcpy(sql + i, "a(", 2);
    assert_int_equal(ak_classify_sql(PG, sql, max, NULL), AK_CLASS_UNKNOWN);
    ak_free(sql);
}

static void facts_name_statements_keyword_function_and_tables(void **state)
{
    struct ak_sql_facts f;
    const char *sql = "/* x */ select my_f(1) from Shop.Orders o join \"Big\" b on true; ; commit;";

    (void)state;
    assert_int_equal(ak_classify_sql(PG, sql, strlen(sql), &f), AK_CLASS_UNKNOWN);
    assert_int_equal(f.statements, 2);
    assert_true(f.has_comment);
    assert_string_equal(f.keyword, "SELECT");
    assert_string_equal(f.function, "MY_F");
    assert_int_equal(f.n_tables, 2);
    assert_string_equal(f.tables[0].qualifier, "shop");
    assert_string_equal(f.tables[0].name, "orders");
    assert_string_equal(f.tables[1].qualifier, "");
    assert_string_equal(f.tables[1].name, "Big");
    assert_int_equal(ak_classify_sql(PG, "", 0, &f), AK_CLASS_READ);
    assert_int_equal(f.statements, 0);
    sql = "insert into audit.log (a) values (1)";
    assert_int_equal(ak_classify_sql(MY, sql, strlen(sql), &f), AK_CLASS_WRITE);
    assert_string_equal(f.tables[0].qualifier, "audit");
    assert_string_equal(f.tables[0].name, "log");
}

static void it_is_said_when_only_a_function_is_not_known(void **state)
{
    static const struct {
        const char *sql;
        bool only;
    } cases[] = {
        {"select f()", true},
        {"select f(), g(1) from t", true},
        {"select 1", false},
        {"call f()", false},
        {"select f(); call g()", false},
        {"do $$x$$", false},
        {"select f() \\", false},
        {"select f(), pg_read_file('x')", false},
        {"select pg_read_file('x'), f()", false},
        {"select f() from t for update", false},
        {"select f() into u from t", false},
        {"set x = f()", false},
        {"delete from t where f()", false},
        {"frobnicate(f())", false},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        struct ak_sql_facts f;
        (void)ak_classify_sql(PG, cases[i].sql, strlen(cases[i].sql), &f);
        if (f.only_function != cases[i].only)
            fail_msg("%s", cases[i].sql);
    }
}

static void redis_commands_are_told_apart_by_their_words(void **state)
{
    static const struct {
        const char *argv[4];
        enum ak_statement_class class;
    } cases[] = {
        {{"get", "k"}, R},
        {{"SET", "k", "v"}, W},
        {{"FlushAll"}, A},
        {{"config", "get", "*"}, A},
        {{"acl", "whoami"}, R},
        {{"acl", "setuser", "x"}, A},
        {{"memory", "usage", "k"}, R},
        {{"memory", "purge"}, A},
        {{"sort", "k"}, R},
        {{"sort", "k", "store", "d"}, W},
        {{"eval", "x", "0"}, U},
        {{"eval_ro", "x", "0"}, R},
        {{"evalsha_ro", "x", "0"}, R},
        {{"georadius_ro", "k"}, R},
        {{"georadius", "k"}, W},
        {{"georadiusbymember_ro", "k"}, R},
        {{"multi"}, S},
        {{"nonsense"}, U},
        {{"zunionstore", "k"}, W},
        {{"append", "k", "v"}, W},
        {{"acl"}, A},
        {{NULL}, U},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        size_t n = 0;
        while (n < 4 && cases[i].argv[n])
            n++;
        if (ak_classify_redis(cases[i].argv, n) != cases[i].class)
            fail_msg("%s", cases[i].argv[0]);
    }
}

static void a_request_is_a_read_by_its_method_and_for_searches_by_its_path(void **state)
{
    static const struct {
        enum ak_tool_type type;
        const char *method, *path;
        enum ak_statement_class class;
    } cases[] = {
        {AK_TOOL_TYPE_HTTP, "GET", "/x", R},
        {AK_TOOL_TYPE_HTTP, "HEAD", NULL, R},
        {AK_TOOL_TYPE_HTTP, "POST", "/x/_search", W},
        {AK_TOOL_TYPE_HTTP, "get", "/x", U},
        {AK_TOOL_TYPE_HTTP, "PROPFIND", "/x", U},
        {AK_TOOL_TYPE_ELASTICSEARCH, "POST", "/logs-*/_search?size=1", R},
        {AK_TOOL_TYPE_ELASTICSEARCH, "POST", "/_search/scroll", R},
        {AK_TOOL_TYPE_ELASTICSEARCH, "POST", "/i/_doc/_search", W},
        {AK_TOOL_TYPE_ELASTICSEARCH, "POST", "/i/_create/_search", W},
        {AK_TOOL_TYPE_ELASTICSEARCH, "POST", "/i/_bulk", W},
        {AK_TOOL_TYPE_ELASTICSEARCH, "POST", "/i/x/../_search", W},
        {AK_TOOL_TYPE_ELASTICSEARCH, "DELETE", "/i/_search", W},
        {AK_TOOL_TYPE_KUBERNETES, "GET", "/api/v1/namespaces/a/pods/b/log", R},
        {AK_TOOL_TYPE_KUBERNETES, "GET", "/api/v1/namespaces/a/pods/b/exec?command=sh", A},
        {AK_TOOL_TYPE_KUBERNETES, "GET", "/api/v1/nodes/n/proxy/run", A},
        {AK_TOOL_TYPE_KUBERNETES, "GET", "/api/v1/namespaces/a/pods/b%2fexec", A},
        {AK_TOOL_TYPE_KUBERNETES, "GET", "/api/v1/namespaces/proxy/pods", R},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++)
        if (ak_classify_http(cases[i].type, cases[i].method, cases[i].path) != cases[i].class)
            fail_msg("%s %s", cases[i].method, cases[i].path ? cases[i].path : "");
}

static const struct {
    const char *argv[7];
    enum ak_statement_class class;
    const char *refused; /* an argument; "" none; NULL: it is allowed */
} kubectls[] = {
    {{"get", "pods", "-n", "web", "-ojson"}, R, NULL},
    {{"-n", "web", "get", "pods", "-A"}, R, NULL},
    {{"get", "--raw", "/version"}, R, NULL},
    {{"logs", "x", "--tail=5", "-c", "a", "-p"}, R, NULL},
    {{"apply", "-f", "-"}, W, NULL},
    {{"apply", "--filename=-", "--server-side"}, W, NULL},
    {{"patch", "deploy", "x", "-p", "{}"}, W, NULL},
    {{"rollout", "status", "deploy/x"}, R, NULL},
    {{"rollout", "restart", "deploy/x"}, W, NULL},
    {{"create", "rolebinding", "x", "--role=y", "--user=z"}, A, NULL},
    {{"run", "x", "--image=y", "--", "sh", "--token"}, W, NULL},
    {{"scale", "deploy/x", "--replicas=3"}, W, NULL},
    {{"delete", "pod", "x"}, W, NULL},
    {{"get", "secrets", "--token=x"}, R, "--token=x"},
    {{"get", "pods", "--server", "http://x"}, R, "--server"},
    {{"get", "pods", "-s", "http://x"}, R, "-s"},
    {{"get", "pods", "--kubeconfig=/x"}, R, "--kubeconfig=/x"},
    {{"get", "pods", "--as", "admin"}, R, "--as"},
    {{"get", "pods", "--as-group=x"}, R, "--as-group=x"},
    {{"get", "pods", "--context", "x"}, R, "--context"},
    {{"get", "pods", "-w"}, R, "-w"},
    {{"get", "pods", "-Aw"}, R, "-Aw"},
    {{"get", "pods", "-v=9"}, R, "-v=9"},
    {{"get", "-f", "/etc/passwd"}, R, "-f"},
    {{"get", "-f/etc/passwd"}, R, "-f/etc/passwd"},
    {{"apply", "-f", "http://x"}, W, "-f"},
    {{"apply", "-k", "."}, W, "-k"},
    {{"get", "pods", "-o", "go-template-file=/x"}, R, "-o"},
    {{"logs", "x", "-f"}, R, "-f"},
    {{"logs", "-f", "x"}, R, "-f"},
    {{"delete", "--raw", "/api/v1"}, W, "--raw"},
    {{"patch", "deploy", "x", "--patch-file", "/x"}, W, "--patch-file"},
    {{"create", "secret", "generic", "x", "--from-file=/x"}, W, "--from-file=/x"},
    {{"get", "pods", "--user", "x"}, R, "--user"},
    {{"exec", "x", "--", "sh"}, A, "--"},
    {{"exec", "x", "sh"}, A, "exec"},
    {{"cp", "x:/y", "z"}, A, "cp"},
    {{"port-forward", "x", "1"}, A, "port-forward"},
    {{"proxy"}, A, "proxy"},
    {{"config", "view"}, A, "config"},
    {{"create", "token", "x"}, A, "create"},
    {{"frobnicate"}, U, "frobnicate"},
    {{"-n", "x"}, U, ""},
    {{NULL}, U, ""},
    {{"get", "pods", "-n"}, R, "-n"},
};

static void kubectl_is_allowed_by_verb_and_flag(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(kubectls); i++) {
        const char *refused = NULL;
        size_t n = 0, at = 99;
        while (n < 7 && kubectls[i].argv[n])
            n++;
        enum ak_statement_class class = ak_classify_kubectl(kubectls[i].argv, n, &refused, &at);
        const char *got = !refused ? NULL : at < n ? kubectls[i].argv[at] : "";
        bool same = got && kubectls[i].refused ? strcmp(got, kubectls[i].refused) == 0
                                               : !got && !kubectls[i].refused;
        if (class != kubectls[i].class || !same)
            fail_msg("case %zu (%s %s): %s, refused %s: %s", i, n ? kubectls[i].argv[0] : "",
                     n > 1 ? kubectls[i].argv[1] : "", ak_statement_class_name(class),
                     got ? got : "nothing", refused ? refused : "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_statement_has_the_class_of_the_worst_that_it_can_mean),
        cmocka_unit_test(bytes_that_are_no_text_are_unknown),
        cmocka_unit_test(a_very_long_statement_is_unknown_and_one_below_the_limit_is_read),
        cmocka_unit_test(facts_name_statements_keyword_function_and_tables),
        cmocka_unit_test(it_is_said_when_only_a_function_is_not_known),
        cmocka_unit_test(redis_commands_are_told_apart_by_their_words),
        cmocka_unit_test(a_request_is_a_read_by_its_method_and_for_searches_by_its_path),
        cmocka_unit_test(kubectl_is_allowed_by_verb_and_flag),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
