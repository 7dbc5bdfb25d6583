/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modules: the input is a module.yaml, a line "====", and a flow file that uses it. Whatever is
 * expanded has a line of origin for each of its lines.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "core/diag.h"
#include "core/module.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct arena *arena = arena_new();
    const char *text = arena_strndup(arena, (const char *)bytes, length);
    const char *cut = strstr(text, "\n====\n");
    if (cut == NULL || strlen(text) != length) {
        arena_free(arena);
        return 0;
    }
    struct diag_list findings = diag_list_new(arena, "flow.yml");
    const struct module *module =
        module_parse(arena, "m", "module.yaml", text, (size_t)(cut + 1 - text), &findings);
    const char *flow = cut + strlen("\n====\n");
    (void)module_of(arena, flow, strlen(flow));
    if (module != NULL) {
        struct module_map map = { 0 };
        size_t expanded_length = 0;
        const char *expanded = module_expand(arena, module, "flow.yml", flow, strlen(flow),
                                             "company", &expanded_length, &map, &findings);
        size_t lines = 0;
        for (size_t i = 0; expanded != NULL && i < expanded_length; i++)
            lines += expanded[i] == '\n';
        CHECK(expanded == NULL || map.lines.count >= lines);
        module_place(module, &map, "flow.yml", &findings);
    }
    arena_free(arena);
    return 0;
}
