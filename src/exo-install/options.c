/* SPDX-License-Identifier: Apache-2.0 */
#include "exo-install/options.h"

#include <string.h>

#include <ak/base/text.h>

enum flag_type { FLAG_TEXT, FLAG_BOOL, FLAG_SWITCH, FLAG_OFF, FLAG_LIST, FLAG_PERIOD, FLAG_OUTPUT };

#define ON(verb) (1u << AK_VERB_##verb)
#define INSTALLS (ON(OPERATOR) | ON(UPGRADE))
#define APPLIES (INSTALLS | ON(CRDS))
#define ASKS (APPLIES | ON(STATUS) | ON(UNINSTALL))

struct flag {
    const char *name; /* without dashes */
    enum flag_type type;
    size_t offset;
    uint32_t verbs; /* bits of enum ak_verb */
    const char *value;
    const char *help;
};
#define FLAG(flag_name, flag_type, member, flag_verbs, flag_value, flag_help)                      \
    {                                                                                              \
        .name = (flag_name), .type = (flag_type),                                                  \
        .offset = offsetof(struct ak_install_options, member), .verbs = (flag_verbs),              \
        .value = (flag_value), .help = (flag_help)                                                 \
    }

static const struct flag flags[] = {
    FLAG("managed", FLAG_BOOL, managed, INSTALLS, NULL,
         "connect to a control plane (this version of the manager only logs a warning)"),
    FLAG("base-url", FLAG_TEXT, base_url, INSTALLS, "URL", "address of the control plane"),
    FLAG("token-file", FLAG_TEXT, token_file, INSTALLS, "FILE",
         "deployment token for the Secret agentkube-auth; \"-\": standard input"),
    FLAG("image", FLAG_TEXT, image, INSTALLS, "REF", "the manager's image"),
    FLAG("image-registry", FLAG_TEXT, image_registry, INSTALLS | ON(IMAGES), "REGISTRY",
         "mirror, \"host/path\" if you like, of every default image"),
    FLAG("pull-secret", FLAG_LIST, pull_secrets, INSTALLS, "NAME",
         "Secret to pull the manager's image with; may be repeated"),
    FLAG("replicas", FLAG_TEXT, replicas, INSTALLS, "N", "pods of the manager; one leads"),
    FLAG("webhook", FLAG_SWITCH, webhook, INSTALLS, "true|false",
         "the admission webhook (default: as in the chart)"),
    FLAG("set", FLAG_LIST, sets, INSTALLS, "KEY=VALUE",
         "a value of the chart, in Helm's syntax; may be repeated"),
    FLAG("values", FLAG_LIST, values, INSTALLS, "FILE", "a file of such values (YAML)"),
    FLAG("crds", FLAG_BOOL, crds, INSTALLS, NULL,
         "also bring the definitions up to date (default: true)"),
    FLAG("offline", FLAG_TEXT, offline, APPLIES | ON(IMAGES), "DIR",
         "take the manifests from an unpacked bundle"),
    FLAG("dry-run", FLAG_BOOL, dry_run, APPLIES, NULL,
         "only print what would be applied; asks no cluster"),
    FLAG("output", FLAG_OUTPUT, output, APPLIES | ON(STATUS) | ON(IMAGES), "yaml|json",
         "format of what is printed (-o)"),
    FLAG("wait", FLAG_BOOL, wait, ASKS & ~ON(STATUS), NULL,
         "wait until it works, or is gone (default: true)"),
    FLAG("no-wait", FLAG_OFF, wait, ASKS & ~ON(STATUS), NULL, "the same as --wait=false"),
    FLAG("timeout", FLAG_PERIOD, timeout, ASKS & ~ON(STATUS), "DURATION",
         "for everything together (default: 5m)"),
    FLAG("force-conflicts", FLAG_BOOL, force_conflicts, APPLIES, NULL,
         "take over fields and installs of other tools (never a Helm release)"),
    FLAG("allow-downgrade", FLAG_BOOL, allow_downgrade, APPLIES, NULL, "also over a newer version"),
    FLAG("purge", FLAG_BOOL, purge, ON(UNINSTALL), NULL,
         "also delete the definitions, and with them every Agent, Tool, MCP, LLMGateway and Claw"),
    FLAG("yes", FLAG_BOOL, yes, ON(UNINSTALL), NULL, "do not ask"),
    FLAG("images", FLAG_LIST, images, ON(BUNDLE), "DIR",
         "folder with image archives (*.tar) to put in; may be repeated"),
    FLAG("file", FLAG_TEXT, file, ON(BUNDLE), "FILE",
         "name of the bundle (default: agentkube-VERSION.tar; \"-\": standard output)"),
    FLAG("kubeconfig", FLAG_TEXT, kubeconfig, ASKS, "FILE",
         "default: $KUBECONFIG, in-cluster, ~/.kube/config"),
    FLAG("context", FLAG_TEXT, context, ASKS, "NAME", "context of the kubeconfig"),
};

struct verb {
    const char *name, *about, *more;
};
static const struct verb verbs[AK_VERB_MAX] = {
    [AK_VERB_CRDS] = {"crds", "install or upgrade the five definitions of agentkube.io",
                      "Definitions are only ever added to; objects are left as they are."},
    [AK_VERB_OPERATOR] =
        {"operator", "install the operator: definitions, RBAC, Service, webhook, Deployment",
         "Values that are not given are the chart's defaults. A half-finished install is "
         "completed.\n"
         "Everything goes into the namespace agentkube-system, which cannot be changed."},
    [AK_VERB_UPGRADE] =
        {"upgrade", "bring an install of exo-install to this version",
         "Keeps the values with which it was installed; those given now come on top."},
    [AK_VERB_STATUS] = {"status", "what is installed, and whether it works",
                        "Exit code 0 if all of it works, 1 if not."},
    [AK_VERB_UNINSTALL] =
        {"uninstall", "remove the operator; Agents and definitions stay",
         "Pods of Agents go on running, unattended, until an operator is installed again."},
    [AK_VERB_BUNDLE] =
        {"bundle", "one archive for sites without a network",
         "Manifests, the list of images, this program, and the image archives that --images "
         "finds.\n"
         "There: unpack, load images/*.tar into the site's registry, exo-install operator "
         "--offline DIR."},
    [AK_VERB_IMAGES] = {"images", "list every image that the operator can start",
                        "An Agent's own spec.image is not on the list."},
    [AK_VERB_VERSION] = {"version", "print the version", NULL},
};

const char *ak_install_verb_name(enum ak_verb verb)
{
    return verb < AK_VERB_MAX ? verbs[verb].name : "";
}

static int set_switch(const struct flag *flag, const char *value, bool *target,
                      struct ak_error **reterr)
{
    if (ak_parse_bool(value ? value : "true", target) < 0)
        return ak_error_set(reterr, -EINVAL, "--%s: \"%s\" must be true or false", flag->name,
                            value);
    return 0;
}

static int set_output(const char *value, enum ak_output *target, struct ak_error **reterr)
{
    if (ak_streq(value, "yaml"))
        *target = AK_OUTPUT_YAML;
    else if (ak_streq(value, "json"))
        *target = AK_OUTPUT_JSON;
    else
        return ak_error_set(reterr, -EINVAL, "--output: \"%s\" must be yaml or json", value);
    return 0;
}

static int add_to_list(const struct flag *flag, const char *value, struct ak_install_list *list,
                       struct ak_error **reterr)
{
    if (list->len == AK_INSTALL_MAX_LIST)
        return ak_error_set(reterr, -EINVAL, "--%s: given more than %d times", flag->name,
                            AK_INSTALL_MAX_LIST);
    list->items[list->len++] = value;
    return 0;
}

static int set_flag(struct ak_install_options *self, const struct flag *flag, const char *value,
                    struct ak_error **reterr)
{
    void *target = (char *)self + flag->offset;
    bool on = false;

    switch (flag->type) {
    case FLAG_TEXT:
        *(const char **)target = value;
        return 0;
    case FLAG_BOOL:
        return set_switch(flag, value, target, reterr);
    case FLAG_SWITCH:
        *(const char **)target = value ? value : "true";
        return set_switch(flag, value, &on, reterr);
    case FLAG_OFF:
        *(bool *)target = false;
        return 0;
    case FLAG_LIST:
        return add_to_list(flag, value, target, reterr);
    case FLAG_PERIOD:
        if (ak_parse_duration(value, target) < 0 || *(ak_msec *)target <= 0)
            return ak_error_set(reterr, -EINVAL, "--%s: \"%s\" must be a duration such as 5m",
                                flag->name, value);
        return 0;
    case FLAG_OUTPUT:
        return set_output(value, target, reterr);
    }
    return -EINVAL;
}

static const struct flag *find_flag(const char *name, size_t len)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(flags); i++)
        if (strlen(flags[i].name) == len && strncmp(flags[i].name, name, len) == 0)
            return &flags[i];
    return NULL;
}

/* "-o yaml", "-oyaml" and "-f file" are what kubectl's and Helm's users type. */
static const char *long_name(const char *arg, struct ak_arena *arena)
{
    static const struct {
        char letter;
        const char *name;
    } letters[] = {{'o', "output"}, {'f', "values"}, {'y', "yes"}};

    for (size_t i = 0; i < AK_ARRAY_LEN(letters); i++) {
        if (arg[0] != '-' || arg[1] != letters[i].letter)
            continue;
        const char *rest = arg + 2 + (arg[2] == '=');
        return *rest ? ak_arena_printf(arena, "--%s=%s", letters[i].name, rest)
                     : ak_arena_printf(arena, "--%s", letters[i].name);
    }
    return arg;
}

static int refuse_flag(enum ak_verb verb, const char *arg, const struct flag *flag,
                       struct ak_error **reterr)
{
    if (ak_has_prefix(arg, "-n") || ak_has_prefix(arg, "--namespace"))
        return ak_error_set(reterr, -EINVAL,
                            "%s: the namespace is always agentkube-system and cannot be chosen",
                            arg);
    if (flag)
        return ak_error_set(reterr, -EINVAL, "%s has no flag --%s", verbs[verb].name, flag->name);
    return ak_error_set(reterr, -EINVAL, "unknown flag \"%s\"", arg);
}

static bool takes_no_value(const struct flag *flag)
{
    return flag->type == FLAG_BOOL || flag->type == FLAG_SWITCH || flag->type == FLAG_OFF;
}

static int parse_flag(struct ak_install_options *self, int argc, const char *const *argv, int *at,
                      struct ak_arena *arena, struct ak_error **reterr)
{
    const char *arg = long_name(argv[*at], arena);
    if (!arg)
        return ak_error_oom(reterr);
    if (!ak_has_prefix(arg, "-") || !arg[1])
        return ak_error_set(reterr, -EINVAL, "unexpected argument \"%s\"", arg);
    const char *name = arg + (ak_has_prefix(arg, "--") ? 2 : 1);
    size_t len = strcspn(name, "=");
    const struct flag *flag = ak_has_prefix(arg, "--") ? find_flag(name, len) : NULL;
    if (!flag || !(flag->verbs & (1u << self->verb)))
        return refuse_flag(self->verb, arg, flag, reterr);
    const char *value = name[len] == '=' ? name + len + 1 : NULL;
    if (value && flag->type == FLAG_OFF)
        return ak_error_set(reterr, -EINVAL, "--%s: takes no value", flag->name);
    if (!value && !takes_no_value(flag)) {
        if (*at + 1 >= argc)
            return ak_error_set(reterr, -EINVAL, "--%s: needs a value", flag->name);
        value = argv[++*at];
    }
    return set_flag(self, flag, value, reterr);
}

static const char *find_variable(const char *const *environ_, const char *name)
{
    size_t len = strlen(name);
    for (; environ_ && *environ_; environ_++)
        if (strncmp(*environ_, name, len) == 0 && (*environ_)[len] == '=' && (*environ_)[len + 1])
            return *environ_ + len + 1;
    return NULL;
}

static int read_environment(struct ak_install_options *self, const char *const *environ_,
                            struct ak_arena *arena, struct ak_error **reterr)
{
    static const struct {
        const char *name;
        size_t offset;
    } variables[] = {
        {"KUBECONFIG", offsetof(struct ak_install_options, kubeconfig)},
        {"HOME", offsetof(struct ak_install_options, home)},
        {"KUBERNETES_SERVICE_HOST", offsetof(struct ak_install_options, service_host)},
        {"KUBERNETES_SERVICE_PORT", offsetof(struct ak_install_options, service_port)},
        {"https_proxy", offsetof(struct ak_install_options, https_proxy)},
        {"HTTPS_PROXY", offsetof(struct ak_install_options, https_proxy)},
        {"no_proxy", offsetof(struct ak_install_options, no_proxy)},
        {"NO_PROXY", offsetof(struct ak_install_options, no_proxy)},
    };
    for (size_t i = 0; i < AK_ARRAY_LEN(variables); i++) {
        const char *value = find_variable(environ_, variables[i].name);
        if (value)
            *(const char **)((char *)self + variables[i].offset) = value;
    }
    self->environ_ = environ_;
    if (self->kubeconfig || self->service_host || !self->home)
        return 0;
    self->kubeconfig = ak_arena_printf(arena, "%s/.kube/config", self->home);
    return self->kubeconfig ? 0 : ak_error_oom(reterr);
}

static int find_verb(const char *name, enum ak_verb *ret, struct ak_error **reterr)
{
    for (int i = 0; i < AK_VERB_MAX; i++)
        if (ak_streq(verbs[i].name, name)) {
            *ret = (enum ak_verb)i;
            return 0;
        }
    if (ak_streq(name, "platform"))
        return ak_error_set(reterr, -EINVAL,
                            "\"platform\": the control plane is another product, this program "
                            "installs the operator only");
    return ak_error_set(reterr, -EINVAL, "unknown verb \"%s\"", name);
}

static bool asks_for_help(const char *arg)
{
    return ak_streq(arg, "--help") || ak_streq(arg, "-h") || ak_streq(arg, "help");
}

int ak_install_options_parse(struct ak_install_options *self, int argc, const char *const *argv,
                             const char *const *environ_, struct ak_arena *arena,
                             struct ak_error **reterr)
{
    *self = (struct ak_install_options){.timeout = AK_MINUTES(5), .wait = true, .crds = true};
    int r = read_environment(self, environ_, arena, reterr);
    if (r < 0)
        return r;
    if (argc < 2)
        return ak_error_set(reterr, -EINVAL, "which verb?");
    self->help = asks_for_help(argv[1]);
    if (self->help && argc == 2)
        return 0;
    int at = self->help ? 2 : 1;
    r = find_verb(ak_streq(argv[at], "--version") ? "version" : argv[at], &self->verb, reterr);
    if (r < 0)
        return r;
    self->has_verb = true;
    for (at++; at < argc && !self->help; at++) {
        self->help = asks_for_help(argv[at]);
        r = self->help ? 0 : parse_flag(self, argc, argv, &at, arena, reterr);
        if (r < 0)
            return r;
    }
    return 0;
}

static int help_of_program(struct ak_buf *out)
{
    int r =
        ak_buf_adds(out, "Usage: exo-install VERB [flags]\n\n"
                         "Installs agentkube on a Kubernetes cluster, version 1.20 or later.\n\n"
                         "Verbs:\n");
    for (int i = 0; r >= 0 && i < AK_VERB_MAX; i++)
        r = ak_buf_addf(out, "  %-10s %s\n", verbs[i].name, verbs[i].about);
    if (r >= 0)
        r = ak_buf_adds(out, "\nexo-install VERB --help lists its flags.\n\n"
                             "Exit codes: 0 done; 1 failed; 2 not understood; 3 not allowed, or "
                             "something\nis in the way (nothing was changed); 4 took too long.\n");
    return r;
}

static int help_of_verb(enum ak_verb verb, struct ak_buf *out)
{
    const struct verb *v = &verbs[verb];
    int r = ak_buf_addf(out, "Usage: exo-install %s [flags]\n\n%c%s.\n", v->name,
                        v->about[0] - 'a' + 'A', v->about + 1);
    if (r >= 0 && v->more)
        r = ak_buf_addf(out, "%s\n", v->more);
    bool first = true;
    for (size_t i = 0; r >= 0 && i < AK_ARRAY_LEN(flags); i++) {
        if (!(flags[i].verbs & (1u << verb)))
            continue;
        r = ak_buf_addf(out, "%s  --%s%s%s\n        %s\n", first ? "\nFlags:\n" : "", flags[i].name,
                        flags[i].value ? "=" : "", flags[i].value ? flags[i].value : "",
                        flags[i].help);
        first = false;
    }
    return r;
}

int ak_install_options_help(const struct ak_install_options *self, struct ak_buf *out)
{
    return self->has_verb ? help_of_verb(self->verb, out) : help_of_program(out);
}
