/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A secret in a file that somebody else renews: the agent's key, the pod's token. The kubelet replaces
 * such a file by switching a symbolic link, so a change is seen in what stat() says, and the file is
 * read again then. What was read before is wiped.
 *
 *     r = ak_credential_file_read(&key, &secret, &err);
 *     if (r < 0) ... missing, empty, too large, or not one line of visible characters
 *
 * Thread: one.
 */
#ifndef AK_DOOR_CREDENTIAL_H
#define AK_DOOR_CREDENTIAL_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/secret.h>
#include <sys/types.h>
#include <time.h>

#define AK_CREDENTIAL_MAX (32u << 10) /* bytes of a file; it has to fit into a header line */

struct ak_credential_file {
    const char *path; /* borrowed; "": there is none */
    struct ak_secret *secret;
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec mtime, ctime;
};

void ak_credential_file_init(struct ak_credential_file *self, const char *path);
void ak_credential_file_done(struct ak_credential_file *self);
AK_DEFINE_AUTO(ak_credential_file, ak_credential_file_done)
/*
 * The text of the file without blanks around it; borrowed until the next call. *ret is NULL (and the
 * result 0) when the path is "". No text of an error quotes the file. Errors: -ENOENT and other errno
 * values of reading it, -EINVAL (empty, or not visible ASCII), AK_E_TOO_LARGE.
 */
AK_MUST_USE int ak_credential_file_read(struct ak_credential_file *self,
                                        const struct ak_secret **ret, struct ak_error **reterr);

#endif
