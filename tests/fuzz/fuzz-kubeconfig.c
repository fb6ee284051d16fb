/* SPDX-License-Identifier: Apache-2.0 */
/* Kubeconfig files, and what a credential plug-in prints. */
#include <stdint.h>

#include "../../lib/kube/config_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    AK_AUTO(ak__kc) kc;
    AK_AUTO(ak__fresh) fresh = {0};
    AK_AUTO_PTR(ak_error) err = NULL;
    struct ak__kc_where where;

    ak__kc_init(&kc);
    if (ak__kc_add_text(&kc, "/folder/file", text, size, &err) >= 0) {
        const struct ak__kc_context *context =
            ak__kc_context(&kc, ak__kc_current_context(&kc), &where);

        if (context) {
            (void)ak__kc_cluster(&kc, context->cluster, &where);
            (void)ak__kc_user(&kc, context->user, &where);
        }
    }
    (void)!ak__exec_credential_parse(text, size, "client.authentication.k8s.io/v1", &fresh, NULL);
    return 0;
}
