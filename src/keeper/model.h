/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model endpoint: calls of the agent's command line program go to the provider with the agent's
 * key in place of whatever it sent, and the answer comes back unchanged, byte by byte as it arrives.
 * Redirects are answers like others: to follow one would carry the key elsewhere. TRACE and CONNECT are
 * refused: the first would bring the key back. One line is written for each call, without headers and
 * bodies. Thread: loop.
 */
#ifndef AK_KEEPER_MODEL_H
#define AK_KEEPER_MODEL_H

#include <ak/net/http_server.h>
#include <ak/net/loop.h>

#include "keeper/counters.h"
#include "keeper/settings.h"

/* A model may think for long before the first byte; the run's own timeout is for the rest. */
#define AK_MODEL_HEAD_TIMEOUT AK_MINUTES(20)
#define AK_MODEL_IDLE_TIMEOUT AK_MINUTES(10)

/* Bytes of a request, and of all that are held at a time: each is held whole until it is sent. It is what the
 * largest provider takes, and fits into half of the container's memory. */
#define AK_MODEL_MAX_BODY (32u << 20)

struct ak_model;
struct ak_model *ak_model_free(struct ak_model *self); /* after the server whose exchanges it has */
/* -EINVAL: the base URL or the file with authorities cannot be used. */
AK_MUST_USE int ak_model_new(const struct ak_keeper_settings *settings, struct ak_loop *loop,
                             struct ak_keeper_counters *counters, struct ak_model **ret,
                             struct ak_error **reterr);
AK_DEFINE_AUTO_PTR(ak_model, ak_model_free)
/* Takes the exchange over. */
void ak_model_handle(struct ak_model *self, struct ak_http_exchange *ex);
/* Answers with an error of ours in the provider's shape, and counts it. */
void ak_model_refuse(struct ak_model *self, struct ak_http_exchange *ex, int status,
                     const char *message);

#endif
