/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers of the formats share. */
#ifndef AK_RUNTIMES_READER_INTERNAL_H
#define AK_RUNTIMES_READER_INTERNAL_H

#include "runtimes/reader.h"

/* One line while it is read: what emit returned first, if it refused. */
struct ak_reading {
    struct ak_reader *reader;
    ak_reader_emit_fn emit;
    void *user;
    int failed;
    bool known; /* something was made of the line, or it is known to say nothing */
};

/* Takes the reference to data; NULL is "no memory". */
void ak_reading_emit(struct ak_reading *r, const char *type, json_t *data);
void ak_reading_text(struct ak_reading *r, const char *text);
void ak_reading_notice(struct ak_reading *r, const char *message);
void ak_reading_tool_call(struct ak_reading *r, const char *name, const char *id, json_t *input);
/* output: a text, a list of parts with texts, or any JSON, which is then shown as such. */
void ak_reading_tool_result(struct ak_reading *r, const char *id, json_t *output, bool is_error);
void ak_reading_usage(struct ak_reading *r);
/* The end of the run as the program tells it. text NULL: the last `text` was it. */
void ak_reading_result(struct ak_reading *r, const char *text, bool is_error);
/* What the program says is wrong; the last such text is the verdict's message. */
void ak_reading_error(struct ak_reading *r, const char *message);

/* A member that is a whole number, -1 if there is none. */
int64_t ak_reading_count(const json_t *object, const char *key);
/* a + b where b may be unknown (-1). */
int64_t ak_reading_sum(int64_t a, int64_t b);
/* Dollars as the programs say them; -1 for none. */
int64_t ak_reading_microusd(const json_t *object, const char *key);

void ak_reader_claude_line(struct ak_reading *r, json_t *line);
void ak_reader_codex_line(struct ak_reading *r, json_t *line);
void ak_reader_opencode_line(struct ak_reading *r, json_t *line);
void ak_reader_cline_line(struct ak_reading *r, json_t *line);

#endif
