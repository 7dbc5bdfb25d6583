/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever is read can be written and read again as the same value. */
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "core/value.h"
#include "core/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* A text without numbers that print in another way, or not at all. */
static bool is_stable(const struct value *value)
{
    if (value->kind == VALUE_DOUBLE)
        return value->number - value->number == 0;
    for (size_t i = 0; value_is_list(value) && i < value->list.count; i++) {
        if (!is_stable(value->list.items[i]))
            return false;
    }
    for (size_t i = 0; value_is_map(value) && i < value->map.count; i++) {
        if (!is_stable(value->map.members[i].value))
            return false;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct arena *arena = arena_new();
    struct error err = { 0 };
    const char *text = (const char *)bytes;
    size_t parts = 0;
    (void)yaml_split(arena, text, length, &parts);
    (void)yaml_parse_all(arena, text, length, NULL, &err);
    const struct value *value = yaml_parse_first(arena, text, length, NULL, &err);
    if (value != NULL && is_stable(value)) {
        struct buf out = { 0 };
        struct yaml_limits limits = yaml_limits_default;
        limits.bytes_max = SIZE_MAX;
        yaml_write(&out, value, YAML_EXACT);
        const struct value *again = yaml_parse(arena, out.bytes, out.length, &limits, &err);
        CHECK(again != NULL);
        CHECK(value_equal(value, again));
        buf_clear(&out);
        yaml_write(&out, value, YAML_FRIENDLY);
        buf_free(&out);
    }
    arena_free(arena);
    return 0;
}
