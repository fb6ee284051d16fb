/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names to addresses by libevent's resolver, on a loop that lives as long as one question: the C library's
 * would want shared libraries at run time, which a static program does not find in somebody else's image.
 */
#include "bastion/wire_internal.h"

#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <string.h>

struct question {
    struct event_base *base;
    struct evutil_addrinfo *found;
    int result;
    bool is_done;
    bool is_cancelled;
};

static void on_answer(int result, struct evutil_addrinfo *found, void *user)
{
    struct question *q = user;

    q->result = result;
    q->found = found;
    q->is_done = true;
    (void)event_base_loopbreak(q->base);
}

static void on_cancel(evutil_socket_t fd, short what, void *user)
{
    struct question *q = user;

    (void)fd;
    (void)what;
    q->is_cancelled = true;
    (void)event_base_loopbreak(q->base);
}

static void set_port(struct ak__wire_address *a, uint16_t port)
{
    if (a->any.sa_family == AF_INET6)
        ((struct sockaddr_in6 *)&a->storage)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)&a->storage)->sin_port = htons(port);
}

/* Version 6 first, then in turns, so that a family that does not work costs a quarter of a second only. */
static int in_turns(const struct evutil_addrinfo *found, uint16_t port,
                    struct ak__wire_address ret[static AK_WIRE_MAX_ADDRESSES])
{
    const struct evutil_addrinfo *next[2] = {found, found};
    const int family[2] = {AF_INET6, AF_INET};
    int n = 0;

    while (n < AK_WIRE_MAX_ADDRESSES && (next[0] || next[1])) {
        for (int f = 0; f < 2 && n < AK_WIRE_MAX_ADDRESSES; f++) {
            while (next[f] && next[f]->ai_family != family[f])
                next[f] = next[f]->ai_next;
            if (!next[f] || next[f]->ai_addrlen > sizeof(ret[n].storage))
                continue;
            ret[n] = (struct ak__wire_address){.len = next[f]->ai_addrlen};
            memcpy(&ret[n].storage, next[f]->ai_addr, next[f]->ai_addrlen);
            set_port(&ret[n++], port);
            next[f] = next[f]->ai_next;
        }
    }
    return n;
}

static int outcome(const struct question *q, const struct ak_wire_options *o,
                   struct ak__wire_address ret[static AK_WIRE_MAX_ADDRESSES],
                   struct ak_error **reterr)
{
    int n;

    if (q->is_cancelled)
        return ak_error_set(reterr, AK_E_CANCELLED, "resolve \"%s\": cancelled", o->host);
    if (!q->is_done)
        return ak_error_set(reterr, -ETIMEDOUT, "resolve \"%s\": no answer in time", o->host);
    if (q->result == EVUTIL_EAI_MEMORY)
        return ak_error_oom(reterr);
    n = q->result == 0 ? in_turns(q->found, o->port, ret) : 0;
    if (n > 0)
        return n;
    return ak_error_set(reterr, AK_E_NOT_FOUND, "resolve \"%s\": %s", o->host,
                        q->result == 0 || q->result == EVUTIL_EAI_NONAME ||
                                q->result == EVUTIL_EAI_NODATA
                            ? "no such host"
                            : evutil_gai_strerror(q->result));
}

static void ask(struct question *q, struct evdns_base *dns, const struct ak_wire_options *o,
                ak_msec deadline)
{
    const struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    const int left = ak__wire_remaining(deadline);
    const struct timeval timeout = {.tv_sec = left / 1000, .tv_usec = left % 1000 * 1000};
    struct evdns_getaddrinfo_request *request;

    (void)event_base_loopexit(q->base, &timeout);
    request = evdns_getaddrinfo(dns, o->host, NULL, &hints, on_answer, q);
    if (!q->is_done)
        (void)event_base_dispatch(q->base);
    if (!q->is_done && request) {
        /* The answer comes as "cancelled" when the loop runs once more. */
        const bool was_cancelled = q->is_cancelled;

        evdns_getaddrinfo_cancel(request);
        (void)event_base_loop(q->base, EVLOOP_NONBLOCK);
        q->is_done = false;
        q->is_cancelled = was_cancelled;
    }
}

static int by_name(const struct ak_wire_options *o, ak_msec deadline,
                   struct ak__wire_address ret[static AK_WIRE_MAX_ADDRESSES],
                   struct ak_error **reterr)
{
    struct event_base *base = event_base_new();
    struct evdns_base *dns = base ? evdns_base_new(base, 0) : NULL;
    struct event *cancel = NULL;
    struct question q = {.base = base};
    int r;

    if (!dns) {
        if (base)
            event_base_free(base);
        return ak_error_oom(reterr);
    }
    /* A file that is missing or says nothing leaves the hosts file and the server on loopback, as in resolv.conf(5). */
    (void)evdns_base_resolv_conf_parse(dns, DNS_OPTIONS_ALL,
                                       o->resolv_conf ? o->resolv_conf : "/etc/resolv.conf");
    /* Some servers do not repeat the question's letter case, which libevent then takes for a forgery. */
    (void)evdns_base_set_option(dns, "randomize-case", "0");
    if (o->cancel) {
        cancel = event_new(base, o->cancel->fd, EV_READ, on_cancel, &q);
        if (cancel)
            (void)event_add(cancel, NULL);
    }
    ask(&q, dns, o, deadline);
    r = outcome(&q, o, ret, reterr);
    if (q.found)
        evutil_freeaddrinfo(q.found);
    if (cancel)
        event_free(cancel);
    evdns_base_free(dns, 0);
    event_base_free(base);
    return r;
}

int ak__wire_resolve(const struct ak_wire_options *options, ak_msec deadline,
                     struct ak__wire_address ret[static AK_WIRE_MAX_ADDRESSES],
                     struct ak_error **reterr)
{
    struct ak__wire_address a = {.len = sizeof(struct sockaddr_un)};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&a.storage;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a.storage;

    if (options->host[0] == '/') {
        if (strlen(options->host) >= sizeof(a.path.sun_path))
            return ak_error_set(reterr, -ENAMETOOLONG, "the path of a socket is too long");
        a.path.sun_family = AF_UNIX;
        memcpy(a.path.sun_path, options->host, strlen(options->host) + 1);
    } else if (inet_pton(AF_INET, options->host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(options->port);
        a.len = sizeof(*v4);
    } else if (inet_pton(AF_INET6, options->host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(options->port);
        a.len = sizeof(*v6);
    } else {
        return by_name(options, deadline, ret, reterr);
    }
    ret[0] = a;
    return 1;
}
