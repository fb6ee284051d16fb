/* SPDX-License-Identifier: Apache-2.0 */
#include "door/listen.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void addresses_and_ports_are_read(void **state)
{
    static const struct {
        const char *text, *host; /* NULL: it is refused */
        uint16_t port;
    } cases[] = {
        {":8084", "", 8084},
        {"127.0.0.1:0", "127.0.0.1", 0},
        {"[::1]:65535", "::1", 65535},
        {"::1:80", "::1", 80},
        {"8084", NULL, 0},
        {"", NULL, 0},
        {":", NULL, 0},
        {":65536", NULL, 0},
        {":-1", NULL, 0},
        {":+1", NULL, 0},
        {":1x", NULL, 0},
        {"localhost:1", NULL, 0},
        {"127.0.0.256:1", NULL, 0},
        {"[127.0.0.1:1", NULL, 0},
        {"[::1]x:1", NULL, 0},
        {"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:1", NULL, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct ak_listen found = {0};
        int r = ak_listen_parse(cases[i].text, &found);

        if (r != (cases[i].host ? 0 : -EINVAL) ||
            (r == 0 && (strcmp(found.host, cases[i].host) != 0 || found.port != cases[i].port)))
            fail_msg("%s: %d %s %u", cases[i].text, r, found.host, found.port);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(addresses_and_ports_are_read)};

    return cmocka_run_group_tests_name("door/listen", tests, NULL, NULL);
}
