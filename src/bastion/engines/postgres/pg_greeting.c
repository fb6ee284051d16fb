/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/postgres/pg_serve.h"

#include <string.h>
#include <strings.h>

#include "bastion/engines/postgres/pg_live.h"

#define MAX_PREAMBLES 4 /* SSLRequest, GSSENCRequest */

/* One packet of the start; its number is returned in *ret_code, its rest is in `startup`. */
static int read_packet(struct ak_wire *wire, struct ak_buf *startup, uint32_t *ret_code,
                       struct ak_error **reterr)
{
    uint8_t head[8];
    uint8_t body[AK_PG_MAX_STARTUP];
    uint32_t len;
    int r = ak_wire_read_exact(wire, head, sizeof(head), reterr);

    if (r < 0)
        return r;
    len = ak_pg_read32(head);
    if (len < 8 || len > AK_PG_MAX_STARTUP)
        return ak_error_set(reterr, AK_E_PROTOCOL,
                            "the client does not speak PostgreSQL's protocol");
    *ret_code = ak_pg_read32(head + 4);
    r = ak_wire_read_exact(wire, body, len - 8, reterr);
    if (r < 0)
        return r;
    ak_buf_clear(startup);
    return len == 8 ? 0 : ak_buf_add(startup, body, len - 8);
}

int ak__pg_read_startup(struct ak_wire *wire, struct ak_buf *startup, uint32_t *ret_protocol,
                        struct ak_error **reterr)
{
    for (int i = 0; i < MAX_PREAMBLES; i++) {
        uint32_t code = 0;
        int r = read_packet(wire, startup, &code, reterr);

        if (r < 0)
            return r;
        if (code == AK_PG_SSL_REQUEST || code == AK_PG_GSS_REQUEST) {
            r = ak_wire_write(wire, "N", 1, reterr); /* the way here is ours already */
            if (r < 0)
                return r;
            continue;
        }
        if (code == AK_PG_CANCEL_REQUEST) {
            if (startup->len == 8)
                ak__pg_live_cancel(ak_pg_read32((const uint8_t *)startup->data),
                                   ak_pg_read32((const uint8_t *)startup->data + 4));
            return 0;
        }
        *ret_protocol = code;
        if (code >> 16 == 3)
            return 1;
        break;
    }
    return ak_error_set(reterr, -EPROTONOSUPPORT,
                        "unsupported frontend protocol; 3.0 is spoken here");
}

/* Who the client is, and what it needs to be, is decided here; what it may choose are its settings. */
static bool is_ours(const char *name)
{
    return strcasecmp(name, "user") == 0 || strcasecmp(name, "database") == 0 ||
           strcasecmp(name, "replication") == 0 || strncasecmp(name, "_pq_.", 5) == 0 ||
           strcasecmp(name, "default_transaction_read_only") == 0;
}

static bool is_true(const char *value)
{
    return !(strcasecmp(value, "false") == 0 || strcasecmp(value, "off") == 0 ||
             strcasecmp(value, "no") == 0 || strcmp(value, "0") == 0);
}

int ak__pg_read_wishes(const struct ak_buf *startup, struct ak_pg_wishes *ret,
                       struct ak_error **reterr)
{
    struct ak_pg_reader body = ak_pg_reader(startup->data, startup->len);

    for (;;) {
        const char *name = ak_pg_gets(&body);
        const char *value = *name ? ak_pg_gets(&body) : "";

        if (body.broken)
            return ak_error_set(reterr, AK_E_PROTOCOL, "the startup message is not one");
        if (!*name)
            return 0;
        if (strcasecmp(name, "user") == 0)
            ret->user = value;
        else if (strcasecmp(name, "database") == 0)
            ret->database = value;
        else if (strcasecmp(name, "replication") == 0 && is_true(value))
            return ak_error_set(reterr, AK_E_FORBIDDEN,
                                "replication is not possible through a Tool");
        else if (strncasecmp(name, "_pq_.", 5) == 0 && ret->n_unknown < AK_ARRAY_LEN(ret->unknown))
            ret->unknown[ret->n_unknown++] = name;
        else if (!is_ours(name) && ret->n < AK_PG_MAX_SETTINGS)
            ret->settings[ret->n++] = (struct ak_pg_setting){name, value};
    }
}
