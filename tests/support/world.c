/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/world.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "tests/support/test.h"
#include "tests/support/test_plugins.h"

struct world world_new(void)
{
    struct error err = { 0 };
    struct world world = { .fixture = fixture_repo_new(test_folder()) };
    world.repo = git_repo_open(fixture_repo_path(world.fixture), &err);
    if (world.repo == NULL)
        fail_msg("%s", err.text);
    world.target = target_memory_new();
    world.arena = arena_new();
    world.options = (struct reconcile_options){
        .plugins = test_plugins(),
        .threads = 2,
        .now = test_time("2026-06-01T12:00:00Z"),
        .zone = "Europe/Paris",
    };
    world.snapshot = (struct snapshot){
        .source = "main",
        .shown = "data/flows.git",
        .branch = "main",
        .folder = "",
        .repo = world.repo,
    };
    return world;
}

void world_free(struct world *world)
{
    git_repo_free(world->repo);
    fixture_repo_free(world->fixture);
    target_free(world->target);
    arena_free(world->arena);
}

/* A flow that logs, with more YAML behind. */
void world_put_flow(struct world *world, const char *path, const char *id, const char *more)
{
    struct buf text = { 0 };
    buf_printf(&text,
               "id: %s\nnamespace: company.team\ntasks:\n  - id: hello\n    type: " LOG_TASK
               "\n    message: hi\n%s",
               id, more);
    fixture_put(world->fixture, path, text.bytes);
    buf_free(&text);
}

void world_put_caller(struct world *world, const char *path, const char *id, const char *callee)
{
    struct buf text = { 0 };
    buf_printf(&text,
               "id: %s\nnamespace: company.team\ntasks:\n  - id: call\n"
               "    type: io.kestra.plugin.core.flow.Subflow\n    namespace: company.team\n"
               "    flowId: %s\n",
               id, callee);
    fixture_put(world->fixture, path, text.bytes);
    buf_free(&text);
}

void world_commit(struct world *world)
{
    struct oid id = fixture_commit(world->fixture, "main", "a change");
    struct error err = { 0 };
    if (!git_repo_commit(world->repo, world->arena, &id, &world->snapshot.commit, &err))
        fail_msg("%s", err.text);
}

struct plan *world_plan(struct world *world)
{
    struct error err = { 0 };
    struct plan *plan = reconcile_plan(&world->snapshot, world->target, &world->options, &err);
    if (plan == NULL)
        fail_msg("%s", err.text);
    return plan;
}

void world_apply(struct world *world)
{
    struct error err = { 0 };
    struct plan *plan = world_plan(world);
    if (!reconcile_apply(&world->snapshot, world->target, &world->options, NULL, plan, &err))
        fail_msg("%s", err.text);
    plan_free(plan);
    world->options.now += USEC_MIN;
}

struct live_object world_live(struct world *world, const char *key_text)
{
    struct object_key key;
    struct error err = { 0 };
    struct live_object out;
    assert_true(object_key_parse(world->arena, key_text, &key));
    assert_true(world->target->ops->live(world->target, world->arena, &key, 0, true, &out, &err));
    return out;
}
