/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssh: OpenSSH's client, which reads no configuration, knows one host key and forwards nothing.
 *
 * The credential is a private key, or else a password. A key goes into a file that is the program's own,
 * because ssh refuses one that others may read; a password is printed by a program that ssh asks (SSH_ASKPASS).
 * With spec.permissions.commands a command line is sent only when it is in that list, word for word: the policy
 * says so before, and it is looked at here again.
 */
#include <string.h>

#include <ak/base/text.h>

#include "bastion/engines/process/output.h"
#include "bastion/engines/process/process.h"

#define ALIAS                                                                                      \
    "agentkube" /* what the host is called in the file of host keys, whatever its address is */

static const struct ak_symptom symptoms[] = {
    {"Host key verification failed", AK_E_INVALID},
    {"No matching host key type found", AK_E_INVALID},
    {"no matching host key type found", AK_E_INVALID},
    {"Permission denied (", AK_E_UNAUTHORIZED},
    {"Permission denied, please try again", AK_E_UNAUTHORIZED},
    {"Too many authentication failures", AK_E_UNAUTHORIZED},
    {"Load key ", AK_E_UNAUTHORIZED},
    {"Connection refused", -ECONNREFUSED},
    {"ssh: connect to host", -ECONNREFUSED},
    {"ssh: Could not resolve hostname", -ECONNREFUSED},
    {"Connection timed out", -ECONNREFUSED},
    {"Connection closed by", -ECONNREFUSED},
    {"Connection reset by", -ECONNREFUSED},
    {"kex_exchange_identification", -ECONNREFUSED},
    {"Connection to ", -ECONNREFUSED},
    {"Timeout, server", -ECONNREFUSED},
    {"client_loop: send disconnect", -ECONNREFUSED},
};

/* Each line is a key, perhaps with names of hosts before it as in known_hosts; they get the name that we
 * look for. */
static int host_keys(struct ak_process *self, const char **ret_path, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(64 << 10);
    const char *line = self->target->spec->config->host_key;
    int r = 0;

    if (ak_is_empty(line))
        return ak_error_set(reterr, -EINVAL,
                            "spec.config.hostKey: is needed to know the machine again; "
                            "`ssh-keyscan %s` shows its keys, to be "
                            "compared with /etc/ssh/ssh_host_*_key.pub there",
                            self->target->spec->config->hostname);
    while (r >= 0 && *line) {
        size_t len = strcspn(line, "\r\n");
        const char *key = line, *end = line + len;
        /* the first word that is a kind of key: "ssh-ed25519", "ecdsa-sha2-…", "sk-ssh-…" */
        while (key < end && !ak_has_prefix(key, "ssh-") && !ak_has_prefix(key, "ecdsa-") &&
               !ak_has_prefix(key, "sk-")) {
            key += strcspn(key, " \t\r\n");
            key += strspn(key, " \t");
        }
        if (key < end && *line != '#')
            r = ak_buf_addf(&text, ALIAS " %.*s\n", (int)(end - key), key);
        line = end + strspn(end, "\r\n");
    }
    if (r < 0)
        return ak_error_set(reterr, r, "spec.config.hostKey: is too long");
    if (!text.len)
        return ak_error_set(
            reterr, -EINVAL,
            "spec.config.hostKey: has no public key; it looks like \"ssh-ed25519 AAAA...\"");
    *ret_path = ak_process_file(self, "hosts", text.data, text.len, 0644);
    return 0;
}

static int private_key(struct ak_process *self, const char *key, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = {.max = AK_LOGIN_MAX + 1, .wipe = true};
    size_t len = strlen(key);

    /* ssh insists on the last line break */
    if (ak_buf_add(&text, key, len) < 0 || (key[len - 1] != '\n' && ak_buf_adds(&text, "\n") < 0))
        return ak_error_oom(reterr);
    ak_process_args(self, "-o", "BatchMode=yes", "-o", "PreferredAuthentications=publickey", "-o",
                    "IdentitiesOnly=yes", "-i",
                    ak_process_file(self, "key", text.data, text.len, 0600), NULL);
    return 0;
}

static int password(struct ak_process *self, const char *word, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) script = AK_BUF_INIT(1024);
    const char *path = ak_process_file(self, "word", word, strlen(word), 0600);

    /* No program but the shell: an image of somebody else need not have cat. */
    if (ak_buf_addf(&script,
                    "#!/bin/sh\nwhile IFS= read -r word || [ -n \"$word\" ]; do printf '%%s\\n' "
                    "\"$word\"; done <%s\n",
                    path) < 0)
        return ak_error_oom(reterr);
    ak_process_env(self, "SSH_ASKPASS=%s",
                   ak_process_file(self, "ask", script.data, script.len, 0700));
    ak_process_env(self, "SSH_ASKPASS_REQUIRE=force");
    ak_process_args(self, "-o", "PubkeyAuthentication=no", "-o",
                    "PreferredAuthentications=password,keyboard-interactive", "-o",
                    "NumberOfPasswordPrompts=1", NULL);
    return 0;
}

/* Everything up to the command. */
static int begin(struct ak_process *self, bool tty, bool verbose, struct ak_error **reterr)
{
    const struct ak_tool_config *config = self->target->spec->config;
    const char *secret = ak_process_password(self), *user, *hosts = NULL;
    int r = ak_process_username(self, &user, reterr);

    if (r == 0 && ak_is_empty(config->hostname))
        r = ak_error_set(reterr, -EINVAL, "spec.config.hostname: is needed to connect");
    if (r == 0 && !secret[0])
        r = ak_error_set(reterr, -EINVAL,
                         "spec.config.credentialsRef: is needed: a private key or a password");
    if (r == 0)
        r = host_keys(self, &hosts, reterr);
    if (r < 0)
        return r;
    ak_process_args(self, "ssh", "-F", "none", "-a", "-x", "-e", "none", tty ? "-tt" : "-T", NULL);
    ak_process_args(self, "-o", "StrictHostKeyChecking=yes", "-o", "GlobalKnownHostsFile=/dev/null",
                    "-o", "UpdateHostKeys=no", "-o", "HostKeyAlias=" ALIAS, "-o", "CheckHostIP=no",
                    "-o", "VerifyHostKeyDNS=no", NULL);
    ak_process_arg(self, "-oUserKnownHostsFile=%s", hosts);
    ak_process_args(self, "-o", "ClearAllForwardings=yes", "-o", "PermitLocalCommand=no", "-o",
                    "ControlMaster=no", "-o", "ControlPath=none", "-o", "ProxyCommand=none", "-o",
                    "IdentityAgent=none", "-o", "AddKeysToAgent=no", "-o", "Tunnel=no", NULL);
    ak_process_args(self, "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=15", "-o",
                    "ServerAliveCountMax=4", "-o", verbose ? "LogLevel=DEBUG1" : "LogLevel=ERROR",
                    NULL);
    if (strstr(secret, "-----BEGIN "))
        r = private_key(self, secret, reterr);
    else
        r = password(self, secret, reterr);
    ak_process_args(self, "-p", NULL);
    ak_process_arg(self, "%u", ak_tool_port(self->target->spec));
    ak_process_args(self, "-l", user, "--", config->hostname, NULL);
    return r;
}

static int check_command(const struct ak_process *self, const char *command,
                         struct ak_error **reterr)
{
    const struct ak_tool_permissions *p = self->target->spec->permissions;

    if (!p)
        return 0;
    for (size_t i = 0; i < p->commands.len; i++)
        if (ak_streq(p->commands.items[i], command))
            return 0;
    return ak_error_set(reterr, AK_E_FORBIDDEN,
                        "spec.permissions.commands: this is not, word for word, one of the %zu "
                        "commands that may be run",
                        p->commands.len);
}

/* ssh's own trouble has its exit code 255 and its words; a command may end with 255 as well. */
static int trouble(const struct ak_client_output *output)
{
    int code = output->exit_code == 255
                   ? ak_output_diagnose(symptoms, AK_ARRAY_LEN(symptoms), output->text)
                   : 0;

    return code == AK_E_INVALID && !strstr(output->text, "ost key") ? 0 : code;
}

static int ssh_call(struct ak_process *self, struct ak_call *call, struct ak_error **reterr)
{
    const char *command = json_string_value(json_object_get(call->arguments, "command"));
    const json_t *input = json_object_get(call->arguments, "stdin");
    AK_AUTO(ak_client_output) output = {0};
    int r;

    if (!command)
        return ak_error_set(reterr, -EINVAL, "command: must be a text");
    r = check_command(self, command, reterr);
    if (r == 0)
        r = begin(self, false, false, reterr);
    if (r < 0)
        return r;
    ak_process_args(self, command, NULL);
    r = ak_process_run(self, json_string_value(input), json_string_length(input), &output, reterr);
    if (r < 0)
        return r;
    r = trouble(&output);
    return r ? ak_output_fail(r, output.text, reterr) : ak_output_text(&output, call, reterr);
}

static int ssh_client(struct ak_process *self, const char *const *args, bool tty,
                      struct ak_error **reterr)
{
    const struct ak_tool_permissions *p = self->target->spec->permissions;
    AK_AUTO(ak_buf) line = AK_BUF_INIT(128 << 10);
    int r = 0;

    /* ssh itself puts words together with a blank: the machine's shell gets a line, whatever they were */
    for (size_t i = 0; r == 0 && args && args[i]; i++)
        r = ak_buf_addf(&line, "%s%s", i ? " " : "", args[i]);
    if (r < 0)
        return ak_process_too_long(r, "the command", reterr);
    if (p && (tty || !line.len))
        return ak_error_set(
            reterr, AK_E_FORBIDDEN,
            "spec.permissions.commands: nothing would keep a shell to the list of commands");
    r = check_command(self, ak_buf_text(&line), reterr);
    if (r == 0)
        r = begin(self, tty, false, reterr);
    if (r == 0 && line.len)
        ak_process_arg(self, "%s", line.data);
    return r;
}

/* "debug1: Remote protocol version 2.0, remote software version OpenSSH_9.2p1 Debian-2" */
static void find_server(const char *text, struct ak_probe_result *ret)
{
    static const char mark[] = "remote software version ";
    const char *at = strstr(text, mark);
    char line[sizeof(ret->server)];
    size_t len;

    if (!at)
        return;
    at += sizeof(mark) - 1;
    len = strcspn(at, "\r\n");
    if (len >= sizeof(line))
        len = sizeof(line) - 1;
    memcpy(line, at, len);
    line[len] = '\0';
    ak_output_message(ret->server, sizeof(ret->server), line);
}

/* Leaves the lines that say what went wrong. */
static void drop_debugging(char *text)
{
    char *to = text;

    for (char *line = text; *line;) {
        size_t len = strcspn(line, "\n");
        bool noise = ak_has_prefix(line, "debug") || ak_has_prefix(line, "OpenSSH_") ||
                     ak_has_prefix(line, "Authenticated to ") ||
                     ak_has_prefix(line, "Transferred: ") ||
                     ak_has_prefix(line, "Bytes per second");
        len += line[len] == '\n';
        if (!noise) {
            memmove(to, line, len);
            to += len;
        }
        line += len;
    }
    *to = '\0';
}

static int ssh_probe(struct ak_process *self, struct ak_probe_result *ret, struct ak_error **reterr)
{
    AK_AUTO(ak_client_output) output = {0};
    int r = begin(self, false, true, reterr), code;
    bool in;

    if (r < 0)
        return r;
    ak_process_args(self, "true", NULL);
    r = ak_process_run(self, NULL, 0, &output, reterr);
    if (r < 0)
        return r;
    find_server(output.text, ret);
    in = strstr(output.text, "Authenticated to ") != NULL;
    drop_debugging(output.text);
    code = output.exit_code ? ak_output_diagnose(symptoms, AK_ARRAY_LEN(symptoms), output.text) : 0;
    /* who is kept to a list of commands by the machine itself may be refused this one */
    if (in && output.exit_code && output.exit_code != 255 && self->target->spec->permissions)
        code = 0;
    else if (in && code)
        code = AK_E_FORBIDDEN;
    ak_output_probe(code, output.text, ret);
    if (strstr(output.text, "ost key")) /* nobody was asked for a credential yet */
        ret->authenticated = false;
    return 0;
}

const struct ak_process_kind ak_process_ssh = {
    .probe = ssh_probe, .call = ssh_call, .client = ssh_client};
