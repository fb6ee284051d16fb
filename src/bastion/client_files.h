/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of a program, which may hold its credential, and their end. Who has written one holds a lock on it as
 * long as the program lives and removes it then; a process that is killed loses its locks and leaves its
 * files, and those are found by that. So a file goes with its program, with its session, with who runs the
 * next program, or with the container's /tmp.
 */
#ifndef AK_BASTION_CLIENT_FILES_H
#define AK_BASTION_CLIENT_FILES_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <stddef.h>

#include "bastion/engine.h"

#define AK_CLIENT_FILES_DIR "/tmp"
#define AK_CLIENT_FILES_PREFIX "agentkube-s-" /* what files of sessions begin with */

/* Makes the file, which must not be there: the descriptor that holds its lock. On failure there is no file. */
AK_MUST_USE int ak_client_file_write(const struct ak_client_file *file, struct ak_error **reterr);
/* Removes it, and gives the descriptor back. Another one of the same name stays. */
void ak_client_file_remove(const char *path, int fd);
/* Removes what processes of this user have left in the folder; how many. Thread: any. */
size_t ak_client_files_sweep(const char *dir);

#endif
