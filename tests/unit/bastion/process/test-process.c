/* SPDX-License-Identifier: Apache-2.0 */
/* What a session's program is started with, for each type. */
#include "bastion/engines/process/process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <ak/base/alloc.h>
#include <ak/json/json.h>

#include "../../../engines/session.h"

#define WORD "s3cret-w0rd"
#define HOST "\"hostname\":\"db\",\"username\":\"me\""

static char folder[] = "/tmp/ak-process.XXXXXX";

static void load(const char *spec, struct ak_arena *arena, json_t **ret_tree, struct ak_target *ret)
{
    struct ak_tool_spec *decoded = ak_arena_alloc(arena, sizeof(*decoded));
    AK_AUTO_PTR(ak_error) err = NULL;

    assert_int_equal(ak_json_parse(spec, strlen(spec), ret_tree, &err), 0);
    if (ak_decode(&ak_tool_spec_type, *ret_tree, decoded, arena, &err) < 0)
        fail_msg("%s: %s", spec, ak_error_message(err));
    *ret = (struct ak_target){.spec = decoded,
                              .info = ak_engine_info(decoded->type),
                              .ns = "n",
                              .name = "t",
                              .uid = "6f1d3c1e-0d6b-4f5e-9d0a-3b8f0c7a1e42",
                              .credential_dir = folder,
                              .identity_dir = "/nonexistent",
                              .admin_dir = "/nonexistent",
                              .link_dir = "/nonexistent"};
}

static bool says(const char *const *list, const char *word)
{
    for (size_t i = 0; list && list[i]; i++)
        if (strstr(list[i], word))
            return true;
    return false;
}

static const char *const none[] = {NULL}, *const uptime[] = {"uptime", NULL},
                         *const two[] = {"df", "-h", NULL},
                         *const eval[] = {"--eval", "db.x.find()", NULL},
                         *const shell[] = {"--shell", NULL};
static const struct {
    const char *about, *spec;
    const char *const *args;
    bool tty;
    int code;
    const char *program, *word; /* argv[0], and something that argv must say */
} cases[] = {
    {"ssh, a shell", "{\"type\":\"ssh\",\"config\":{" HOST ",\"hostKey\":\"ssh-ed25519 AAAA\"}}",
     none, true, 0, "ssh", "-tt"},
    {"ssh, a command", "{\"type\":\"ssh\",\"config\":{" HOST ",\"hostKey\":\"ssh-ed25519 AAAA\"}}",
     two, false, 0, "ssh", "df -h"},
    {"ssh, of the list",
     "{\"type\":\"ssh\",\"config\":{" HOST
     ",\"hostKey\":\"ssh-ed25519 AAAA\"},\"permissions\":{\"commands\":[\"uptime\"]}}",
     uptime, false, 0, "ssh", "uptime"},
    {"ssh, not of the list",
     "{\"type\":\"ssh\",\"config\":{" HOST
     ",\"hostKey\":\"ssh-ed25519 AAAA\"},\"permissions\":{\"commands\":[\"uptime\"]}}",
     two, false, AK_E_FORBIDDEN, NULL, NULL},
    {"ssh, a shell beside a list",
     "{\"type\":\"ssh\",\"config\":{" HOST
     ",\"hostKey\":\"ssh-ed25519 AAAA\"},\"permissions\":{\"commands\":[\"uptime\"]}}",
     none, true, AK_E_FORBIDDEN, NULL, NULL},
    {"ssh without a host key", "{\"type\":\"ssh\",\"config\":{" HOST "}}", none, true, -EINVAL,
     NULL, NULL},
    {"mongodb, a shell", "{\"type\":\"mongodb\",\"config\":{" HOST "}}", none, true, 0, "mongosh",
     "--shell"},
    {"mongodb, a script", "{\"type\":\"mongodb\",\"config\":{" HOST "}}", eval, false, 0, "mongosh",
     "eval.js"},
    {"mongodb, other arguments", "{\"type\":\"mongodb\",\"config\":{" HOST "}}", shell, false,
     AK_E_FORBIDDEN, NULL, NULL},
    {"kafka has no sessions", "{\"type\":\"kafka\",\"config\":{" HOST "}}", none, false,
     AK_E_FORBIDDEN, NULL, NULL},
    {"sqlserver, a script", "{\"type\":\"sqlserver\",\"config\":{" HOST "}}", none, false, 0, "sh",
     "tsql"},
    {"sqlserver, a terminal", "{\"type\":\"sqlserver\",\"config\":{" HOST "}}", none, true, 0, "sh",
     "setsid -w"},
    {"sqlserver takes no arguments", "{\"type\":\"sqlserver\",\"config\":{" HOST "}}", uptime,
     false, AK_E_FORBIDDEN, NULL, NULL},
    {"oracle, a terminal", "{\"type\":\"oracle\",\"config\":{" HOST ",\"serviceName\":\"X\"}}",
     none, true, 0, "sqlplus", "login.sql"},
    {"oracle takes no arguments",
     "{\"type\":\"oracle\",\"config\":{" HOST ",\"serviceName\":\"X\"}}", uptime, false,
     AK_E_FORBIDDEN, NULL, NULL},
    {"custom", "{\"type\":\"custom\",\"config\":{\"command\":[\"shell\",\"-x\"]}}", two, true, 0,
     "shell", "-h"},
    {"custom, not of the list",
     "{\"type\":\"custom\",\"config\":{\"command\":[\"shell\"]},\"permissions\":{\"commands\":["
     "\"status\"]}}",
     two, false, AK_E_FORBIDDEN, NULL, NULL},
    {"custom without a command", "{\"type\":\"custom\",\"config\":{}}", none, true, -EINVAL, NULL,
     NULL},
};

static void test_a_sessions_program_never_shows_the_credential(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        struct ak_session *session =
            driver_session_new(cases[i].tty ? AK_SESSION_CONNECT : AK_SESSION_EXEC, false, NULL);
        AK_AUTO(ak_arena) arena = {0};
        AK_AUTO_JSON *tree = NULL;
        struct ak_client_command command = {0};
        struct ak_target target;
        bool held = false;
        int r;

        ak_arena_init(&arena, 4096, 0);
        load(cases[i].spec, &arena, &tree, &target);
        r = ak_engine_process.client(&target, session, NULL, cases[i].args, cases[i].tty, &arena,
                                     &command, NULL);
        if (r != cases[i].code)
            fail_msg("%s: %d instead of %d", cases[i].about, r, cases[i].code);
        driver_session_free(session);
        if (r < 0)
            continue;
        assert_string_equal(command.argv[0], cases[i].program);
        if (!says(command.argv, cases[i].word))
            fail_msg("%s: no \"%s\"", cases[i].about, cases[i].word);
        assert_false(says(command.argv, WORD));
        assert_false(says(command.env, WORD));
        for (size_t k = 0; k < command.n_files; k++) {
            assert_memory_equal(command.files[k].path, "/tmp/agentkube-", 15);
            if (!memmem(command.files[k].data, command.files[k].len, WORD, strlen(WORD)))
                continue;
            held = true;
            assert_int_equal(command.files[k].mode & 077, 0);
        }
        assert_true(held);
    }
}

static void test_it_survives_failing_memory(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        struct ak_session *session = driver_session_new(AK_SESSION_EXEC, false, NULL);
        AK_AUTO(ak_arena) specs = {0};
        AK_AUTO_JSON *tree = NULL;
        struct ak_target target;
        int r = -ENOMEM;

        ak_arena_init(&specs, 4096, 0);
        load(cases[i].spec, &specs, &tree, &target);
        for (int64_t n = 0; r == -ENOMEM; n++) {
            AK_AUTO(ak_arena) arena = {0};
            struct ak_client_command command = {0};
            assert_true(n < 2000);
            ak_arena_init(&arena, 64, 0);
            (void)ak_alloc_fail_after(n);
            r = ak_engine_process.client(&target, session, NULL, cases[i].args, cases[i].tty,
                                         &arena, &command, NULL);
            (void)ak_alloc_fail_after(-1);
        }
        if (r != cases[i].code)
            fail_msg("%s: %d", cases[i].about, r);
        driver_session_free(session);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_sessions_program_never_shows_the_credential),
        cmocka_unit_test(test_it_survives_failing_memory),
    };
    char path[64];
    FILE *file;
    int r;

    ak_json_setup();
    if (!mkdtemp(folder))
        return 1;
    (void)snprintf(path, sizeof(path), "%s/credential", folder);
    file = fopen(path, "w");
    if (!file || fputs(WORD, file) < 0 || fclose(file) != 0)
        return 1;
    r = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(path);
    (void)rmdir(folder);
    return r;
}
