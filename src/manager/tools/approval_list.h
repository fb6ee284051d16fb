/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status.approvals of a Tool: what waits for a person, newest first. Pure; times are wall clock.
 *
 *     Pending ──▶ Approved ──▶ Used
 *        └──────▶ Denied
 *
 * Pending and Approved become Expired at expiresTime; Denied holds until then.
 */
#ifndef AK_MANAGER_TOOLS_APPROVAL_LIST_H
#define AK_MANAGER_TOOLS_APPROVAL_LIST_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/time.h>
#include <ak/json/json.h>

#include "manager/tools/tools.h"

#define AK_APPROVAL_ID_SIZE 16
#define AK_APPROVAL_MAX_REASON 512 /* bytes of what somebody answers */

/* Marks what is over. 1: something changed. Negative: no memory. */
AK_MUST_USE int ak_approvals_expire(json_t *list, ak_msec now);
/* The newest that decides about this hash: Pending, Approved or Denied, and not over. NULL: none. Borrowed. */
json_t *ak_approvals_find(json_t *list, const char *hash, ak_msec now);
json_t *ak_approvals_by_id(json_t *list, const char *id);
/* Puts `item` (taken) first, and lets the oldest that are over go. -ENOBUFS: AK_TOOLS_MAX_APPROVALS wait. */
AK_MUST_USE int ak_approvals_add(json_t *list, json_t *item, ak_msec now);
/* A Pending one gets its answer; an approved one may be used until now + timeout. AK_E_CONFLICT: it is not Pending. */
AK_MUST_USE int ak_approval_decide(json_t *item, bool approve, const char *by, const char *reason,
                                   ak_msec now, ak_msec timeout, struct ak_error **reterr);
/* What a person sees of an operation: its statement, or its arguments, cut; with literals behind words like PASSWORD
 * left out. */
AK_MUST_USE int ak_approval_preview(const json_t *arguments, struct ak_buf *out,
                                    struct ak_error **reterr);
/* SHA-256 in hexadecimal of who wants what: the same call again, and nothing else, has the same. */
AK_MUST_USE int ak_approval_hash(const char *tool_uid, const struct ak_tools_call *call,
                                 bool read_only, char ret[static 65], struct ak_error **reterr);

#endif
