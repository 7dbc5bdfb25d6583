/* SPDX-License-Identifier: Apache-2.0 */
#include "core/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/digest.h"
#include "base/str.h"

static const char *const action_names[PLAN_ACTIONS] = {
    [PLAN_CREATE] = "create", [PLAN_UPDATE] = "update", [PLAN_DELETE] = "delete",
    [PLAN_TAKE] = "take",     [PLAN_MOVE] = "move",     [PLAN_FORGET] = "forget",
};

const char *plan_action_name(enum plan_action action)
{
    return action_names[action];
}

struct plan_counts plan_counts(const struct plan *plan)
{
    struct plan_counts counts = { 0 };
    const struct plan_change *change;
    VEC_EACH(change, &plan->changes) {
        switch (change->action) {
        case PLAN_CREATE:
            counts.creates++;
            break;
        case PLAN_UPDATE:
            counts.updates++;
            break;
        case PLAN_DELETE:
            counts.deletes++;
            break;
        case PLAN_TAKE:
        case PLAN_MOVE:
        case PLAN_FORGET:
            counts.others++;
            break;
        }
    }
    return counts;
}

bool plan_is_empty(const struct plan *plan)
{
    return plan->changes.count == 0;
}

bool plan_is_held(const struct plan *plan)
{
    return plan->holds.count > 0;
}

static int by_key(const void *a, const void *b)
{
    const struct plan_change *one = a;
    const struct plan_change *two = b;
    return object_key_order(&one->key, &two->key);
}

static int by_level(const void *a, const void *b)
{
    const struct plan_impact *one = a;
    const struct plan_impact *two = b;
    if (one->level != two->level)
        return one->level < two->level ? -1 : 1;
    int by = object_key_order(&one->key, &two->key);
    if (by != 0)
        return by;
    by = strcmp(one->code, two->code);
    return by != 0 ? by : strcmp(one->text, two->text);
}

static const char *or_dash(const char *text)
{
    return str_empty(text) ? "-" : text;
}

void plan_write_canonical(struct buf *out, const struct plan *plan)
{
    char hex[OID_TEXT];
    buf_puts(out, "weir plan 1\n");
    buf_printf(out, "source %s\n", plan->source);
    buf_printf(out, "base %s\n", plan->base == NULL ? "-" : oid_format(&plan->base->id, hex));
    buf_printf(out, "head %s\n", oid_format(&plan->head.id, hex));
    buf_printf(out, "tree %s\n", oid_format(&plan->head.tree, hex));
    const struct plan_change *change;
    VEC_EACH(change, &plan->changes) {
        const struct live_object *live = change->live;
        const struct desired_object *desired = change->desired;
        buf_puts(out, action_names[change->action]);
        buf_putc(out, ' ');
        object_key_write(out, &change->key);
        buf_puts(out, "\n from ");
        buf_put_int(out, live == NULL ? 0 : live->revision);
        buf_putc(out, ' ');
        buf_puts(out, live == NULL ? "-" : live->digest);
        buf_puts(out, "\n to ");
        buf_puts(out, desired == NULL ? "-" : desired->digest);
        buf_putc(out, ' ');
        buf_puts(out, desired == NULL ? "-" : oid_format(&desired->blob, hex));
        buf_puts(out, "\n path ");
        buf_puts(out, or_dash(change->path));
        buf_putc(out, '\n');
    }
    const struct plan_impact *impact;
    VEC_EACH(impact, &plan->impacts)
        buf_printf(out, "impact %s %s\n", impact->code, impact->text);
    const struct diag *diag;
    VEC_EACH(diag, &plan->findings.all)
        if (diag->level == DIAG_ERROR)
            buf_printf(out, "finding %s %u %u %s\n", or_dash(diag->file), diag->line, diag->column,
                       diag->code);
}

void plan_seal(struct plan *plan)
{
    if (plan->changes.count > 1)
        qsort(plan->changes.items, plan->changes.count, sizeof(*plan->changes.items), by_key);
    if (plan->impacts.count > 1)
        qsort(plan->impacts.items, plan->impacts.count, sizeof(*plan->impacts.items), by_level);
    diag_sort(&plan->findings);
    struct buf text = { 0 };
    plan_write_canonical(&text, plan);
    char *hex = digest_sha256_hex(plan->arena, text.bytes, text.length);
    CHECK(strlen(hex) + 1 == sizeof(plan->digest));
    memcpy(plan->digest, hex, sizeof(plan->digest));
    buf_free(&text);
}
