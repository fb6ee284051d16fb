/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/manage/metrics.h>

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MAX_LABELS 8

struct label {
    const char *name, *value;
};

static void note(struct ak_metrics *m, int r)
{
    if (r < 0 && m->error >= 0)
        m->error = r;
}

static void add_text(struct ak_metrics *m, const char *text)
{
    if (m->error >= 0)
        note(m, ak_buf_adds(&m->out, text));
}

/* Backslash, newline and (in label values) quote are escaped. */
static void add_escaped(struct ak_metrics *m, const char *text, bool quotes)
{
    const char *special = quotes ? "\\\n\"" : "\\\n";

    while (*text && m->error >= 0) {
        size_t plain = strcspn(text, special);
        note(m, ak_buf_add(&m->out, text, plain));
        text += plain;
        if (*text) {
            const char escaped[3] = {'\\', *text == '\n' ? 'n' : *text, 0};
            add_text(m, escaped);
            text++;
        }
    }
}

static void add_number(struct ak_metrics *m, double value)
{
    char text[40];

    if (isinf(value))
        (void)snprintf(text, sizeof(text), value > 0 ? "+Inf" : "-Inf");
    else if (isnan(value))
        (void)snprintf(text, sizeof(text), "NaN");
    else if (fabs(value) < 1e15 && value == floor(value))
        (void)snprintf(text, sizeof(text), "%.0f", value);
    else
        (void)snprintf(text, sizeof(text), "%.9g", value);
    add_text(m, text);
}

void ak_metrics_family(struct ak_metrics *m, const char *name, const char *type, const char *help)
{
    add_text(m, "# HELP ");
    add_text(m, name);
    add_text(m, " ");
    add_escaped(m, help, false);
    add_text(m, "\n# TYPE ");
    add_text(m, name);
    add_text(m, " ");
    add_text(m, type);
    add_text(m, "\n");
}

static size_t read_labels(va_list ap, struct label labels[static MAX_LABELS])
{
    size_t n = 0;
    const char *name;

    while (n < MAX_LABELS && (name = va_arg(ap, const char *))) {
        labels[n].name = name;
        labels[n].value = va_arg(ap, const char *);
        n++;
    }
    return n;
}

static void add_line(struct ak_metrics *m, const char *name, const char *suffix,
                     const struct label *labels, size_t n, double value)
{
    add_text(m, name);
    add_text(m, suffix);
    for (size_t i = 0; i < n; i++) {
        add_text(m, i ? "," : "{");
        add_text(m, labels[i].name);
        add_text(m, "=\"");
        add_escaped(m, labels[i].value ? labels[i].value : "", true);
        add_text(m, "\"");
    }
    add_text(m, n ? "} " : " ");
    add_number(m, value);
    add_text(m, "\n");
}

void ak_metrics_sample(struct ak_metrics *m, const char *name, double value, ...)
{
    struct label labels[MAX_LABELS];
    va_list ap;
    size_t n;

    va_start(ap, value);
    n = read_labels(ap, labels);
    va_end(ap);
    add_line(m, name, "", labels, n, value);
}

void ak_metrics_histogram(struct ak_metrics *m, const char *name, const double *bounds,
                          const uint64_t *counts, size_t n_bounds, double sum, ...)
{
    struct label labels[MAX_LABELS + 1];
    uint64_t total = 0;
    char bound[40];
    va_list ap;
    size_t n;

    va_start(ap, sum);
    n = read_labels(ap, labels);
    va_end(ap);
    labels[n].name = "le";
    labels[n].value = bound;
    for (size_t i = 0; i <= n_bounds; i++) {
        total += counts[i];
        if (i < n_bounds)
            (void)snprintf(bound, sizeof(bound), "%g", bounds[i]);
        else
            (void)snprintf(bound, sizeof(bound), "+Inf");
        add_line(m, name, "_bucket", labels, n + 1, (double)total);
    }
    add_line(m, name, "_sum", labels, n, sum);
    add_line(m, name, "_count", labels, n, (double)total);
}
