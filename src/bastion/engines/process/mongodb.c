/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mongodb: mongosh, connected by a script of ours, so that the password is in a file, which the script removes,
 * and in no argument. The operations' arguments are extended JSON; none of them is ever read as a program. TLS
 * is not negotiated: allow, prefer and nothing mean none.
 */
#include "bastion/engines/process/mongodb.h"

#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "bastion/engines/process/output.h"
#include "bastion/engines/process/process.h"
#include "engines/names.h"
#include "engines/policy.h"

#define SELECTION_MS 8000 /* how long a server is looked for */
#define MARGIN (8u << 10) /* of the output, around the rows */
#define SCRIPT_MAX (16u << 20)

/* The URI, which has the password. */
/* Appends a literal, and a value percent-encoded (NULL: none), unless something failed before. */
static int add(struct ak_buf *out, int r, const char *literal, const char *value)
{
    if (r >= 0)
        r = ak_buf_adds(out, literal);
    return r < 0 || !value ? r : ak_buf_add_url_escaped(out, value);
}

static int add_options(const struct ak_tool_spec *spec, const char *ca, struct ak_buf *out)
{
    const struct ak_tool_config *config = spec->config;
    enum ak_ssl_mode mode = ak_tool_ssl_mode(spec);
    int r = ak_buf_addf(
        out, "/?appName=agentkube&serverSelectionTimeoutMS=%d&connectTimeoutMS=%d&tls=%s",
        SELECTION_MS, SELECTION_MS, mode >= AK_SSL_MODE_REQUIRE ? "true" : "false");

    r = add(out, r, "&authSource=", config->auth_source ? config->auth_source : "admin");
    if (config->replica_set)
        r = add(out, r, "&replicaSet=", config->replica_set);
    else
        r = add(out, r, "&directConnection=true", NULL);
    if (mode == AK_SSL_MODE_REQUIRE && !ca)
        r = add(out, r, "&tlsAllowInvalidCertificates=true", NULL);
    if (mode == AK_SSL_MODE_VERIFY_CA || (mode == AK_SSL_MODE_REQUIRE && ca))
        r = add(out, r, "&tlsAllowInvalidHostnames=true", NULL);
    return ca ? add(out, r, "&tlsCAFile=", ca) : r;
}

static int uri(struct ak_process *self, struct ak_buf *out, struct ak_error **reterr)
{
    const struct ak_tool_spec *spec = self->target->spec;
    const char *host = spec->config->hostname, *ca = NULL;
    int r = 0;

    if (ak_is_empty(host))
        return ak_error_set(reterr, -EINVAL, "spec.config.hostname: is needed to connect");
    if (spec->tls && spec->tls->server_name)
        return ak_error_set(
            reterr, -EINVAL,
            "spec.tls.serverName: MongoDB's client checks the name that it connects to");
    if (ak_tool_ssl_mode(spec) >= AK_SSL_MODE_REQUIRE)
        r = ak_process_ca(self, &ca, reterr);
    if (r < 0)
        return r;
    r = add(out, r, "mongodb://", NULL);
    if (!ak_is_empty(self->login.username)) {
        r = add(out, r, "", self->login.username);
        r = add(out, r, ":", ak_process_password(self));
        r = add(out, r, "@", NULL);
    }
    if (r >= 0)
        r = ak_buf_addf(out, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, ak_tool_port(spec));
    if (r >= 0)
        r = add_options(spec, ca, out);
    return r < 0 ? ak_process_too_long(r, "spec.config", reterr) : 0;
}

/*
 * The script's file: what to do as JSON within a JavaScript string, so that nothing in it is read as a program,
 * and then the parts. `what` gets the connection; the caller keeps it.
 */
static int script(struct ak_process *self, json_t *what, const char *const parts[],
                  const char **ret, struct ak_error **reterr)
{
    AK_AUTO(ak_buf)
    address = {.max = 16 << 10, .wipe = true}, text = {.max = SCRIPT_MAX, .wipe = true},
    out = {.max = SCRIPT_MAX, .wipe = true};
    const struct ak_tool_config *config = self->target->spec->config;
    int r = uri(self, &address, reterr);

    if (r < 0)
        return r;
    if (json_object_set_new(what, "uri", json_string(address.data)) < 0 ||
        json_object_set_new(what, "file", json_string(ak_process_path(self, "script.js"))) < 0 ||
        json_object_set_new(what, "database",
                            json_string(config->database_name ? config->database_name : "test")) <
            0)
        return ak_error_oom(reterr);
    r = ak_json_write(what, &text, reterr);
    if (r < 0)
        return r;
    r = ak_buf_adds(&out, "globalThis.__agentkube = JSON.parse(");
    if (r >= 0)
        r = ak_buf_add_json_string(&out, text.data, text.len);
    if (r >= 0)
        r = ak_buf_adds(&out, ");\n");
    for (size_t i = 0; r >= 0 && parts[i]; i++)
        r = ak_buf_addf(&out, "%s\n", parts[i]);
    if (r < 0)
        return ak_error_set(reterr, r, "the arguments are too long");
    *ret = ak_process_file(self, "script.js", out.data, out.len, 0600);
    return 0;
}

static int code_of(const json_t *answer)
{
    const char *stage = json_string_value(json_object_get(answer, "stage")),
               *name = json_string_value(json_object_get(answer, "name"));
    json_int_t number = json_integer_value(json_object_get(answer, "code"));

    if (number == 18 || number == 8000) /* AuthenticationFailed; Atlas has a code of its own */
        return AK_E_UNAUTHORIZED;
    if (number == 13) /* Unauthorized: the login was good */
        return AK_E_FORBIDDEN;
    if (number == 50) /* MaxTimeMSExpired */
        return -ETIMEDOUT;
    if (ak_streq(stage, "connect") && name &&
        (strstr(name, "Selection") || strstr(name, "Network") || strstr(name, "Parse")))
        return -ECONNREFUSED;
    return AK_E_INVALID;
}

/* The line of ours in what the program said; what is not there is an error with what it said instead. */
static int answer(const struct ak_client_output *output, json_t **ret, char *server_code,
                  size_t size, struct ak_error **reterr)
{
    const char *at = output->text ? strstr(output->text, AK_MONGODB_MARK) : NULL;
    AK_AUTO_JSON *tree = NULL;
    const char *message;

    if (!at)
        return ak_output_fail(output->truncated ? AK_E_TOO_LARGE : AK_E_PROTOCOL,
                              output->text ? output->text : "", reterr);
    at += sizeof(AK_MONGODB_MARK) - 1;
    if (ak_json_parse(at, strcspn(at, "\n"), &tree, NULL) < 0 || !json_is_object(tree))
        return output->truncated
                   ? ak_error_set(reterr, AK_E_TOO_LARGE,
                                  "the result is too large: ask for fewer documents or fields")
                   : ak_error_set(reterr, AK_E_PROTOCOL, "mongosh's answer cannot be read");
    message = json_string_value(json_object_get(tree, "error"));
    if (message) {
        const char *name = json_string_value(json_object_get(tree, "name"));
        ak_output_message(server_code, size, name ? name : "");
        return ak_output_fail(code_of(tree), message, reterr);
    }
    *ret = json_incref(tree);
    return 0;
}

static int run_script(struct ak_process *self, json_t *what, const char *part, json_t **ret,
                      char *server_code, size_t size, struct ak_error **reterr)
{
    const char *const parts[] = {ak_mongodb_connect, part, NULL};
    AK_AUTO(ak_client_output) output = {0};
    const char *file = "";
    int r = script(self, what, parts, &file, reterr);

    if (r < 0)
        return r;
    ak_process_args(self, "mongosh", "--nodb", "--norc", "--quiet", "--file", file, NULL);
    r = ak_process_run(self, NULL, 0, &output, reterr);
    return r < 0 ? r : answer(&output, ret, server_code, size, reterr);
}

static int mongodb_call(struct ak_process *self, struct ak_call *call, struct ak_error **reterr)
{
    const json_t *wanted = json_object_get(call->arguments, "maxRows");
    int64_t rows = call->max_rows, left = call->deadline - ak_now();
    AK_AUTO_JSON *what = NULL, *result = NULL;
    json_t *arguments = ak_json_copy(call->arguments);
    int r;

    if (json_is_integer(wanted) && json_integer_value(wanted) < rows)
        rows = json_integer_value(wanted);
    what = arguments ? json_pack("{s:s, s:o, s:I, s:I, s:I}", "operation", call->operation->name,
                                 "arguments", arguments, "maxRows", (json_int_t)rows, "maxBytes",
                                 (json_int_t)call->max_bytes, "milliseconds",
                                 (json_int_t)(left > 1 ? left : 1))
                     : NULL;
    if (!what)
        return ak_error_oom(reterr);
    self->max_bytes = (size_t)call->max_bytes + MARGIN;
    r = run_script(self, what, ak_mongodb_operations, &result, call->ret_server_code,
                   sizeof(call->ret_server_code), reterr);
    if (r < 0)
        return r;
    return ak_output_table(json_incref(json_object_get(result, "columns")),
                           json_incref(json_object_get(result, "rows")),
                           json_is_true(json_object_get(result, "truncated")), call, reterr);
}

static int mongodb_probe(struct ak_process *self, struct ak_probe_result *ret,
                         struct ak_error **reterr)
{
    AK_AUTO_JSON *what = json_pack("{s:s, s:{}, s:i, s:i, s:i}", "operation", "probe", "arguments",
                                   "maxRows", 1, "maxBytes", 4096, "milliseconds", SELECTION_MS);
    AK_AUTO_JSON *result = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;
    char server_code[64] = "";
    int r = what ? run_script(self, what, ak_mongodb_operations, &result, server_code,
                              sizeof(server_code), &err)
                 : -ENOMEM;

    if (r == -ENOMEM)
        return ak_error_oom(reterr);
    ak_output_probe(r == AK_E_PROTOCOL || r == -EINVAL ? -ECONNREFUSED : r, ak_error_message(err),
                    ret);
    if (r == 0)
        ak_output_message(ret->server, sizeof(ret->server),
                          json_string_value(json_object_get(result, "server")));
    return 0;
}

/* Scripts of a person's: --eval TEXT any number of times, and --json; or lines on stdin. A terminal gets the
 * shell. */
static int mongodb_client(struct ak_process *self, const char *const *args, bool tty,
                          struct ak_error **reterr)
{
    const char *const parts[] = {ak_mongodb_connect, NULL};
    AK_AUTO_JSON *what = json_object();
    const char *file = "";
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_PROCESS_MAX_FILE);
    int r = what ? script(self, what, parts, &file, reterr) : ak_error_oom(reterr);

    if (r < 0)
        return r;
    ak_process_args(self, "mongosh", "--nodb", "--norc", tty ? "--verbose" : "--quiet", NULL);
    self->n_argv -= tty; /* a person sees the banner */
    for (size_t i = 0; args && args[i]; i++) {
        if (ak_has_prefix(args[i], "--json"))
            ak_process_args(self, args[i], NULL);
        else if (!ak_streq(args[i], "--eval") || !args[i + 1])
            return ak_error_set(
                reterr, AK_E_FORBIDDEN,
                "mongosh takes --eval TEXT and --json here, and a script on its standard input");
        else
            r = ak_buf_addf(&text, "%s\n", args[++i]);
        if (r < 0)
            return ak_process_too_long(r, "--eval", reterr);
    }
    if (!text.len)
        ak_process_args(self, "--shell", NULL);
    ak_process_args(self, "--file", file, NULL);
    if (text.len)
        ak_process_args(self, "--file", ak_process_file(self, "eval.js", text.data, text.len, 0600),
                        NULL);
    return 0;
}

/* --- provisioning --- */

static json_t *texts(const char *const *list)
{
    json_t *all = json_array();

    for (size_t i = 0; all && list[i]; i++)
        (void)json_array_append_new(all, json_string(list[i]));
    return all;
}

static int privilege(json_t *into, const char *database, const char *collection,
                     const char *const *actions)
{
    json_t *list = texts(actions);

    return json_array_append_new(into, json_pack("{s:{s:s, s:s}, s:o}", "resource", "db", database,
                                                 "collection", collection, "actions", list)) < 0
               ? -ENOMEM
               : 0;
}

/* Grants without collections are for all of the database, which MongoDB writes as an empty name. */
static int privileges(struct ak_process *self, bool writer, json_t *into, struct ak_error **reterr)
{
    const struct ak_effective_grant *grants = NULL;
    size_t n = 0;
    int r = ak_policy_grants(self->target->spec, writer, self->arena, &grants, &n, reterr);

    for (size_t i = 0; r == 0 && i < n; i++) {
        if (!grants[i].objects[0])
            r = privilege(into, grants[i].database ? grants[i].database : "test", "",
                          grants[i].privileges);
        for (size_t k = 0; r == 0 && grants[i].objects[k]; k++)
            r = privilege(into, grants[i].database ? grants[i].database : "test",
                          grants[i].objects[k], grants[i].privileges);
        if (r == -ENOMEM)
            r = ak_error_oom(reterr);
    }
    return r;
}

/* A reader gets only those of the roles that read. */
static int roles(struct ak_process *self, bool writer, json_t *into)
{
    const struct ak_tool_spec *spec = self->target->spec;

    for (size_t i = 0; spec->permissions && i < spec->permissions->roles.len; i++) {
        const char *role = spec->permissions->roles.items[i];
        bool everywhere = ak_has_suffix(role, "AnyDatabase");
        if (!writer && !ak_streq(role, "read") && !ak_streq(role, "readAnyDatabase"))
            continue;
        if (json_array_append_new(into, json_pack("{s:s, s:s}", "role", role, "db",
                                                  everywhere ? "admin"
                                                  : spec->config->database_name
                                                      ? spec->config->database_name
                                                      : "test")) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int identity(struct ak_process *self, bool writer, bool away, json_t *into,
                    struct ak_error **reterr)
{
    char name[AK_IDENTITY_NAME_SIZE];
    AK_AUTO(ak_login) login = {0};
    json_t *grants = json_array(), *list = json_array();
    size_t len;
    int r = ak_identity_name(self->target->uid, writer, name, sizeof(name));

    if (r == 0 && !away)
        r = ak_login_read(self->target, !writer, &login, reterr);
    if (r == 0 && !away && (!login.is_minted || !login.password))
        r = ak_error_set(reterr, -EINVAL, "there is no password for %s", name);
    if (r == 0)
        r = privileges(self, writer, grants, reterr);
    if (r == 0 && roles(self, writer, list) < 0)
        r = ak_error_oom(reterr);
    if (r < 0) {
        json_decref(grants);
        json_decref(list);
        return r;
    }
    r = json_array_append_new(into, json_pack("{s:s, s:s, s:o, s:o}", "user", name, "password",
                                              away ? "" : ak_secret_peek(login.password, &len),
                                              "privileges", grants, "roles", list));
    return r < 0 ? ak_error_oom(reterr) : 0;
}

static int mongodb_provision(struct ak_process *self, bool away, struct ak_provision_result *ret,
                             struct ak_error **reterr)
{
    const struct ak_tool_config *config = self->target->spec->config;
    json_t *identities = json_array(), *line;
    AK_AUTO_JSON *what =
        json_pack("{s:o, s:b, s:s}", "identities", identities, "away", away, "authSource",
                  config->auth_source ? config->auth_source : "admin");
    AK_AUTO_JSON *result = NULL;
    char server_code[64] = "";
    size_t i;
    int r = what ? 0 : ak_error_oom(reterr);

    for (int writer = 0; r == 0 && writer <= 1; writer++)
        r = identity(self, writer, away, identities, reterr);
    if (r == 0)
        r = run_script(self, what, ak_mongodb_provision, &result, server_code, sizeof(server_code),
                       reterr);
    if (r < 0)
        return r;
    json_array_foreach(json_object_get(result, "changed"), i, line)
    {
        r = ak_provision_changed(ret, "%s", json_string_value(line));
        if (r < 0)
            return r;
    }
    ret->done = true;
    return 0;
}

const struct ak_process_kind ak_process_mongodb = {.probe = mongodb_probe,
                                                   .call = mongodb_call,
                                                   .client = mongodb_client,
                                                   .provision = mongodb_provision};
