/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/postgres/pg_live.h"

#include <ak/base/alloc.h>
#include <ak/base/thread.h>

#include "bastion/engines/postgres/pg_conn.h"

static struct ak_mutex lock = {PTHREAD_MUTEX_INITIALIZER}; /* guards the list */
static struct ak__pg_live *list;

void ak__pg_live_add(struct ak__pg_live *live)
{
    ak_mutex_lock(&lock);
    live->next = list;
    list = live;
    ak_mutex_unlock(&lock);
}

void ak__pg_live_remove(struct ak__pg_live *live)
{
    ak_mutex_lock(&lock);
    for (struct ak__pg_live **p = &list; *p; p = &(*p)->next) {
        if (*p == live) {
            *p = live->next;
            break;
        }
    }
    ak_mutex_unlock(&lock);
}

/* A copy: the connection may end while the request is on its way. */
static bool copy_upstream(const struct ak_wire_options *from, struct ak_wire_options *to)
{
    *to = *from;
    to->host = ak_strdup(from->host);
    to->ca_file = ak_strdup(from->ca_file);
    to->server_name = ak_strdup(from->server_name);
    to->resolv_conf = ak_strdup(from->resolv_conf);
    return to->host && (!from->ca_file || to->ca_file) && (!from->server_name || to->server_name) &&
           (!from->resolv_conf || to->resolv_conf);
}

void ak__pg_live_cancel(uint32_t pid, uint32_t key)
{
    struct ak_wire_options upstream = {0};
    bool found = false;

    ak_mutex_lock(&lock);
    for (const struct ak__pg_live *p = list; p && !found; p = p->next) {
        if (p->pid == pid && p->key == key)
            found = copy_upstream(p->upstream, &upstream);
    }
    ak_mutex_unlock(&lock);
    if (found)
        ak_pg_cancel_at(&upstream, pid, key);
    ak_free((char *)(uintptr_t)upstream.host);
    ak_free((char *)(uintptr_t)upstream.ca_file);
    ak_free((char *)(uintptr_t)upstream.server_name);
    ak_free((char *)(uintptr_t)upstream.resolv_conf);
}
