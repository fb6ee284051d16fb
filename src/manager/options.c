/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/options.h"

#include <ak/base/text.h>
#include <string.h>

#include "manager/images.h"

/* The Service's port is always that one, wherever the process listens. */
#define SERVICE_URL "http://agentkube-manager.%s.svc:8082"

enum option_type {
    OPT_TEXT,
    OPT_BOOL,
    OPT_INT,
    OPT_METRICS,
    OPT_PROBES,
    OPT_WEBHOOK,
    OPT_INVOKE,
    OPT_LIST,
    OPT_QUANTITY,
    OPT_PERIOD
};

struct option {
    const char *name; /* of the flag, without dashes, or of the variable */
    enum option_type type;
    size_t offset;
    const char *shown; /* default, as help shows it */
    const char *help;
    int64_t min, max;           /* OPT_INT */
    const char *const *allowed; /* OPT_TEXT: one of these, NULL-terminated; NULL: any */
};
#define OPTION(opt_name, opt_type, member, opt_shown, opt_help, ...)                               \
    {                                                                                              \
        .name = (opt_name), .type = (opt_type), .offset = offsetof(struct ak_options, member),     \
        .shown = (opt_shown), .help = (opt_help), __VA_ARGS__                                      \
    }

static const char *const access_modes[] = {"ReadWriteOnce", "ReadWriteMany", NULL};

static const char *const transports[] = {"ws", "http", NULL};

static const struct option flags[] = {
    OPTION("kubeconfig", OPT_TEXT, kubeconfig, "$KUBECONFIG, in-cluster, ~/.kube/config",
           "kubeconfig file"),
    OPTION("context", OPT_TEXT, context, "the current one", "context of the kubeconfig"),
    OPTION("namespace", OPT_TEXT, namespace_, "$POD_NAMESPACE, agentkube-system",
           "namespace of the leader election Lease"),
    OPTION("watch-namespace", OPT_TEXT, watch_namespace, "all", "serve only this namespace"),
    OPTION("leader-elect", OPT_BOOL, leader_elect, "true", "write only while holding the Lease"),
    OPTION("metrics-bind-address", OPT_METRICS, metrics_port, ":8080",
           "/metrics; 0 switches it off"),
    OPTION("health-probe-bind-address", OPT_PROBES, probe_port, ":8081",
           "/healthz and /readyz; 0 switches them off"),
    OPTION("webhook", OPT_BOOL, webhook, "false",
           "serve the admission webhook and look after its certificate"),
    OPTION("webhook-bind-address", OPT_WEBHOOK, webhook_port, ":9443", "where it is served"),
    OPTION("webhook-timeout", OPT_PERIOD, webhook_timeout, "10s",
           "timeoutSeconds of the webhook configuration: answers come before"),
    OPTION("webhook-configuration", OPT_TEXT, webhook_configuration, "agentkube-manager",
           "ValidatingWebhookConfiguration whose caBundle is kept; empty: none"),
    OPTION("webhook-names", OPT_LIST, webhook_names, "",
           "more DNS names and addresses of the webhook's certificate, separated by commas"),
    OPTION("invoke-bind-address", OPT_INVOKE, invoke_port, "0",
           "serve the invocation API there, :8082 say; 0 switches it off"),
    OPTION("workers", OPT_INT, workers, "4", "Agents reconciled at the same time", .min = 1,
           .max = AK_OPTIONS_MAX_WORKERS),
    OPTION("resync-period", OPT_PERIOD, resync, "10h",
           "look at every object again this often, +-10%; 0 switches it off"),
    OPTION(
        "shutdown-delay", OPT_PERIOD, shutdown_delay, "0",
        "serve on for so long after SIGTERM, not ready and not leading, up to 60s; 0: not at all"),
    OPTION("log-level", OPT_TEXT, log_level, "info",
           "debug, info, warn or error; \"info,+watch\" shows debug lines of one part"),
    OPTION("version", OPT_BOOL, show_version, NULL, "print the version and leave"),
    OPTION("help", OPT_BOOL, show_help, NULL, "print this and leave"),
};

static const struct option variables[] = {
    OPTION("AGENTKUBE_MANAGED", OPT_BOOL, managed, "false",
           "connect to a control plane (not in this version: a warning is logged)"),
    OPTION("AGENTKUBE_TRANSPORT", OPT_TEXT, transport, "ws", "ws or http, to a control plane",
           .allowed = transports),
    OPTION("AGENTKUBE_IMAGE_REGISTRY", OPT_TEXT, image_registry, "",
           "registry, and path if any, that replaces the one of every default image"),
    OPTION("AGENTKUBE_MANAGER_IMAGE", OPT_TEXT, manager_image, "the release's image",
           "image that carries the agentlet: the manager's own"),
    OPTION("AGENTKUBE_MANAGER_URL", OPT_TEXT, manager_url, "the Service, while the API is served",
           "where pods of Agents reach the invocation API, for Tools"),
    OPTION("AGENTKUBE_IMAGE_PULL_SECRETS", OPT_LIST, image_pull_secrets, "",
           "names of image pull Secrets for Agents that name none, separated by commas"),
    OPTION("AGENTKUBE_NAMESPACE", OPT_TEXT, namespace_, "$POD_NAMESPACE", "as --namespace"),
    OPTION("AGENTKUBE_MEMORY_STORAGE_CLASS", OPT_TEXT, memory_storage_class,
           "the cluster's default", "storage class of the memory volumes of agent groups"),
    OPTION("AGENTKUBE_MEMORY_ACCESS_MODE", OPT_TEXT, memory_access_mode, "ReadWriteOnce",
           "ReadWriteOnce (a group's pods share a node) or ReadWriteMany", .allowed = access_modes),
    OPTION("AGENTKUBE_MEMORY_SIZE", OPT_QUANTITY, memory_size, "1Gi", "size of those volumes"),
    OPTION("AGENTKUBE_ZONEINFO", OPT_TEXT, zoneinfo_dir, "/usr/share/zoneinfo",
           "where the time zone files are"),
    OPTION("POD_NAME", OPT_TEXT, pod_name, "the host name", "identity in the Lease"),
    OPTION("POD_IP", OPT_TEXT, pod_ip, "the host of --invoke-bind-address",
           "where other replicas pass calls on to this one while it leads"),
};

/* Read, not shown: everybody's variables. */
static const struct option quiet_variables[] = {
    OPTION("HOME", OPT_TEXT, home, NULL, NULL),
    OPTION("KUBERNETES_SERVICE_HOST", OPT_TEXT, service_host, NULL, NULL),
    OPTION("KUBERNETES_SERVICE_PORT", OPT_TEXT, service_port, NULL, NULL),
    OPTION("HTTPS_PROXY", OPT_TEXT, https_proxy, NULL, NULL),
    OPTION("https_proxy", OPT_TEXT, https_proxy, NULL, NULL),
    OPTION("NO_PROXY", OPT_TEXT, no_proxy, NULL, NULL),
    OPTION("no_proxy", OPT_TEXT, no_proxy, NULL, NULL),
};

/* "host:port", ":port" or "0". */
static int set_address(const char **ret_host, const char *label, const char *value, int *port,
                       struct ak_arena *arena, struct ak_error **reterr)
{
    if (ak_streq(value, "0") || ak_streq(value, "")) {
        *port = -1;
        return 0;
    }
    const char *colon = strrchr(value, ':');
    uint16_t number = 0;
    if (!colon || ak_parse_u16(colon + 1, &number) < 0)
        return ak_error_set(reterr, -EINVAL, "%s: \"%s\" must be host:port, :port or 0", label,
                            value);
    *port = number;
    if (colon == value)
        return 0;
    size_t len = (size_t)(colon - value);
    if (value[0] == '[' && len > 2 && value[len - 1] == ']') { /* an IPv6 address */
        value++;
        len -= 2;
    }
    const char *host = ak_arena_strndup(arena, value, len);
    if (!host)
        return ak_error_oom(reterr);
    if (*ret_host && !ak_streq(*ret_host, host))
        return ak_error_set(reterr, -EINVAL,
                            "%s: \"%s\" must have the same host as the other address, \"%s\"",
                            label, value, *ret_host);
    *ret_host = host;
    return 0;
}

/* Names separated by commas; blanks around them do not count. */
static int set_list(struct ak_string_list *list, const char *label, const char *value,
                    struct ak_arena *arena, struct ak_error **reterr)
{
    const char **items = ak_arena_alloc(arena, AK_OPTIONS_MAX_PULL_SECRETS * sizeof(*items));
    if (!items)
        return ak_error_oom(reterr);
    size_t n = 0;
    for (const char *p = value; *p;) {
        p += strspn(p, ", ");
        size_t len = strcspn(p, ", ");
        if (!len)
            break;
        if (n == AK_OPTIONS_MAX_PULL_SECRETS)
            return ak_error_set(reterr, -EINVAL, "%s: more than %d names", label,
                                AK_OPTIONS_MAX_PULL_SECRETS);
        items[n] = ak_arena_strndup(arena, p, len);
        if (!items[n])
            return ak_error_oom(reterr);
        if (!ak_is_dns_subdomain(items[n]))
            return ak_error_set(reterr, -EINVAL, "%s: \"%s\" is not a valid name", label, items[n]);
        n++;
        p += len;
    }
    *list = (struct ak_string_list){.items = items, .len = n};
    return 0;
}

static int set_text(const struct option *opt, const char *label, const char *value,
                    const char **target, struct ak_error **reterr)
{
    for (size_t i = 0; opt->allowed && !ak_streq(opt->allowed[i], value); i++)
        if (!opt->allowed[i + 1])
            return ak_error_set(reterr, -EINVAL, "%s: \"%s\" must be %s or %s", label, value,
                                opt->allowed[0], opt->allowed[1]);
    *target = value;
    return 0;
}

/* 0 means never, which is a negative period to the manager. */
static int set_period(const char *label, const char *value, ak_msec *ret, struct ak_error **reterr)
{
    ak_msec period;

    if (ak_parse_duration(value, &period) < 0 || period < 0 ||
        (period > 0 && period < AK_SECONDS(1)))
        return ak_error_set(reterr, -EINVAL,
                            "%s: \"%s\" must be 0 or a duration of at least 1s, such as 10h", label,
                            value);
    *ret = period ? period : -1;
    return 0;
}

static int set_option(struct ak_options *self, const struct option *opt, const char *label,
                      const char *value, struct ak_arena *arena, struct ak_error **reterr)
{
    void *target = (char *)self + opt->offset;
    int64_t milli = 0;
    switch (opt->type) {
    case OPT_TEXT:
        return set_text(opt, label, value, target, reterr);
    case OPT_BOOL:
        if (ak_parse_bool(value, target) < 0)
            return ak_error_set(reterr, -EINVAL, "%s: \"%s\" must be true or false", label, value);
        return 0;
    case OPT_INT:
        if (ak_parse_i64(value, target) < 0 || *(int64_t *)target < opt->min ||
            *(int64_t *)target > opt->max)
            return ak_error_set(reterr, -EINVAL, "%s: \"%s\" must be a number from %d to %d", label,
                                value, (int)opt->min, (int)opt->max);
        return 0;
    case OPT_METRICS:
    case OPT_PROBES:
        return set_address(&self->bind_address, label, value, target, arena, reterr);
    case OPT_WEBHOOK:
        return set_address(&self->webhook_address, label, value, target, arena, reterr);
    case OPT_INVOKE:
        return set_address(&self->invoke_address, label, value, target, arena, reterr);
    case OPT_LIST:
        return set_list(target, label, value, arena, reterr);
    case OPT_PERIOD:
        return set_period(label, value, target, reterr);
    case OPT_QUANTITY:
        if (ak_parse_quantity(value, &milli) < 0 || milli <= 0)
            return ak_error_set(reterr, -EINVAL, "%s: \"%s\" must be a quantity such as 1Gi", label,
                                value);
        *(const char **)target = value;
        return 0;
    }
    return -EINVAL;
}

static const struct option *find_flag(const char *name, size_t len)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(flags); i++)
        if (strlen(flags[i].name) == len && strncmp(flags[i].name, name, len) == 0)
            return &flags[i];
    return NULL;
}

static int parse_flags(struct ak_options *self, int argc, const char *const *argv,
                       struct ak_arena *arena, struct ak_error **reterr)
{
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        if (ak_streq(arg, "-h"))
            arg = "--help";
        if (arg[0] != '-')
            return ak_error_set(reterr, -EINVAL, "unexpected argument \"%s\"", arg);
        const char *name = arg + (arg[1] == '-' ? 2 : 1); /* Go's flag package takes one dash too */
        size_t len = strcspn(name, "=");
        const struct option *opt = find_flag(name, len);
        if (!opt)
            return ak_error_set(reterr, -EINVAL, "unknown flag \"%s\"", arg);
        const char *value = name[len] == '=' ? name + len + 1 : NULL;
        if (!value && opt->type == OPT_BOOL)
            value = "true";
        else if (!value && i + 1 < argc)
            value = argv[++i];
        if (!value)
            return ak_error_set(reterr, -EINVAL, "--%s: needs a value", opt->name);
        const char *label = ak_arena_printf(arena, "--%s", opt->name);
        if (!label)
            return ak_error_oom(reterr);
        int r = set_option(self, opt, label, value, arena, reterr);
        if (r < 0)
            return r;
    }
    return 0;
}

static const char *find_variable(const char *const *environ_, const char *name)
{
    size_t len = strlen(name);
    for (; environ_ && *environ_; environ_++)
        if (strncmp(*environ_, name, len) == 0 && (*environ_)[len] == '=')
            return *environ_ + len + 1;
    return NULL;
}

/* An empty variable counts as unset, as in every chart that writes `value: ""`. */
static int parse_variables(struct ak_options *self, const struct option *table, size_t n,
                           const char *const *environ_, struct ak_arena *arena,
                           struct ak_error **reterr)
{
    for (size_t i = 0; i < n; i++) {
        const char *value = find_variable(environ_, table[i].name);
        if (ak_is_empty(value))
            continue;
        int r = set_option(self, &table[i], table[i].name, value, arena, reterr);
        if (r < 0)
            return r;
    }
    return 0;
}

/* What neither a flag nor a variable of its own chose. */
static int fill_defaults(struct ak_options *self, struct ak_arena *arena, struct ak_error **reterr)
{
    const char *const *env = self->environ_;
    const char *kubeconfig = find_variable(env, "KUBECONFIG");
    if (ak_is_empty(self->kubeconfig))
        self->kubeconfig = ak_is_empty(kubeconfig) ? NULL : kubeconfig;
    if (!self->kubeconfig && ak_is_empty(self->service_host) && !ak_is_empty(self->home)) {
        self->kubeconfig = ak_arena_printf(arena, "%s/.kube/config", self->home);
        if (!self->kubeconfig)
            return ak_error_oom(reterr);
    }
    if (ak_is_empty(self->namespace_))
        self->namespace_ = find_variable(env, "POD_NAMESPACE");
    if (ak_is_empty(self->namespace_))
        self->namespace_ = "agentkube-system";
    if (ak_is_empty(self->watch_namespace))
        self->watch_namespace = NULL;
    if (!self->manager_url && self->invoke_port >= 0) {
        self->manager_url = ak_arena_printf(arena, SERVICE_URL, self->namespace_);
        if (!self->manager_url)
            return ak_error_oom(reterr);
    }
    if (self->manager_image)
        return 0;
    self->manager_image = ak_image_default(arena, AK_IMAGE_MANAGER, self->image_registry);
    return self->manager_image ? 0 : ak_error_oom(reterr);
}

static int check_names(const struct ak_options *self, struct ak_error **reterr)
{
    if (self->webhook && self->webhook_port < 0)
        return ak_error_set(reterr, -EINVAL,
                            "--webhook-bind-address: must be an address while --webhook is true");
    if (self->webhook_timeout < AK_SECONDS(1) || self->webhook_timeout > AK_SECONDS(30))
        return ak_error_set(reterr, -EINVAL, "--webhook-timeout: must be from 1s to 30s");
    if (self->shutdown_delay > AK_SECONDS(60))
        return ak_error_set(reterr, -EINVAL, "--shutdown-delay: must be at most 60s");
    if (!ak_is_dns_label(self->namespace_))
        return ak_error_set(reterr, -EINVAL, "--namespace: \"%s\" is not the name of a namespace",
                            self->namespace_);
    if (self->watch_namespace && !ak_is_dns_label(self->watch_namespace))
        return ak_error_set(reterr, -EINVAL,
                            "--watch-namespace: \"%s\" is not the name of a namespace",
                            self->watch_namespace);
    return 0;
}

int ak_options_parse(struct ak_options *self, int argc, const char *const *argv,
                     const char *const *environ_, struct ak_arena *arena, struct ak_error **reterr)
{
    *self = (struct ak_options){
        .leader_elect = true,
        .workers = 4,
        .resync = AK_HOURS(10),
        .log_level = "info",
        .metrics_port = 8080,
        .probe_port = 8081,
        .webhook_port = 9443,
        .invoke_port = -1,
        .webhook_timeout = AK_SECONDS(10),
        .webhook_configuration = "agentkube-manager",
        .memory_access_mode = access_modes[0],
        .memory_size = "1Gi",
        .zoneinfo_dir = "/usr/share/zoneinfo",
        .environ_ = environ_,
    };
    int r = parse_variables(self, quiet_variables, AK_ARRAY_LEN(quiet_variables), environ_, arena,
                            reterr);
    if (r >= 0)
        r = parse_variables(self, variables, AK_ARRAY_LEN(variables), environ_, arena, reterr);
    if (r >= 0)
        r = parse_flags(self, argc, argv, arena, reterr);
    if (r >= 0)
        r = fill_defaults(self, arena, reterr);
    return r < 0 ? r : check_names(self, reterr);
}

static int help_rows(struct ak_buf *out, const struct option *table, size_t n, const char *dashes)
{
    for (size_t i = 0; i < n; i++) {
        int r = ak_buf_addf(out, "  %s%s\n        %s", dashes, table[i].name, table[i].help);
        if (r >= 0 && !ak_is_empty(table[i].shown))
            r = ak_buf_addf(out, " (default: %s)", table[i].shown);
        if (r >= 0)
            r = ak_buf_adds(out, "\n");
        if (r < 0)
            return r;
    }
    return 0;
}

int ak_options_help(struct ak_buf *out)
{
    int r = ak_buf_adds(
        out, "Usage: agentkube-manager [flags]\n\n"
             "Runs the controllers of agentkube.io on a Kubernetes cluster.\n\nFlags:\n");
    if (r >= 0)
        r = help_rows(out, flags, AK_ARRAY_LEN(flags), "--");
    if (r >= 0)
        r = ak_buf_adds(out, "\nEnvironment:\n");
    return r < 0 ? r : help_rows(out, variables, AK_ARRAY_LEN(variables), "");
}
