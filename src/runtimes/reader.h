/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads what a runtime's program prints, line by line, into events, and says at its end how the run
 * went. The programs' formats are the vendors' own and change without notice: a line that is not
 * understood becomes an event `other` (JSON) or `stdout` (anything else), never an error.
 *
 * Events and their data:
 *     text         {"text": ...}                      what the model says, one message a time
 *     tool_call    {"name": ..., "id"?, "input": ...}
 *     tool_result  {"id"?, "text": ..., "isError"?: true}
 *     usage        {"inputTokens", "outputTokens", "cacheReadTokens", "cacheWriteTokens", "turns", "costUSD"},
 *                  each only if known; counts so far, of the whole run
 *     result       {"text": ..., "isError": bool}     the final answer; if there are several, the last
 *     notice       {"message": ...}                   a retry, a warning
 *     stdout       {"text": ...}                      a line that is not of the format
 *     other        {"raw": ...}                       a line of the format that has no event of ours
 *
 * A reader holds the final answer (at most AK_READER_MAX_RESULT bytes of it) and a few counters,
 * nothing that grows with the output.
 */
#ifndef AK_RUNTIMES_READER_H
#define AK_RUNTIMES_READER_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtimes/runtimes.h"

#define AK_READER_MAX_LINE (16u << 20)   /* longer lines: ak_reader_skip() */
#define AK_READER_MAX_RESULT (16u << 10) /* of the answer in the verdict; cut at a character */
#define AK_READER_MAX_MESSAGE 2048u

/* Data is borrowed, an object, without "time"; the callee may add members. Negative ends the line's
 * reading and is returned by ak_reader_line(). */
typedef int (*ak_reader_emit_fn)(void *user, const char *type, json_t *data);

/* -1: not reported. */
struct ak_usage {
    int64_t
        input_tokens; /* without what came from or went into a cache, where that is told apart */
    int64_t output_tokens;
    int64_t cache_read_tokens, cache_write_tokens;
    int64_t turns;         /* model calls */
    int64_t cost_microusd; /* as the program reckons it */
};

struct ak_reader {
    enum ak_output_format format;
    struct ak_usage usage;
    struct ak_buf result;  /* the answer so far */
    struct ak_buf message; /* the last error that the program spoke of */
    bool has_result;       /* the program said that it has ended */
    bool is_error;         /* ... and that it did so by an error */
    bool skipped;
    bool result_truncated;
};

struct ak_reader_verdict {
    bool succeeded;
    const char *reason; /* "Completed", "ExitCode" or "RuntimeError"; constant */
    const char
        *message; /* why not, if the program said; NULL: see stderr. Borrowed from the reader */
    const char *result; /* the final answer; NULL: none. Borrowed from the reader */
    bool result_truncated;
    struct ak_usage usage;
};

void ak_reader_init(struct ak_reader *self, enum ak_output_format format);
void ak_reader_done(struct ak_reader *self);
AK_DEFINE_AUTO(ak_reader, ak_reader_done)
/* Is a line of this format JSON? Then it must come whole (up to AK_READER_MAX_LINE). A line of text may
 * also come in pieces: it is passed through. */
bool ak_output_format_is_structured(enum ak_output_format format);
/* One line of standard output, without its line feed. Any bytes. 0, -ENOMEM, or what emit returned. */
AK_MUST_USE int ak_reader_line(struct ak_reader *self, const char *line, size_t len,
                               ak_reader_emit_fn emit, void *user);
/* A line was too long to be read: it may have been the one that says how the run ended. */
void ak_reader_skip(struct ak_reader *self);
/* After the last line. exit_code: of the process; 128 + N when signal N ended it. Timeouts and cancelled runs
 * are the caller's to tell: their verdict here means nothing. */
void ak_reader_end(struct ak_reader *self, int exit_code, struct ak_reader_verdict *ret);

/* {} of what is known; for events and records. NULL on no memory. */
AK_MUST_USE json_t *ak_usage_to_json(const struct ak_usage *usage);

#endif
