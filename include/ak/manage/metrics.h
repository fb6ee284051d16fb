/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prometheus text exposition (version 0.0.4), written on request by collectors: nobody keeps a registry
 * of live counters, each module is asked for its numbers.
 */
#ifndef AK_MANAGE_METRICS_H
#define AK_MANAGE_METRICS_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/flow/cache.h>
#include <ak/flow/reconcile.h>
#include <ak/flow/watch.h>
#include <ak/kube/client.h>

struct ak_metrics {
    struct ak_buf out;
    int error; /* first failure; later calls do nothing */
};
#define AK_METRICS_MAX (4u << 20)
#define AK_METRICS_INIT                                                                            \
    {                                                                                              \
        .out = AK_BUF_INIT(AK_METRICS_MAX)                                                         \
    }
/* HELP and TYPE lines; type "counter", "gauge", "histogram". */
AK_PUBLIC void ak_metrics_family(struct ak_metrics *m, const char *name, const char *type,
                                 const char *help);
/* labels: key, value, key, value, ..., NULL. */
AK_PUBLIC void ak_metrics_sample(struct ak_metrics *m, const char *name, double value, ...)
    __attribute__((sentinel));
/* counts: n_bounds + 1 of them, not cumulative; the last is above all bounds. Labels as above. */
AK_PUBLIC void ak_metrics_histogram(struct ak_metrics *m, const char *name, const double *bounds,
                                    const uint64_t *counts, size_t n_bounds, double sum, ...)
    __attribute__((sentinel));
/* Families of the library's own parts, under the names that controller-runtime dashboards know. */
AK_PUBLIC void ak_metrics_process(struct ak_metrics *m); /* process_*: RSS, CPU, fds, start time */
/* rest_client_requests_total, summed over the clients (NULL ones are left out). */
AK_PUBLIC void ak_metrics_clients(struct ak_metrics *m, struct ak_client *const *list, size_t n,
                                  const char *host);
AK_PUBLIC void ak_metrics_controllers(struct ak_metrics *m, struct ak_controller *const *list,
                                      size_t n);
#endif
