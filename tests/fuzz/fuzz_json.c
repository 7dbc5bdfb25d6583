/* SPDX-License-Identifier: Apache-2.0 */
/* What is read as JSON is written, and read again to the same text. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "core/json.h"
#include "core/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct arena *arena = arena_new();
    struct error err = { 0 };
    struct buf first = { 0 };
    struct buf second = { 0 };
    size_t used = 0;
    const struct value *value = json_parse(arena, (const char *)bytes, length, &err);
    if (value == NULL) {
        CHECK(err.code == ERR_INVALID || err.code == ERR_LIMIT);
        (void)json_parse_first(arena, (const char *)bytes, length, &used, &err);
        CHECK(used <= length);
    } else {
        value_write_json_full(&first, value);
        const struct value *again = json_parse(arena, buf_text(&first), first.length, &err);
        CHECK(again != NULL);
        value_write_json_full(&second, again);
        CHECK(strcmp(buf_text(&first), buf_text(&second)) == 0);
        CHECK(json_parse_first(arena, (const char *)bytes, length, &used, NULL) != NULL);
        CHECK(used <= length);
    }
    buf_free(&first);
    buf_free(&second);
    arena_free(arena);
    return 0;
}
