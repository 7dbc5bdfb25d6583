/* SPDX-License-Identifier: Apache-2.0 */
/* Any text is a flow or has findings that can be shown; a flow can be shown, digested, walked. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "core/diag.h"
#include "core/flow.h"
#include "core/value.h"
#include "runtime/plugins.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void show(struct diag_list *findings, const char *source, bool refused)
{
    struct buf out = { 0 };
    diag_sort(findings);
    for (size_t i = 0; i < findings->all.count; i++) {
        diag_render(&out, &findings->all.items[i], source, i % 2 == 0);
        value_write_json(&out, diag_to_value(findings->arena, &findings->all.items[i]));
    }
    CHECK((diag_constraints(findings, true) != NULL) == refused);
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct arena *arena = arena_new();
    struct diag_list findings = diag_list_new(arena, "flow.yml");
    const char *source = arena_strndup(arena, (const char *)bytes, length);
    for (int lenient = 0; lenient < 2; lenient++) {
        struct flow_options options = { .lenient = lenient == 1, .namespace = "a.b" };
        findings = diag_list_new(arena, "flow.yml");
        struct flow *flow = flow_parse(plugins(), source, length, &options, &findings);
        CHECK((flow == NULL) == (findings.errors > 0));
        show(&findings, source, flow == NULL);
        if (flow == NULL)
            continue;
        size_t count = 0;
        struct buf out = { 0 };
        value_write_json(&out, flow_to_value(flow, arena));
        CHECK(strlen(flow_digest(flow, arena)) == 64);
        (void)flow_references(flow, arena, &count);
        CHECK(flow_source_equal(flow->source, flow->source));
        buf_free(&out);
        flow_unref(flow);
    }
    arena_free(arena);
    return 0;
}
