/* SPDX-License-Identifier: Apache-2.0 */
/* From commits to plans and applied states, over a target in memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/str.h"
#include "core/value.h"
#include "reconciler/notes.h"
#include "reconciler/reconcile.h"
#include "reconciler/target.h"
#include "tests/support/test.h"
#include "tests/support/world.h"

/* The plan as lines: changes with their fields, impact, errors, holds. */
static void assert_plan(const struct plan *plan, const char *expected)
{
    struct buf out = { 0 };
    struct arena *arena = arena_new();
    const struct plan_change *change;
    VEC_EACH(change, &plan->changes) {
        buf_printf(&out, "%s ", plan_action_name(change->action));
        object_key_write(&out, &change->key);
        if (change->revision_before != 0 || change->revision_after != 0)
            buf_printf(&out, " %lld>%lld", (long long)change->revision_before,
                       (long long)change->revision_after);
        if (change->overwrites != NULL)
            buf_printf(&out, " over %s", change->overwrites);
        buf_putc(&out, '\n');
        for (size_t i = 0; i < change->fields_count; i++)
            buf_printf(
                &out, "  %s: %s > %s\n", change->fields[i].path,
                change->fields[i].before == NULL ? "-"
                                                 : value_to_json(arena, change->fields[i].before),
                change->fields[i].after == NULL ? "-"
                                                : value_to_json(arena, change->fields[i].after));
    }
    const struct plan_impact *impact;
    VEC_EACH(impact, &plan->impacts) {
        buf_printf(&out, "%s %s", impact->level == IMPACT_WARNING ? "!" : ".", impact->text);
        for (size_t i = 0; i < impact->places_count; i++)
            buf_printf(&out, " (%s:%u)", impact->places[i].file, impact->places[i].line);
        buf_putc(&out, '\n');
    }
    const struct diag *diag;
    VEC_EACH(diag, &plan->findings.all)
        buf_printf(&out, "%s %s:%u:%u %s\n", diag->level == DIAG_ERROR ? "error" : "other",
                   diag->file == NULL ? "-" : diag->file, diag->line, diag->column, diag->message);
    const struct plan_hold *hold;
    VEC_EACH(hold, &plan->holds)
        buf_printf(&out, "held %s: %s\n", hold->code, hold->text);
    assert_string_equal(buf_text(&out), expected);
    buf_free(&out);
    arena_free(arena);
}

static void assert_next(struct world *world, const char *expected)
{
    struct plan *plan = world_plan(world);
    assert_plan(plan, expected);
    plan_free(plan);
}

/* ---- the way of a commit ---- */

static void reconcile_creates_updates_and_deletes_what_a_commit_says(void **state)
{
    (void)state;
    struct world world = world_new();
    world_put_flow(&world, "flows/a.yml", "a", "");
    world_put_flow(&world, "flows/b.yml", "b", "");
    fixture_put(world.fixture, "README.md", "not a flow");
    fixture_put(world.fixture, "ci/build.yml", "jobs: [x]\n");
    world_commit(&world);
    assert_next(&world, "create flow/company.team/a 0>1\ncreate flow/company.team/b 0>1\n");
    world_apply(&world);
    assert_int_equal(world_live(&world, "flow/company.team/a").revision, 1);
    assert_next(&world, "");

    world_put_flow(&world, "flows/a.yml", "a", "    level: WARN\n");
    world_put_flow(&world, "flows/c.yml", "c", "");
    fixture_put(world.fixture, "flows/b.yml", NULL);
    world_commit(&world);
    assert_next(&world, "update flow/company.team/a 1>2\n  tasks.hello.level: - > \"WARN\"\n"
                        "delete flow/company.team/b 1>0\ncreate flow/company.team/c 0>1\n");
    world_apply(&world);
    assert_int_equal(world_live(&world, "flow/company.team/a").revision, 2);
    assert_int_equal(world_live(&world, "flow/company.team/b").revision, 0);
    assert_int_equal(world_live(&world, "flow/company.team/c").revision, 1);

    // a flow that comes back continues its numbers
    world_put_flow(&world, "flows/b.yml", "b", "");
    world_commit(&world);
    assert_next(&world, "create flow/company.team/b 0>3\n");
    world_free(&world);
}

static void reconcile_says_the_same_whether_it_reads_all_or_only_what_differs(void **state)
{
    (void)state;
    struct world world = world_new();
    char path[64];
    char id[32];
    for (int i = 0; i < 60; i++) {
        (void)snprintf(path, sizeof(path), "flows/t%d/f%d.yml", i % 5, i);
        (void)snprintf(id, sizeof(id), "f%d", i);
        world_put_flow(&world, path, id, "");
    }
    world_commit(&world);
    world_apply(&world);
    world_put_flow(&world, "flows/t1/f1.yml", "f1", "    level: WARN\n");
    world_put_flow(&world, "flows/t2/new.yml", "new", "");
    fixture_put(world.fixture, "flows/t3/f3.yml", NULL);
    world_commit(&world);
    static const char expected[] = "update flow/company.team/f1 1>2\n"
                                   "  tasks.hello.level: - > \"WARN\"\n"
                                   "delete flow/company.team/f3 1>0\n"
                                   "create flow/company.team/new 0>1\n";
    struct plan *some = world_plan(&world);
    assert_plan(some, expected);
    assert_int_equal(some->files, 3);
    assert_int_equal(some->unchanged, 58);
    world.options.is_full = true;
    struct plan *all = world_plan(&world);
    assert_plan(all, expected);
    assert_int_equal(all->files, 60);
    assert_int_equal(all->unchanged, 58);
    assert_string_equal(all->digest, some->digest);
    plan_free(all);
    plan_free(some);
    world_free(&world);
}

static void reconcile_is_idempotent(void **state)
{
    (void)state;
    struct world world = world_new();
    world_put_flow(&world, "a.yml", "a", "");
    world_commit(&world);
    world_apply(&world);
    world_apply(&world);
    world_apply(&world);
    const struct value **docs = NULL;
    size_t count = 0;
    struct error err = { 0 };
    assert_true(applied_notes_load(world.target, world.arena, "main", 10, &docs, &count, &err));
    assert_int_equal(count, 1);
    assert_string_equal(value_get_text(docs[0], "subject", ""), "a change");
    assert_string_equal(value_get_text(docs[0], "author", ""), "Ana Lima");
    assert_int_equal(value_count(value_get(docs[0], "changes")), 1);
    world_free(&world);
}

static void reconcile_notes_commits_that_change_nothing(void **state)
{
    (void)state;
    struct world world = world_new();
    world_put_flow(&world, "a.yml", "a", "");
    world_commit(&world);
    world_apply(&world);
    fixture_put(world.fixture, "README.md", "words");
    world_commit(&world);
    assert_next(&world, "");
    world_apply(&world);
    struct head_note head;
    struct error err = { 0 };
    assert_true(head_note_load(world.target, world.arena, "main", &head, &err));
    assert_true(oid_equal(&head.commit, &world.snapshot.commit.id));
    assert_int_equal(head.objects, 1);
    world_free(&world);
}

static void reconcile_does_not_take_a_moved_file_for_a_new_flow(void **state)
{
    (void)state;
    struct world world = world_new();
    world_put_flow(&world, "old/a.yml", "a", "");
    world_put_flow(&world, "old/b.yml", "b", "");
    world_commit(&world);
    world_apply(&world);
    fixture_put(world.fixture, "old/a.yml", NULL);
    world_put_flow(&world, "new/a.yml", "a", "");
    world_commit(&world);
    assert_next(&world, "move flow/company.team/a 0>1\n");
    world_apply(&world);
    assert_int_equal(world_live(&world, "flow/company.team/a").revision, 1);
    // the old file's end does not delete what moved away from it
    fixture_put(world.fixture, "new/a.yml", NULL);
    world_commit(&world);
    assert_next(&world, "delete flow/company.team/a 1>0\n");
    world_free(&world);
}

static void reconcile_ignores_comments_in_the_meaning_but_deploys_them(void **state)
{
    (void)state;
    struct world world = world_new();
    world_put_flow(&world, "a.yml", "a", "");
    world_commit(&world);
    world_apply(&world);
    world_put_flow(&world, "a.yml", "a", "# a word\n");
    world_commit(&world);
    struct plan *plan = world_plan(&world);
    assert_plan(plan, "update flow/company.team/a 1>2\n");
    assert_true(plan->changes.items[0].same_meaning);
    assert_int_equal(plan->changes.items[0].added, 1);
    plan_free(plan);
    world_free(&world);
}

/* ---- files and entries ---- */

static void put_config(struct world *world, const char *more)
{
    struct buf text = { 0 };
    buf_printf(&text,
               "version: 1\nflows:\n  - path: flows\n    namespace: company\n"
               "files:\n  - path: files\n    namespace: company.team\n"
               "kv:\n  - path: kv/company.team.yaml\n    namespace: company.team\n%s",
               more);
    fixture_put(world->fixture, "weir.yaml", text.bytes);
    buf_free(&text);
}

static void reconcile_deploys_files_and_entries_with_the_flows(void **state)
{
    (void)state;
    struct world world = world_new();
    put_config(&world, "");
    fixture_put(world.fixture, "flows/team/a.yml",
                "id: a\ntasks: [{id: t, type: " LOG_TASK ", message: hi}]\n");
    fixture_put(world.fixture, "files/queries/orders.sql", "select 1;\n");
    fixture_put(world.fixture, "kv/company.team.yaml",
                "days: 30\nlimits: {a: 1}\nwarehouse: {value: /data, description: where}\n"
                "since: {value: '2026-01-01', type: date, ttl: P1D}\n");
    world_commit(&world);
    assert_next(&world, "create kv/company.team/days 0>1\ncreate kv/company.team/limits 0>1\n"
                        "create kv/company.team/since 0>1\ncreate kv/company.team/warehouse 0>1\n"
                        "create file/company.team/queries/orders.sql 0>1\n"
                        "create flow/company.team/a 0>1\n");
    world_apply(&world);
    assert_string_equal(world_live(&world, "kv/company.team/limits").text, "{\"a\":1}");
    assert_string_equal(world_live(&world, "kv/company.team/warehouse").text, "\"/data\"");
    assert_next(&world, "");

    fixture_put(world.fixture, "files/queries/orders.sql", "select 1;\nselect 2;\n");
    fixture_put(world.fixture, "kv/company.team.yaml",
                "# moved down\ndays: 31\nlimits: {a: 1}\n"
                "since: {value: '2026-01-01', type: date, ttl: P2D}\n");
    world_commit(&world);
    struct plan *plan = world_plan(&world);
    assert_plan(plan, "update kv/company.team/days 1>2\n  : 30 > 31\n"
                      "update kv/company.team/since 1>2\ndelete kv/company.team/warehouse 1>0\n"
                      "update file/company.team/queries/orders.sql 1>2\n");
    assert_int_equal(plan->changes.items[3].added, 1);
    assert_int_equal(plan->changes.items[3].removed, 0);
    plan_free(plan);
    world_apply(&world);
    assert_next(&world, "");
    world_free(&world);
}

static void reconcile_reports_mistakes_in_entries_with_their_line(void **state)
{
    (void)state;
    struct world world = world_new();
    put_config(&world, "");
    world_put_flow(&world, "flows/a.yml", "a", "");
    fixture_put(world.fixture, "files/x", "x");
    fixture_put(world.fixture, "kv/company.team.yaml",
                "ok: 1\n\"not a key\": 1\nempty:\n"
                "wrong: {value: x, type: NUMBER}\nkind: {value: x, type: WORD}\n");
    world_commit(&world);
    struct plan *plan = world_plan(&world);
    assert_int_equal(plan->findings.errors, 4);
    assert_string_equal(plan->findings.all.items[0].file, "kv/company.team.yaml");
    assert_int_equal(plan->findings.all.items[0].line, 2);
    assert_int_equal(plan->findings.all.items[3].line, 5);
    assert_true(plan_is_held(plan));
    plan_free(plan);
    world_free(&world);
}

static void reconcile_says_which_path_of_weir_yaml_is_missing(void **state)
{
    (void)state;
    struct world world = world_new();
    put_config(&world, "");
    world_put_flow(&world, "flows/a.yml", "a", "");
    fixture_put(world.fixture, "files/x", "x");
    fixture_put(world.fixture, "kv/company.team.yaml", "a: 1\n");
    world_commit(&world);
    world_apply(&world);
    fixture_put(world.fixture, "flows/a.yml", NULL);
    world_commit(&world);
    assert_next(&world, "delete flow/company.team/a 1>0\n"
                        "error weir.yaml:3:1 the repository has no 'flows'\n"
                        "held findings: 1 error must be corrected\n");
    world_free(&world);
}

static void reconcile_reports_every_mistake_in_weir_yaml(void **state)
{
    (void)state;
    struct world world = world_new();
    world_put_flow(&world, "flows/a.yml", "a", "");
    fixture_put(world.fixture, "weir.yaml", "version: 1\nflow: []\npolicy: {onInvalid: maybe}\n");
    world_commit(&world);
    struct plan *plan = world_plan(&world);
    assert_int_equal(plan->findings.errors, 2);
    assert_string_equal(plan->findings.all.items[0].file, "weir.yaml");
    assert_int_equal(plan->changes.count, 0);
    assert_true(plan_is_held(plan));
    plan_free(plan);
    world_free(&world);
}

static void reconcile_reads_everything_again_when_the_layout_changes(void **state)
{
    (void)state;
    struct world world = world_new();
    fixture_put(world.fixture, "flows/a.yml",
                "id: a\ntasks: [{id: t, type: " LOG_TASK ", message: hi}]\n");
    fixture_put(world.fixture, "weir.yaml", "flows: [{path: flows, namespace: one}]\n");
    world_commit(&world);
    world_apply(&world);
    fixture_put(world.fixture, "weir.yaml", "flows: [{path: flows, namespace: two}]\n");
    world_commit(&world);
    assert_next(&world, "delete flow/one/a 1>0\ncreate flow/two/a 0>1\n");
    world_free(&world);
}

/* ---- mistakes ---- */

static void reconcile_holds_a_commit_for_one_broken_file(void **state)
{
    (void)state;
    struct world world = world_new();
    world_put_flow(&world, "a.yml", "a", "");
    world_put_flow(&world, "b.yml", "b", "");
    world_commit(&world);
    world_apply(&world);
    world_put_flow(&world, "a.yml", "a", "    level: WARN\n");
    fixture_put(world.fixture, "b.yml", "id: b\nnamespace: company.team\ntasks: [\n");
    world_commit(&world);
    struct plan *plan = world_plan(&world);
    assert_int_equal(plan->findings.errors, 1);
    assert_int_equal(plan->changes.count, 1); // and no deletion of b
    struct error err = { 0 };
    assert_false(reconcile_apply(&world.snapshot, world.target, &world.options, NULL, plan, &err));
    assert_int_equal(err.code, ERR_DENIED);
    assert_int_equal(world_live(&world, "flow/company.team/a").revision, 1);

    assert_true(reconcile_hold(&world.snapshot, world.target, &world.options, plan, &err));
    struct note note;
    assert_true(
        world.target->ops->note(world.target, world.arena, NOTES_HELD, "main", &note, &err));
    assert_non_null(strstr(note.body, "\"reasons\":[{\"code\":\"findings\""));
    world.options.now += USEC_HOUR;
    assert_true(reconcile_hold(&world.snapshot, world.target, &world.options, plan, &err));
    struct note again;
    assert_true(
        world.target->ops->note(world.target, world.arena, NOTES_HELD, "main", &again, &err));
    assert_string_equal(again.body, note.body); // since when is kept
    plan_free(plan);

    world_put_flow(&world, "b.yml", "b", "");
    world_commit(&world);
    world_apply(&world);
    assert_false(
        world.target->ops->note(world.target, world.arena, NOTES_HELD, "main", &note, &err));
    world_free(&world);
}

static void reconcile_skips_only_the_broken_file_when_asked_to(void **state)
{
    (void)state;
    struct world world = world_new();
    fixture_put(world.fixture, "weir.yaml", "policy: {onInvalid: skip}\n");
    world_put_flow(&world, "a.yml", "a", "");
    world_put_flow(&world, "b.yml", "b", "");
    world_commit(&world);
    world_apply(&world);
    world_put_flow(&world, "a.yml", "a", "    level: WARN\n");
    fixture_put(world.fixture, "b.yml", "id: b\nnamespace: company.team\ntasks: [\n");
    world_commit(&world);
    world_apply(&world);
    assert_int_equal(world_live(&world, "flow/company.team/a").revision, 2);
    assert_int_equal(world_live(&world, "flow/company.team/b").revision, 1);
    // it is still reported with later commits, although it did not change
    world_put_flow(&world, "c.yml", "c", "");
    world_commit(&world);
    struct plan *plan = world_plan(&world);
    assert_int_equal(plan->findings.errors, 1);
    assert_true(plan->is_partial);
    assert_int_equal(plan->changes.count, 1);
    plan_free(plan);
    world_apply(&world);
    world_put_flow(&world, "b.yml", "b", "    level: INFO\n");
    world_commit(&world);
    assert_next(&world, "update flow/company.team/b 1>2\n  tasks.hello.level: - > \"INFO\"\n");
    world_apply(&world);
    world_put_flow(&world, "d.yml", "d", "");
    world_commit(&world);
    plan = world_plan(&world);
    assert_int_equal(plan->findings.errors, 0);
    plan_free(plan);
    world_free(&world);
}

static void reconcile_does_not_delete_a_flow_that_broke_while_it_moved(void **state)
{
    (void)state;
    struct world world = world_new();
    fixture_put(world.fixture, "weir.yaml", "policy: {onInvalid: skip}\n");
    world_put_flow(&world, "a.yml", "a", "");
    world_put_flow(&world, "b.yml", "b", "");
    world_commit(&world);
    world_apply(&world);
    fixture_put(world.fixture, "a.yml", NULL);
    fixture_put(world.fixture, "moved.yml", "id: a\nnamespace: company.team\ntasks: {\n");
    world_commit(&world);
    struct plan *plan = world_plan(&world);
    assert_int_equal(plan->changes.count, 0);
    plan_free(plan);
    world_free(&world);
}

static void reconcile_reports_a_flow_that_is_defined_twice(void **state)
{
    (void)state;
    struct world world = world_new();
    world_put_flow(&world, "a.yml", "a", "");
    world_put_flow(&world, "b.yml", "a", "");
    world_commit(&world);
    assert_next(&world, "create flow/company.team/a 0>1\n"
                        "error b.yml:1:1 flow 'company.team/a' is defined in a.yml:1 too\n"
                        "held findings: 1 error must be corrected\n");
    fixture_put(world.fixture, "b.yml", NULL);
    world_commit(&world);
    world_apply(&world);
    // the other definition lies in a file that did not change
    world_put_flow(&world, "c.yml", "a", "");
    world_commit(&world);
    assert_next(&world, "error c.yml:1:1 flow 'company.team/a' is defined in a.yml:1 too\n"
                        "held findings: 1 error must be corrected\n");
    world_free(&world);
}

static void reconcile_reports_a_file_that_stops_looking_like_a_flow(void **state)
{
    (void)state;
    struct world world = world_new();
    world_put_flow(&world, "a.yml", "a", "");
    world_put_flow(&world, "b.yml", "b", "");
    world_commit(&world);
    world_apply(&world);
    fixture_put(world.fixture, "a.yml", "something: else\n");
    world_commit(&world);
    assert_next(&world,
                "error a.yml:0:0 the file defined flow 'company.team/a' and does not look like a "
                "flow any more\nheld findings: 1 error must be corrected\n");
    world_free(&world);
}

static void reconcile_takes_a_link_in_place_of_a_flow_for_a_mistake(void **state)
{
    (void)state;
    struct world world = world_new();
    world_put_flow(&world, "flows/a.yml", "a", "");
    world_put_flow(&world, "flows/b.yml", "b", "");
    world_commit(&world);
    world_apply(&world);
    struct oid blob = fixture_blob(world.fixture, "/etc/passwd", 11);
    fixture_put_mode(world.fixture, "flows/a.yml", 0120000, &blob);
    world_commit(&world);
    assert_next(&world,
                "error flows/a.yml:0:0 'flows/a.yml' is a symbolic link, which is not followed\n"
                "held findings: 1 error must be corrected\n");
    world_free(&world);
}

static void reconcile_keeps_what_lay_in_a_folder_that_became_a_link(void **state)
{
    (void)state;
    struct world world = world_new();
    fixture_put(world.fixture, "weir.yaml", "flows: [{path: flows}]\n");
    world_put_flow(&world, "flows/team/a.yml", "a", "");
    world_put_flow(&world, "flows/b.yml", "b", "");
    world_commit(&world);
    world_apply(&world);
    struct oid blob = fixture_blob(world.fixture, "../elsewhere", 12);
    fixture_put(world.fixture, "flows/team/a.yml", NULL);
    fixture_put_mode(world.fixture, "flows/team", 0120000, &blob);
    world_commit(&world);
    struct plan *plan = world_plan(&world);
    assert_int_equal(plan->changes.count, 0);
    assert_int_equal(plan->findings.all.count, 1);
    plan_free(plan);
    world_free(&world);
}

static void reconcile_refuses_files_that_are_too_big(void **state)
{
    (void)state;
    struct world world = world_new();
    size_t length = 5U * 1024U * 1024U;
    char *bytes = check_malloc(length);
    memset(bytes, '#', length);
    memcpy(bytes, "id: a\ntasks:\n", 13);
    fixture_put_bytes(world.fixture, "a.yml", bytes, length);
    free(bytes);
    world_commit(&world);
    assert_next(&world,
                "error a.yml:0:0 the file is too big: has 5242880 bytes, more than the 4194304 "
                "allowed\nheld findings: 1 error must be corrected\n");
    world_free(&world);
}

static void reconcile_reports_bytes_that_are_no_text(void **state)
{
    (void)state;
    struct world world = world_new();
    fixture_put_bytes(world.fixture, "a.yml", "id: a\ntasks:\n\x00\xff\xfe", 16);
    world_commit(&world);
    struct plan *plan = world_plan(&world);
    assert_int_equal(plan->findings.errors, 1);
    assert_string_equal(plan->findings.all.items[0].file, "a.yml");
    assert_true(plan_is_held(plan));
    plan_free(plan);
    world_free(&world);
}

/* ---- never deleted ---- */

static void reconcile_takes_an_empty_tree_for_an_error(void **state)
{
    (void)state;
    struct world world = world_new();
    world_put_flow(&world, "a.yml", "a", "");
    world_commit(&world);
    world_apply(&world);
    fixture_put(world.fixture, "a.yml", NULL);
    world_commit(&world);
    struct error err = { 0 };
    assert_null(reconcile_plan(&world.snapshot, world.target, &world.options, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_non_null(strstr(err.text, "no files at all"));
    assert_int_equal(world_live(&world, "flow/company.team/a").revision, 1);
    world_free(&world);
}

static void reconcile_takes_a_missing_folder_for_an_error(void **state)
{
    (void)state;
    struct world world = world_new();
    world.snapshot.folder = "deploy";
    world_put_flow(&world, "deploy/a.yml", "a", "");
    world_put_flow(&world, "other/b.yml", "b", "");
    world_commit(&world);
    assert_next(&world, "create flow/company.team/a 0>1\n");
    world_apply(&world);
    fixture_put(world.fixture, "deploy/a.yml", NULL);
    world_commit(&world);
    struct error err = { 0 };
    assert_null(reconcile_plan(&world.snapshot, world.target, &world.options, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "'deploy'"));
    world_free(&world);
}

static void reconcile_takes_an_unreadable_object_for_an_error(void **state)
{
    (void)state;
    struct world world = world_new();
    world_put_flow(&world, "a.yml", "a", "");
    world_put_flow(&world, "b.yml", "b", "");
    world_commit(&world);
    world_apply(&world);
    struct oid nowhere = { { 9 } };
    char tree[256];
    size_t length = fixture_tree_entry(tree, 0, "100644", "a.yml", &nowhere);
    struct oid tree_id = fixture_tree_raw(world.fixture, tree, length);
    struct oid id = fixture_commit_tree(world.fixture, "main", &tree_id, "damaged");
    struct error err = { 0 };
    assert_true(git_repo_commit(world.repo, world.arena, &id, &world.snapshot.commit, &err));
    assert_null(reconcile_plan(&world.snapshot, world.target, &world.options, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_int_equal(world_live(&world, "flow/company.team/b").revision, 1);
    world_free(&world);
}

static void reconcile_holds_a_commit_that_deletes_everything(void **state)
{
    (void)state;
    struct world world = world_new();
    world_put_flow(&world, "a.yml", "a", "");
    world_put_flow(&world, "b.yml", "b", "");
    world_commit(&world);
    world_apply(&world);
    fixture_put(world.fixture, "a.yml", NULL);
    fixture_put(world.fixture, "b.yml", NULL);
    fixture_put(world.fixture, "README.md", "empty now");
    world_commit(&world);
    assert_next(&world, "delete flow/company.team/a 1>0\ndelete flow/company.team/b 1>0\n"
                        "held deletions: all 2 objects would be deleted\n");
    world.options.overrides = OVERRIDE_DELETIONS;
    world_apply(&world);
    assert_int_equal(world_live(&world, "flow/company.team/a").revision, 0);
    world_free(&world);
}

static void reconcile_reads_everything_when_the_old_tree_is_gone(void **state)
{
    (void)state;
    struct world world = world_new();
    world_put_flow(&world, "a.yml", "a", "");
    world_put_flow(&world, "b.yml", "b", "");
    world_commit(&world);
    world_apply(&world);
    // another repository in the same place, without the old history
    git_repo_free(world.repo);
    fixture_repo_free(world.fixture);
    struct error err = { 0 };
    world.fixture = fixture_repo_new(test_folder());
    world.repo = git_repo_open(fixture_repo_path(world.fixture), &err);
    world.snapshot.repo = world.repo;
    world_put_flow(&world, "a.yml", "a", "");
    world_put_flow(&world, "c.yml", "c", "");
    world_commit(&world);
    assert_next(&world, "delete flow/company.team/b 1>0\ncreate flow/company.team/c 0>1\n");
    world_free(&world);
}

/* ---- what others changed ---- */

static void reconcile_says_whose_change_it_overwrites(void **state)
{
    (void)state;
    struct world world = world_new();
    world_put_flow(&world, "a.yml", "a", "");
    world_put_flow(&world, "b.yml", "b", "");
    world_commit(&world);
    world_apply(&world);
    struct object_key key = { OBJECT_FLOW, "company.team", "a" };
    target_memory_touch(world.target, &key, "id: a\nnamespace: company.team\n", "ana", 5);
    world_put_flow(&world, "b.yml", "b", "    level: WARN\n");
    world_commit(&world);
    // a was not touched by the commit
    assert_next(&world, "update flow/company.team/b 1>2\n  tasks.hello.level: - > \"WARN\"\n");
    world_put_flow(&world, "a.yml", "a", "    level: WARN\n");
    world_commit(&world);
    assert_next(&world,
                "update flow/company.team/a 2>3 over ana\n"
                "  tasks: - > [{\"id\":\"hello\",\"type\":\"" LOG_TASK
                "\",\"message\":\"hi\",\"level\":\"WARN\"}]\n"
                "update flow/company.team/b 1>2\n  tasks.hello.level: - > \"WARN\"\n"
                "! flow company.team/a was changed by ana beside Git; that change is lost\n");
    world_free(&world);
}

static void reconcile_takes_over_what_is_there_already(void **state)
{
    (void)state;
    struct world world = world_new();
    world_put_flow(&world, "a.yml", "a", "");
    struct object_key same = { OBJECT_FLOW, "company.team", "a" };
    target_memory_touch(world.target, &same,
                        "id: a\nnamespace: company.team\ntasks:\n  - id: hello\n    type: " LOG_TASK
                        "\n    message: hi\n",
                        "ana", 5);
    world_put_flow(&world, "b.yml", "b", "");
    struct object_key other = { OBJECT_FLOW, "company.team", "b" };
    target_memory_touch(world.target, &other, "id: b\nnamespace: company.team\n", "bo", 5);
    world_commit(&world);
    struct plan *plan = world_plan(&world);
    assert_int_equal(plan->changes.items[0].action, PLAN_TAKE);
    assert_int_equal(plan->changes.items[1].action, PLAN_UPDATE);
    assert_string_equal(plan->impacts.items[0].code, "overwrites");
    plan_free(plan);
    world_apply(&world);
    assert_next(&world, "");
    world_free(&world);
}

static void reconcile_forgets_what_somebody_deleted_before(void **state)
{
    (void)state;
    struct world world = world_new();
    world_put_flow(&world, "a.yml", "a", "");
    world_put_flow(&world, "b.yml", "b", "");
    world_commit(&world);
    world_apply(&world);
    struct object_key key = { OBJECT_FLOW, "company.team", "a" };
    target_memory_touch(world.target, &key, NULL, "ana", 5);
    fixture_put(world.fixture, "a.yml", NULL);
    world_commit(&world);
    assert_next(&world, "forget flow/company.team/a\n");
    world_apply(&world);
    assert_next(&world, "");
    world_free(&world);
}

static void reconcile_leaves_objects_of_other_repositories_alone(void **state)
{
    (void)state;
    static const char *const sources[] = { "main", "infra", NULL };
    struct world world = world_new();
    world.options.sources = sources;
    world.snapshot.source = "infra";
    world_put_flow(&world, "a.yml", "a", "");
    world_commit(&world);
    world_apply(&world);
    world.snapshot.source = "main";
    world_put_flow(&world, "a.yml", "a", "    level: WARN\n");
    world_commit(&world);
    struct plan *plan = world_plan(&world);
    assert_int_equal(plan->findings.errors, 1);
    assert_string_equal(plan->findings.all.items[0].message,
                        "flow 'company.team/a' is deployed from source 'infra'");
    assert_true(plan_is_held(plan));
    plan_free(plan);
    world_free(&world);
}

static void reconcile_refuses_a_plan_other_than_the_reviewed_one(void **state)
{
    (void)state;
    struct world world = world_new();
    world_put_flow(&world, "a.yml", "a", "");
    world_commit(&world);
    struct plan *reviewed = world_plan(&world);
    struct apply_options options = { .expected_digest = reviewed->digest };
    struct object_key key = { OBJECT_FLOW, "company.team", "a" };
    target_memory_touch(world.target, &key, "id: a\n", "ana", 5);
    struct plan *now = world_plan(&world);
    struct error err = { 0 };
    assert_false(
        reconcile_apply(&world.snapshot, world.target, &world.options, &options, now, &err));
    assert_int_equal(err.code, ERR_CONFLICT);
    // the reviewed plan itself finds that what is deployed has moved
    assert_false(
        reconcile_apply(&world.snapshot, world.target, &world.options, &options, reviewed, &err));
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_string_equal(world_live(&world, "flow/company.team/a").text, "id: a\n");
    plan_free(now);
    plan_free(reviewed);
    world_free(&world);
}

/* ---- references and impact ---- */

static void reconcile_reports_a_subflow_that_does_not_exist(void **state)
{
    (void)state;
    struct world world = world_new();
    world_put_flow(&world, "load.yml", "load_customers", "");
    world_put_caller(&world, "nightly.yml", "nightly", "load_custmers");
    world_commit(&world);
    struct plan *plan = world_plan(&world);
    assert_plan(plan, "create flow/company.team/load_customers 0>1\n"
                      "create flow/company.team/nightly 0>1\n"
                      "error nightly.yml:7:13 subflow 'company.team/load_custmers' does not exist\n"
                      "held findings: 1 error must be corrected\n");
    assert_string_equal(plan->findings.all.items[0].advice,
                        "did you mean 'company.team/load_customers'?");
    plan_free(plan);
    world_put_caller(&world, "nightly.yml", "nightly", "load_customers");
    world_commit(&world);
    world_apply(&world);
    world_free(&world);
}

static void reconcile_reports_a_broken_flow_once_and_not_at_its_callers(void **state)
{
    (void)state;
    struct world world = world_new();
    fixture_put(world.fixture, "broken.yml", "id: broken\nnamespace: company.team\ntasks: [\n");
    world_put_caller(&world, "one.yml", "one", "broken");
    world_commit(&world);
    struct plan *plan = world_plan(&world);
    assert_int_equal(plan->findings.errors, 1);
    assert_string_equal(plan->findings.all.items[0].file, "broken.yml");
    assert_true(plan_is_held(plan));
    plan_free(plan);
    world_free(&world);
}

static void reconcile_skips_callers_of_what_was_skipped(void **state)
{
    (void)state;
    struct world world = world_new();
    fixture_put(world.fixture, "weir.yaml", "policy: {onInvalid: skip}\n");
    world_put_flow(&world, "fine.yml", "fine", "");
    fixture_put(world.fixture, "broken.yml", "id: broken\nnamespace: company.team\ntasks: [\n");
    world_put_caller(&world, "one.yml", "one", "broken");
    world_put_caller(&world, "two.yml", "two", "one");
    world_commit(&world);
    struct plan *plan = world_plan(&world);
    assert_int_equal(plan->findings.errors, 3);
    assert_int_equal(plan->changes.count, 1);
    assert_string_equal(plan->changes.items[0].key.name, "fine");
    assert_false(plan_is_held(plan));
    plan_free(plan);
    world_free(&world);
}

static void reconcile_warns_of_callers_of_a_deleted_flow(void **state)
{
    (void)state;
    struct world world = world_new();
    world_put_flow(&world, "load.yml", "load", "");
    world_put_flow(&world, "other.yml", "other", "");
    world_put_caller(&world, "nightly.yml", "nightly", "load");
    world_put_flow(
        &world, "publish.yml", "publish",
        "triggers:\n  - id: after\n    type: io.kestra.plugin.core.trigger.Flow\n"
        "    preconditions: {id: p, flows: [{namespace: company.team, flowId: load}]}\n");
    world_commit(&world);
    world_apply(&world);
    struct object_key key = { OBJECT_FLOW, "company.team", "load" };
    target_memory_run(world.target, &key, 2);
    fixture_put(world.fixture, "load.yml", NULL);
    world_commit(&world);
    struct plan *plan = world_plan(&world);
    assert_plan(plan, "delete flow/company.team/load 1>0\n"
                      "! company.team/nightly calls company.team/load, which this plan deletes "
                      "(nightly.yml:7)\n"
                      "! company.team/publish waits for company.team/load, which this plan deletes "
                      "(publish.yml:10)\n");
    assert_int_equal(plan->changes.items[0].running, 2);
    plan_free(plan);
    // a caller that goes at the same time is no reason to warn
    fixture_put(world.fixture, "nightly.yml", NULL);
    fixture_put(world.fixture, "publish.yml", NULL);
    world_commit(&world);
    assert_next(&world, "delete flow/company.team/load 1>0\ndelete flow/company.team/nightly 1>0\n"
                        "delete flow/company.team/publish 1>0\n");
    world_free(&world);
}

static void reconcile_warns_of_callers_that_do_not_pass_a_new_required_input(void **state)
{
    (void)state;
    struct world world = world_new();
    world_put_flow(&world, "load.yml", "load", "");
    world_put_caller(&world, "nightly.yml", "nightly", "load");
    fixture_put(world.fixture, "hourly.yml",
                "id: hourly\nnamespace: company.team\ntasks:\n  - id: call\n"
                "    type: io.kestra.plugin.core.flow.Subflow\n    namespace: company.team\n"
                "    flowId: load\n    inputs: {since: x}\n");
    world_put_flow(
        &world, "publish.yml", "publish",
        "triggers:\n  - id: after\n    type: io.kestra.plugin.core.trigger.Flow\n"
        "    preconditions: {id: p, flows: [{namespace: company.team, flowId: load}]}\n");
    world_commit(&world);
    world_apply(&world);
    world_put_flow(&world, "load.yml", "load", "inputs:\n  - {id: since, type: STRING}\n");
    world_commit(&world);
    assert_next(&world,
                "update flow/company.team/load 1>2\n"
                "  inputs: - > [{\"id\":\"since\",\"type\":\"STRING\"}]\n"
                "! input 'since' of company.team/load becomes required; 1 caller does not pass it "
                "(nightly.yml:7)\n"
                ". 1 flow trigger follows company.team/load (publish.yml:10)\n");
    // with a default nobody has to pass it
    world_put_flow(&world, "load.yml", "load",
                   "inputs:\n  - {id: since, type: STRING, defaults: x}\n");
    fixture_put(world.fixture, "publish.yml", NULL);
    world_commit(&world);
    struct plan *plan = world_plan(&world);
    assert_int_equal(plan->impacts.count, 0);
    plan_free(plan);
    world_free(&world);
}

static void reconcile_shows_when_a_changed_schedule_runs_next(void **state)
{
    (void)state;
    struct world world = world_new();
    world_put_flow(
        &world, "a.yml", "a",
        "triggers:\n  - {id: t, type: io.kestra.plugin.core.trigger.Schedule, cron: 0 * * * "
        "*}\n");
    world_commit(&world);
    world_apply(&world);
    world_put_flow(
        &world, "a.yml", "a",
        "triggers:\n  - {id: t, type: io.kestra.plugin.core.trigger.Schedule, cron: 30 6 * * "
        "*}\n");
    world_commit(&world);
    world.options.now = test_time("2026-06-01T12:10:00Z");
    struct plan *plan = world_plan(&world);
    assert_int_equal(plan->changes.items[0].schedules_count, 1);
    const struct plan_schedule *schedule = &plan->changes.items[0].schedules[0];
    assert_string_equal(schedule->zone, "Europe/Paris");
    assert_true(schedule->before[0] == test_time("2026-06-01T13:00:00Z"));
    assert_true(schedule->after[0] == test_time("2026-06-02T04:30:00Z"));
    assert_true(schedule->after[2] == test_time("2026-06-04T04:30:00Z"));
    // the time of day is not part of what is reviewed
    world.options.now += USEC_DAY;
    struct plan *later = world_plan(&world);
    assert_string_equal(later->digest, plan->digest);
    plan_free(later);
    plan_free(plan);
    world_free(&world);
}

/* ---- modules ---- */

static void put_module(struct world *world, const char *message)
{
    struct buf text = { 0 };
    buf_printf(&text,
               "inputs: [{id: who, type: STRING}]\ntemplate: |\n  tasks:\n    - id: hello\n"
               "      type: " LOG_TASK "\n      message: %s\n",
               message);
    fixture_put(world->fixture, "modules/greet/module.yaml", text.bytes);
    buf_free(&text);
}

static void put_user(struct world *world, const char *path, const char *id, const char *with)
{
    struct buf text = { 0 };
    buf_printf(&text, "id: %s\nnamespace: company.team\nmodule: greet\nwith: %s\n", id, with);
    fixture_put(world->fixture, path, text.bytes);
    buf_free(&text);
}

static void reconcile_deploys_what_a_flow_with_a_module_stands_for(void **state)
{
    (void)state;
    struct world world = world_new();
    fixture_put(world.fixture, "weir.yaml", "flows: [{path: flows}]\nmodules: [modules]\n");
    put_module(&world, "hello ${{ inputs.who }}");
    put_user(&world, "flows/a.yml", "a", "{who: Ana}");
    put_user(&world, "flows/b.yml", "b", "{who: Bo}");
    world_put_flow(&world, "flows/c.yml", "c", "");
    world_commit(&world);
    world_apply(&world);
    assert_string_equal(world_live(&world, "flow/company.team/a").text,
                        "id: a\nnamespace: company.team\ntasks:\n  - id: hello\n    type: " LOG_TASK
                        "\n    message: hello Ana\n");
    // a module that changes changes its users, whether all is read or only what differs
    put_module(&world, "bye ${{ inputs.who }}");
    world_commit(&world);
    static const char expected[] =
        "update flow/company.team/a 1>2\n  tasks.hello.message: \"hello Ana\" > \"bye Ana\"\n"
        "update flow/company.team/b 1>2\n  tasks.hello.message: \"hello Bo\" > \"bye Bo\"\n";
    assert_next(&world, expected);
    world.options.is_full = true;
    assert_next(&world, expected);
    world.options.is_full = false;
    world_apply(&world);
    assert_next(&world, "");
    // one that no longer uses it is not touched by it
    world_put_flow(&world, "flows/b.yml", "b", "");
    world_commit(&world);
    world_apply(&world);
    put_module(&world, "${{ inputs.who }}");
    world_commit(&world);
    assert_next(&world,
                "update flow/company.team/a 2>3\n  tasks.hello.message: \"bye Ana\" > \"Ana\"\n");
    world_free(&world);
}

static void reconcile_reports_mistakes_of_modules_where_they_are(void **state)
{
    (void)state;
    struct world world = world_new();
    fixture_put(world.fixture, "weir.yaml", "flows: [{path: flows}]\nmodules: [modules]\n");
    fixture_put(world.fixture, "modules/broken/module.yaml", "inputs: []\n");
    put_module(&world, "hello ${{ inputs.who }}\n      mesage: x");
    put_user(&world, "flows/a.yml", "a", "{who: Ana}");
    fixture_put(world.fixture, "flows/b.yml", "id: b\nnamespace: c\nmodule: broken\n");
    fixture_put(world.fixture, "flows/c.yml", "id: c\nnamespace: c\nmodule: none\n");
    fixture_put(world.fixture, "flows/d.yml", "id: d\nnamespace: c\nmodule: ../greet\n");
    world_commit(&world);
    assert_next(
        &world,
        "error flows/b.yml:3:9 module 'broken' has mistakes\n"
        "error flows/c.yml:3:9 there is no module 'none'\n"
        "error flows/d.yml:3:9 there is no module '../greet'\n"
        "error modules/broken/module.yaml:1:1 a module needs 'template'\n"
        "error modules/greet/module.yaml:7:7 unknown property 'mesage' of task type '" LOG_TASK
        "'\n"
        "held findings: 5 errors must be corrected\n");
    world_free(&world);
}

/* ---- policy ---- */

static void reconcile_holds_more_deletions_than_the_budget(void **state)
{
    (void)state;
    struct world world = world_new();
    fixture_put(world.fixture, "weir.yaml", "policy: {deletions: {perCommit: 1}}\n");
    for (int i = 0; i < 5; i++) {
        char path[16];
        char id[16];
        (void)snprintf(path, sizeof(path), "f%d.yml", i);
        (void)snprintf(id, sizeof(id), "f%d", i);
        world_put_flow(&world, path, id, "");
    }
    world_commit(&world);
    world_apply(&world);
    fixture_put(world.fixture, "f0.yml", NULL);
    world_commit(&world);
    assert_next(&world, "delete flow/company.team/f0 1>0\n");
    fixture_put(world.fixture, "f1.yml", NULL);
    world_commit(&world);
    assert_next(&world, "delete flow/company.team/f0 1>0\ndelete flow/company.team/f1 1>0\n"
                        "held deletions: deletion of 2 objects exceeds the budget of 1\n");
    // a deleted flow that was only moved costs nothing
    world_put_flow(&world, "moved.yml", "f1", "");
    world_commit(&world);
    assert_next(&world, "delete flow/company.team/f0 1>0\nmove flow/company.team/f1 0>1\n");
    world_free(&world);
}

static void reconcile_holds_changes_of_protected_namespaces_and_closed_windows(void **state)
{
    (void)state;
    struct world world = world_new();
    world_put_flow(&world, "a.yml", "a", "");
    fixture_put(world.fixture, "weir.yaml",
                "policy:\n  protected: [company]\n  windows:\n"
                "    - {name: evenings, allow: '0 18 * * *', for: PT4H, zone: UTC}\n");
    world_commit(&world);
    assert_next(&world,
                "create flow/company.team/a 0>1\n"
                "held window: window 'evenings' (weir.yaml:4) opens 2026-06-01T18:00:00Z\n");
    struct plan *closed = world_plan(&world);
    world.options.now = test_time("2026-06-01T18:30:00Z");
    struct plan *open = world_plan(&world);
    assert_false(plan_is_held(open));
    assert_string_equal(open->digest, closed->digest);
    plan_free(open);
    plan_free(closed);
    world_apply(&world);
    world_put_flow(&world, "a.yml", "a", "    level: WARN\n");
    world_commit(&world);
    assert_next(&world, "update flow/company.team/a 1>2\n  tasks.hello.level: - > \"WARN\"\n"
                        "held protected: namespace 'company' is protected: update of flow "
                        "'company.team/a'\n");
    world.options.overrides = OVERRIDE_PROTECTED;
    world_apply(&world);
    world_free(&world);
}

static void reconcile_takes_a_baseline_as_far_as_it_is_sound(void **state)
{
    (void)state;
    struct world world = world_new();
    world_put_flow(&world, "a.yml", "a", "");
    fixture_put(world.fixture, "b.yml", "id: b\nnamespace: company.team\ntasks: [\n");
    world_put_caller(&world, "c.yml", "c", "b");
    world_commit(&world);
    world.options.is_baseline = true;
    world_apply(&world);
    assert_int_equal(world_live(&world, "flow/company.team/a").revision, 1);
    assert_int_equal(world_live(&world, "flow/company.team/c").revision, 0);
    world.options.is_baseline = false;
    world_put_flow(&world, "b.yml", "b", "");
    world_commit(&world);
    assert_next(&world, "create flow/company.team/b 0>1\ncreate flow/company.team/c 0>1\n");
    world_free(&world);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(reconcile_takes_a_baseline_as_far_as_it_is_sound),
    cmocka_unit_test(reconcile_creates_updates_and_deletes_what_a_commit_says),
    cmocka_unit_test(reconcile_says_the_same_whether_it_reads_all_or_only_what_differs),
    cmocka_unit_test(reconcile_is_idempotent),
    cmocka_unit_test(reconcile_notes_commits_that_change_nothing),
    cmocka_unit_test(reconcile_does_not_take_a_moved_file_for_a_new_flow),
    cmocka_unit_test(reconcile_ignores_comments_in_the_meaning_but_deploys_them),
    cmocka_unit_test(reconcile_deploys_files_and_entries_with_the_flows),
    cmocka_unit_test(reconcile_reports_mistakes_in_entries_with_their_line),
    cmocka_unit_test(reconcile_says_which_path_of_weir_yaml_is_missing),
    cmocka_unit_test(reconcile_reports_every_mistake_in_weir_yaml),
    cmocka_unit_test(reconcile_reads_everything_again_when_the_layout_changes),
    cmocka_unit_test(reconcile_holds_a_commit_for_one_broken_file),
    cmocka_unit_test(reconcile_skips_only_the_broken_file_when_asked_to),
    cmocka_unit_test(reconcile_does_not_delete_a_flow_that_broke_while_it_moved),
    cmocka_unit_test(reconcile_reports_a_flow_that_is_defined_twice),
    cmocka_unit_test(reconcile_reports_a_file_that_stops_looking_like_a_flow),
    cmocka_unit_test(reconcile_takes_a_link_in_place_of_a_flow_for_a_mistake),
    cmocka_unit_test(reconcile_keeps_what_lay_in_a_folder_that_became_a_link),
    cmocka_unit_test(reconcile_refuses_files_that_are_too_big),
    cmocka_unit_test(reconcile_reports_bytes_that_are_no_text),
    cmocka_unit_test(reconcile_takes_an_empty_tree_for_an_error),
    cmocka_unit_test(reconcile_takes_a_missing_folder_for_an_error),
    cmocka_unit_test(reconcile_takes_an_unreadable_object_for_an_error),
    cmocka_unit_test(reconcile_holds_a_commit_that_deletes_everything),
    cmocka_unit_test(reconcile_reads_everything_when_the_old_tree_is_gone),
    cmocka_unit_test(reconcile_says_whose_change_it_overwrites),
    cmocka_unit_test(reconcile_takes_over_what_is_there_already),
    cmocka_unit_test(reconcile_forgets_what_somebody_deleted_before),
    cmocka_unit_test(reconcile_leaves_objects_of_other_repositories_alone),
    cmocka_unit_test(reconcile_refuses_a_plan_other_than_the_reviewed_one),
    cmocka_unit_test(reconcile_reports_a_subflow_that_does_not_exist),
    cmocka_unit_test(reconcile_reports_a_broken_flow_once_and_not_at_its_callers),
    cmocka_unit_test(reconcile_skips_callers_of_what_was_skipped),
    cmocka_unit_test(reconcile_warns_of_callers_of_a_deleted_flow),
    cmocka_unit_test(reconcile_warns_of_callers_that_do_not_pass_a_new_required_input),
    cmocka_unit_test(reconcile_shows_when_a_changed_schedule_runs_next),
    cmocka_unit_test(reconcile_deploys_what_a_flow_with_a_module_stands_for),
    cmocka_unit_test(reconcile_reports_mistakes_of_modules_where_they_are),
    cmocka_unit_test(reconcile_holds_more_deletions_than_the_budget),
    cmocka_unit_test(reconcile_holds_changes_of_protected_namespaces_and_closed_windows),
};
TEST_GROUP(reconcile, tests)
