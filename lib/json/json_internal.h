/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files of this layer only.
 */
#ifndef AK_JSON_JSON_INTERNAL_H
#define AK_JSON_JSON_INTERNAL_H

#include <ak/base/error.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * jansson reports "no memory" like any other failure, sometimes as a syntax error. These bracket a
 * call: whether one of this thread's allocations through ak_json_setup() failed in between.
 */
void ak__json_memory_watch(void);
bool ak__json_memory_failed(void);

/* The quick reader. NULL: memory is short (see above), or it is jansson's to say what this is. The text must not nest
 * deeper than AK_JSON_MAX_DEPTH. */
json_t *ak__json_read(const char *data, size_t len);

/* "null", "a string", "an object", ...: for "expected ..., found ...". */
const char *ak__json_type_text(const json_t *value);

/* Shortest decimal text that reads back as the same double. */
const char *ak__json_real_text(double value, char buf[static 32]);

#endif
