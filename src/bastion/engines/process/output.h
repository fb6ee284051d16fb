/* SPDX-License-Identifier: Apache-2.0 */
/* What a client program said, as results and as reasons. Pure. */
#ifndef AK_BASTION_ENGINES_PROCESS_OUTPUT_H
#define AK_BASTION_ENGINES_PROCESS_OUTPUT_H

#include "bastion/engine.h"

/* Puts "***" in the place of each occurrence of a password of 4 bytes or more. */
void ak_output_scrub(struct ak_client_output *self, const char *password);
/* Copies text into a field of a result: trimmed, in valid UTF-8, cut at a character. */
void ak_output_message(char *buf, size_t size, const char *text);

/* {text, truncated, exitCode}; what is no UTF-8 becomes U+FFFD. Sets the call's bytes too. */
AK_MUST_USE int ak_output_text(const struct ak_client_output *output, struct ak_call *call,
                               struct ak_error **reterr);

/* Words of a program, and what they mean. The first row that is found in the text decides. */
struct ak_symptom {
    const char *text;
    int code; /* -ECONNREFUSED: not reached; AK_E_UNAUTHORIZED; AK_E_FORBIDDEN; AK_E_INVALID; 0: it is well */
};
/* AK_E_INVALID when none is found. */
int ak_output_diagnose(const struct ak_symptom *symptoms, size_t n, const char *text);
/* An error with the program's words, at most its last 1,000 bytes. */
AK_MUST_USE int ak_output_fail(int code, const char *text, struct ak_error **reterr);
/* Which of reachable, authenticated and authorised follow from a code, 0 included. */
void ak_output_probe(int code, const char *text, struct ak_probe_result *ret);

/*
 * Rows that a program printed: each row ends with `end`, its cells are apart by `separator`, names come first.
 * {columns, rows, rowCount, truncated}. With `quoted` cells are as in RFC 4180, an empty one that has no quotes
 * is null; else the word NULL is, and one that has too few cells is put together with the next (a line break
 * within a value). `cut`: the text's end is missing.
 */
AK_MUST_USE int ak_output_rows(const char *text, size_t len, char separator, char end, bool quoted,
                               bool cut, struct ak_call *call, struct ak_error **reterr);
/* Finishes a result of rows: rowCount, truncated and the call's counts. Takes both lists, in every case. */
AK_MUST_USE int ak_output_table(json_t *columns, json_t *rows, bool truncated, struct ak_call *call,
                                struct ak_error **reterr);

#endif
