/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main of a fuzz target that is built without a fuzzer: gives every file of the folders on the
 * command line to the target, one test point (TAP) a file. What a fuzzer once found stays a test.
 */
#include <ak/base/alloc.h>
#include <ak/base/buf.h>
#include <ak/json/json.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX ((size_t)16 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int is_input(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* The bytes are copied to a block of exactly their size, so that ASan sees a read behind the end. */
static int replay(const char *folder, const char *name)
{
    AK_AUTO(ak_buf) input = AK_BUF_INIT(INPUT_MAX);
    AK_AUTO_TEXT char *path = ak_asprintf("%s/%s", folder, name);
    uint8_t *copy;

    if (!path || ak_buf_add_file(&input, path) < 0)
        return -1;
    copy = ak_malloc(input.len);
    if (!copy)
        return -1;
    if (input.len)
        memcpy(copy, input.data, input.len);
    (void)LLVMFuzzerTestOneInput(copy, input.len);
    ak_free(copy);
    return 0;
}

int main(int argc, char **argv)
{
    int n = 0, failed = 0;

    ak_json_setup();
    for (int i = 1; i < argc; i++) {
        struct dirent **entries = NULL;
        int count = scandir(argv[i], &entries, is_input, alphasort);

        for (int k = 0; k < count; k++) {
            int r = replay(argv[i], entries[k]->d_name);

            failed += r < 0;
            printf("%sok %d - %s\n", r < 0 ? "not " : "", ++n, entries[k]->d_name);
            (void)fflush(stdout); /* a crash must show which file was the last good one */
            free(entries[k]);
        }
        free(entries);
    }
    if (n == 0)
        printf("not ok %d - there is an input to replay\n", ++n);
    printf("1..%d\n", n);
    return failed > 0;
}
