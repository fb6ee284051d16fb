/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's Tools as tools of the MCP endpoint: asked for at the manager, carried there with the pod's own token. The
 * manager says which there are and decides about every call; no credential of a system is ever here.
 *
 * The list is asked for every AK_TOOLBOX_PERIOD and when a client asks for it; when the manager is away the last one
 * stays, and calls are answered with words for the model. Calls are sent once, never again. Thread: loop.
 */
#ifndef AK_KEEPER_TOOLBOX_H
#define AK_KEEPER_TOOLBOX_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/time.h>

#include "keeper/mcp/tools.h"
#include "keeper/settings.h"

#define AK_TOOLBOX_PERIOD AK_SECONDS(30)
#define AK_TOOLBOX_RETRY AK_SECONDS(2)     /* while there was no list at all yet */
#define AK_TOOLBOX_FRESH AK_SECONDS(1)     /* a list of this age is good for whoever asks */
#define AK_TOOLBOX_LIST_TIME AK_SECONDS(5) /* that a list may take; then the last one has to do */
#define AK_TOOLBOX_CALL_TIME                                                                       \
    AK_MINUTES(65) /* of silence: a Tool's longest operation, and its bastion's start */
#define AK_TOOLBOX_MAX_LIST (1u << 20)   /* bytes of a list */
#define AK_TOOLBOX_MAX_ANSWER (9u << 20) /* bytes of an answer */
#define AK_TOOLBOX_MAX_WAITING 128       /* who waits for one list */

struct ak_toolbox;
struct ak_toolbox *ak_toolbox_free(struct ak_toolbox *self);
/* Borrows the settings. settings->manager_url must not be "". */
AK_MUST_USE int ak_toolbox_new(const struct ak_keeper_settings *settings, struct ak_toolbox **ret,
                               struct ak_error **reterr);
AK_DEFINE_AUTO_PTR(ak_toolbox, ak_toolbox_free)
/* Borrowed; good for as long as the toolbox. */
const struct ak_mcp_tools *ak_toolbox_tools(const struct ak_toolbox *self);

#endif
