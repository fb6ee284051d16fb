/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cuts a stream of JSON text into values as bytes arrive, without building trees: how a watch's
 * frames and the elements of a list's "items" are taken one by one, so that memory is bounded by the
 * largest single object and not by the answer.
 *
 * Mode FRAMES: top-level values one after another (a watch: {"type":..}\n{"type":..}\n).
 * Mode LIST:   one top-level object; each element of its "items" array is a value, and its
 *              "metadata" member is another one. All other members are skipped.
 */
#ifndef AK_JSON_SPLIT_H
#define AK_JSON_SPLIT_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <stdbool.h>
#include <stddef.h>

enum ak_split_mode { AK_SPLIT_FRAMES, AK_SPLIT_LIST };
enum ak_split_value { AK_SPLIT_VALUE /* a frame or an item */, AK_SPLIT_METADATA };

/* The text is borrowed for the call. Negative stops the split and is returned to the feeder. */
typedef int (*ak_split_fn)(enum ak_split_value what, const char *text, size_t len, void *user,
                           struct ak_error **reterr);

struct ak_split; /* opaque */
AK_PUBLIC struct ak_split *ak_split_free(struct ak_split *self);
AK_PUBLIC AK_MUST_USE struct ak_split *ak_split_new(enum ak_split_mode mode, size_t max_value,
                                                    ak_split_fn fn, void *user)
    AK_DEALLOC(ak_split_free);
AK_DEFINE_AUTO_PTR(ak_split, ak_split_free)
/* Takes the next bytes, of any length. AK_E_TOO_LARGE: one value is over max_value. AK_E_PROTOCOL: not JSON. */
AK_PUBLIC AK_MUST_USE int ak_split_feed(struct ak_split *self, const char *data, size_t len,
                                        struct ak_error **reterr);
/* At the end of the stream: AK_E_PROTOCOL if it stopped inside a value (or before a list ended). */
AK_PUBLIC AK_MUST_USE int ak_split_end(struct ak_split *self, struct ak_error **reterr);
/* Makes it new for another stream. */
AK_PUBLIC void ak_split_reset(struct ak_split *self, enum ak_split_mode mode);

#endif
