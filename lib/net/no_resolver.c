/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For static programs (linked with --wrap, see meson.build): libevent refers to the C library's resolver, which none of
 * its functions that we call uses, which in a static program would want shared libraries at run time, and which is
 * half a megabyte. These stand in its place and find nothing.
 */
#include <netdb.h>
#include <stddef.h>

int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret);
void __wrap_freeaddrinfo(struct addrinfo *list);
struct protoent *__wrap_getprotobynumber(int protocol);
struct servent *__wrap_getservbyname(const char *name, const char *protocol);

int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret)
{
    (void)node;
    (void)service;
    (void)hints;
    *ret = NULL;
    return EAI_FAIL;
}

void __wrap_freeaddrinfo(struct addrinfo *list)
{
    (void)list;
}

struct protoent *__wrap_getprotobynumber(int protocol)
{
    (void)protocol;
    return NULL;
}

struct servent *__wrap_getservbyname(const char *name, const char *protocol)
{
    (void)name;
    (void)protocol;
    return NULL;
}
