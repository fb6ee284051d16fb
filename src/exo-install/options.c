/* SPDX-License-Identifier: Apache-2.0 */
#include "exo-install/options.h"

#include <string.h>

#include <ak/base/text.h>

/* In the order of enum ak_output; text is what is printed when none is asked for. */
static const char *const outputs[] = {"text", "yaml", "json", NULL};

#define ON(verb) (1u << AK_VERB_##verb)
#define INSTALLS (ON(OPERATOR) | ON(UPGRADE))
#define APPLIES (INSTALLS | ON(CRDS))
#define ASKS (APPLIES | ON(STATUS) | ON(UNINSTALL))

#define FLAG(flag_name, flag_letter, flag_type, member, flag_verbs, flag_value, flag_help)         \
    {                                                                                              \
        .name = (flag_name), .letter = (flag_letter), .type = (AK_FLAG_##flag_type),               \
        .offset = offsetof(struct ak_install_options, member), .where = (flag_verbs),              \
        .value = (flag_value), .help = (flag_help), .choices = outputs                             \
    }

static const struct ak_flag flags[] = {
    FLAG("managed", 0, BOOL, managed, INSTALLS, NULL,
         "connect to a control plane (this version of the manager only logs a warning)"),
    FLAG("base-url", 0, TEXT, base_url, INSTALLS, "URL", "address of the control plane"),
    FLAG("token-file", 0, TEXT, token_file, INSTALLS, "FILE",
         "deployment token for the Secret agentkube-auth; \"-\": standard input"),
    FLAG("image", 0, TEXT, image, INSTALLS, "REF", "the manager's image"),
    FLAG("image-registry", 0, TEXT, image_registry, INSTALLS | ON(IMAGES), "REGISTRY",
         "mirror, \"host/path\" if you like, of every default image"),
    FLAG("pull-secret", 0, LIST, pull_secrets, INSTALLS, "NAME",
         "Secret to pull the manager's image with; may be repeated"),
    FLAG("replicas", 0, TEXT, replicas, INSTALLS, "N", "pods of the manager; one leads"),
    FLAG("webhook", 0, SWITCH, webhook, INSTALLS, "true|false",
         "the admission webhook (default: as in the chart)"),
    FLAG("set", 0, LIST, sets, INSTALLS, "KEY=VALUE",
         "a value of the chart, in Helm's syntax; may be repeated"),
    FLAG("values", 'f', LIST, values, INSTALLS, "FILE", "a file of such values (YAML)"),
    FLAG("crds", 0, BOOL, crds, INSTALLS, NULL,
         "also bring the definitions up to date (default: true)"),
    FLAG("offline", 0, TEXT, offline, APPLIES | ON(IMAGES), "DIR",
         "take the manifests from an unpacked bundle"),
    FLAG("dry-run", 0, BOOL, dry_run, APPLIES, NULL,
         "only print what would be applied; asks no cluster"),
    FLAG("output", 'o', CHOICE, output, APPLIES | ON(STATUS) | ON(IMAGES), "yaml|json",
         "format of what is printed (-o)"),
    FLAG("wait", 0, BOOL, wait, ASKS & ~ON(STATUS), NULL,
         "wait until it works, or is gone (default: true)"),
    FLAG("no-wait", 0, OFF, wait, ASKS & ~ON(STATUS), NULL, "the same as --wait=false"),
    FLAG("timeout", 0, PERIOD, timeout, ASKS & ~ON(STATUS), "DURATION",
         "for everything together (default: 5m)"),
    FLAG("force-conflicts", 0, BOOL, force_conflicts, APPLIES, NULL,
         "take over fields and installs of other tools (never a Helm release)"),
    FLAG("allow-downgrade", 0, BOOL, allow_downgrade, APPLIES, NULL, "also over a newer version"),
    FLAG("purge", 0, BOOL, purge, ON(UNINSTALL), NULL,
         "also delete the definitions, and with them every Agent, Tool, MCP, LLMGateway and Claw"),
    FLAG("yes", 'y', BOOL, yes, ON(UNINSTALL), NULL, "do not ask"),
    FLAG("images", 0, LIST, images, ON(BUNDLE), "DIR",
         "folder with image archives (*.tar) to put in; may be repeated"),
    FLAG("file", 0, TEXT, file, ON(BUNDLE), "FILE",
         "name of the bundle (default: agentkube-VERSION.tar; \"-\": standard output)"),
    FLAG("kubeconfig", 0, TEXT, kubeconfig, ASKS, "FILE",
         "default: $KUBECONFIG, in-cluster, ~/.kube/config"),
    FLAG("context", 0, TEXT, context, ASKS, "NAME", "context of the kubeconfig"),
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

/* What this program has less than kubectl, said at once. */
static int parse_flag(struct ak_install_options *self, int argc, const char *const *argv, int *at,
                      struct ak_error **reterr)
{
    const struct ak_flags known = {
        .items = flags,
        .len = AK_ARRAY_LEN(flags),
        .where = 1u << self->verb,
        .who = verbs[self->verb].name,
    };
    const char *arg = argv[*at];

    if (ak_has_prefix(arg, "-n") || ak_has_prefix(arg, "--namespace"))
        return ak_error_set(reterr, -EINVAL,
                            "%s: the namespace is always agentkube-system and cannot be chosen",
                            arg);
    return ak_flags_take(&known, argc, argv, at, self, reterr);
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
        const char *value = ak_flags_variable(environ_, variables[i].name);
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
        r = self->help ? 0 : parse_flag(self, argc, argv, &at, reterr);
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
    const struct ak_flags known = {
        .items = flags, .len = AK_ARRAY_LEN(flags), .where = 1u << verb, .who = v->name};
    if (r >= 0)
        r = ak_flags_help(&known, "Flags", out);
    return r;
}

int ak_install_options_help(const struct ak_install_options *self, struct ak_buf *out)
{
    return self->has_verb ? help_of_verb(self->verb, out) : help_of_program(out);
}
