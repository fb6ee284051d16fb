/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flags of a command line from a table: parsed as kubectl and Helm parse theirs ("--name value",
 * "--name=value", "-o json", "-ojson", "-o=json", "-Aw"), stored into a struct by offset, and
 * printed as help. Pure. A flag is valid where its bits and those of the command meet, so that one
 * letter may mean two things in two commands.
 */
#ifndef AK_TERMINAL_FLAGS_H
#define AK_TERMINAL_FLAGS_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <stdbool.h>
#include <stdint.h>

#define AK_FLAG_LIST_MAX 64 /* times that a flag of type LIST may be given */

enum ak_flag_type {
    AK_FLAG_TEXT,   /* const char * */
    AK_FLAG_BOOL,   /* bool; also --name=false */
    AK_FLAG_SWITCH, /* const char *: "true" or "false", NULL if not given */
    AK_FLAG_OFF,    /* bool, set to false; takes no value */
    AK_FLAG_LIST,   /* struct ak_flag_list */
    AK_FLAG_PERIOD, /* ak_msec, more than 0 */
    AK_FLAG_COUNT,  /* int64_t, 0 or more */
    AK_FLAG_CHOICE, /* int: index into `choices` */
};
/* Texts point into argv. */
struct ak_flag_list {
    const char *items[AK_FLAG_LIST_MAX];
    size_t len;
};
struct ak_flag {
    const char *name; /* without dashes */
    char letter;      /* 0: none */
    enum ak_flag_type type;
    size_t offset;
    uint64_t where;    /* bits of the caller's choosing */
    const char *value; /* how its value is called in help; NULL: takes none */
    const char *help;
    const char *const *choices; /* NULL-terminated; NULL entries do not occur */
};
struct ak_flags {
    const struct ak_flag *items;
    size_t len;
    uint64_t where;  /* of this command */
    const char *who; /* "agent list", for messages */
};

/* Takes argv[*at], which begins with '-', and its value if that is an argument of its own: *at is then the
 * last one that was used. -EINVAL names the flag. */
AK_MUST_USE int ak_flags_take(const struct ak_flags *self, int argc, const char *const *argv,
                              int *at, void *target, struct ak_error **reterr);
/* "\nFlags:\n  -o, --output=json|yaml\n        format\n"; nothing if there is none. */
AK_MUST_USE int ak_flags_help(const struct ak_flags *self, const char *title, struct ak_buf *out);
/* Value of NAME in "NAME=value" lines, NULL if it is not there or empty. */
const char *ak_flags_variable(const char *const *environ_, const char *name);

#endif
