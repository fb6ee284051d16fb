/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a verb ends: a reason that can stand in a condition, the exit code, and the termination
 * message that the kubelet hands to the manager. docs/agentlet.md has the table for readers.
 */
#ifndef AK_AGENTLET_VERDICT_H
#define AK_AGENTLET_VERDICT_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <stddef.h>

#define AK_VERDICT_MAX_BYTES 2048 /* the kubelet keeps 4096 of one container, 12 KiB of a pod */

enum ak_verdict {
    AK_VERDICT_CLONED,
    AK_VERDICT_KEPT,
    AK_VERDICT_STOPPED,
    AK_VERDICT_INTERNAL_ERROR,
    AK_VERDICT_INVALID_CONFIGURATION,
    AK_VERDICT_GIT_MISSING,
    AK_VERDICT_CLONE_FAILED,
    AK_VERDICT_REF_NOT_FOUND,
    AK_VERDICT_WORKSPACE_NOT_EMPTY,
    AK_VERDICT_WORKSPACE_CONFLICT,
    AK_VERDICT_CLONE_TIMEOUT,
    AK_VERDICT_SETUP_FAILED,
    AK_VERDICT_SETUP_TIMEOUT,
    AK_VERDICT_MAX
};

const char *ak_verdict_reason(enum ak_verdict verdict); /* "CloneFailed" */
int ak_verdict_exit_code(enum ak_verdict verdict);
/*
 * -EINVAL, -ERANGE and AK_E_INVALID are the configuration's fault, everything else the machine's.
 */
enum ak_verdict ak_verdict_of_error(int code);

/*
 * Logs the end, writes the termination message and returns the exit code. `text` is one line, cut
 * if it is long; `tail` (may be NULL) is output of a command, of which the last lines that fit are
 * added. Bytes that are not printable UTF-8 are replaced. A message that cannot be written is only
 * logged: there may be no such file.
 */
int ak_verdict_report(enum ak_verdict verdict, const char *path, const char *text,
                      const char *tail);

#endif
