/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of a Tool's status that are ours: each is read, edited and written whole. */
#include "manager/invoke/answer.h"
#include "manager/kinds.h"
#include "manager/tools/tools_internal.h"

#define TRIES 6

static int read_tool(struct ak_tools *self, const char *ns, const char *name, const char *field,
                     json_t **ret_tool, json_t **ret_list, struct ak_error **reterr)
{
    AK_AUTO_JSON *tool = NULL;
    int r = ak_client_get(self->client, &ak_tool_kind.resource, ns, name, &tool, reterr);

    if (r < 0)
        return ak_invoke_error_of_server(reterr, r);
    const json_t *old = ak_json_at(tool, "status", field, NULL);
    json_t *list = json_is_array(old) ? ak_json_copy(old) : json_array();
    if (!list)
        return ak_error_oom(reterr);
    *ret_list = list;
    if (ret_tool)
        *ret_tool = json_incref(tool);
    return 0;
}

static int write_list(struct ak_tools *self, const char *ns, const char *name, const char *field,
                      const json_t *tool, json_t *list, struct ak_error **reterr)
{
    AK_AUTO_JSON *patch =
        json_pack("{s:{s:s, s:s}, s:{s:O}}", "metadata", "uid",
                  ak_json_text(tool, "metadata", "uid", NULL), "resourceVersion",
                  ak_json_text(tool, "metadata", "resourceVersion", NULL), "status", field, list);

    if (!patch)
        return ak_error_oom(reterr);
    return ak_client_merge_patch(self->client, &ak_tool_kind.resource, ns, name, "status", patch,
                                 AK_TOOLS_MANAGER, NULL, reterr);
}

/* 1: somebody was faster. */
static int try_edit(struct ak_tools *self, const char *ns, const char *name, const char *field,
                    ak_tools_edit_fn edit, void *user, struct ak_error **reterr)
{
    AK_AUTO_JSON *tool = NULL;
    AK_AUTO_JSON *list = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;
    int r = read_tool(self, ns, name, field, &tool, &list, reterr);

    if (r >= 0)
        r = edit(list, tool, user, reterr);
    if (r <= 0)
        return r;
    if (!ak__tools_may_write(self))
        return ak_invoke_error_later(reterr, 503, AK_SECONDS(1),
                                     "the leader is changing: this replica is not it any more");
    r = write_list(self, ns, name, field, tool, list, &err);
    if (r == AK_E_CONFLICT)
        return 1;
    if (r < 0) {
        r = ak_invoke_error_of_server(&err, r);
        if (reterr)
            *reterr = AK_TAKE(err);
    }
    return AK_MIN(r, 0);
}

int ak__tools_edit(struct ak_tools *self, const char *ns, const char *name, const char *field,
                   ak_tools_edit_fn edit, void *user, struct ak_error **reterr)
{
    for (int i = 0; i < TRIES; i++) {
        int r = try_edit(self, ns, name, field, edit, user, reterr);
        if (r <= 0)
            return r;
        (void)ak_cancel_sleep(&self->stop, (ak_msec)10 << i);
    }
    return ak_invoke_error_later(reterr, 503, AK_SECONDS(1),
                                 "the status of tool \"%s/%s\" is written by others all the time",
                                 ns, name);
}

int ak__tools_read_list(struct ak_tools *self, const char *ns, const char *name, const char *field,
                        json_t **ret_list, struct ak_error **reterr)
{
    return read_tool(self, ns, name, field, NULL, ret_list, reterr);
}
