/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/runs/events.h"

#include "agentlet/runs/place.h"

#include <ak/base/alloc.h>
#include <ak/json/json.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ID_PREFIX "{\"id\":"
#define TYPE_PREFIX ",\"event\":\""
#define DATA_PREFIX "\",\"data\":{"
#define MAX_DIGITS 15
#define MAX_TYPE 32

int ak_events_create(struct ak_events *self, int dir)
{
    int fd = ak_place_remove(dir, AK_EVENTS_FILE);

    if (fd >= 0)
        fd = ak_place_open(dir, AK_EVENTS_FILE, O_RDWR | O_CREAT | O_EXCL);
    if (fd < 0)
        return fd;
    *self = (struct ak_events){.fd = fd};
    return 0;
}

void ak_events_done(struct ak_events *self)
{
    if (self->fd >= 0)
        (void)close(self->fd);
    ak_free(self->index);
    *self = (struct ak_events){.fd = -1};
}

/* The offset of the event that follows the last one. */
static int note_offset(struct ak_events *self, uint64_t last, uint64_t offset)
{
    uint64_t *grown = NULL;

    if (last % AK_EVENTS_STRIDE != 0 || self->n_index != last / AK_EVENTS_STRIDE)
        return 0;
    grown = ak_reallocarray(self->index, self->n_index + 1, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    self->index = grown;
    self->index[self->n_index++] = offset;
    return 0;
}

/* ---- writing ---- */

/* {"time":..., and the members of data. */
static int add_data(struct ak_buf *out, const json_t *data)
{
    char time[AK_RFC3339_SIZE];
    size_t at = 0;
    int r = ak_buf_addf(out, "{\"time\":\"%s\"", ak_format_rfc3339_micro(ak_wall_now(), time));

    if (r < 0 || json_object_size(data) == 0)
        return r < 0 ? r : ak_buf_adds(out, "}");
    at = out->len;
    r = ak_json_write(data, out, NULL);
    if (r >= 0)
        out->data[at] = ','; /* was the brace that opens it */
    return r;
}

static int write_line(struct ak_events *self, const struct ak_buf *line)
{
    size_t done = 0;

    while (done < line->len) {
        ssize_t n =
            pwrite(self->fd, line->data + done, line->len - done, (off_t)(self->bytes + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            int r = n < 0 ? -errno : -EIO;

            (void)!ftruncate(self->fd, (off_t)self->bytes);
            return r;
        }
        done += (size_t)n;
    }
    return 0;
}

static int compose(struct ak_buf *line, uint64_t id, const char *type, const json_t *data)
{
    int r = ak_buf_addf(line, ID_PREFIX "%" PRIu64 TYPE_PREFIX "%s\",\"data\":", id, type);

    if (r >= 0)
        r = add_data(line, data);
    return r < 0 ? r : ak_buf_adds(line, "}\n");
}

int ak_events_add(struct ak_events *self, const char *type, const json_t *data, bool closing)
{
    AK_AUTO(ak_buf) line = AK_BUF_INIT(AK_EVENTS_MAX_LINE);
    int r = 0;

    if (self->fd < 0)
        return -EBADF;
    if (self->full && !closing) {
        self->dropped++;
        return 1;
    }
    r = compose(&line, self->last + 1, type, data);
    if (r == AK_E_TOO_LARGE) { /* the caller cuts long text, so this is nested or strange */
        AK_AUTO_JSON *cut = json_pack("{s:b}", "truncated", 1);

        ak_buf_clear(&line);
        r = cut ? compose(&line, self->last + 1, type, cut) : -ENOMEM;
    }
    if (r >= 0)
        r = note_offset(self, self->last, self->bytes);
    if (r >= 0)
        r = write_line(self, &line);
    if (r < 0) {
        self->failed = true;
        self->dropped++;
        if (self->last % AK_EVENTS_STRIDE == 0 && self->n_index > self->last / AK_EVENTS_STRIDE)
            self->n_index--;
        return r;
    }
    self->last++;
    self->bytes += line.len;
    self->full = self->full || self->last >= AK_EVENTS_MAX || self->bytes >= AK_EVENTS_MAX_BYTES;
    return 0;
}

bool ak_events_is_truncated(const struct ak_events *self)
{
    return self->dropped > 0;
}

uint64_t ak_events_offset(const struct ak_events *self, uint64_t after)
{
    size_t at = (size_t)(after / AK_EVENTS_STRIDE);

    if (self->n_index == 0)
        return 0;
    return self->index[AK_MIN(at, self->n_index - 1)];
}

/* ---- reading ---- */

static bool starts(const char *text, size_t len, const char *prefix)
{
    return memcmp(text, prefix, AK_MIN(len, strlen(prefix))) == 0;
}

/* Like starts(), and moves on; *ret_short when the text ends before the prefix does. */
static bool skip(const char **text, size_t *len, const char *prefix, bool *ret_short)
{
    size_t n = strlen(prefix);

    if (!starts(*text, *len, prefix))
        return false;
    if (*len < n) {
        *ret_short = true;
        return false;
    }
    *text += n;
    *len -= n;
    return true;
}

static size_t count(const char *text, size_t len, size_t max, const char *of)
{
    size_t n = 0;

    while (n < len && n <= max && text[n] && strchr(of, text[n]))
        n++;
    return n;
}

int ak_event_parse_head(const char *text, size_t len, struct ak_event_head *ret)
{
    const char *start = text;
    bool is_short = false;
    size_t n = 0;

    if (!skip(&text, &len, ID_PREFIX, &is_short))
        return is_short ? 0 : -EINVAL;
    n = count(text, len, MAX_DIGITS, "0123456789");
    if (n > MAX_DIGITS || (n == 0 && len > 0))
        return -EINVAL;
    ret->id = 0;
    for (size_t i = 0; i < n; i++)
        ret->id = ret->id * 10 + (uint64_t)(text[i] - '0');
    text += n;
    len -= n;
    if (!skip(&text, &len, TYPE_PREFIX, &is_short))
        return is_short ? 0 : -EINVAL;
    n = count(text, len, MAX_TYPE, "abcdefghijklmnopqrstuvwxyz_");
    if (n > MAX_TYPE || (n == 0 && len > 0))
        return -EINVAL;
    ret->type = text;
    ret->type_len = n;
    text += n;
    len -= n;
    if (!skip(&text, &len, DATA_PREFIX, &is_short))
        return is_short ? 0 : -EINVAL;
    return (int)(text - start) - 1; /* the brace belongs to the data */
}

/* ---- a file that is there ---- */

struct scan {
    struct ak_events *events; /* gets the index */
    uint64_t last;            /* numbers that do not follow each other are nobody's events */
    uint64_t complete;        /* bytes up to the end of the last complete line */
    char head[AK_EVENTS_MAX_HEAD];
    size_t head_len;
};

static int scan_line(struct scan *scan)
{
    struct ak_event_head head;
    int r = 0;

    if (ak_event_parse_head(scan->head, scan->head_len, &head) > 0 && head.id == scan->last + 1) {
        r = note_offset(scan->events, scan->last, scan->complete);
        scan->last++;
    }
    scan->head_len = 0;
    return r;
}

static int scan_block(struct scan *scan, uint64_t at, const char *block, size_t len)
{
    int r = 0;

    for (size_t i = 0; i < len && r >= 0; i++) {
        if (block[i] != '\n') {
            if (scan->head_len < sizeof(scan->head))
                scan->head[scan->head_len++] = block[i];
            continue;
        }
        r = scan_line(scan);
        scan->complete = at + i + 1;
    }
    return r;
}

static int scan_file(struct scan *scan, int fd)
{
    char block[16384];
    uint64_t at = 0;
    ssize_t n = 0;
    int r = 0;

    while (r >= 0 && at <= 2 * (uint64_t)AK_EVENTS_MAX_BYTES &&
           (n = pread(fd, block, sizeof(block), (off_t)at)) > 0) {
        r = scan_block(scan, at, block, (size_t)n);
        at += (uint64_t)n;
    }
    return r >= 0 && n < 0 ? -errno : r;
}

int ak_events_resume(struct ak_events *self, int dir)
{
    struct ak_events events = {.fd = ak_place_open(dir, AK_EVENTS_FILE, O_RDWR | O_CREAT)};
    struct scan scan = {.events = &events};
    int r = events.fd < 0 ? events.fd : scan_file(&scan, events.fd);

    if (r >= 0 && ftruncate(events.fd, (off_t)scan.complete) < 0)
        r = -errno;
    if (r < 0) {
        ak_events_done(&events);
        return r;
    }
    events.last = scan.last;
    events.bytes = scan.complete;
    events.full = scan.last >= AK_EVENTS_MAX || scan.complete >= AK_EVENTS_MAX_BYTES;
    *self = events;
    return 0;
}
