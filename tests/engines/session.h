/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AK_TESTS_ENGINES_SESSION_H
#define AK_TESTS_ENGINES_SESSION_H

#include "bastion/session.h"

/* A statement that has `refuse` in it is refused; NULL: none is. */
struct ak_session *driver_session_new(enum ak_session_kind kind, bool read_only,
                                      const char *refuse);
void driver_session_free(struct ak_session *self);
void driver_session_end(struct ak_session *self, const char *reason);
void driver_session_set_listening(struct ak_session *self, void *listening);

#endif
