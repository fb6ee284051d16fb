/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/client_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/buf.h>

struct folder {
    char dir[32], path[96], other[96];
};

static int make(void **state)
{
    struct folder *f = ak_new0(struct folder);

    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/ak-files-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->path, sizeof(f->path), "%s/" AK_CLIENT_FILES_PREFIX "1-key", f->dir);
    (void)snprintf(f->other, sizeof(f->other), "%s/other", f->dir);
    *state = f;
    return 0;
}

static int unmake(void **state)
{
    struct folder *f = *state;

    (void)unlink(f->path);
    (void)unlink(f->other);
    assert_int_equal(rmdir(f->dir), 0);
    ak_free(f);
    return 0;
}

static struct ak_client_file file_of(const char *path)
{
    return (struct ak_client_file){.path = path, .data = "secret", .len = 6, .mode = 0400};
}

static int write_it(const char *path)
{
    const struct ak_client_file file = file_of(path);
    int fd = ak_client_file_write(&file, NULL);

    assert_true(fd >= 0);
    return fd;
}

static void a_file_is_what_was_asked_for_and_goes(void **state)
{
    struct folder *f = *state;
    AK_AUTO(ak_buf) text = AK_BUF_INIT(100);
    int fd = write_it(f->path);
    struct stat st;

    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0400);
    assert_int_equal(ak_buf_add_file(&text, f->path), 0);
    assert_string_equal(ak_buf_text(&text), "secret");
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    ak_client_file_remove(f->path, fd);
    assert_int_not_equal(access(f->path, F_OK), 0);
}

static void what_is_there_is_not_written_over(void **state)
{
    struct folder *f = *state;
    const struct ak_client_file file = file_of(f->path);
    AK_AUTO_PTR(ak_error) err = NULL;
    int fd = write_it(f->path);

    assert_int_equal(ak_client_file_write(&file, &err), -EEXIST);
    assert_non_null(strstr(ak_error_message(err), f->path));
    ak_client_file_remove(f->path, fd);
    assert_int_equal(symlink("/tmp/somewhere", f->path), 0);
    assert_int_equal(ak_client_file_write(&file, NULL), -EEXIST);
}

static void another_file_of_that_name_stays(void **state)
{
    struct folder *f = *state;
    int fd = write_it(f->path);

    assert_int_equal(unlink(f->path), 0); /* as a program may do with its own */
    int other = write_it(f->path);
    ak_client_file_remove(f->path, fd);
    assert_int_equal(access(f->path, F_OK), 0);
    ak_client_file_remove(f->path, other);
}

static void a_sweep_takes_what_nobody_holds(void **state)
{
    struct folder *f = *state;
    int fd = write_it(f->path);

    assert_int_equal(ak_client_files_sweep(f->dir), 0);
    assert_int_equal(access(f->path, F_OK), 0);
    (void)close(fd);
    assert_int_equal(ak_client_files_sweep(f->dir), 1);
    assert_int_not_equal(access(f->path, F_OK), 0);
    assert_int_equal(ak_client_files_sweep("/no/such/folder"), 0);
}

static void a_sweep_leaves_what_is_not_ours(void **state)
{
    struct folder *f = *state;

    (void)close(write_it(f->other));
    assert_int_equal(symlink(f->other, f->path), 0);
    assert_int_equal(ak_client_files_sweep(f->dir), 0);
    assert_int_equal(access(f->other, F_OK), 0);
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(mkdir(f->path, 0700), 0);
    assert_int_equal(ak_client_files_sweep(f->dir), 0);
    assert_int_equal(rmdir(f->path), 0);
}

static void what_a_killed_process_left_is_swept(void **state)
{
    struct folder *f = *state;
    int ready[2], status = 0;
    char byte;

    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        const struct ak_client_file file = file_of(f->path);
        int fd = ak_client_file_write(&file, NULL);

        (void)!write(ready[1], fd >= 0 ? "y" : "n", 1);
        for (;;)
            (void)pause();
    }
    assert_true(pid > 0);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    assert_int_equal(ak_client_files_sweep(f->dir), 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(ak_client_files_sweep(f->dir), 1);
    assert_int_not_equal(access(f->path, F_OK), 0);
    (void)close(ready[0]);
    (void)close(ready[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_is_what_was_asked_for_and_goes, make, unmake),
        cmocka_unit_test_setup_teardown(what_is_there_is_not_written_over, make, unmake),
        cmocka_unit_test_setup_teardown(another_file_of_that_name_stays, make, unmake),
        cmocka_unit_test_setup_teardown(a_sweep_takes_what_nobody_holds, make, unmake),
        cmocka_unit_test_setup_teardown(a_sweep_leaves_what_is_not_ours, make, unmake),
        cmocka_unit_test_setup_teardown(what_a_killed_process_left_is_swept, make, unmake),
    };

    return cmocka_run_group_tests_name("bastion/client-files", tests, NULL, NULL);
}
