/* SPDX-License-Identifier: Apache-2.0 */
/* What the spec means here and now, and what is missing. Pure. */
#include <ak/base/text.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engines/policy.h"
#include "manager/admission/validate.h"
#include "manager/controllers/tool/tool_internal.h"
#include "manager/images.h"

struct resolve {
    const struct ak_tool_observed *o;
    const struct ak_tool_spec *spec;
    struct ak_arena *arena;
    struct ak_tool_meaning *m;
    struct ak_error **reterr;
};

int ak_tool_hash(char ret[static AK_TOOL_HASH_LEN + 1], const char *const *texts, size_t n)
{
    AK_AUTO(ak_buf) all = AK_BUF_INIT(8u << 20);
    char digest[AK_DIGEST_SIZE];
    int r = 0;
    for (size_t i = 0; r >= 0 && i < n; i++)
        r = texts[i] ? ak_buf_addf(&all, "%zu:%s;", strlen(texts[i]), texts[i])
                     : ak_buf_adds(&all, "-;");
    if (r >= 0)
        r = ak_digest_bytes(ak_buf_text(&all), all.len, digest);
    if (r < 0)
        return r;
    memcpy(ret, digest, AK_TOOL_HASH_LEN);
    ret[AK_TOOL_HASH_LEN] = '\0';
    return 0;
}

/* The worst problem is kept, the first of its kind; the others are counted. */
static void problem(const struct resolve *r, enum ak_tool_problem_kind kind, const char *reason,
                    const char *fmt, ...) AK_PRINTF(4, 5);
static void problem(const struct resolve *r, enum ak_tool_problem_kind kind, const char *reason,
                    const char *fmt, ...)
{
    struct ak_tool_problem *worst = &r->m->problem;
    char text[2 * AK_TOOL_MESSAGE_MAX];
    va_list ap;
    if (worst->kind != AK_TOOL_FINE)
        r->m->n_more++;
    if (kind <= worst->kind)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    *worst = (struct ak_tool_problem){kind, reason, ak_arena_strdup(r->arena, text)};
}

/* What the webhook refuses, said here for objects that came past it. */
static int check_spec(const struct resolve *r)
{
    struct ak_findings found = {.arena = r->arena};
    ak_validate_tool(r->spec, &found);
    for (size_t i = 0; i < found.len; i++)
        if (!found.items[i].warning)
            problem(r, AK_TOOL_INVALID, "InvalidSpec", "%s: %s", found.items[i].path,
                    found.items[i].message);
    r->m->n_more += found.more;
    return found.oom ? -ENOMEM : 0;
}

static int check_enforceable(const struct resolve *r)
{
    const char *const *list = NULL;
    int n = ak_policy_enforceable(r->spec, r->arena, &list, r->reterr);
    for (; n >= 0 && *list; list++)
        problem(r, AK_TOOL_UNENFORCEABLE, "NotEnforceable", "%s", *list);
    return n;
}

static void check_secret(const struct resolve *r, const struct ak_secret_key_ref *ref,
                         const struct ak_digest *digest, const char *field, const char *reason)
{
    if (!ref || digest->key_found)
        return;
    if (digest->found)
        problem(r, AK_TOOL_MISSING, reason, "%s: Secret \"%s\" has no key \"%s\"", field, ref->name,
                ref->key);
    else
        problem(r, AK_TOOL_MISSING, reason,
                "%s: there is no Secret \"%s\" in this namespace; create it with the key \"%s\"",
                field, ref->name, ref->key);
}

/* The credential of a Tool with users of its own is not used, but a name that leads nowhere is said anyway. */
static void check_secrets(const struct resolve *r)
{
    const struct ak_tool_config *config = r->spec->config;
    bool ca_in_tls = r->spec->tls && r->spec->tls->ca_ref;
    if (config)
        check_secret(r, config->credentials_ref, &r->o->credential, "spec.config.credentialsRef",
                     "SecretMissing");
    check_secret(r, ak_tool_ca_ref(r->spec), &r->o->ca,
                 ca_in_tls ? "spec.tls.caRef" : "spec.config.caRef", "SecretMissing");
    if (r->spec->permissions)
        check_secret(r, r->spec->permissions->admin_credentials_ref, &r->o->admin,
                     "spec.permissions.adminCredentialsRef", "AdminSecretMissing");
}

static int resolve_image(const struct resolve *r)
{
    struct ak_tool_meaning *m = r->m;
    m->image = ak_tool_image(r->spec);
    if (m->image || !m->info)
        return 0;
    if (!m->info->image) {
        problem(r, AK_TOOL_INVALID, "InvalidSpec",
                "spec.image: must be set, because there is no default image for type %s",
                m->info->name);
        return 0;
    }
    m->image = ak_image_default(r->arena, m->info->image, r->o->options->image_registry);
    return m->image ? 0 : -ENOMEM;
}

static void resolve_rights(const struct resolve *r)
{
    const struct ak_tool_permissions *permissions = r->spec->permissions;
    bool in_cluster = r->spec->config && r->spec->config->in_cluster;
    const struct ak_meta *meta = ak_object_meta(r->o->tool);
    if (r->spec->type != AK_TOOL_TYPE_KUBERNETES)
        return;
    r->m->has_rights = in_cluster;
    if (!in_cluster && permissions)
        problem(r, AK_TOOL_UNENFORCEABLE, "NotEnforceable",
                "spec.permissions: are given to a bastion in this cluster: set "
                "spec.config.inCluster, or leave them out and give the kubeconfig's user few "
                "rights");
    if (in_cluster && !r->o->sees_cluster && ak_tool_rights_reach_out(meta, r->spec))
        problem(r, AK_TOOL_UNENFORCEABLE, "NotEnforceable",
                "spec.permissions: this manager serves one namespace and cannot give rights "
                "outside of it");
}

/* ---- hashes ---- */

int ak_tool_place_of(const struct ak_tool_spec *spec, char ret[static AK_TOOL_HASH_LEN + 1])
{
    static const struct ak_tool_config none;
    const struct ak_tool_config *c = spec->config ? spec->config : &none;
    char port[16];
    (void)snprintf(port, sizeof(port), "%u", ak_tool_port(spec));
    const char *const texts[] = {ak_tool_type_to_string(spec->type),
                                 c->hostname,
                                 c->url,
                                 port,
                                 c->account,
                                 c->project,
                                 c->brokers.len ? c->brokers.items[0] : NULL};
    return ak_tool_hash(ret, texts, AK_ARRAY_LEN(texts));
}

static const char *hex_of(const struct ak_digest *digest)
{
    return digest->key_found ? digest->hex : NULL;
}

/* The parts of the spec that users and rights are made from. */
static int hash_made_for(const struct resolve *r)
{
    static const char *const parts[] = {"type", "config", "tls", "permissions", "image"};
    AK_AUTO(ak_buf) text = AK_BUF_INIT(4u << 20);
    AK_AUTO_JSON *spec = NULL;
    int n = ak_encode(&ak_tool_spec_type, r->spec, &spec, r->reterr);
    for (size_t i = 0; n >= 0 && i < AK_ARRAY_LEN(parts); i++) {
        const json_t *part = json_object_get(spec, parts[i]);
        AK_AUTO_JSON *pair = part ? json_pack("[O]", part) : NULL;
        n = part && !pair ? -ENOMEM : 0;
        if (pair)
            n = ak_json_write(pair, &text, r->reterr);
        if (n >= 0)
            n = ak_buf_adds(&text, "\n");
    }
    const char *const texts[] = {ak_buf_text(&text), hex_of(&r->o->admin), hex_of(&r->o->ca)};
    return n < 0 ? n : ak_tool_hash(r->m->made_for, texts, AK_ARRAY_LEN(texts));
}

static int hash_tool(const struct resolve *r)
{
    const struct ak_tool_status *status = ak_tool_status_of(r->o);
    char rotated[AK_RFC3339_SIZE] = "";
    AK_AUTO_PTR(ak_error) err = NULL;
    int n = ak_tool_text(ak_object_meta(r->o->tool), r->spec, r->arena, &r->m->text, &err);
    if (n == AK_E_TOO_LARGE)
        problem(r, AK_TOOL_INVALID, "InvalidSpec", "spec: %s", ak_error_message(err));
    else if (n < 0)
        return n;
    if (r->m->is_provisioned && status && status->identity)
        (void)ak_format_rfc3339(status->identity->rotated_time, rotated);
    const char *const texts[] = {r->m->is_provisioned ? rotated : hex_of(&r->o->credential),
                                 hex_of(&r->o->ca)};
    n = ak_tool_hash(r->m->tool, &r->m->text, 1);
    return n < 0 ? n : ak_tool_hash(r->m->secrets, texts, AK_ARRAY_LEN(texts));
}

/* Everything a decoded spec can say. */
static int resolve_spec(const struct resolve *r)
{
    r->m->info = ak_engine_info(r->spec->type);
    r->m->is_provisioned = ak_policy_is_provisioned(r->spec);
    r->m->is_direct = r->m->info && (r->m->info->flags & AK_ENGINE_DIRECT);
    int n = check_spec(r);
    if (n >= 0 && !r->m->info) /* a problem of the spec, which check_spec() may not know */
        problem(r, AK_TOOL_INVALID, "InvalidSpec", "spec.type: must be set");
    if (n >= 0 && r->m->info && r->m->problem.kind != AK_TOOL_INVALID)
        n = check_enforceable(r);
    if (n >= 0)
        n = resolve_image(r);
    if (n < 0)
        return n;
    resolve_rights(r);
    check_secrets(r);
    n = ak_tool_place_of(r->spec, r->m->place);
    if (n >= 0)
        n = hash_made_for(r);
    return n < 0 ? n : hash_tool(r);
}

int ak_tool_resolve(const struct ak_tool_observed *o, struct ak_arena *arena,
                    struct ak_tool_meaning *ret, struct ak_error **reterr)
{
    struct ak_tool_meaning m = {0};
    const struct resolve r = {
        .o = o, .spec = ak_tool_spec_of(o), .arena = arena, .m = &m, .reterr = reterr};
    int n = 0;
    if (r.spec)
        n = resolve_spec(&r);
    else
        problem(&r, AK_TOOL_INVALID, "InvalidSpec", "%s", ak_object_decode_error(o->tool));
    if (n < 0)
        return ak_error_oom(reterr);
    if (m.problem.kind != AK_TOOL_FINE && !m.problem.message)
        return ak_error_oom(reterr);
    *ret = m;
    return 0;
}
