/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/text.h>
#include <string.h>

#include "engines/classify.h"

static const struct verb {
    const char *name, *sub; /* sub NULL: whatever follows */
    enum ak_statement_class class;
    const char *refused; /* NULL: it may be used */
} verbs[] = {
    {"get", NULL, AK_CLASS_READ, NULL},
    {"describe", NULL, AK_CLASS_READ, NULL},
    {"logs", NULL, AK_CLASS_READ, NULL},
    {"top", NULL, AK_CLASS_READ, NULL},
    {"explain", NULL, AK_CLASS_READ, NULL},
    {"events", NULL, AK_CLASS_READ, NULL},
    {"diff", NULL, AK_CLASS_READ, NULL},
    {"wait", NULL, AK_CLASS_READ, NULL},
    {"version", NULL, AK_CLASS_READ, NULL},
    {"api-resources", NULL, AK_CLASS_READ, NULL},
    {"api-versions", NULL, AK_CLASS_READ, NULL},
    {"cluster-info", "dump", AK_CLASS_READ, "this verb writes more than a result can hold"},
    {"cluster-info", NULL, AK_CLASS_READ, NULL},
    {"auth", "can-i", AK_CLASS_READ, NULL},
    {"auth", "whoami", AK_CLASS_READ, NULL},
    {"auth", NULL, AK_CLASS_ADMIN, NULL},
    {"rollout", "status", AK_CLASS_READ, NULL},
    {"rollout", "history", AK_CLASS_READ, NULL},
    {"rollout", NULL, AK_CLASS_WRITE, NULL},
    {"apply", NULL, AK_CLASS_WRITE, NULL},
    {"create", "token", AK_CLASS_ADMIN, "this verb makes a credential"},
    {"create", "role", AK_CLASS_ADMIN, NULL},
    {"create", "rolebinding", AK_CLASS_ADMIN, NULL},
    {"create", "clusterrole", AK_CLASS_ADMIN, NULL},
    {"create", "clusterrolebinding", AK_CLASS_ADMIN, NULL},
    {"create", NULL, AK_CLASS_WRITE, NULL},
    {"delete", NULL, AK_CLASS_WRITE, NULL},
    {"patch", NULL, AK_CLASS_WRITE, NULL},
    {"replace", NULL, AK_CLASS_WRITE, NULL},
    {"scale", NULL, AK_CLASS_WRITE, NULL},
    {"autoscale", NULL, AK_CLASS_WRITE, NULL},
    {"expose", NULL, AK_CLASS_WRITE, NULL},
    {"run", NULL, AK_CLASS_WRITE, NULL},
    {"label", NULL, AK_CLASS_WRITE, NULL},
    {"annotate", NULL, AK_CLASS_WRITE, NULL},
    {"set", NULL, AK_CLASS_WRITE, NULL},
    {"cordon", NULL, AK_CLASS_ADMIN, NULL},
    {"uncordon", NULL, AK_CLASS_ADMIN, NULL},
    {"drain", NULL, AK_CLASS_ADMIN, NULL},
    {"taint", NULL, AK_CLASS_ADMIN, NULL},
    {"certificate", NULL, AK_CLASS_ADMIN, NULL},
    {"exec", NULL, AK_CLASS_ADMIN, "this verb opens a stream into a container"},
    {"attach", NULL, AK_CLASS_ADMIN, "this verb opens a stream into a container"},
    {"cp", NULL, AK_CLASS_ADMIN, "this verb opens a stream into a container"},
    {"port-forward", NULL, AK_CLASS_ADMIN, "this verb opens a stream into a container"},
    {"debug", NULL, AK_CLASS_ADMIN, "this verb opens a stream into a container"},
    {"proxy", NULL, AK_CLASS_ADMIN, "this verb opens a port"},
    {"edit", NULL, AK_CLASS_WRITE, "this verb needs a terminal"},
    {"config", NULL, AK_CLASS_ADMIN, "this verb is about the credential"},
};

enum value { NO_VALUE, VALUE, VALUE_BEHIND /* only as --flag=value */ };
static const struct flag {
    const char *name;
    char letter; /* '\0': none */
    enum value value;
} flags[] = {
    {"namespace", 'n', VALUE},
    {"all-namespaces", 'A', NO_VALUE},
    {"output", 'o', VALUE},
    {"selector", 'l', VALUE},
    {"filename", 'f', VALUE},
    {"container", 'c', VALUE},
    {"previous", 'p', NO_VALUE},
    {"field-selector", '\0', VALUE},
    {"show-labels", '\0', NO_VALUE},
    {"show-kind", '\0', NO_VALUE},
    {"show-events", '\0', VALUE_BEHIND},
    {"label-columns", 'L', VALUE},
    {"sort-by", '\0', VALUE},
    {"no-headers", '\0', NO_VALUE},
    {"chunk-size", '\0', VALUE},
    {"ignore-not-found", '\0', NO_VALUE},
    {"raw", '\0', VALUE},
    {"tail", '\0', VALUE},
    {"since", '\0', VALUE},
    {"since-time", '\0', VALUE},
    {"timestamps", '\0', NO_VALUE},
    {"all-containers", '\0', NO_VALUE},
    {"containers", '\0', NO_VALUE},
    {"prefix", '\0', NO_VALUE},
    {"limit-bytes", '\0', VALUE},
    {"max-log-requests", '\0', VALUE},
    {"recursive", '\0', NO_VALUE},
    {"api-version", '\0', VALUE},
    {"api-group", '\0', VALUE},
    {"namespaced", '\0', VALUE_BEHIND},
    {"verbs", '\0', VALUE},
    {"client", '\0', NO_VALUE},
    {"short", '\0', NO_VALUE},
    {"list", '\0', NO_VALUE},
    {"quiet", 'q', NO_VALUE},
    {"subresource", '\0', VALUE},
    {"for", '\0', VALUE},
    {"timeout", '\0', VALUE},
    {"request-timeout", '\0', VALUE},
    {"types", '\0', VALUE},
    {"replicas", '\0', VALUE},
    {"current-replicas", '\0', VALUE},
    {"resource-version", '\0', VALUE},
    {"patch", '\0', VALUE},
    {"type", '\0', VALUE},
    {"dry-run", '\0', VALUE_BEHIND},
    {"force", '\0', NO_VALUE},
    {"grace-period", '\0', VALUE},
    {"wait", '\0', VALUE_BEHIND},
    {"cascade", '\0', VALUE_BEHIND},
    {"now", '\0', NO_VALUE},
    {"all", '\0', NO_VALUE},
    {"overwrite", '\0', NO_VALUE},
    {"image", '\0', VALUE},
    {"port", '\0', VALUE},
    {"target-port", '\0', VALUE},
    {"protocol", '\0', VALUE},
    {"name", '\0', VALUE},
    {"env", '\0', VALUE},
    {"labels", '\0', VALUE},
    {"annotations", '\0', VALUE},
    {"restart", '\0', VALUE},
    {"command", '\0', NO_VALUE},
    {"schedule", '\0', VALUE},
    {"from", '\0', VALUE},
    {"from-literal", '\0', VALUE},
    {"server-side", '\0', NO_VALUE},
    {"force-conflicts", '\0', NO_VALUE},
    {"field-manager", '\0', VALUE},
    {"save-config", '\0', NO_VALUE},
    {"validate", '\0', VALUE_BEHIND},
    {"to-revision", '\0', VALUE},
    {"revision", '\0', VALUE},
    {"min", '\0', VALUE},
    {"max", '\0', VALUE},
    {"cpu-percent", '\0', VALUE},
    {"limits", '\0', VALUE},
    {"requests", '\0', VALUE},
    {"hard", '\0', VALUE},
    {"verb", '\0', VALUE},
    {"resource", '\0', VALUE},
    {"resource-name", '\0', VALUE},
    {"role", '\0', VALUE},
    {"clusterrole", '\0', VALUE},
    {"user", '\0', VALUE_BEHIND}, /* of a binding; "--user NAME" is the kubeconfig's */
    {"group", '\0', VALUE},
    {"serviceaccount", '\0', VALUE},
    {"ignore-daemonsets", '\0', NO_VALUE},
    {"delete-emptydir-data", '\0', NO_VALUE},
};

#define UNKNOWN_FLAG "this flag is not among those that may be used here"

static const struct flag *find_flag(const char *arg, const char **ret_value)
{
    bool is_long = arg[1] == '-';
    const char *name = arg + (is_long ? 2 : 1);
    size_t len = is_long ? strcspn(name, "=") : 1;

    for (size_t i = 0; i < AK_ARRAY_LEN(flags); i++) {
        bool same = is_long ? strlen(flags[i].name) == len && strncmp(flags[i].name, name, len) == 0
                            : flags[i].letter && flags[i].letter == name[0];
        if (!same)
            continue;
        *ret_value = NULL;
        if (name[len])
            *ret_value = name + len + (name[len] == '=');
        return &flags[i];
    }
    return NULL;
}

/* What is wrong with a flag and its value for this verb; NULL: nothing. */
static const char *check_flag(const struct flag *flag, const char *verb, bool is_short,
                              const char *value)
{
    bool logs = ak_streq(verb, "logs");

    if (ak_streq(flag->name, "filename") && is_short && logs)
        return "following a log has no end";
    if (ak_streq(flag->name, "filename") && !ak_streq(value, "-"))
        return "only -f - may be used: the manifest goes to stdin";
    if (ak_streq(flag->name, "output") && value && strstr(value, "-file"))
        return "templates cannot be read from files";
    if (ak_streq(flag->name, "raw") && (!ak_streq(verb, "get") || !value || value[0] != '/'))
        return "--raw is for get, with a path";
    if (ak_streq(flag->name, "user") && !(ak_streq(verb, "create") || ak_streq(verb, "set")))
        return "the identity is the Tool's";
    return NULL;
}

/* -p is --patch there, with a value, and --previous elsewhere. */
static bool takes_value(const struct flag *flag, const char *verb, bool is_short)
{
    return flag->value == VALUE || (is_short && flag->letter == 'p' && ak_streq(verb, "patch"));
}

/* Takes the flag at argv[*at] and its value; *at is then its last argument. */
static const char *take_flag(const char *const *argv, size_t argc, const char *verb, size_t *at)
{
    const char *value = NULL;
    bool is_short = argv[*at][1] != '-';
    const struct flag *flag = find_flag(argv[*at], &value);

    if (!flag)
        return UNKNOWN_FLAG;
    bool wants = takes_value(flag, verb, is_short);
    if (is_short && value && !wants)
        return "write flags of one letter apart from each other";
    if (wants && !value) {
        bool follows = ak_streq(flag->name, "filename") && is_short && ak_streq(verb, "logs");
        if (*at + 1 >= argc && !follows)
            return "this flag needs a value";
        if (!follows)
            value = argv[++*at];
    }
    return check_flag(flag, verb, is_short, value);
}

/* The verb is the first argument that is no flag and no flag's value. */
static const char *find_verb(const char *const *argv, size_t argc, size_t *ret_at)
{
    for (size_t i = 0; i < argc; i++) {
        const char *value = NULL;
        if (argv[i][0] != '-' || !argv[i][1]) {
            *ret_at = i;
            return argv[i];
        }
        const struct flag *flag = find_flag(argv[i], &value);
        if (flag && flag->value == VALUE && !value)
            i++;
    }
    *ret_at = argc;
    return "";
}

static const struct verb *verb_of(const char *verb, const char *sub)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(verbs); i++)
        if (ak_streq(verbs[i].name, verb) &&
            (!verbs[i].sub || (sub && ak_streq(verbs[i].sub, sub))))
            return &verbs[i];
    return NULL;
}

enum ak_statement_class ak_classify_kubectl(const char *const *argv, size_t argc,
                                            const char **ret_refused, size_t *ret_at)
{
    size_t verb_at = argc;
    const char *verb = find_verb(argv, argc, &verb_at);
    const char *sub = NULL;

    *ret_refused = NULL;
    *ret_at = argc;
    for (size_t i = 0; i < argc && !*ret_refused; i++) {
        if (ak_streq(argv[i], "--") && (ak_streq(verb, "run") || ak_streq(verb, "create")))
            break; /* the command of a container */
        *ret_at = i;
        if (argv[i][0] == '-' && argv[i][1])
            *ret_refused = take_flag(argv, argc, verb, &i);
        else if (i > verb_at && !sub)
            sub = argv[i];
    }
    const struct verb *found = verb_of(verb, sub);
    if (!*ret_refused && (!found || found->refused)) {
        *ret_refused = !argc || verb_at == argc ? "there is no verb"
                       : found                  ? found->refused
                               : "this verb is not among those that may be used here";
        *ret_at = verb_at;
    }
    if (!*ret_refused)
        *ret_at = argc;
    return found ? found->class : AK_CLASS_UNKNOWN;
}
