/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structured logs: level, a constant message, key/value pairs; one JSON object a line on stderr.
 *
 *     ak_info("agent", "pod created", AK_STR("namespace", ns), AK_STR("name", name), AK_INT("try", 2));
 *     {"ts":"2026-11-22T12:00:00.123000Z","level":"info","logger":"agent","msg":"pod created","namespace":...}
 *
 * Variables never go into the message. Objects are always `kind`, `namespace`, `name`. lib/ logs only
 * at debug, the controller loop logs each failed reconcile once. Secrets have no AK_ macro.
 * Thread: any. A line is written with one write().
 */
#ifndef AK_BASE_LOG_H
#define AK_BASE_LOG_H

#include <ak/base/compiler.h>
#include <stdbool.h>
#include <stdint.h>

enum ak_log_level { AK_LOG_DEBUG, AK_LOG_INFO, AK_LOG_WARN, AK_LOG_ERROR, AK_LOG_MAX };
struct ak_error;

enum ak_kv_type { AK_KV_END, AK_KV_STR, AK_KV_INT, AK_KV_BOOL, AK_KV_ERR };
struct ak_kv {
    enum ak_kv_type type;
    const char *key;
    const char *str;
    int64_t num;
    const struct ak_error *err;
};
#define AK_STR(k, v)                                                                               \
    ((struct ak_kv){.type = AK_KV_STR, .key = (k), .str = (v)}) /* NULL: left out */
#define AK_INT(k, v) ((struct ak_kv){.type = AK_KV_INT, .key = (k), .num = (int64_t)(v)})
#define AK_BOOL(k, v) ((struct ak_kv){.type = AK_KV_BOOL, .key = (k), .num = (v)})
#define AK_ERR(e) ((struct ak_kv){.type = AK_KV_ERR, .key = "error", .err = (e)})

AK_PUBLIC void ak_log_emit(enum ak_log_level level, const char *logger, const char *msg,
                           const struct ak_kv *kv);
AK_PUBLIC bool ak_log_enabled(enum ak_log_level level, const char *logger);
#define ak_log(level, logger, msg, ...)                                                            \
    do {                                                                                           \
        if (ak_log_enabled((level), (logger)))                                                     \
            ak_log_emit((level), (logger), (msg),                                                  \
                        (const struct ak_kv[]){__VA_ARGS__ __VA_OPT__(, ){.type = AK_KV_END}});    \
    } while (0)
#define ak_debug(logger, msg, ...) ak_log(AK_LOG_DEBUG, logger, msg __VA_OPT__(, ) __VA_ARGS__)
#define ak_info(logger, msg, ...) ak_log(AK_LOG_INFO, logger, msg __VA_OPT__(, ) __VA_ARGS__)
#define ak_warn(logger, msg, ...) ak_log(AK_LOG_WARN, logger, msg __VA_OPT__(, ) __VA_ARGS__)
#define ak_err(logger, msg, ...) ak_log(AK_LOG_ERROR, logger, msg __VA_OPT__(, ) __VA_ARGS__)

/* "info", or with switches per logger: "info,+watch,-leader" (+ shows debug, - hides below error). 0 or -EINVAL. */
AK_PUBLIC AK_MUST_USE int ak_log_set_level(const char *spec);
AK_PUBLIC void ak_log_set_fd(int fd); /* default 2 */
/* The id of the reconcile that this thread runs; added to each line as "reconcileID". 0: none. */
AK_PUBLIC void ak_log_set_reconcile(uint64_t id);

#endif
