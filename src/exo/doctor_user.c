/* SPDX-License-Identifier: Apache-2.0 */
/* Who we are, where the apiserver is, what we may do. */
#include <stdio.h>

#include <ak/base/text.h>

#include "exo/doctor.h"
#include "exo/objects.h"

#define OLDEST_MINOR 20

int ak_doctor_kubeconfig(struct ak_doctor *self)
{
    const struct ak_exo_options *o = self->exo->options;
    AK_AUTO_PTR(ak_error) err = NULL;
    int r = ak_exo_connect(self->exo, &err);

    if (r < 0) {
        self->is_over = true;
        return ak_doctor_add(self, AK_VERDICT_FAIL,
                             "set KUBECONFIG or --kubeconfig to a file that kubectl works with",
                             "%s", ak_error_message(err));
    }
    const char *context = ak_kube_config_context(self->exo->config);
    return ak_doctor_add(self, AK_VERDICT_OK, NULL, "%s, context \"%s\", namespace \"%s\", %s",
                         o->kubeconfig ? o->kubeconfig : "in-cluster", context, self->exo->ns,
                         ak_kube_config_uses_client_cert(self->exo->config)
                             ? "a client certificate"
                             : "a token or a plug-in");
}

/* "20+" of managed offerings counts as 20. */
static int leading_number(const char *text)
{
    int n = 0;
    for (; text && *text >= '0' && *text <= '9' && n < 100000; text++)
        n = n * 10 + (*text - '0');
    return n;
}

int ak_doctor_apiserver(struct ak_doctor *self)
{
    const struct ak_call call = {.method = "GET", .path = "/version", .timeout = AK_SECONDS(10)};
    const char *server = ak_kube_config_server(self->exo->config);
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *answer = NULL;

    int r = ak_client_call(self->exo->client, &call, &answer, &err);
    if (r == AK_E_UNAUTHORIZED) {
        self->is_over = true;
        return ak_doctor_add(
            self, AK_VERDICT_FAIL,
            "the credential may have expired: log in again, then try kubectl get ns",
            "%s does not know us: %s", server, ak_error_message(err));
    }
    if (r < 0) {
        self->is_over = true;
        return ak_doctor_add(self, AK_VERDICT_FAIL,
                             "is the address right, and reachable from here (VPN, proxy)?",
                             "%s: %s", server, ak_error_message(err));
    }
    const char *version = ak_json_text(answer, "gitVersion", NULL);
    bool is_old = leading_number(ak_json_text(answer, "major", NULL)) <= 1 &&
                  leading_number(ak_json_text(answer, "minor", NULL)) < OLDEST_MINOR;
    return ak_doctor_add(self, is_old ? AK_VERDICT_FAIL : AK_VERDICT_OK,
                         is_old ? "agentkube needs Kubernetes 1.20 or later" : NULL,
                         "Kubernetes %s at %s", version ? version : "?", server);
}

int ak_doctor_rights(struct ak_doctor *self)
{
    const char *ns = self->exo->ns, *system = self->exo->options->operator_namespace;
    const struct {
        struct ak_permission what;
        const char *words;
    } wanted[] = {
        {{"list", AK_EXO_GROUP, "agents", NULL, ns}, "list Agents"},
        {{"get", AK_EXO_GROUP, "agents", NULL, ns}, "see Agents"},
        {{"patch", AK_EXO_GROUP, "agents", NULL, ns}, "apply Agents"},
        {{"update", AK_EXO_GROUP, "agents", NULL, ns}, "pause and resume"},
        {{"delete", AK_EXO_GROUP, "agents", NULL, ns}, "delete Agents"},
        {{"create", AK_EXO_GROUP, "agents", "invoke", ns}, "start and cancel runs"},
        {{"get", AK_EXO_GROUP, "agents", "log", ns}, "follow runs"},
        {{"create", "", "pods", "exec", ns}, "open a shell"},
        {{"create", AK_EXO_GROUP, "tools", "exec", ns}, "use Tools"},
        {{"create", AK_EXO_GROUP, "tools", "connect", ns}, "open terminals and ports of Tools"},
        {{"get", "", "services", "proxy", system}, "reach the manager (get)"},
        {{"create", "", "services", "proxy", system}, "reach the manager (create)"},
    };
    AK_AUTO(ak_buf) not_allowed = AK_BUF_INIT(1024);
    size_t n = 0;

    for (size_t i = 0; i < AK_ARRAY_LEN(wanted); i++) {
        AK_AUTO_PTR(ak_error) err = NULL;
        bool may = false;
        if (ak_objects_may(self->exo, &wanted[i].what, &may, &err) < 0)
            return ak_doctor_add_error(self, err, "ask what is allowed");
        n += may;
        if (!may &&
            ak_buf_addf(&not_allowed, "%s%s", not_allowed.len ? ", " : "", wanted[i].words) < 0)
            return -ENOMEM;
    }
    if (n == AK_ARRAY_LEN(wanted))
        return ak_doctor_add(self, AK_VERDICT_OK, NULL,
                             "everything that exo does, in namespace \"%s\"", ns);
    return ak_doctor_add(self, AK_VERDICT_WARN,
                         "what is missing is granted with ordinary RBAC: docs/cli.md has the rules",
                         "not allowed in namespace \"%s\": %s", ns, ak_buf_text(&not_allowed));
}
