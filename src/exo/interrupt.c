/* SPDX-License-Identifier: Apache-2.0 */
#include "exo/interrupt.h"

#include <signal.h>

static struct ak_cancel token = {.fd = -1};
static bool is_started;

/* An atomic and a write() to an eventfd: both allowed in a handler. */
static void on_interrupt(int number)
{
    (void)number;
    ak_cancel_now(&token);
}

int ak_interrupt_start(struct ak_error **reterr)
{
    /* SA_RESETHAND: the second one does what it always did. */
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESETHAND | SA_RESTART};

    if (is_started)
        return 0;
    int r = ak_cancel_init(&token);
    if (r < 0)
        return ak_error_set(reterr, r, "prepare for Ctrl-C: %s", ak_code_text(r));
    is_started = true;
    return sigaction(SIGINT, &action, NULL) < 0
               ? ak_error_set(reterr, -errno, "prepare for Ctrl-C: %s", ak_code_text(-errno))
               : 0;
}

const struct ak_cancel *ak_interrupt_token(void)
{
    return is_started ? &token : NULL;
}

bool ak_interrupt_is_set(void)
{
    return is_started && ak_cancel_is_set(&token);
}
