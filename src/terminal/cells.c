/* SPDX-License-Identifier: Apache-2.0 */
#include "terminal/cells.h"

#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd"
#define ELLIPSIS "\xe2\x80\xa6"

struct range {
    int32_t first, last;
};

/* Marks and joiners that take no column of their own. */
static const struct range narrow[] = {
    {0x300, 0x36f},     {0x483, 0x489},     {0x591, 0x5bd},   {0x5bf, 0x5bf},   {0x5c1, 0x5c2},
    {0x5c4, 0x5c5},     {0x610, 0x61a},     {0x64b, 0x65f},   {0x670, 0x670},   {0x6d6, 0x6dc},
    {0x6df, 0x6e4},     {0x6ea, 0x6ed},     {0x900, 0x902},   {0x93c, 0x93c},   {0x941, 0x948},
    {0x94d, 0x94d},     {0xe31, 0xe31},     {0xe34, 0xe3a},   {0xe47, 0xe4e},   {0xeb1, 0xeb1},
    {0xeb4, 0xebc},     {0xec8, 0xecd},     {0x1160, 0x11ff}, {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff},
    {0x200b, 0x200f},   {0x202a, 0x202e},   {0x2060, 0x206f}, {0x20d0, 0x20f0}, {0x302a, 0x302d},
    {0x3099, 0x309a},   {0xfe00, 0xfe0f},   {0xfe20, 0xfe2f}, {0xfeff, 0xfeff}, {0x1f3fb, 0x1f3ff},
    {0xe0001, 0xe007f}, {0xe0100, 0xe01ef},
};

/* East Asian Wide and Fullwidth, and what is shown as a picture (Unicode 15, UAX 11). */
static const struct range wide[] = {
    {0x1100, 0x115f},   {0x231a, 0x231b},   {0x2329, 0x232a},   {0x23e9, 0x23ec},
    {0x23f0, 0x23f0},   {0x23f3, 0x23f3},   {0x25fd, 0x25fe},   {0x2614, 0x2615},
    {0x2648, 0x2653},   {0x267f, 0x267f},   {0x2693, 0x2693},   {0x26a1, 0x26a1},
    {0x26aa, 0x26ab},   {0x26bd, 0x26be},   {0x26c4, 0x26c5},   {0x26ce, 0x26ce},
    {0x26d4, 0x26d4},   {0x26ea, 0x26ea},   {0x26f2, 0x26f3},   {0x26f5, 0x26f5},
    {0x26fa, 0x26fa},   {0x26fd, 0x26fd},   {0x2705, 0x2705},   {0x270a, 0x270b},
    {0x2728, 0x2728},   {0x274c, 0x274c},   {0x274e, 0x274e},   {0x2753, 0x2755},
    {0x2757, 0x2757},   {0x2795, 0x2797},   {0x27b0, 0x27b0},   {0x27bf, 0x27bf},
    {0x2b1b, 0x2b1c},   {0x2b50, 0x2b50},   {0x2b55, 0x2b55},   {0x2e80, 0x3029},
    {0x302e, 0x303e},   {0x3041, 0x3098},   {0x309b, 0xa4cf},   {0xa960, 0xa97c},
    {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe10, 0xfe19},   {0xfe30, 0xfe6b},
    {0xff01, 0xff60},   {0xffe0, 0xffe6},   {0x16fe0, 0x18cd5}, {0x1aff0, 0x1b2fb},
    {0x1f004, 0x1f004}, {0x1f0cf, 0x1f0cf}, {0x1f18e, 0x1f18e}, {0x1f191, 0x1f19a},
    {0x1f200, 0x1f320}, {0x1f32d, 0x1f335}, {0x1f337, 0x1f37c}, {0x1f37e, 0x1f393},
    {0x1f3a0, 0x1f3ca}, {0x1f3cf, 0x1f3d3}, {0x1f3e0, 0x1f3f0}, {0x1f3f4, 0x1f3f4},
    {0x1f3f8, 0x1f3fa}, {0x1f400, 0x1f43e}, {0x1f440, 0x1f440}, {0x1f442, 0x1f4fc},
    {0x1f4ff, 0x1f53d}, {0x1f54b, 0x1f54e}, {0x1f550, 0x1f567}, {0x1f57a, 0x1f57a},
    {0x1f595, 0x1f596}, {0x1f5a4, 0x1f5a4}, {0x1f5fb, 0x1f64f}, {0x1f680, 0x1f6c5},
    {0x1f6cc, 0x1f6cc}, {0x1f6d0, 0x1f6d2}, {0x1f6d5, 0x1f6d7}, {0x1f6dc, 0x1f6df},
    {0x1f6eb, 0x1f6ec}, {0x1f6f4, 0x1f6fc}, {0x1f7e0, 0x1f7eb}, {0x1f7f0, 0x1f7f0},
    {0x1f90c, 0x1f93a}, {0x1f93c, 0x1f945}, {0x1f947, 0x1f9ff}, {0x1fa70, 0x1faff},
    {0x20000, 0x2fffd}, {0x30000, 0x3fffd},
};

static bool is_in(const struct range *ranges, size_t n, int32_t c)
{
    size_t low = 0, high = n;

    while (low < high) {
        size_t mid = (low + high) / 2;
        if (c > ranges[mid].last)
            low = mid + 1;
        else
            high = mid;
    }
    return low < n && c >= ranges[low].first;
}

int ak_cells_of(int32_t c)
{
    if (c < 0x300)
        return 1;
    if (is_in(narrow, AK_ARRAY_LEN(narrow), c))
        return 0;
    return is_in(wide, AK_ARRAY_LEN(wide), c) ? 2 : 1;
}

int32_t ak_cells_next(const char *text, size_t len, size_t *at)
{
    static const int32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char lead = (unsigned char)text[*at];
    size_t n = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    int32_t c = n == 1 ? lead : lead & (0x7f >> n);

    if (!n || lead > 0xf4 || n > len - *at) {
        ++*at;
        return -1;
    }
    for (size_t i = 1; i < n; i++) {
        unsigned char next = (unsigned char)text[*at + i];
        if ((next & 0xc0) != 0x80) {
            ++*at;
            return -1;
        }
        c = (c << 6) | (next & 0x3f);
    }
    bool is_good = c >= least[n] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
    *at += is_good ? n : 1;
    return is_good ? c : -1;
}

size_t ak_cells_width(const char *text, size_t len)
{
    size_t width = 0;

    for (size_t at = 0; at < len;)
        width += (size_t)ak_cells_of(ak_cells_next(text, len, &at));
    return width;
}

size_t ak_cells_fit(const char *text, size_t len, size_t columns)
{
    size_t at = 0, width = 0;

    while (at < len) {
        size_t next = at;
        width += (size_t)ak_cells_of(ak_cells_next(text, len, &next));
        if (width > columns)
            break;
        at = next;
    }
    return at;
}

/* C0, DEL and C1: a terminal acts on them. So it does on text that runs from right to left by force. */
static bool is_control(int32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

int ak_cells_add_shown(struct ak_buf *out, const char *text, size_t len, bool *pending_cr)
{
    int r = 0;

    for (size_t at = 0; r >= 0 && at < len;) {
        size_t from = at;
        int32_t c = ak_cells_next(text, len, &at);
        if (*pending_cr && c != '\n')
            r = ak_buf_add(out, "\n", 1);
        *pending_cr = c == '\r';
        if (r < 0 || c == '\r')
            continue;
        if (c == '\n' || c == '\t' || !is_control(c))
            r = ak_buf_add(out, text + from, at - from);
        else
            r = ak_buf_adds(out, REPLACEMENT);
    }
    return r;
}

int ak_cells_add_line(struct ak_buf *out, const char *text, size_t len, size_t columns)
{
    bool is_cut = ak_cells_width(text, len) > columns;
    size_t end = is_cut ? ak_cells_fit(text, len, columns ? columns - 1 : 0) : len;
    int r = 0;

    for (size_t at = 0; r >= 0 && at < end;) {
        size_t from = at;
        int32_t c = ak_cells_next(text, len, &at);
        if (c == -1)
            r = ak_buf_adds(out, REPLACEMENT);
        else if (is_control(c))
            r = ak_buf_add(out, " ", 1);
        else
            r = ak_buf_add(out, text + from, at - from);
    }
    return r >= 0 && is_cut ? ak_buf_adds(out, ELLIPSIS) : r;
}
