/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench-webhook: the admission webhook as it is in the manager, on one processor, asked by a client on another
 * over TLS with kept-alive connections. Two runs: as fast as it goes, and at a fixed rate, where the time of an answer
 * counts from when its request was due.
 *
 *     bench-webhook [--seconds 5] [--connections 16] [--rate 1000] [--json FILE] REVIEW.json
 */
#include <arpa/inet.h>
#include <math.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "manager/admission/admission.h"

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/base/thread.h>
#include <ak/net/loop.h>

#define MAX_CONNECTIONS 256
#define MAX_SAMPLES 4000000 /* of all connections */
#define MAX_BUNDLE 4096

static _Noreturn void die(const char *what)
{
    (void)fprintf(stderr, "bench-webhook: %s\n", what);
    ERR_print_errors_fp(stderr);
    _exit(1);
}

static double now_s(clockid_t clock)
{
    struct timespec t;

    if (clock_gettime(clock, &t) < 0)
        die("clock_gettime");
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)(cpu % (int)sysconf(_SC_NPROCESSORS_ONLN)), &set);
    (void)sched_setaffinity(0, sizeof(set), &set);
}

/* ---- the server, a process of its own ---- */

struct hello { /* what the client needs to know */
    uint16_t port;
    char bundle[MAX_BUNDLE];
};

static void run_loop(void *user)
{
    if (ak_loop_run(user, NULL) < 0)
        die("loop");
}

static _Noreturn void serve(int to_client)
{
    static const char *const names[] = {"127.0.0.1", NULL};
    static const struct ak_certs_options certs_options = {.names = names};
    static const struct ak_options options = {.zoneinfo_dir = "/usr/share/zoneinfo"};
    struct ak_admission admission = {.options = &options, .clock = ak_clock_system()};
    const struct ak_webhook_options webhook_options = {
        .bind_address = "127.0.0.1",
        .handlers = ak_admission_handlers,
        .n_handlers = AK_ARRAY_LEN(ak_admission_handlers),
        .user = &admission,
    };
    struct ak_thread thread = {0};
    struct ak_loop *loop = NULL;
    struct ak_webhook *webhook = NULL;
    struct ak_certs *certs = NULL;
    struct hello hello = {0};

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGPIPE, SIG_IGN);
    pin(0);
    ak_json_setup();
    if (ak_loop_new(&loop, NULL) < 0 || ak_thread_start(&thread, "loop", run_loop, loop) < 0 ||
        ak_webhook_new(loop, &webhook_options, &webhook, NULL) < 0 ||
        ak_certs_issue(&certs_options, NULL, ak_clock_system(), &certs, NULL) < 0 ||
        ak_webhook_use_certs(webhook, certs, NULL) < 0)
        die("cannot serve");
    hello.port = ak_webhook_port(webhook);
    (void)snprintf(hello.bundle, sizeof(hello.bundle), "%s", ak_certs_bundle(certs));
    if (write(to_client, &hello, sizeof(hello)) != (ssize_t)sizeof(hello))
        die("pipe");
    for (;;)
        (void)pause();
}

/* ---- the client ---- */

struct run {
    const struct hello *hello;
    SSL_CTX *tls;
    const char *request;
    size_t request_len;
    double begin, end;  /* monotonic seconds */
    double interval;    /* between two requests of one connection; 0: at once */
    float *samples;     /* seconds */
    atomic_size_t done; /* relaxed: hands out places in samples */
};
struct worker {
    struct run *run;
    struct ak_thread thread;
    double first; /* when its first request is due */
};

static SSL *connect_to(const struct run *run)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(run->hello->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    SSL *ssl = SSL_new(run->tls);

    if (fd < 0 || !ssl || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        die("connect");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (SSL_set_fd(ssl, fd) != 1 || SSL_connect(ssl) != 1)
        die("TLS");
    return ssl;
}

static void must_read(SSL *ssl, char *buf, size_t size, size_t *len)
{
    int n = *len < size ? SSL_read(ssl, buf + *len, (int)(size - *len)) : 0;

    if (n <= 0)
        die("no answer");
    *len += (size_t)n;
    buf[*len] = '\0';
}

/* One request and its whole answer, which must allow. */
static void ask(const struct run *run, SSL *ssl)
{
    char answer[16384];
    size_t len = 0;
    uint64_t body = 0;
    const char *end;

    if (SSL_write(ssl, run->request, (int)run->request_len) != (int)run->request_len)
        die("write");
    answer[0] = '\0';
    while (!(end = strstr(answer, "\r\n\r\n")))
        must_read(ssl, answer, sizeof(answer) - 1, &len);
    const char *length = strcasestr(answer, "Content-Length: ");
    for (length = length ? length + strlen("Content-Length: ") : "";
         *length >= '0' && *length <= '9'; length++)
        body = body * 10 + (uint64_t)(*length - '0');
    while (len < (size_t)(end + 4 - answer) + body)
        must_read(ssl, answer, sizeof(answer) - 1, &len);
    if (!strstr(end, "\"allowed\":true"))
        die(answer);
}

static void sleep_until(double when)
{
    double whole = floor(when);
    struct timespec t = {.tv_sec = (time_t)whole, .tv_nsec = (long)((when - whole) * 1e9)};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) != 0)
        continue;
}

static void work(void *user)
{
    struct worker *self = user;
    struct run *run = self->run;
    double due = self->first;

    pin(1);
    SSL *ssl = connect_to(run);
    for (int i = 0; i < 20; i++)
        ask(run, ssl); /* warm */
    for (;; due += run->interval) {
        if (run->interval > 0)
            sleep_until(due);
        double now = now_s(CLOCK_MONOTONIC);
        if ((run->interval > 0 ? due : now) >= run->end)
            break;
        ask(run, ssl);
        if (now < run->begin)
            continue;
        size_t place = atomic_fetch_add_explicit(&run->done, 1, memory_order_relaxed);
        if (place < MAX_SAMPLES)
            run->samples[place] = (float)(now_s(CLOCK_MONOTONIC) - (run->interval > 0 ? due : now));
    }
    (void)SSL_shutdown(ssl);
    (void)close(SSL_get_fd(ssl));
    SSL_free(ssl);
}

struct figures {
    double per_second, per_cpu_second, p50_ms, p99_ms, max_ms;
    size_t n;
};

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

static void measure(struct run *run, int connections, double seconds, clockid_t server,
                    struct figures *ret)
{
    struct worker workers[MAX_CONNECTIONS] = {0};
    double start = now_s(CLOCK_MONOTONIC) + 0.5;

    run->begin = start + 0.5;
    run->end = run->begin + seconds;
    atomic_store(&run->done, 0);
    for (int i = 0; i < connections; i++) {
        workers[i] = (struct worker){.run = run, .first = start + run->interval * i / connections};
        if (ak_thread_start(&workers[i].thread, "client", work, &workers[i]) < 0)
            die("thread");
    }
    sleep_until(run->begin);
    double cpu = now_s(server);
    sleep_until(run->end);
    cpu = now_s(server) - cpu;
    for (int i = 0; i < connections; i++)
        ak_thread_join(&workers[i].thread);
    size_t n = AK_MIN(atomic_load(&run->done), (size_t)MAX_SAMPLES);
    if (!n)
        die("nothing was answered");
    qsort(run->samples, n, sizeof(*run->samples), by_size);
    *ret = (struct figures){
        .n = n,
        .per_second = (double)n / seconds,
        .per_cpu_second = (double)n / cpu,
        .p50_ms = (double)run->samples[n / 2] * 1e3,
        .p99_ms = (double)run->samples[n - 1 - n / 100] * 1e3,
        .max_ms = (double)run->samples[n - 1] * 1e3,
    };
}

/* ---- the table ---- */

static void print_row(const char *name, const struct figures *f)
{
    (void)printf("%-24s %10.0f %14.0f %9.3f %9.3f %9.3f\n", name, f->per_second, f->per_cpu_second,
                 f->p50_ms, f->p99_ms, f->max_ms);
}

static void add_json(FILE *file, const char *name, const struct figures *f)
{
    (void)fprintf(file,
                  "\"%s\": {\"reviews\": %zu, \"perSecond\": %.0f, \"perCpuSecond\": %.0f, "
                  "\"p50ms\": %.4f, \"p99ms\": %.4f, \"maxms\": %.4f}",
                  name, f->n, f->per_second, f->per_cpu_second, f->p50_ms, f->p99_ms, f->max_ms);
}

static void write_json(const char *path, size_t bytes, int connections, const struct figures *full,
                       const struct figures *rated)
{
    FILE *file = fopen(path, "we");

    if (!file)
        die(path);
    (void)fprintf(file, "{\"reviewBytes\": %zu, \"connections\": %d, ", bytes, connections);
    add_json(file, "full", full);
    (void)fputs(", ", file);
    add_json(file, "rated", rated);
    (void)fputs("}\n", file);
    if (fclose(file) != 0)
        die(path);
}

/* A context that trusts the server's authority and nothing else. */
static SSL_CTX *client_tls(const char *bundle)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    BIO *bio = BIO_new_mem_buf(bundle, -1);
    X509 *ca = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

    if (!ctx || !ca || X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), ca) != 1)
        die("authority");
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    X509_free(ca);
    BIO_free(bio);
    return ctx;
}

struct arguments {
    uint64_t seconds, connections, rate;
    const char *json, *review;
};

static bool parse_arguments(struct arguments *self, int argc, char **argv)
{
    const struct {
        const char *name;
        uint64_t *number;
        const char **text;
    } flags[] = {{"--seconds", &self->seconds, NULL},
                 {"--connections", &self->connections, NULL},
                 {"--rate", &self->rate, NULL},
                 {"--json", NULL, &self->json}};

    for (int i = 1; i < argc; i++) {
        size_t f = 0;
        while (f < AK_ARRAY_LEN(flags) && !ak_streq(argv[i], flags[f].name))
            f++;
        if (f == AK_ARRAY_LEN(flags))
            self->review = argv[i];
        else if (++i == argc || (flags[f].number && ak_parse_u64(argv[i], flags[f].number) < 0))
            return false;
        else if (flags[f].text)
            *flags[f].text = argv[i];
    }
    return self->review && self->seconds && self->rate && self->connections &&
           self->connections <= MAX_CONNECTIONS;
}

static void run_all(const struct arguments *a, const struct hello *hello, clockid_t server)
{
    AK_AUTO(ak_buf) review = AK_BUF_INIT(4u << 20);
    AK_AUTO(ak_buf) request = AK_BUF_INIT(8u << 20);
    struct figures full, rated;

    if (ak_buf_add_file(&review, a->review) < 0 ||
        ak_buf_addf(&request,
                    "POST " AK_ADMISSION_PATH_VALIDATE "?timeout=10s HTTP/1.1\r\nHost: "
                    "127.0.0.1\r\nUser-Agent: bench\r\nContent-Type: application/json\r\n"
                    "Content-Length: %zu\r\n\r\n",
                    review.len) < 0 ||
        ak_buf_add(&request, review.data, review.len) < 0)
        die(a->review);
    struct run run = {.hello = hello,
                      .tls = client_tls(hello->bundle),
                      .request = request.data,
                      .request_len = request.len,
                      .samples = ak_calloc(MAX_SAMPLES, sizeof(float))};
    if (!run.samples)
        die("memory");
    measure(&run, (int)a->connections, (double)a->seconds, server, &full);
    run.interval = 8.0 / (double)a->rate;
    measure(&run, 8, (double)a->seconds, server, &rated);
    (void)printf("%-24s %10s %14s %9s %9s %9s\n", "admission review", "reviews/s", "per cpu second",
                 "p50 ms", "p99 ms", "max ms");
    print_row("as fast as it goes", &full);
    print_row("at a fixed rate", &rated);
    if (a->json)
        write_json(a->json, review.len, (int)a->connections, &full, &rated);
    ak_free(run.samples);
    SSL_CTX_free(run.tls);
}

int main(int argc, char **argv)
{
    struct arguments a = {.seconds = 5, .connections = 16, .rate = 1000};
    struct hello hello;
    int ends[2];
    clockid_t server;

    if (!parse_arguments(&a, argc, argv)) {
        (void)fputs("usage: bench-webhook [--seconds N] [--connections N] [--rate N] [--json FILE] "
                    "REVIEW.json\n",
                    stderr);
        return 2;
    }
    if (pipe(ends) < 0)
        die("pipe");
    pid_t child = fork();
    if (child == 0)
        serve(ends[1]);
    if (child < 0 || read(ends[0], &hello, sizeof(hello)) != (ssize_t)sizeof(hello) ||
        clock_getcpuclockid(child, &server) != 0)
        die("the server did not start");
    run_all(&a, &hello, server);
    (void)kill(child, SIGTERM);
    (void)waitpid(child, NULL, 0);
    return 0;
}
