/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custom: a program of the Tool's own image. What it talks to nobody here knows, so nothing of it can be
 * limited but its arguments, and nothing can be tried but a connection. It finds the credential in the file
 * that AGENTKUBE_CREDENTIAL_FILE names, and the rest of spec.config in AGENTKUBE_HOSTNAME, _PORT, _URL,
 * _USERNAME, _DATABASE and _CA_FILE.
 */
#include <string.h>

#include <ak/base/text.h>

#include "bastion/engines/process/output.h"
#include "bastion/engines/process/process.h"
#include "bastion/wire_target.h"

static int begin(struct ak_process *self, struct ak_error **reterr)
{
    const struct ak_tool_config *config = self->target->spec->config;
    const struct {
        const char *name, *value;
    } values[] = {
        {"HOSTNAME", config ? config->hostname : NULL},
        {"URL", config ? config->url : NULL},
        {"USERNAME", self->login.username},
        {"DATABASE", config ? config->database_name : NULL},
    };
    const char *secret = ak_process_password(self), *ca = NULL;
    int r;

    if (!config || !config->command.len)
        return ak_error_set(reterr, -EINVAL,
                            "spec.config.command: is needed: the program that is run");
    r = ak_process_ca(self, &ca, reterr);
    if (r < 0)
        return r;
    for (size_t i = 0; i < config->env.len; i++)
        ak_process_env(self, "%s=%s", config->env.items[i].name,
                       config->env.items[i].value ? config->env.items[i].value : "");
    for (size_t i = 0; i < AK_ARRAY_LEN(values); i++)
        if (values[i].value)
            ak_process_env(self, "AGENTKUBE_%s=%s", values[i].name, values[i].value);
    if (ak_tool_port(self->target->spec))
        ak_process_env(self, "AGENTKUBE_PORT=%u", ak_tool_port(self->target->spec));
    if (ca)
        ak_process_env(self, "AGENTKUBE_CA_FILE=%s", ca);
    if (secret[0])
        ak_process_env(self, "AGENTKUBE_CREDENTIAL_FILE=%s",
                       ak_process_file(self, "credential", secret, strlen(secret), 0600));
    for (size_t i = 0; i < config->command.len; i++)
        ak_process_args(self, config->command.items[i], NULL);
    return 0;
}

static int check_arguments(const struct ak_process *self, struct ak_error **reterr)
{
    const struct ak_tool_permissions *p = self->target->spec->permissions;
    AK_AUTO(ak_buf) line = AK_BUF_INIT(1 << 20);

    if (!p)
        return 0;
    for (size_t first = self->target->spec->config->command.len, i = first; i < self->n_argv; i++) {
        int r = ak_buf_addf(&line, "%s%s", i > first ? " " : "", self->argv[i]);

        if (r < 0)
            return ak_process_too_long(r, "the command", reterr);
    }
    for (size_t i = 0; i < p->commands.len; i++)
        if (ak_streq(p->commands.items[i], ak_buf_text(&line)))
            return 0;
    return ak_error_set(reterr, AK_E_FORBIDDEN,
                        "spec.permissions.commands: these are not, word for word, one of the %zu "
                        "lists of arguments that may be given",
                        p->commands.len);
}

static int custom_call(struct ak_process *self, struct ak_call *call, struct ak_error **reterr)
{
    const json_t *input = json_object_get(call->arguments, "stdin"),
                 *args = json_object_get(call->arguments, "args"), *arg;
    AK_AUTO(ak_client_output) output = {0};
    size_t i;
    int r = begin(self, reterr);

    if (r < 0)
        return r;
    json_array_foreach(args, i, arg)
    {
        if (!json_is_string(arg) || strlen(json_string_value(arg)) != json_string_length(arg))
            return ak_error_set(reterr, -EINVAL,
                                "args[%zu]: must be a text without a NUL character", i);
        ak_process_args(self, json_string_value(arg), NULL);
    }
    r = check_arguments(self, reterr);
    if (r == 0)
        r = ak_process_run(self, json_string_value(input), json_string_length(input), &output,
                           reterr);
    return r < 0 ? r : ak_output_text(&output, call, reterr);
}

static int custom_client(struct ak_process *self, const char *const *args, bool tty,
                         struct ak_error **reterr)
{
    int r = begin(self, reterr);

    if (r < 0)
        return r;
    if (tty && self->target->spec->permissions)
        return ak_error_set(
            reterr, AK_E_FORBIDDEN,
            "spec.permissions.commands: nothing would keep a terminal to the list of arguments");
    for (size_t i = 0; args && args[i]; i++)
        ak_process_args(self, args[i], NULL);
    return check_arguments(self, reterr);
}

/* A connection is all that can be tried; whether the credential is good only the program could say. */
static int custom_probe(struct ak_process *self, struct ak_probe_result *ret,
                        struct ak_error **reterr)
{
    const struct ak_tool_config *config = self->target->spec->config;
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_PTR(ak_wire) wire = NULL;
    struct ak_wire_options options = {0};
    int r;

    if (!config || ak_is_empty(config->hostname) || !ak_tool_port(self->target->spec)) {
        *ret = (struct ak_probe_result){
            true, true, true, "", "a custom Tool without hostname and port: nothing was tried"};
        return 0;
    }
    r = ak_wire_options_for(self->target, self->cancel, self->arena, &options, reterr);
    if (r < 0)
        return r;
    r = ak_wire_connect(&options, &wire, &err);
    if (r == -ENOMEM)
        return ak_error_oom(reterr);
    if (r < 0)
        ak_output_probe(-ECONNREFUSED, ak_error_message(err), ret);
    else
        *ret = (struct ak_probe_result){
            true, true, true, "",
            "it was connected to; whether the credential is good only the program can say"};
    return 0;
}

const struct ak_process_kind ak_process_custom = {
    .probe = custom_probe, .call = custom_call, .client = custom_client};
