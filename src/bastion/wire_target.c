/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/wire_target.h"

int ak_wire_options_for(const struct ak_target *target, const struct ak_cancel *cancel,
                        struct ak_arena *arena, struct ak_wire_options *ret,
                        struct ak_error **reterr)
{
    const struct ak_tool_spec *spec = target->spec;
    const char *ca_file = NULL;
    int r;

    if (!spec->config || !spec->config->hostname || !spec->config->hostname[0])
        return ak_error_set(reterr, -EINVAL, "spec.config.hostname: is needed to connect");
    r = ak_target_ca_path(target, arena, &ca_file, reterr);
    if (r < 0)
        return r;
    *ret = (struct ak_wire_options){
        .host = spec->config->hostname,
        .port = ak_tool_port(spec),
        .mode = ak_tool_ssl_mode(spec),
        .ca_file = ca_file,
        .server_name = spec->tls ? spec->tls->server_name : NULL,
        .cancel = cancel,
    };
    return 0;
}
