/* SPDX-License-Identifier: Apache-2.0 */
#include "exo-install/proof.h"

#include <string.h>

#include <ak/base/text.h>

#include "exo-install/diagnose.h"
#include "terminal/words.h"

#define WORDS 4096

bool ak_proof_has_condition(const json_t *object, const char *type)
{
    const json_t *conditions = ak_json_at(object, "status", "conditions", NULL);
    for (size_t i = 0; i < json_array_size(conditions); i++)
        if (ak_streq(ak_json_text(json_array_get(conditions, i), "type", NULL), type))
            return ak_streq(ak_json_text(json_array_get(conditions, i), "status", NULL), "True");
    return false;
}

/* ---- definitions */

static int prove_crd(struct ak_install *self, const json_t *crd, struct ak_error **reterr)
{
    const char *name = ak_json_text(crd, "metadata", "name", NULL);

    for (;;) {
        AK_AUTO_JSON *live = NULL;
        int r = ak_cluster_find_live(self, crd, &live, reterr);
        if (r < 0)
            return r;
        if (ak_proof_has_condition(live, "Established"))
            return 0;
        ak_screen_wait(&self->screen, "waiting for the definition %s to be served", name);
        if (!ak_cluster_may_wait(self)) {
            ak_screen_complain(&self->screen,
                               "exo-install: the definition %s is not served after the time of "
                               "--timeout",
                               name);
            return AK_EXIT_TIMEOUT;
        }
    }
}

int ak_proof_crds(struct ak_install *self, const json_t *crds, struct ak_error **reterr)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < json_array_size(crds); i++)
        r = prove_crd(self, json_array_get(crds, i), reterr);
    return r;
}

/* ---- rollout */

static json_int_t number(const json_t *deployment, const char *part, const char *field)
{
    return json_integer_value(ak_json_at(deployment, part, field, NULL));
}

static bool missed_deadline(const json_t *deployment)
{
    const json_t *conditions = ak_json_at(deployment, "status", "conditions", NULL);
    for (size_t i = 0; i < json_array_size(conditions); i++)
        if (ak_streq(ak_json_text(json_array_get(conditions, i), "reason", NULL),
                     "ProgressDeadlineExceeded"))
            return true;
    return false;
}

static enum ak_proof_state say(struct ak_buf *why, enum ak_proof_state state, const char *fmt, ...)
    AK_PRINTF(3, 4);
static enum ak_proof_state say(struct ak_buf *why, enum ak_proof_state state, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    ak_words_vadd(why, fmt, ap); /* words only: cut is fine */
    va_end(ap);
    return state;
}

enum ak_proof_state ak_proof_judge_rollout(const json_t *deployment, struct ak_buf *why)
{
    json_int_t wanted = number(deployment, "spec", "replicas");
    json_int_t updated = number(deployment, "status", "updatedReplicas");
    json_int_t total = number(deployment, "status", "replicas");
    json_int_t available = number(deployment, "status", "availableReplicas");

    if (!deployment)
        return say(why, AK_PROOF_FAILED, "there is no Deployment " AK_INSTALL_NAME);
    if (number(deployment, "status", "observedGeneration") <
        number(deployment, "metadata", "generation"))
        return say(why, AK_PROOF_UNDER_WAY, "the change is not noticed yet");
    if (missed_deadline(deployment))
        return say(why, AK_PROOF_FAILED, "the pods were not ready in time");
    if (updated < wanted)
        return say(why, AK_PROOF_UNDER_WAY, "%d of %d pods are made", (int)updated, (int)wanted);
    if (total > updated)
        return say(why, AK_PROOF_UNDER_WAY, "%d old pods still end", (int)(total - updated));
    if (available < wanted)
        return say(why, AK_PROOF_UNDER_WAY, "%d of %d pods are ready", (int)available, (int)wanted);
    return say(why, AK_PROOF_DONE, "%d of %d pods are ready", (int)available, (int)wanted);
}

static int look_at_rollout(struct ak_install *self, enum ak_proof_state *ret, struct ak_buf *why,
                           struct ak_error **reterr)
{
    AK_AUTO_JSON *deployment = NULL;

    ak_buf_clear(why);
    int r = ak_cluster_find(self, "Deployment", AK_INSTALL_NAMESPACE, AK_INSTALL_NAME, &deployment,
                            reterr);
    if (r < 0)
        return r;
    *ret = ak_proof_judge_rollout(deployment, why);
    if (*ret == AK_PROOF_DONE)
        return 0;
    size_t before = why->len;
    if (ak_buf_adds(why, "; ") < 0)
        return ak_error_oom(reterr);
    r = ak_diagnose(self, deployment, why, reterr);
    if (r >= 0 && why->len == before + 2) {
        why->len = before;
        why->data[before] = 0;
    }
    return r;
}

/* After a failed look: is it over, and how? -1: go on. */
static int give_up(struct ak_install *self, enum ak_proof_state state, const char *what,
                   const struct ak_buf *why)
{
    if (state == AK_PROOF_FAILED) {
        ak_screen_complain(&self->screen, "exo-install: %s: %s", what, ak_buf_text(why));
        return AK_EXIT_FAILED;
    }
    ak_screen_wait(&self->screen, "waiting for %s: %s", what, ak_buf_text(why));
    if (ak_cluster_may_wait(self))
        return -1;
    ak_screen_complain(&self->screen,
                       "exo-install: %s did not work within --timeout: %s\n"
                       "Everything is applied; exo-install status looks again.",
                       what, ak_buf_text(why));
    return AK_EXIT_TIMEOUT;
}

int ak_proof_rollout(struct ak_install *self, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) why = AK_BUF_INIT(WORDS);
    enum ak_proof_state state = AK_PROOF_UNDER_WAY;

    for (;;) {
        AK_AUTO_PTR(ak_error) err = NULL;
        int r = look_at_rollout(self, &state, &why, &err);
        if (r < 0 && !ak_cluster_is_transient(r))
            return ak_error_set(reterr, r, "%s", ak_error_message(err));
        if (r >= 0 && state == AK_PROOF_DONE) {
            ak_screen_done(&self->screen, "rollout", ak_buf_text(&why));
            return 0;
        }
        int end = give_up(self, r < 0 ? AK_PROOF_UNDER_WAY : state, "the rollout", &why);
        if (end >= 0)
            return end;
    }
}

/* ---- webhook */

/* Meets the schema, and cannot work: nobody knows the image of a runtime called Custom. */
static const char probe_body[] =
    "{\"apiVersion\":\"agentkube.io/v1alpha1\",\"kind\":\"Agent\",\"metadata\":{\"name\":"
    "\"exo-install-webhook-probe\",\"namespace\":\"" AK_INSTALL_NAMESPACE "\"},\"spec\":{"
    "\"runtime\":\"Custom\",\"paused\":true,\"goal\":{\"inline\":\"probe\"}}}";

int ak_proof_ask_webhook(struct ak_install *self, enum ak_proof_state *ret, struct ak_buf *why,
                         struct ak_error **reterr)
{
    const struct ak_call call = {
        .method = "POST",
        .path = "/apis/agentkube.io/v1alpha1/namespaces/" AK_INSTALL_NAMESPACE "/agents?dryRun=All",
        .body = probe_body,
        .body_len = sizeof(probe_body) - 1,
    };
    AK_AUTO_PTR(ak_error) err = NULL;

    ak_buf_clear(why);
    int r = ak_client_call(self->client, &call, NULL, &err);
    const char *message = ak_error_message(err);
    if (r >= 0) {
        *ret = say(why, AK_PROOF_UNDER_WAY, "the API server does not ask it yet");
        return 0;
    }
    if (strstr(message, "admission webhook") && strstr(message, "agentkube.io\" denied")) {
        *ret = say(why, AK_PROOF_DONE, "answers");
        return 0;
    }
    if (r == AK_E_FORBIDDEN || r == AK_E_UNAUTHORIZED)
        return ak_error_set(reterr, r, "try the webhook: %s", message);
    *ret = say(why, AK_PROOF_UNDER_WAY, "%s", message);
    return 0;
}

int ak_proof_webhook(struct ak_install *self, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) why = AK_BUF_INIT(WORDS);
    enum ak_proof_state state = AK_PROOF_UNDER_WAY;

    for (;;) {
        int r = ak_proof_ask_webhook(self, &state, &why, reterr);
        if (r < 0)
            return r;
        if (state == AK_PROOF_DONE) {
            ak_screen_done(&self->screen, "webhook", ak_buf_text(&why));
            return 0;
        }
        int end = give_up(self, state, "the webhook", &why);
        if (end >= 0)
            return end;
    }
}
