/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/poll.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/map.h"
#include "base/rng.h"
#include "base/str.h"
#include "tests/support/git_repo.h"
#include "tests/support/test.h"

/* ---- poll ---- */

static void poll_spreads_successes_around_the_interval(void **state)
{
    (void)state;
    struct rng rng = { .state = 1 };
    usec_t low = USEC_NEVER;
    usec_t high = 0;
    for (int i = 0; i < 1000; i++) {
        struct poll poll = { .interval = 100 * USEC_SEC };
        assert_true(poll_is_due(&poll, 1));
        poll_start(&poll);
        assert_false(poll_is_due(&poll, 1));
        poll_end(&poll, true, 0, 1000, &rng);
        usec_t span = poll.due - 1000;
        low = span < low ? span : low;
        high = span > high ? span : high;
    }
    assert_true(low >= 90 * USEC_SEC && low < 92 * USEC_SEC);
    assert_true(high <= 110 * USEC_SEC && high > 108 * USEC_SEC);
}

static void poll_waits_longer_after_each_failure_up_to_a_limit(void **state)
{
    (void)state;
    struct rng rng = { .state = 1 };
    struct poll poll = { .interval = 30 * USEC_SEC };
    usec_t before = 0;
    for (int i = 0; i < 4; i++) {
        poll_start(&poll);
        poll_end(&poll, false, 0, 0, &rng);
        assert_true(poll.due > before * 3 / 2);
        before = poll.due;
    }
    for (int i = 0; i < 100; i++) {
        poll_start(&poll);
        poll_end(&poll, false, 0, 0, &rng);
        assert_true(poll.due <= POLL_BACKOFF_MAX * 11 / 10);
    }
    assert_true(poll.due >= POLL_BACKOFF_MAX * 9 / 10);
    poll_start(&poll);
    poll_end(&poll, true, 0, 0, &rng);
    assert_true(poll.due <= 33 * USEC_SEC);
}

static void poll_waits_as_long_as_the_remote_asks(void **state)
{
    (void)state;
    struct rng rng = { .state = 1 };
    struct poll poll = { .interval = 30 * USEC_SEC };
    poll_start(&poll);
    poll_end(&poll, false, USEC_HOUR, 0, &rng);
    assert_true(poll.due == USEC_HOUR);
}

static void poll_is_due_at_once_after_a_wake_up_also_while_running(void **state)
{
    (void)state;
    struct rng rng = { .state = 1 };
    struct poll poll = { .due = USEC_HOUR };
    poll_wake(&poll, 5);
    assert_true(poll_is_due(&poll, 5));
    poll_start(&poll);
    poll_wake(&poll, 6);
    assert_false(poll_is_due(&poll, 6));
    poll_end(&poll, false, USEC_HOUR, 7, &rng);
    assert_true(poll_is_due(&poll, 7));
}

/* ---- agent ---- */

/* Records what was delivered; answers as told. */
struct receiver {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct buf lines;
    size_t deliveries;
    enum delivery answer;
    struct map applied; /* source -> struct oid */
    struct oid oids[8];
};

static enum delivery deliver(void *data,
                             const struct snapshot *snapshot,
                             struct arena *arena,
                             const char **summary,
                             struct error *err)
{
    struct receiver *receiver = data;
    (void)pthread_mutex_lock(&receiver->lock);
    receiver->deliveries++;
    buf_printf(&receiver->lines, "%s %s %s%s\n", snapshot->source, snapshot->branch,
               snapshot->commit.subject, snapshot->is_rewritten ? " rewritten" : "");
    enum delivery answer = receiver->answer;
    if (answer == DELIVERY_APPLIED) {
        struct oid *slot = map_find(&receiver->applied, snapshot->source);
        if (slot == NULL)
            slot = &receiver->oids[receiver->applied.count];
        *slot = snapshot->commit.id;
        (void)map_put(&receiver->applied, snapshot->source, slot);
    }
    (void)pthread_cond_broadcast(&receiver->changed);
    (void)pthread_mutex_unlock(&receiver->lock);
    *summary = arena_strdup(arena, "1 flow");
    if (answer == DELIVERY_FAILED)
        (void)error_set(err, ERR_CONFLICT, "somebody was faster");
    return answer;
}

static bool applied(void *data, const char *source, struct oid *out)
{
    struct receiver *receiver = data;
    const struct oid *found = map_find(&receiver->applied, source);
    if (found != NULL)
        *out = *found;
    return found != NULL;
}

static usec_t fake_now = 1;

static usec_t now(void)
{
    return fake_now;
}

struct scene {
    struct fixture_repo *fixture;
    struct receiver receiver;
    struct agent *agent;
    struct arena *arena;
};

static struct scene *scene_new(const struct source_config *sources, size_t count)
{
    static const struct source_config one = { .name = "main" };
    struct scene *scene = check_calloc(1, sizeof(*scene));
    scene->fixture = fixture_repo_new(test_folder());
    scene->arena = arena_new();
    (void)pthread_mutex_init(&scene->receiver.lock, NULL);
    (void)pthread_cond_init(&scene->receiver.changed, NULL);
    struct source_config configs[8];
    if (sources == NULL) {
        sources = &one;
        count = 1;
    }
    for (size_t i = 0; i < count; i++) {
        configs[i] = sources[i];
        if (configs[i].address == NULL)
            configs[i].address = fixture_repo_path(scene->fixture);
    }
    struct agent_config config = {
        .sources = configs,
        .sources_count = count,
        .folder = test_folder(),
        .seed = 1,
        .now = now,
    };
    struct agent_ops ops = { .data = &scene->receiver, .deliver = deliver, .applied = applied };
    struct error err = { 0 };
    scene->agent = agent_new(&config, &ops, &err);
    if (scene->agent == NULL)
        fail_msg("%s", err.text);
    return scene;
}

static void scene_free(struct scene *scene)
{
    agent_free(scene->agent);
    fixture_repo_free(scene->fixture);
    buf_free(&scene->receiver.lines);
    map_free(&scene->receiver.applied);
    arena_free(scene->arena);
    free(scene);
}

static void turn(struct scene *scene)
{
    fake_now += USEC_HOUR;
    agent_turn(scene->agent);
}

static void assert_delivered(struct scene *scene, const char *expected)
{
    assert_string_equal(buf_text(&scene->receiver.lines), expected);
    buf_clear(&scene->receiver.lines);
}

static const struct source_status *status(struct scene *scene, size_t i)
{
    size_t count = 0;
    const struct source_status *all = agent_status(scene->agent, scene->arena, &count);
    assert_true(i < count);
    return &all[i];
}

static void agent_delivers_each_new_commit_once(void **state)
{
    (void)state;
    struct scene *scene = scene_new(NULL, 0);
    fixture_put(scene->fixture, "a.yml", "1");
    (void)fixture_commit(scene->fixture, "main", "one");
    turn(scene);
    assert_delivered(scene, "main main one\n");
    assert_int_equal(status(scene, 0)->state, SOURCE_IN_STEP);
    assert_string_equal(status(scene, 0)->summary, "1 flow");
    turn(scene);
    assert_delivered(scene, "");
    fixture_put(scene->fixture, "a.yml", "2");
    struct oid two = fixture_commit(scene->fixture, "main", "two");
    turn(scene);
    assert_delivered(scene, "main main two\n");
    assert_true(oid_equal(&status(scene, 0)->applied, &two));
    scene_free(scene);
}

static void agent_notices_that_history_was_rewritten(void **state)
{
    (void)state;
    struct scene *scene = scene_new(NULL, 0);
    fixture_put(scene->fixture, "a.yml", "1");
    (void)fixture_commit(scene->fixture, "main", "one");
    turn(scene);
    fixture_forget(scene->fixture, "main");
    fixture_put(scene->fixture, "a.yml", "other");
    (void)fixture_commit(scene->fixture, "main", "rewritten");
    turn(scene);
    assert_delivered(scene, "main main one\nmain main rewritten rewritten\n");
    assert_true(status(scene, 0)->is_rewritten);
    scene_free(scene);
}

static void agent_says_what_is_wrong_with_a_remote(void **state)
{
    (void)state;
    const struct source_config sources[] = {
        { .name = "empty" },
        { .name = "branch", .branch = "release" },
        { .name = "nowhere", .address = "/nowhere/at/all" },
    };
    struct scene *scene = scene_new(sources, 3);
    turn(scene);
    assert_int_equal(status(scene, 0)->state, SOURCE_FAILING);
    assert_non_null(strstr(status(scene, 0)->error, "has no commits yet"));
    assert_non_null(strstr(status(scene, 1)->error, "has no branch 'release'"));
    assert_non_null(strstr(status(scene, 2)->error, "/nowhere/at/all"));
    assert_int_equal(scene->receiver.deliveries, 0);

    fixture_put(scene->fixture, "a.yml", "1");
    (void)fixture_commit(scene->fixture, "main", "one");
    turn(scene);
    assert_delivered(scene, "empty main one\n");
    assert_int_equal(status(scene, 0)->state, SOURCE_IN_STEP);
    assert_null(status(scene, 0)->error);
    assert_int_equal(status(scene, 1)->state, SOURCE_FAILING);
    (void)fixture_commit(scene->fixture, "release", "first release");
    turn(scene);
    assert_delivered(scene, "branch release first release\n");
    scene_free(scene);
}

static void agent_keeps_what_it_has_when_the_branch_vanishes(void **state)
{
    (void)state;
    const struct source_config source = { .name = "main", .branch = "main" };
    struct scene *scene = scene_new(&source, 1);
    fixture_put(scene->fixture, "a.yml", "1");
    struct oid one = fixture_commit(scene->fixture, "main", "one");
    turn(scene);
    fixture_forget(scene->fixture, "main");
    turn(scene);
    assert_delivered(scene, "main main one\n");
    assert_int_equal(status(scene, 0)->state, SOURCE_FAILING);
    assert_true(oid_equal(&status(scene, 0)->applied, &one));
    fixture_branch(scene->fixture, "main", &one);
    turn(scene);
    assert_delivered(scene, "");
    assert_int_equal(status(scene, 0)->state, SOURCE_IN_STEP);
    scene_free(scene);
}

static void agent_delivers_again_what_failed_or_is_held(void **state)
{
    (void)state;
    struct scene *scene = scene_new(NULL, 0);
    fixture_put(scene->fixture, "a.yml", "1");
    (void)fixture_commit(scene->fixture, "main", "one");
    scene->receiver.answer = DELIVERY_FAILED;
    turn(scene);
    assert_int_equal(status(scene, 0)->state, SOURCE_FAILING);
    assert_string_equal(status(scene, 0)->error, "somebody was faster");
    scene->receiver.answer = DELIVERY_HELD;
    turn(scene);
    assert_int_equal(status(scene, 0)->state, SOURCE_HELD);
    scene->receiver.answer = DELIVERY_APPLIED;
    turn(scene);
    assert_int_equal(status(scene, 0)->state, SOURCE_IN_STEP);
    assert_delivered(scene, "main main one\nmain main one\nmain main one\n");
    scene_free(scene);
}

static void agent_follows_several_branches_of_one_repository(void **state)
{
    (void)state;
    const struct source_config sources[] = {
        { .name = "prod", .branch = "main" },
        { .name = "test", .branch = "next" },
        { .name = "docs", .branch = "main", .folder = "docs" },
    };
    struct scene *scene = scene_new(sources, 3);
    fixture_put(scene->fixture, "a.yml", "1");
    (void)fixture_commit(scene->fixture, "main", "one");
    fixture_put(scene->fixture, "a.yml", "2");
    (void)fixture_commit(scene->fixture, "next", "two");
    turn(scene);
    assert_delivered(scene, "prod main one\ntest next two\ndocs main one\n");
    fixture_put(scene->fixture, "a.yml", "3");
    (void)fixture_commit(scene->fixture, "next", "three");
    turn(scene);
    assert_delivered(scene, "test next three\n");
    scene_free(scene);
}

static void agent_takes_main_when_head_names_a_branch_without_commits(void **state)
{
    (void)state;
    struct scene *scene = scene_new(NULL, 0);
    char command[600];
    (void)snprintf(command, sizeof(command), "%s/HEAD", fixture_repo_path(scene->fixture));
    FILE *file = fopen(command, "w");
    assert_non_null(file);
    (void)fputs("ref: refs/heads/trunk\n", file);
    (void)fclose(file);
    fixture_put(scene->fixture, "a.yml", "1");
    (void)fixture_commit(scene->fixture, "main", "one");
    turn(scene);
    assert_delivered(scene, "main main one\n");
    scene_free(scene);
}

static void agent_refuses_sources_it_could_not_tell_apart(void **state)
{
    (void)state;
    static const struct source_config rows[][2] = {
        { { .name = "a", .address = "/x" }, { .name = "a", .address = "/y" } },
        { { .name = "a", .address = "/x" }, { .name = "../b", .address = "/y" } },
        { { .name = "a", .address = "/x" }, { .name = "b", .address = "ftp://x/y" } },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct agent_config config = { .sources = rows[i], .sources_count = 2, .folder = "/tmp" };
        struct agent_ops ops = { .deliver = deliver };
        struct error err = { 0 };
        assert_null(agent_new(&config, &ops, &err));
        assert_int_equal(err.code, ERR_INVALID);
    }
}

static void agent_wakes_up_when_told_and_delivers_from_its_threads(void **state)
{
    (void)state;
    struct receiver receiver = { 0 };
    (void)pthread_mutex_init(&receiver.lock, NULL);
    (void)pthread_cond_init(&receiver.changed, NULL);
    struct fixture_repo *fixture = fixture_repo_new(test_folder());
    fixture_put(fixture, "a.yml", "1");
    (void)fixture_commit(fixture, "main", "one");
    const struct source_config source = { .name = "main",
                                          .address = fixture_repo_path(fixture),
                                          .interval = USEC_HOUR };
    struct agent_config config = { .sources = &source,
                                   .sources_count = 1,
                                   .folder = test_folder() };
    struct agent_ops ops = { .data = &receiver, .deliver = deliver, .applied = applied };
    struct error err = { 0 };
    struct agent *agent = agent_new(&config, &ops, &err);
    assert_non_null(agent);
    assert_true(agent_start(agent, &err));
    for (size_t wanted = 1; wanted <= 3; wanted++) {
        (void)pthread_mutex_lock(&receiver.lock);
        while (receiver.deliveries < wanted)
            (void)pthread_cond_wait(&receiver.changed, &receiver.lock);
        (void)pthread_mutex_unlock(&receiver.lock);
        fixture_put(fixture, "a.yml", wanted == 1 ? "2" : "3");
        (void)fixture_commit(fixture, "main", "more");
        if (wanted == 1)
            assert_true(agent_wake(agent, "main"));
        else
            assert_int_equal(agent_wake_address(agent, source.address), 1);
    }
    assert_false(agent_wake(agent, "other"));
    agent_free(agent);
    fixture_repo_free(fixture);
    buf_free(&receiver.lines);
    map_free(&receiver.applied);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(poll_spreads_successes_around_the_interval),
    cmocka_unit_test(poll_waits_longer_after_each_failure_up_to_a_limit),
    cmocka_unit_test(poll_waits_as_long_as_the_remote_asks),
    cmocka_unit_test(poll_is_due_at_once_after_a_wake_up_also_while_running),
    cmocka_unit_test(agent_delivers_each_new_commit_once),
    cmocka_unit_test(agent_notices_that_history_was_rewritten),
    cmocka_unit_test(agent_says_what_is_wrong_with_a_remote),
    cmocka_unit_test(agent_keeps_what_it_has_when_the_branch_vanishes),
    cmocka_unit_test(agent_delivers_again_what_failed_or_is_held),
    cmocka_unit_test(agent_follows_several_branches_of_one_repository),
    cmocka_unit_test(agent_takes_main_when_head_names_a_branch_without_commits),
    cmocka_unit_test(agent_refuses_sources_it_could_not_tell_apart),
    cmocka_unit_test(agent_wakes_up_when_told_and_delivers_from_its_threads),
};
TEST_GROUP(agent, tests)
