/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/process/local.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sys/stat.h>

#include <ak/base/alloc.h>

static int shell(const char *script, const char *input, size_t len,
                 const struct ak_client_limits *limits, const struct ak_cancel *cancel,
                 struct ak_client_output *ret)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    struct ak_client_command command = {.argv = argv};

    return ak_process_local(&command, input, len, limits, cancel, ret, NULL);
}

static void test_output_errors_and_codes_come_back(void **state)
{
    static const struct {
        const char *script, *text;
        int code;
    } cases[] = {
        {"echo out; echo err >&2; echo more", "out\nmore\nerr\n", 0},
        {"exit 7", "", 7},
        {"kill -9 $$", "", 137},
        {"echo $HOME; pwd", "/tmp\n/tmp\n", 0},
        {"cat; echo end", "end\n", 0},
        {"(sleep 100; echo late) & echo early", "early\n",
         0}, /* what stays behind does not hold it */
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        struct ak_client_limits limits = {.deadline = ak_now() + AK_SECONDS(30)};
        AK_AUTO(ak_client_output) output = {0};
        assert_int_equal(shell(cases[i].script, NULL, 0, &limits, NULL, &output), 0);
        assert_string_equal(output.text, cases[i].text);
        assert_int_equal(output.exit_code, cases[i].code);
        assert_false(output.truncated);
    }
}

static void test_much_input_and_output_do_not_block_each_other(void **state)
{
    struct ak_client_limits limits = {.max_bytes = 4 << 20, .deadline = ak_now() + AK_SECONDS(60)};
    AK_AUTO(ak_client_output) output = {0};
    char *input = ak_malloc(3 << 20);

    (void)state;
    memset(input, 'x', 3 << 20);
    assert_int_equal(shell("cat", input, 3 << 20, &limits, NULL, &output), 0);
    assert_int_equal(output.len, 3 << 20);
    assert_memory_equal(output.text, input, 3 << 20);
    ak_free(input);
}

static void test_too_much_output_is_cut_and_the_program_ends_well(void **state)
{
    struct ak_client_limits limits = {.max_bytes = 1000, .deadline = ak_now() + AK_SECONDS(60)};
    AK_AUTO(ak_client_output) output = {0};

    (void)state;
    assert_int_equal(
        shell("head -c 5000000 /dev/zero | tr '\\0' y; exit 4", NULL, 0, &limits, NULL, &output),
        0);
    assert_int_equal(output.len, 1000);
    assert_true(output.truncated);
    assert_int_equal(output.exit_code, 4);
}

static bool lives(pid_t pid)
{
    char path[64], state = 'Z';
    bool read;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    file = fopen(path, "r");
    if (!file)
        return false;
    read = fscanf(file, "%*d %*s %c", &state) == 1;
    (void)fclose(file);
    return read && state != 'Z';
}

static void test_everything_dies_at_the_deadline(void **state)
{
    struct ak_client_limits limits = {.deadline = ak_now() + 700};
    AK_AUTO(ak_client_output) output = {0};
    char path[] = "/tmp/ak-local.XXXXXX", script[128];
    long pid = 0;
    FILE *file;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    (void)snprintf(script, sizeof(script), "sleep 1000 & echo $! >%s; wait", path);
    assert_int_equal(shell(script, NULL, 0, &limits, NULL, &output), -ETIMEDOUT);
    file = fopen(path, "r");
    assert_int_equal(fscanf(file, "%ld", &pid), 1);
    (void)fclose(file);
    for (int i = 0; i < 200 && lives((pid_t)pid); i++)
        usleep(10000);
    assert_false(lives((pid_t)pid));
    unlink(path);
}

static void test_it_can_be_cancelled(void **state)
{
    struct ak_client_limits limits = {.deadline = ak_now() + AK_SECONDS(60)};
    AK_AUTO(ak_client_output) output = {0};
    struct ak_cancel cancel;

    (void)state;
    assert_int_equal(ak_cancel_init(&cancel), 0);
    ak_cancel_now(&cancel);
    assert_int_equal(shell("sleep 1000", NULL, 0, &limits, &cancel, &output), AK_E_CANCELLED);
    ak_cancel_done(&cancel);
}

static void test_files_are_private_and_there_only_meanwhile(void **state)
{
    char path[64];
    const char *argv[] = {"sh", "-c", "stat -c %a \"$0\"; cat \"$0\"; echo; echo \"$WORD\"", path,
                          NULL},
               *env[] = {"WORD=plain", NULL};
    struct ak_client_command command = {.argv = argv, .env = env, .n_files = 1};
    struct ak_client_limits limits = {.deadline = ak_now() + AK_SECONDS(30)};
    AK_AUTO(ak_client_output) output = {0}, second = {0};

    (void)state;
    (void)snprintf(path, sizeof(path), "/tmp/ak-local-file-%d", (int)getpid());
    command.files[0] = (struct ak_client_file){.path = path, .data = "s3cret", .len = 6};
    assert_int_equal(ak_process_local(&command, NULL, 0, &limits, NULL, &output, NULL), 0);
    assert_string_equal(output.text, "600\ns3cret\nplain\n");
    assert_int_equal(access(path, F_OK), -1);
    /* somebody else's file is neither written to nor used */
    assert_int_equal(symlink("/etc/hostname", path), 0);
    assert_int_equal(ak_process_local(&command, NULL, 0, &limits, NULL, &second, NULL), -EEXIST);
    (void)unlink(path);
}

static void test_a_program_that_is_not_there_is_said(void **state)
{
    const char *argv[] = {"no-such-program-here", NULL};
    struct ak_client_command command = {.argv = argv};
    struct ak_client_limits limits = {.deadline = ak_now() + AK_SECONDS(30)};
    AK_AUTO(ak_client_output) output = {0};

    (void)state;
    assert_int_equal(ak_process_local(&command, NULL, 0, &limits, NULL, &output, NULL), -ENOENT);
}

static void test_it_survives_failing_memory(void **state)
{
    struct ak_client_limits limits = {.deadline = ak_now() + AK_SECONDS(60)};
    int r = -1;

    (void)state;
    for (int64_t n = 0; r < 0; n++) {
        AK_AUTO(ak_client_output) output = {0};
        assert_true(n < 100);
        (void)ak_alloc_fail_after(n);
        r = shell("echo x", NULL, 0, &limits, NULL, &output);
        (void)ak_alloc_fail_after(-1);
        assert_true(r == 0 || r == -ENOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output_errors_and_codes_come_back),
        cmocka_unit_test(test_much_input_and_output_do_not_block_each_other),
        cmocka_unit_test(test_too_much_output_is_cut_and_the_program_ends_well),
        cmocka_unit_test(test_everything_dies_at_the_deadline),
        cmocka_unit_test(test_it_can_be_cancelled),
        cmocka_unit_test(test_files_are_private_and_there_only_meanwhile),
        cmocka_unit_test(test_a_program_that_is_not_there_is_said),
        cmocka_unit_test(test_it_survives_failing_memory),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
