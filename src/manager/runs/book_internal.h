/* SPDX-License-Identifier: Apache-2.0 */
/* What book.c and book_json.c share. */
#ifndef AK_MANAGER_RUNS_BOOK_INTERNAL_H
#define AK_MANAGER_RUNS_BOOK_INTERNAL_H

#include <ak/base/compiler.h>
#include <ak/base/time.h>
#include <ak/json/json.h>

/* Takes over record[key] if it is a time. */
void ak__book_time(const json_t *record, const char *key, ak_msec *time);

#endif
