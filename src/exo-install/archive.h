/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a tar archive (POSIX ustar): plain files with the time 0, so that the same input gives the
 * same bytes. */
#ifndef AK_EXO_INSTALL_ARCHIVE_H
#define AK_EXO_INSTALL_ARCHIVE_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <stddef.h>
#include <stdint.h>

struct ak_archive {
    int fd; /* borrowed */
};

/* A file from memory. */
AK_MUST_USE int ak_archive_add(struct ak_archive *self, const char *name, const void *data,
                               size_t len, unsigned mode, struct ak_error **reterr);
/* A file from disk, of any size. */
AK_MUST_USE int ak_archive_add_file(struct ak_archive *self, const char *name, const char *path,
                                    unsigned mode, struct ak_error **reterr);
/* The end mark. */
AK_MUST_USE int ak_archive_finish(struct ak_archive *self, struct ak_error **reterr);

#endif
