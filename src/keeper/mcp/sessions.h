/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sessions of MCP's older revisions. A session is a name and a protocol version, nothing else, so a
 * keeper that was restarted takes up a session of its predecessor in the same pod: the name says the
 * version and carries a checksum over the pod. Clients that cannot begin anew in the middle of a run
 * need that.
 *
 * At most AK_MCP_MAX_SESSIONS; the one that was used longest ago makes room. Thread: one.
 */
#ifndef AK_KEEPER_MCP_SESSIONS_H
#define AK_KEEPER_MCP_SESSIONS_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AK_MCP_MAX_SESSIONS 64
#define AK_MCP_MAX_ENDED 64
#define AK_MCP_SESSION_ID                                                                          \
    43 /* bytes of a name with its NUL: version, 32 random and 8 check digits */

struct ak_mcp_session {
    char id[AK_MCP_SESSION_ID]; /* "": free */
    const char *version;
    uint64_t used; /* grows with each use */
};

struct ak_mcp_sessions {
    const char *pod_uid; /* borrowed */
    struct ak_mcp_session list[AK_MCP_MAX_SESSIONS];
    char ended[AK_MCP_MAX_ENDED][AK_MCP_SESSION_ID]; /* by DELETE; a ring */
    size_t next_ended;
    uint64_t uses;
};

void ak_mcp_sessions_init(struct ak_mcp_sessions *self, const char *pod_uid);
/* The version that a client's wish leads to: its own if we speak it, else our newest with sessions. */
const char *ak_mcp_version_for(const char *wish);
/* Is it one of those with sessions? Returns our text of it, or NULL. */
const char *ak_mcp_version_find(const char *version);
/* A new one. NULL: no randomness to be had. Borrowed until the next call. */
struct ak_mcp_session *ak_mcp_sessions_begin(struct ak_mcp_sessions *self, const char *version);
/* The session of that name, one of a predecessor included; NULL: there is none. Borrowed as above. */
struct ak_mcp_session *ak_mcp_sessions_find(struct ak_mcp_sessions *self, const char *id);
void ak_mcp_sessions_end(struct ak_mcp_sessions *self, struct ak_mcp_session *session);
size_t ak_mcp_sessions_count(const struct ak_mcp_sessions *self);

#endif
