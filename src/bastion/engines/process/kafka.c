/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kafka: kcat with a configuration file. It has no way to make users or ACLs, so what permissions say is kept
 * by offering nothing but the operations; there are no sessions. TLS is not negotiated: allow, prefer and
 * nothing mean none.
 */
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "bastion/engines/process/output.h"
#include "bastion/engines/process/process.h"

#define SECONDS "10" /* of a request for metadata */

static const struct ak_symptom symptoms[] = {
    {"SASL authentication error", AK_E_UNAUTHORIZED},
    {"SaslAuthenticateRequest failed", AK_E_UNAUTHORIZED},
    {"Authentication failed", AK_E_UNAUTHORIZED},
    {"SASL SCRAM", AK_E_UNAUTHORIZED},
    {"Topic authorization failed", AK_E_FORBIDDEN},
    {"Cluster authorization failed", AK_E_FORBIDDEN},
    {"Group authorization failed", AK_E_FORBIDDEN},
    {"Unknown topic or partition", AK_E_INVALID},
    {"Unknown topic", AK_E_INVALID},
    {"Unknown partition", AK_E_INVALID},
    {"SSL handshake failed", -ECONNREFUSED},
    {"Connection refused", -ECONNREFUSED},
    {"Failed to resolve", -ECONNREFUSED},
    {"Local: Broker transport failure", -ECONNREFUSED},
    {"Local: Timed out", -ECONNREFUSED},
    {"All broker connections are down", -ECONNREFUSED},
    {"brokers are down", -ECONNREFUSED},
    {"Failed to acquire metadata", -ECONNREFUSED},
};

/* A value of kcat's file ends with its line, and the program trims blanks. */
static int setting(struct ak_buf *text, const char *name, const char *value,
                   struct ak_error **reterr)
{
    if (strpbrk(value, "\r\n"))
        return ak_error_set(reterr, -EINVAL, "%s: a line break cannot be used here", name);
    return ak_buf_addf(text, "%s=%s\n", name, value) < 0 ? ak_error_oom(reterr) : 0;
}

static int brokers(struct ak_process *self, struct ak_buf *text, struct ak_error **reterr)
{
    const struct ak_tool_config *config = self->target->spec->config;
    AK_AUTO(ak_buf) list = AK_BUF_INIT(64 << 10);
    int r = 0;

    for (size_t i = 0; r == 0 && i < config->brokers.len; i++)
        r = ak_buf_addf(&list, "%s%s", i ? "," : "", config->brokers.items[i]);
    if (!config->brokers.len && !ak_is_empty(config->hostname))
        r = ak_buf_addf(&list, strchr(config->hostname, ':') ? "[%s]:%u" : "%s:%u",
                        config->hostname, ak_tool_port(self->target->spec));
    if (r < 0)
        return ak_error_oom(reterr);
    if (!list.len)
        return ak_error_set(reterr, -EINVAL, "spec.config.brokers: are needed to connect");
    return setting(text, "bootstrap.servers", list.data, reterr);
}

static int tls_settings(struct ak_process *self, struct ak_buf *text, enum ak_ssl_mode mode,
                        struct ak_error **reterr)
{
    const char *ca = NULL;
    int r = ak_process_ca(self, &ca, reterr);

    if (r == 0 && mode == AK_SSL_MODE_REQUIRE && !ca)
        r = setting(text, "enable.ssl.certificate.verification", "false", reterr);
    if (r == 0 && ca)
        r = setting(text, "ssl.ca.location", ca, reterr);
    if (r == 0)
        r = setting(text, "ssl.endpoint.identification.algorithm",
                    mode == AK_SSL_MODE_VERIFY_FULL ? "https" : "none", reterr);
    return r;
}

static int configure(struct ak_process *self, struct ak_error **reterr)
{
    static const char *const protocols[2][2] = {{"plaintext", "ssl"},
                                                {"sasl_plaintext", "sasl_ssl"}};
    const struct ak_tool_spec *spec = self->target->spec;
    enum ak_ssl_mode mode = ak_tool_ssl_mode(spec);
    bool tls = mode >= AK_SSL_MODE_REQUIRE,
         sasl = ak_process_password(self)[0] || spec->config->sasl_mechanism;
    AK_AUTO(ak_buf) text = {.max = 256 << 10, .wipe = true};
    const char *user = NULL;
    int r = brokers(self, &text, reterr);

    if (r == 0 && spec->tls && spec->tls->server_name)
        r = ak_error_set(reterr, -EINVAL,
                         "spec.tls.serverName: kafka's client checks the name that it connects to");
    if (r == 0 && sasl)
        r = ak_process_username(self, &user, reterr);
    if (r == 0)
        r = setting(&text, "security.protocol", protocols[sasl][tls], reterr);
    if (r == 0 && tls)
        r = tls_settings(self, &text, mode, reterr);
    if (r == 0 && sasl) {
        enum ak_sasl_mechanism m = spec->config->sasl_mechanism;
        r = setting(&text, "sasl.mechanisms",
                    ak_sasl_mechanism_to_string(m ? m : AK_SASL_MECHANISM_PLAIN), reterr);
        if (r == 0)
            r = setting(&text, "sasl.username", user, reterr);
        if (r == 0)
            r = setting(&text, "sasl.password", ak_process_password(self), reterr);
    }
    if (r == 0)
        r = setting(&text, "client.id", "agentkube", reterr);
    if (r == 0)
        ak_process_args(self, "kcat", "-F",
                        ak_process_file(self, "kcat", ak_buf_text(&text), text.len, 0600), NULL);
    return r;
}

/* kcat tells of brokers that cannot be reached and goes on; its exit code decides. */
static int check(const struct ak_client_output *output, struct ak_error **reterr)
{
    const char *text = output->text;

    if (!output->exit_code)
        return 0;
    if (ak_has_prefix(text, "% Reading configuration"))
        text += strcspn(text, "\n");
    return ak_output_fail(ak_output_diagnose(symptoms, AK_ARRAY_LEN(symptoms), text), text, reterr);
}

static json_t *columns(const char *const names[][2], size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < n; i++)
        (void)json_array_append_new(
            list, json_pack("{s:s, s:s}", "name", names[i][0], "type", names[i][1]));
    return list;
}

/* The metadata that -L -J prints: one object, without a line break; complaints come behind it. */
static int metadata(struct ak_process *self, struct ak_client_output *output, json_t **ret,
                    struct ak_error **reterr)
{
    const char *end;
    int r = configure(self, reterr);

    if (r < 0)
        return r;
    ak_process_args(self, "-L", "-J", "-m", SECONDS, NULL);
    self->max_bytes = 4 << 20; /* a large cluster's, which is made smaller */
    r = ak_process_run(self, NULL, 0, output, reterr);
    if (r == 0)
        r = check(output, reterr);
    if (r < 0)
        return r;
    end = strrchr(output->text, '}');
    r = ak_json_parse(output->text, end ? (size_t)(end - output->text) + 1 : output->len, ret,
                      NULL);
    return r < 0 ? ak_output_fail(AK_E_PROTOCOL, output->text, reterr) : 0;
}

static int list_topics(struct ak_process *self, struct ak_call *call, struct ak_error **reterr)
{
    static const char *const names[][2] = {{"topic", "text"}, {"partitions", "integer"}};
    AK_AUTO(ak_client_output) output = {0};
    AK_AUTO_JSON *tree = NULL;
    json_t *rows, *topic;
    size_t i;
    bool cut = false;
    int r = metadata(self, &output, &tree, reterr);

    if (r < 0)
        return r;
    rows = json_array();
    json_array_foreach(json_object_get(tree, "topics"), i, topic)
    {
        cut = (int64_t)json_array_size(rows) >= call->max_rows;
        if (cut)
            break;
        (void)json_array_append_new(
            rows, json_pack("[O, I]", json_object_get(topic, "topic"),
                            (json_int_t)json_array_size(json_object_get(topic, "partitions"))));
    }
    return ak_output_table(columns(names, AK_ARRAY_LEN(names)), rows, cut, call, reterr);
}

/* -J: an object a line, {topic, partition, offset, ts, headers, key, payload}. */
static int messages(struct ak_client_output *output, struct ak_call *call, struct ak_error **reterr)
{
    static const char *const names[][2] = {{"partition", "integer"},
                                           {"offset", "integer"},
                                           {"timestamp", "integer"},
                                           {"key", "text"},
                                           {"value", "text"}};
    static const char *const members[] = {"partition", "offset", "ts", "key", "payload"};
    json_t *rows = json_array();
    bool cut = output->truncated;

    for (char *line = output->text; line && *line;) {
        char *end = strchr(line, '\n');
        AK_AUTO_JSON *message = NULL;
        json_t *row;
        size_t len = end ? (size_t)(end - line) : strlen(line);
        bool is_message = *line == '{' && ak_json_parse(line, len, &message, NULL) >= 0;
        line = end ? end + 1 : NULL;
        if (!is_message)
            continue;
        if ((int64_t)json_array_size(rows) >= call->max_rows) {
            cut = true;
            break;
        }
        row = json_array();
        for (size_t i = 0; row && i < AK_ARRAY_LEN(members); i++) {
            json_t *value = json_object_get(message, members[i]);
            (void)json_array_append_new(row, value ? json_incref(value) : json_null());
        }
        (void)json_array_append_new(rows, row);
    }
    return ak_output_table(columns(names, AK_ARRAY_LEN(names)), rows, cut, call, reterr);
}

static int consume(struct ak_process *self, struct ak_call *call, struct ak_error **reterr)
{
    const json_t *offset = json_object_get(call->arguments, "offset"),
                 *partition = json_object_get(call->arguments, "partition");
    const json_t *count = json_object_get(call->arguments, "count");
    const char *topic = json_string_value(json_object_get(call->arguments, "topic"));
    int64_t number, most = json_is_integer(count) ? json_integer_value(count) : 100;
    AK_AUTO(ak_client_output) output = {0};
    int r =
        topic ? configure(self, reterr) : ak_error_set(reterr, -EINVAL, "topic: must be a text");

    if (r < 0)
        return r;
    ak_process_args(self, "-C", "-J", "-q", "-e", "-t", topic, "-o", NULL);
    if (json_is_integer(offset))
        ak_process_arg(self, "%lld", (long long)json_integer_value(offset));
    else if (!offset || ak_streq(json_string_value(offset), "beginning"))
        ak_process_args(self, "beginning", NULL);
    else if (ak_streq(json_string_value(offset), "end"))
        ak_process_args(self, "end", NULL);
    else if (json_is_string(offset) && ak_parse_i64(json_string_value(offset), &number) == 0)
        ak_process_arg(self, "%lld", (long long)number);
    else
        return ak_error_set(reterr, -EINVAL, "offset: must be a number, \"beginning\" or \"end\"");
    if (json_is_integer(partition)) {
        ak_process_args(self, "-p", NULL);
        ak_process_arg(self, "%lld", (long long)json_integer_value(partition));
    }
    ak_process_args(self, "-c", NULL);
    ak_process_arg(self, "%lld", (long long)(most <= call->max_rows ? most : call->max_rows));
    r = ak_process_run(self, NULL, 0, &output, reterr);
    if (r == 0)
        r = check(&output, reterr);
    return r < 0 ? r : messages(&output, call, reterr);
}

/* Messages go through stdin, apart by a byte that none of them has. */
static int produce(struct ak_process *self, struct ak_call *call, struct ak_error **reterr)
{
    const char *topic = json_string_value(json_object_get(call->arguments, "topic"));
    const char *key = json_string_value(json_object_get(call->arguments, "key"));
    const json_t *list = json_object_get(call->arguments, "messages"), *message;
    static const char *const names[][2] = {{"produced", "integer"}};
    AK_AUTO(ak_client_output) output = {0};
    AK_AUTO(ak_buf) input = AK_BUF_INIT(8 << 20);
    size_t i;
    int r = topic && json_is_array(list)
                ? configure(self, reterr)
                : ak_error_set(reterr, -EINVAL, "topic, messages: must be given");

    if (r < 0)
        return r;
    json_array_foreach(list, i, message)
    {
        const char *text = json_string_value(message);
        if (!text || !text[0] || strpbrk(text, "\x1e") ||
            strlen(text) != json_string_length(message))
            return ak_error_set(
                reterr, -EINVAL,
                "messages[%zu]: must be a text that is not empty and has neither NUL nor U+001E",
                i);
        r = ak_buf_addf(&input, "%s%s", i ? "\x1e" : "", text);
        if (r < 0)
            return r == -ENOMEM
                       ? ak_error_oom(reterr)
                       : ak_error_set(reterr, AK_E_TOO_LARGE, "messages: are too long together");
    }
    ak_process_args(self, "-P", "-q", "-D", "\x1e", "-t", topic, NULL);
    if (key)
        ak_process_args(self, "-k", key, NULL);
    r = ak_process_run(self, ak_buf_text(&input), input.len, &output, reterr);
    if (r == 0)
        r = check(&output, reterr);
    if (r < 0)
        return r;
    return ak_output_table(columns(names, 1), json_pack("[[I]]", (json_int_t)json_array_size(list)),
                           false, call, reterr);
}

static int kafka_call(struct ak_process *self, struct ak_call *call, struct ak_error **reterr)
{
    static const struct {
        const char *name;
        int (*run)(struct ak_process *, struct ak_call *, struct ak_error **);
    } operations[] = {{"list_topics", list_topics}, {"consume", consume}, {"produce", produce}};

    for (size_t i = 0; i < AK_ARRAY_LEN(operations); i++)
        if (ak_streq(operations[i].name, call->operation->name))
            return operations[i].run(self, call, reterr);
    return ak_error_set(reterr, -ENOTSUP, "operation \"%s\" is not known", call->operation->name);
}

static int kafka_probe(struct ak_process *self, struct ak_probe_result *ret,
                       struct ak_error **reterr)
{
    AK_AUTO(ak_client_output) output = {0};
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *tree = NULL;
    int r = metadata(self, &output, &tree, &err);
    AK_AUTO(ak_buf) server = AK_BUF_INIT(sizeof(ret->server) - 1);

    if (r == -ENOMEM)
        return ak_error_oom(reterr);
    ak_output_probe(r == -ETIMEDOUT || r == -EINVAL ? -ECONNREFUSED : r, ak_error_message(err),
                    ret);
    if (r == 0 && ak_buf_addf(&server, "Kafka, %zu brokers",
                              json_array_size(json_object_get(tree, "brokers"))) >= 0)
        ak_output_message(ret->server, sizeof(ret->server), server.data);
    return 0;
}

const struct ak_process_kind ak_process_kafka = {.probe = kafka_probe, .call = kafka_call};
