/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/log.h>

#include <ak/base/alloc.h>
#include <ak/base/buf.h>
#include <ak/base/error.h>
#include <ak/base/time.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

/*
 * A line is never longer than PIPE_BUF: then the kernel does not mix it with the lines of other
 * threads or processes on the same pipe, and no lock is needed around write().
 */
#define LINE_MAX_BYTES ((size_t)PIPE_BUF)
#define LINE_TAIL ",\"truncated\":true}\n"
#define SWITCHES_MAX 32
#define LOGGER_NAME_MAX 31

struct log_switch {
    char logger[LOGGER_NAME_MAX + 1];
    enum ak_log_level level; /* lowest level that is shown */
};

/*
 * The common case, no switches, reads one atomic. Relaxed order is enough: a line more or less around
 * a change of level is nobody's loss; `switches` are read under the lock.
 */
static atomic_int base_level = AK_LOG_INFO;
static atomic_int lowest_level = AK_LOG_INFO; /* over base_level and all switches */
static atomic_bool has_switches;
static atomic_int log_fd = STDERR_FILENO;
static _Thread_local uint64_t reconcile_id;

static pthread_rwlock_t switches_lock = PTHREAD_RWLOCK_INITIALIZER;
static struct log_switch switches[SWITCHES_MAX]; /* under switches_lock */
static size_t n_switches;                        /* under switches_lock */

static const char *const level_names[AK_LOG_MAX] = {
    [AK_LOG_DEBUG] = "debug",
    [AK_LOG_INFO] = "info",
    [AK_LOG_WARN] = "warn",
    [AK_LOG_ERROR] = "error",
};

/* ---- which lines are shown ---- */

static enum ak_log_level switched_level(const char *logger, enum ak_log_level otherwise)
{
    enum ak_log_level level = otherwise;

    pthread_rwlock_rdlock(&switches_lock);
    for (size_t i = 0; i < n_switches; i++)
        if (strcmp(switches[i].logger, logger) == 0)
            level = switches[i].level;
    pthread_rwlock_unlock(&switches_lock);
    return level;
}

bool ak_log_enabled(enum ak_log_level level, const char *logger)
{
    enum ak_log_level shown;

    if ((int)level < atomic_load_explicit(&lowest_level, memory_order_relaxed))
        return false;
    shown = (enum ak_log_level)atomic_load_explicit(&base_level, memory_order_relaxed);
    if (logger && atomic_load_explicit(&has_switches, memory_order_relaxed))
        shown = switched_level(logger, shown);
    return level >= shown;
}

struct level_spec {
    enum ak_log_level base;
    struct log_switch switches[SWITCHES_MAX];
    size_t n;
};

static int parse_level_name(const char *text, size_t len, enum ak_log_level *ret)
{
    for (int i = 0; i < AK_LOG_MAX; i++)
        if (strlen(level_names[i]) == len && memcmp(level_names[i], text, len) == 0) {
            *ret = (enum ak_log_level)i;
            return 0;
        }
    return -EINVAL;
}

static int parse_word(struct level_spec *spec, const char *word, size_t len)
{
    struct log_switch *sw;

    if (len == 0)
        return -EINVAL;
    if (word[0] != '+' && word[0] != '-')
        return parse_level_name(word, len, &spec->base);
    if (len == 1 || len - 1 > LOGGER_NAME_MAX || spec->n == SWITCHES_MAX)
        return -EINVAL;
    sw = &spec->switches[spec->n++];
    memcpy(sw->logger, word + 1, len - 1);
    sw->logger[len - 1] = '\0';
    sw->level = word[0] == '+' ? AK_LOG_DEBUG : AK_LOG_ERROR;
    return 0;
}

int ak_log_set_level(const char *text)
{
    struct level_spec spec = {.base = AK_LOG_INFO};
    enum ak_log_level lowest;
    const char *word = text;
    int r;

    for (;;) {
        size_t len = strcspn(word, ",");

        r = parse_word(&spec, word, len);
        if (r < 0)
            return r;
        if (!word[len])
            break;
        word += len + 1;
    }
    lowest = spec.base;
    for (size_t i = 0; i < spec.n; i++)
        lowest = AK_MIN(lowest, spec.switches[i].level);
    pthread_rwlock_wrlock(&switches_lock);
    memcpy(switches, spec.switches, sizeof(switches));
    n_switches = spec.n;
    pthread_rwlock_unlock(&switches_lock);
    atomic_store_explicit(&base_level, (int)spec.base, memory_order_relaxed);
    atomic_store_explicit(&has_switches, spec.n > 0, memory_order_relaxed);
    atomic_store_explicit(&lowest_level, (int)lowest, memory_order_relaxed);
    return 0;
}

void ak_log_set_fd(int fd)
{
    atomic_store_explicit(&log_fd, fd, memory_order_relaxed);
}

void ak_log_set_reconcile(uint64_t id)
{
    reconcile_id = id;
}

/* ---- the line ---- */

static int add_key(struct ak_buf *line, const char *key)
{
    int r = ak_buf_adds(line, line->len > 1 ? "," : "");

    if (r >= 0)
        r = ak_buf_add_json_string(line, key, strlen(key));
    return r < 0 ? r : ak_buf_adds(line, ":");
}

static int add_value(struct ak_buf *line, const struct ak_kv *kv, size_t text_len)
{
    switch (kv->type) {
    case AK_KV_STR:
        return ak_buf_add_json_string(line, kv->str, text_len);
    case AK_KV_ERR:
        return ak_buf_add_json_string(line, ak_error_message(kv->err), text_len);
    case AK_KV_INT:
        return ak_buf_addf(line, "%lld", (long long)kv->num);
    case AK_KV_BOOL:
        return ak_buf_adds(line, kv->num ? "true" : "false");
    case AK_KV_END:
        break;
    }
    return -EINVAL;
}

/* A text that does not fit is cut until it does. Returns whether the whole value is in the line. */
static bool add_member(struct ak_buf *line, const struct ak_kv *kv)
{
    size_t before = line->len, whole = 0;

    if (kv->type == AK_KV_STR)
        whole = strlen(kv->str);
    else if (kv->type == AK_KV_ERR)
        whole = strlen(ak_error_message(kv->err));
    for (size_t len = whole;; len /= 2) {
        if (add_key(line, kv->key) >= 0 && add_value(line, kv, len) >= 0)
            return len == whole;
        line->len = before;
        line->data[before] = '\0';
        if (len == 0)
            return false;
    }
}

static bool add_members(struct ak_buf *line, const struct ak_kv *kv)
{
    bool complete = true;

    for (; kv->type != AK_KV_END; kv++) {
        bool absent = (kv->type == AK_KV_STR && !kv->str) || (kv->type == AK_KV_ERR && !kv->err);

        if (!absent && !add_member(line, kv))
            complete = false;
    }
    return complete;
}

static void write_line(const char *data, size_t len)
{
    int fd = atomic_load_explicit(&log_fd, memory_order_relaxed), saved = errno;

    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break; /* nowhere left to report that */
        data += n;
        len -= (size_t)n;
    }
    errno = saved;
}

void ak_log_emit(enum ak_log_level level, const char *logger, const char *msg,
                 const struct ak_kv *kv)
{
    char space[LINE_MAX_BYTES], ts[AK_RFC3339_SIZE], id[17];
    /* The buffer's limit is below its memory, so it never goes to the heap. */
    struct ak_buf line = {
        .data = space, .cap = sizeof(space), .max = sizeof(space) - sizeof(LINE_TAIL)};
    struct ak_buf id_buf = {.data = id, .cap = sizeof(id), .max = sizeof(id) - 1};
    bool complete;

    space[0] = id[0] = '\0';
    if (reconcile_id)
        (void)!ak_buf_addf(&id_buf, "%016llx", (unsigned long long)reconcile_id);
    (void)!ak_buf_adds(&line, "{");
    complete = add_members(&line, (const struct ak_kv[]){
                                      AK_STR("ts", ak_format_rfc3339_micro(ak_wall_now(), ts)),
                                      AK_STR("level", level_names[level]),
                                      AK_STR("logger", logger),
                                      AK_STR("msg", msg),
                                      AK_STR("reconcileID", reconcile_id ? id : NULL),
                                      {.type = AK_KV_END},
                                  });
    complete = add_members(&line, kv) && complete;
    line.max = sizeof(space) - 1;
    (void)!ak_buf_adds(&line, complete ? "}\n" : LINE_TAIL);
    write_line(line.data, line.len);
}
