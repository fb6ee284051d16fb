/* SPDX-License-Identifier: Apache-2.0 */
#include "http_head.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <ak/base/text.h>
#include <ak/base/time.h>

static const struct {
    int status;
    const char *text;
} status_texts[] = {
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

const char *ak__http_status_text(int status)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(status_texts); i++)
        if (status_texts[i].status == status)
            return status_texts[i].text;
    return "Status";
}

/* RFC 9110 section 5.6.7, whatever the locale is. */
static int add_date(struct ak_buf *out)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now = (time_t)(ak_wall_now() / 1000);
    struct tm tm;

    if (!gmtime_r(&now, &tm))
        return 0;
    return ak_buf_addf(out, "Date: %s, %02d %s %d %02d:%02d:%02d GMT\r\n", days[tm.tm_wday],
                       tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
                       tm.tm_sec);
}

bool ak__http_is_line(const char *line, const char *name)
{
    size_t len = strlen(name);

    return strncasecmp(line, name, len) == 0 && line[len] == ':';
}

const char *ak__http_find_line(const char *const *lines, const char *name)
{
    for (; lines && *lines; lines++)
        if (ak__http_is_line(*lines, name))
            return *lines + strlen(name) + 1 + strspn(*lines + strlen(name) + 1, " \t");
    return NULL;
}

int ak__http_build_head(const struct ak__http_head *head, struct ak_buf *out)
{
    int r =
        ak_buf_addf(out, "HTTP/1.1 %d %s\r\n", head->status, ak__http_status_text(head->status));

    if (r >= 0 && !ak__http_find_line(head->extra, "Date"))
        r = add_date(out);
    if (r >= 0 && head->content_type)
        r = ak_buf_addf(out, "Content-Type: %s\r\n", head->content_type);
    for (const char *const *line = head->extra; r >= 0 && line && *line; line++)
        r = strpbrk(*line, "\r\n") ? -EINVAL : ak_buf_addf(out, "%s\r\n", *line);
    if (r >= 0 && head->connection)
        r = ak_buf_addf(out, "Connection: %s\r\n", head->connection);
    return r < 0 ? r : ak_buf_addf(out, "%s\r\n", head->framing);
}
