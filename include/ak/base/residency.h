/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of the program's own files is counted as resident.
 */
#ifndef AK_BASE_RESIDENCY_H
#define AK_BASE_RESIDENCY_H

#include <ak/base/compiler.h>

/*
 * Unmaps the pages of code and constants that were read so far (the program's and its libraries').
 * Whatever is used again comes back from the page cache, page by page, so that what only the start
 * needed (OpenSSL's tables alone are 4 MB) stops counting against the container's memory. Call it
 * when a burst of work is over. Breakpoints that a debugger set before are lost with the pages.
 * Thread: any, while others run.
 */
AK_PUBLIC void ak_residency_drop_code(void);

#endif
