/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/api/csv.h"

#include <string.h>

#include "base/buf.h"
#include "core/value.h"

static void write_cell(struct buf *out, const char *text, size_t length)
{
    if (length == 0)
        return;
    bool is_plain = memchr(text, ',', length) == NULL && memchr(text, '"', length) == NULL &&
                    memchr(text, '\n', length) == NULL && memchr(text, '\r', length) == NULL;
    if (is_plain) {
        buf_add(out, text, length);
        return;
    }
    buf_putc(out, '"');
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"')
            buf_putc(out, '"');
        buf_putc(out, text[i]);
    }
    buf_putc(out, '"');
}

void csv_write(struct buf *out, const struct value *rows)
{
    const struct value *first = value_item(rows, 0);
    if (first == NULL || first->kind != VALUE_MAP)
        return;
    for (uint32_t i = 0; i < first->map.count; i++) {
        if (i > 0)
            buf_putc(out, ',');
        write_cell(out, first->map.members[i].key, first->map.members[i].key_length);
    }
    buf_puts(out, "\r\n");

    struct buf cell = { 0 };
    for (size_t row = 0; row < value_count(rows); row++) {
        for (uint32_t i = 0; i < first->map.count; i++) {
            const struct value *value = value_get(value_item(rows, row), first->map.members[i].key);
            buf_clear(&cell);
            if (value != NULL)
                value_write_print(&cell, value);
            if (i > 0)
                buf_putc(out, ',');
            write_cell(out, buf_text(&cell), cell.length);
        }
        buf_puts(out, "\r\n");
    }
    buf_free(&cell);
}
