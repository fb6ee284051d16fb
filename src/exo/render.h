/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events of a run as lines for people. What the agent says goes to `out`, everything about it (tool calls,
 * its stderr, notices) to `err`, so that a pipe gets the answer and nothing else. What agents print is
 * somebody else's text: for terminals, control characters are taken out of it. Pure.
 */
#ifndef AK_EXO_RENDER_H
#define AK_EXO_RENDER_H

#include <ak/base/buf.h>
#include <ak/json/json.h>
#include <stdbool.h>
#include <stdint.h>

struct ak_render_look {
    bool out_shown, err_shown;                    /* it is for a terminal */
    size_t columns;                               /* of lines that are cut; 0: 120 */
    const char *dim, *red, *green, *yellow, *off; /* on err; "" without colour */
};
struct ak_render {
    struct ak_render_look look;
    uint64_t last_text; /* hash of the last text: a result that repeats it is not shown again */
    bool has_text;
    bool out_open;       /* the last line on out has no end yet */
    bool out_cr, err_cr; /* a carriage return ended the last piece */
    bool err_open;
};
void ak_render_init(struct ak_render *self, const struct ak_render_look *look);
/* Adds what the event looks like. Unknown types look like nothing. */
AK_MUST_USE int ak_render_event(struct ak_render *self, const char *type, const json_t *data,
                                struct ak_buf *out, struct ak_buf *err);
/* The last line: "run r-1 Succeeded in 3.2s (1,234 tokens in, 56 out, $0.0123)". */
AK_MUST_USE int ak_render_summary(struct ak_render *self, const json_t *record, struct ak_buf *err);

/* Queued, Running, ...: true for those that nothing follows. */
bool ak_render_is_final(const char *phase);
/* The exit code that a final phase stands for. */
int ak_render_exit(const char *phase);

#endif
