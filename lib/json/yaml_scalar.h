/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a plain (unquoted) YAML scalar means. The rules are those of sigs.k8s.io/yaml, which kubectl
 * and the apiserver read with, so mostly YAML 1.1: `yes` and `on` are booleans, 0644 is octal, 1_000
 * is a number, but 12:30 is text and so is a date. The writer asks the same question to know when
 * text needs quotes.
 */
#ifndef AK_JSON_YAML_SCALAR_H
#define AK_JSON_YAML_SCALAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ak__yaml_kind {
    AK__YAML_TEXT,
    AK__YAML_NULL,
    AK__YAML_BOOL,
    AK__YAML_INT,
    AK__YAML_REAL,
    AK__YAML_NOT_FINITE, /* .inf and .nan: JSON has no such number */
};

struct ak__yaml_scalar {
    enum ak__yaml_kind kind;
    bool boolean;
    int64_t integer;
    double real;
};

struct ak__yaml_scalar ak__yaml_resolve(const char *text, size_t len);
/* Whether this text, written without quotes, would be read as something else by some YAML reader. */
bool ak__yaml_needs_quotes(const char *text, size_t len);

#endif
