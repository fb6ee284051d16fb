/* SPDX-License-Identifier: Apache-2.0 */
/* The families of the library's own parts, under the names that controller-runtime's dashboards know. */
#include <ak/manage/metrics.h>

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <ak/base/text.h>

#define MAX_CLIENT_SERIES 64 /* method and code; more go to the last one */

static void add_gauge(struct ak_metrics *m, const char *name, const char *help, double value)
{
    ak_metrics_family(m, name, "gauge", help);
    ak_metrics_sample(m, name, value, NULL);
}

/* A field of /proc/self/stat; fields are counted from 1, and the second may hold blanks. */
static bool stat_field(unsigned number, uint64_t *ret)
{
    AK_AUTO(ak_buf) buf = AK_BUF_INIT(4096);
    char *at;

    if (ak_buf_add_file(&buf, "/proc/self/stat") < 0 || !(at = strrchr(ak_buf_text(&buf), ')')))
        return false;
    for (unsigned i = 2; i < number; i++)
        if (!(at = strchr(at + 1, ' ')))
            return false;
    at++;
    at[strcspn(at, " \n")] = 0;
    return ak_parse_u64(at, ret) >= 0;
}

static double count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    double n = 0;

    if (!dir)
        return 0;
    while (readdir(dir))
        n++;
    (void)closedir(dir);
    return n > 3 ? n - 3 : 0; /* ".", ".." and the folder's own */
}

static double start_time(void)
{
    uint64_t ticks;
    struct timespec boot, wall;

    if (!stat_field(22, &ticks))
        return 0;
    (void)clock_gettime(CLOCK_BOOTTIME, &boot);
    (void)clock_gettime(CLOCK_REALTIME, &wall);
    return (double)wall.tv_sec - (double)boot.tv_sec + (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

void ak_metrics_process(struct ak_metrics *m)
{
    struct rusage ru = {0};
    struct rlimit nofile = {0};
    uint64_t value;

    (void)getrusage(RUSAGE_SELF, &ru);
    (void)getrlimit(RLIMIT_NOFILE, &nofile);
    ak_metrics_family(m, "process_cpu_seconds_total", "counter",
                      "User and system CPU time of this process in seconds.");
    ak_metrics_sample(m, "process_cpu_seconds_total",
                      (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
                          (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6,
                      NULL);
    add_gauge(m, "process_open_fds", "Open file descriptors.", count_fds());
    add_gauge(m, "process_max_fds", "Limit of open file descriptors.", (double)nofile.rlim_cur);
    if (stat_field(23, &value))
        add_gauge(m, "process_virtual_memory_bytes", "Virtual memory size in bytes.",
                  (double)value);
    if (stat_field(24, &value))
        add_gauge(m, "process_resident_memory_bytes", "Resident memory size in bytes.",
                  (double)value * (double)sysconf(_SC_PAGESIZE));
    if (stat_field(20, &value))
        add_gauge(m, "process_threads", "Threads of this process.", (double)value);
    add_gauge(m, "process_start_time_seconds", "Start of this process, in seconds of Unix time.",
              start_time());
}

struct client_series {
    struct {
        char method[16];
        int status;
        uint64_t n;
    } rows[MAX_CLIENT_SERIES];
    size_t len;
};

static void add_client_count(const char *method, int status, uint64_t n, void *user)
{
    struct client_series *s = user;
    size_t i = 0;

    while (i < s->len && !(s->rows[i].status == status && ak_streq(s->rows[i].method, method)))
        i++;
    if (i == MAX_CLIENT_SERIES)
        i--;
    if (i == s->len) {
        s->rows[i].status = status;
        (void)snprintf(s->rows[i].method, sizeof(s->rows[i].method), "%s", method);
        s->len++;
    }
    s->rows[i].n += n;
}

void ak_metrics_clients(struct ak_metrics *m, struct ak_client *const *list, size_t n,
                        const char *host)
{
    struct client_series s = {0};

    for (size_t i = 0; i < n; i++)
        if (list[i])
            ak_client_each_count(list[i], add_client_count, &s);
    ak_metrics_family(m, "rest_client_requests_total", "counter",
                      "HTTP requests to the API server, by status code, method and host.");
    for (size_t i = 0; i < s.len; i++) {
        char code[16];
        if (s.rows[i].status > 0)
            (void)snprintf(code, sizeof(code), "%d", s.rows[i].status);
        else
            (void)snprintf(code, sizeof(code), "<error>"); /* as client-go: there was no answer */
        ak_metrics_sample(m, "rest_client_requests_total", (double)s.rows[i].n, "code", code,
                          "host", host, "method", s.rows[i].method, NULL);
    }
}

/* One simple family: its name, and how its number is read. */
struct queue_family {
    const char *name, *type, *help;
    double (*value)(const struct ak_queue_stats *st);
};

static double queue_depth(const struct ak_queue_stats *st)
{
    return (double)st->depth;
}
static double queue_adds(const struct ak_queue_stats *st)
{
    return (double)st->adds;
}
static double queue_retries(const struct ak_queue_stats *st)
{
    return (double)st->retries;
}
static double queue_unfinished(const struct ak_queue_stats *st)
{
    return (double)st->unfinished / 1000;
}
static double queue_longest(const struct ak_queue_stats *st)
{
    return (double)st->longest_running / 1000;
}
static double queue_merges(const struct ak_queue_stats *st)
{
    return (double)st->merges;
}
static double queue_delayed(const struct ak_queue_stats *st)
{
    return (double)st->delayed;
}
static double queue_oldest(const struct ak_queue_stats *st)
{
    return (double)st->oldest / 1000;
}
static double queue_dropped(const struct ak_queue_stats *st)
{
    return (double)st->dropped;
}

static const struct queue_family queue_families[] = {
    {"workqueue_depth", "gauge", "Keys that are ready and wait for a worker.", queue_depth},
    {"workqueue_adds_total", "counter", "Keys added.", queue_adds},
    {"workqueue_retries_total", "counter", "Keys that came back after a failure.", queue_retries},
    {"workqueue_unfinished_work_seconds", "gauge",
     "Seconds of work in progress that no histogram has seen yet.", queue_unfinished},
    {"workqueue_longest_running_processor_seconds", "gauge",
     "Seconds that the longest running reconcile has taken so far.", queue_longest},
    {"agentkube_queue_merges_total", "counter", "Adds of a key that was waiting already.",
     queue_merges},
    {"agentkube_queue_delayed", "gauge", "Keys that wait for their time.", queue_delayed},
    {"agentkube_queue_oldest_seconds", "gauge", "Age of the oldest ready key.", queue_oldest},
    {"agentkube_queue_dropped_total", "counter",
     "Keys that found no room; everything is looked at again.", queue_dropped},
};

static void add_queue_histogram(struct ak_metrics *m, struct ak_controller *const *list, size_t n,
                                const char *name, const char *help, bool work)
{
    ak_metrics_family(m, name, "histogram", help);
    for (size_t i = 0; i < n; i++) {
        const char *label = ak_controller_name(list[i]);
        struct ak_queue_stats st;
        ak_queue_stats(ak_controller_queue(list[i]), &st);
        ak_metrics_histogram(m, name, ak_queue_bounds, work ? st.work_buckets : st.wait_buckets,
                             AK_QUEUE_BUCKETS, work ? st.work_sum : st.wait_sum, "name", label,
                             "controller", label, NULL);
    }
}

static void add_queues(struct ak_metrics *m, struct ak_controller *const *list, size_t n)
{
    for (size_t f = 0; f < AK_ARRAY_LEN(queue_families); f++) {
        const struct queue_family *family = &queue_families[f];
        ak_metrics_family(m, family->name, family->type, family->help);
        for (size_t i = 0; i < n; i++) {
            const char *label = ak_controller_name(list[i]);
            struct ak_queue_stats st;
            ak_queue_stats(ak_controller_queue(list[i]), &st);
            ak_metrics_sample(m, family->name, family->value(&st), "name", label, "controller",
                              label, NULL);
        }
    }
    add_queue_histogram(m, list, n, "workqueue_queue_duration_seconds",
                        "Seconds that a key waits for a worker.", false);
    add_queue_histogram(m, list, n, "workqueue_work_duration_seconds",
                        "Seconds that the work on a key takes.", true);
}

struct controller_family {
    const char *name, *type, *help;
    double (*value)(const struct ak_controller_stats *st);
};

static double all_errors(const struct ak_controller_stats *st)
{
    return (double)(st->error + st->terminal);
}
static double terminal_errors(const struct ak_controller_stats *st)
{
    return (double)st->terminal;
}
static double max_workers(const struct ak_controller_stats *st)
{
    return st->workers;
}
static double active_workers(const struct ak_controller_stats *st)
{
    return st->busy;
}

static const struct controller_family controller_families[] = {
    {"controller_runtime_reconcile_errors_total", "counter", "Reconciles that failed.", all_errors},
    {"controller_runtime_terminal_reconcile_errors_total", "counter",
     "Reconciles that failed and are not tried again until something changes.", terminal_errors},
    {"controller_runtime_max_concurrent_reconciles", "gauge", "Workers.", max_workers},
    {"controller_runtime_active_workers", "gauge", "Workers that are busy.", active_workers},
};

static void add_reconcile_results(struct ak_metrics *m, struct ak_controller *const *list, size_t n)
{
    static const char name[] = "controller_runtime_reconcile_total";

    ak_metrics_family(m, name, "counter", "Reconciles, by result.");
    for (size_t i = 0; i < n; i++) {
        const char *label = ak_controller_name(list[i]);
        struct ak_controller_stats st;
        ak_controller_stats(list[i], &st);
        ak_metrics_sample(m, name, all_errors(&st), "controller", label, "result", "error", NULL);
        ak_metrics_sample(m, name, (double)st.behind, "controller", label, "result", "requeue",
                          NULL);
        ak_metrics_sample(m, name, (double)st.requeue_after, "controller", label, "result",
                          "requeue_after", NULL);
        ak_metrics_sample(m, name, (double)st.success, "controller", label, "result", "success",
                          NULL);
    }
}

static void add_reconcile_times(struct ak_metrics *m, struct ak_controller *const *list, size_t n)
{
    static const char name[] = "controller_runtime_reconcile_time_seconds";

    ak_metrics_family(m, name, "histogram", "Seconds that a reconcile takes.");
    for (size_t i = 0; i < n; i++) {
        struct ak_controller_stats st;
        ak_controller_stats(list[i], &st);
        ak_metrics_histogram(m, name, ak_reconcile_bounds, st.time_buckets, AK_RECONCILE_BUCKETS,
                             st.time_sum, "controller", ak_controller_name(list[i]), NULL);
    }
}

void ak_metrics_controllers(struct ak_metrics *m, struct ak_controller *const *list, size_t n)
{
    add_reconcile_results(m, list, n);
    for (size_t f = 0; f < AK_ARRAY_LEN(controller_families); f++) {
        const struct controller_family *family = &controller_families[f];
        ak_metrics_family(m, family->name, family->type, family->help);
        for (size_t i = 0; i < n; i++) {
            struct ak_controller_stats st;
            ak_controller_stats(list[i], &st);
            ak_metrics_sample(m, family->name, family->value(&st), "controller",
                              ak_controller_name(list[i]), NULL);
        }
    }
    add_reconcile_times(m, list, n);
    add_queues(m, list, n);
}
