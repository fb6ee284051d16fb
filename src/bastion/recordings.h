/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an interactive terminal showed, as an asciicast file (version 2), until the manager has taken it. What
 * is typed is not in it, what the program shows of it is. Thread: loop.
 */
#ifndef AK_BASTION_RECORDINGS_H
#define AK_BASTION_RECORDINGS_H

#include "bastion/bastion.h"

#define AK_RECORDINGS_MAX (32u << 20) /* bytes of all; the oldest finished one makes room */

/* NULL: there is no room or memory for it; the other functions take NULL. */
struct ak_recording *ak_recording_new(struct ak_bastion *bastion, const struct ak_session *session,
                                      unsigned columns, unsigned rows);
void ak_recording_output(struct ak_recording *self, const char *data, size_t len);
void ak_recording_resize(struct ak_recording *self, unsigned columns, unsigned rows);
void ak_recording_finish(struct ak_recording *self); /* it may be taken */
/* Meta data of the nth finished one; 0: there is no such. */
AK_MUST_USE int ak_recordings_meta(struct ak_bastion *self, size_t n, struct ak_buf *out);
size_t ak_recordings_left(const struct ak_bastion *self); /* finished, not taken */
void ak_recordings_done(struct ak_bastion *self);

void ak_watch_recording(struct ak_bastion *self, const char *meta); /* watch.c */

#endif
