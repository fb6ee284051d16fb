/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/runs/leftovers.h"

#include <ak/base/alloc.h>
#include <ak/base/compiler.h>
#include <ak/base/text.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_PROCESSES 32768 /* the kernel's own limit on most machines */
#define ENVIRONMENT_BLOCK 16384

struct process {
    pid_t pid;
    pid_t parent;
    pid_t session;
    bool is_dead;
    bool is_ours; /* belongs to the run */
};

struct table {
    struct process *items;
    size_t n;
    size_t cap;
};

/* The next number after blanks; -1 if there is none. */
static int64_t next_number(char **text)
{
    char *start = *text + strspn(*text, " ");
    size_t len = strcspn(start, " \n");
    uint64_t value = 0;

    *text = start + len + (start[len] != '\0');
    start[len] = '\0';
    return ak_parse_u64(start, &value) < 0 || value > INT32_MAX ? -1 : (int64_t)value;
}

/* "pid (any name) S ppid pgrp session ..." */
static bool parse_stat(char *text, struct process *ret)
{
    char *end = strrchr(text, ')');
    int64_t parent = -1, session = -1;

    if (!end || end[1] != ' ' || !end[2])
        return false;
    ret->is_dead = end[2] == 'Z' || end[2] == 'X';
    text = end + 3;
    parent = next_number(&text);
    (void)next_number(&text); /* the group */
    session = next_number(&text);
    if (parent < 0 || session < 0)
        return false;
    ret->parent = (pid_t)parent;
    ret->session = (pid_t)session;
    return true;
}

static bool read_stat(pid_t pid, struct process *ret)
{
    char path[32];
    char text[512];
    ssize_t n = 0;
    int fd = -1;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    n = read(fd, text, sizeof(text) - 1);
    (void)close(fd);
    if (n <= 0)
        return false;
    text[n] = '\0';
    *ret = (struct process){.pid = pid};
    return parse_stat(text, ret);
}

static bool add_process(struct table *table, const struct process *process)
{
    if (table->n == table->cap) {
        size_t cap = table->cap ? table->cap * 2 : 64;
        struct process *grown = NULL;

        if (cap > MAX_PROCESSES)
            return false;
        grown = ak_reallocarray(table->items, cap, sizeof(*grown));
        if (!grown)
            return false;
        table->items = grown;
        table->cap = cap;
    }
    table->items[table->n++] = *process;
    return true;
}

static void list_processes(struct table *ret)
{
    DIR *dir = opendir("/proc");
    const struct dirent *entry = NULL;

    *ret = (struct table){0};
    while (dir && (entry = readdir(dir))) {
        struct process process;
        uint64_t pid = 0;

        if (ak_parse_u64(entry->d_name, &pid) < 0 || pid > INT32_MAX)
            continue;
        if (read_stat((pid_t)pid, &process) && !add_process(ret, &process))
            break;
    }
    if (dir)
        (void)closedir(dir);
}

/* Does one of the NUL-separated texts of the file equal `mark`? In blocks: an environment may be large. */
static bool has_mark(pid_t pid, const char *mark)
{
    char path[32];
    char block[ENVIRONMENT_BLOCK];
    size_t len = strlen(mark), matched = 0;
    bool at_start = true, found = false;
    ssize_t n = 0;
    int fd = -1;

    (void)snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    while (!found && (n = read(fd, block, sizeof(block))) > 0)
        for (ssize_t i = 0; i < n && !found; i++) {
            if (block[i] == '\0') {
                found = at_start && matched == len;
                at_start = true;
                matched = 0;
            } else {
                at_start = at_start && matched < len && block[i] == mark[matched];
                matched++;
            }
        }
    (void)close(fd);
    return found;
}

static bool is_child_of_ours(const struct table *table, const struct process *process)
{
    for (size_t i = 0; i < table->n; i++)
        if (table->items[i].pid == process->parent)
            return table->items[i].is_ours;
    return false;
}

static bool is_in(pid_t session, const pid_t *sessions, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (sessions[i] == session)
            return true;
    return false;
}

static void mark_ours(struct table *table, const char *id, const pid_t *sessions, size_t n_sessions)
{
    char mark[128];
    bool changed = true;

    (void)snprintf(mark, sizeof(mark), AK_RUN_MARK "=%s", id);
    for (size_t i = 0; i < table->n; i++) {
        struct process *p = &table->items[i];

        p->is_ours = p->pid != getpid() && !p->is_dead &&
                     (is_in(p->session, sessions, n_sessions) || has_mark(p->pid, mark));
    }
    while (changed) {
        changed = false;
        for (size_t i = 0; i < table->n; i++) {
            struct process *p = &table->items[i];

            if (p->is_ours || p->is_dead || p->pid == getpid() || !is_child_of_ours(table, p))
                continue;
            p->is_ours = true;
            changed = true;
        }
    }
}

size_t ak_leftovers_signal(const char *id, const pid_t *sessions, size_t n_sessions, int signal)
{
    struct table table;
    size_t n = 0;

    list_processes(&table);
    mark_ours(&table, id, sessions, n_sessions);
    for (size_t i = 0; i < table.n; i++) {
        if (!table.items[i].is_ours)
            continue;
        n++;
        if (signal > 0)
            (void)kill(table.items[i].pid, signal);
        if (signal == SIGTERM)
            (void)kill(table.items[i].pid, SIGCONT); /* who is stopped cannot end */
    }
    ak_free(table.items);
    return n;
}

bool ak_leftovers_has_children(void)
{
    siginfo_t info;

    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

size_t ak_leftovers_sessions(void)
{
    struct table table;
    size_t n = 0;

    if (getpid() != 1)
        return 0;
    list_processes(&table);
    for (size_t i = 0; i < table.n; i++)
        n += table.items[i].parent == 0 && table.items[i].pid != 1 && !table.items[i].is_dead;
    ak_free(table.items);
    return n;
}
