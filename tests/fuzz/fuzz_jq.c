/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a jq program: it ends within its budget, and never crashes. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "core/jq/jq.h"
#include "core/json.h"
#include "core/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static const char input_text[] =
        "{\"a\":[1,2.5,{\"b\":null}],\"s\":\"x,y "
        "z\",\"t\":true,\"o\":{\"k\":\"v\",\"e\":{}},\"d\":[[3],[1,2]]}";
    struct arena *arena = arena_new();
    struct error err = { 0 };
    struct buf json = { 0 };
    struct jq_budget budget = { .steps = 200000, .memory_max = 64U * 1024 * 1024 };
    const struct value *input = json_parse(arena, input_text, sizeof(input_text) - 1, NULL);
    const struct value *results = jq_run(arena, (const char *)bytes, length, input, &budget, &err);
    if (results == NULL)
        CHECK(err.text[0] != '\0');
    else
        value_write_json_full(&json, results);
    buf_free(&json);
    arena_free(arena);
    return 0;
}
