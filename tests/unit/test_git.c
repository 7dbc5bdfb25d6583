/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/git.h"
#include "base/git_walk.h"
#include "tests/support/git_repo.h"
#include "tests/support/test.h"

/* What a walk found, as lines "+path", "~path", "-path", "!kind path". */
struct seen {
    struct buf lines;
};

static bool on_change(void *context, const struct walk_change *change, struct error *err)
{
    (void)err;
    struct seen *seen = context;
    char sign = oid_is_none(&change->before) ? '+' : oid_is_none(&change->after) ? '-' : '~';
    buf_printf(&seen->lines, "%c%s\n", sign, change->path);
    return true;
}

static void on_problem(void *context, const struct walk_problem *problem)
{
    static const char *const names[] = { "symlink",   "submodule", "name", "utf8",
                                         "collision", "deep",      "mode" };
    struct seen *seen = context;
    buf_printf(&seen->lines, "!%s %s\n", names[problem->kind], problem->path);
}

static struct git_repo *open_repo(const struct fixture_repo *fixture)
{
    struct error err = { 0 };
    struct git_repo *repo = git_repo_open(fixture_repo_path(fixture), &err);
    if (repo == NULL)
        fail_msg("%s", err.text);
    return repo;
}

static struct oid tree_of(struct git_repo *repo, const struct oid *commit)
{
    struct arena *arena = arena_new();
    struct git_commit_info info;
    struct error err = { 0 };
    if (!git_repo_commit(repo, arena, commit, &info, &err))
        fail_msg("%s", err.text);
    arena_free(arena);
    return info.tree;
}

static void assert_walk(struct git_repo *repo,
                        const struct oid *before,
                        const struct oid *after,
                        const char *expected)
{
    struct seen seen = { 0 };
    struct error err = { 0 };
    struct walk walk = { .change = on_change, .problem = on_problem, .context = &seen };
    if (!walk_trees(repo, before, after, &walk, &err))
        fail_msg("%s", err.text);
    assert_string_equal(buf_text(&seen.lines), expected);
    buf_free(&seen.lines);
}

static void git_reads_commits_and_blobs_by_id(void **state)
{
    (void)state;
    struct fixture_repo *fixture = fixture_repo_new(test_folder());
    fixture_put(fixture, "flows/a.yml", "id: a\n");
    struct oid first = fixture_commit(fixture, "main", "First\n\nbody");
    struct git_repo *repo = open_repo(fixture);
    struct arena *arena = arena_new();
    struct error err = { 0 };

    struct oid found;
    assert_true(git_repo_resolve(repo, "main", &found, &err));
    assert_true(oid_equal(&found, &first));
    assert_true(git_repo_ref(repo, "refs/heads/main", &found));
    assert_string_equal(git_repo_head(repo, arena), "refs/heads/main");

    struct git_commit_info info;
    assert_true(git_repo_commit(repo, arena, &first, &info, &err));
    assert_string_equal(info.subject, "First");
    assert_string_equal(info.author, "Ana Lima");
    assert_int_equal(info.parents, 0);

    struct oid blob;
    bool is_folder = true;
    assert_true(walk_find(repo, &info.tree, "flows/a.yml", &blob, &is_folder, &err));
    assert_false(is_folder);
    size_t length = 0;
    assert_string_equal(git_repo_blob(repo, arena, &blob, 100, &length, &err), "id: a\n");
    assert_int_equal(length, 6);
    struct oid hashed = git_blob_oid("id: a\n", 6);
    assert_true(oid_equal(&blob, &hashed));

    arena_free(arena);
    git_repo_free(repo);
    fixture_repo_free(fixture);
}

static void git_names_what_is_missing(void **state)
{
    (void)state;
    struct error err = { 0 };
    assert_null(git_repo_open("/nowhere/at/all", &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    const char *folder = test_folder();
    assert_null(git_repo_open(folder, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "is not a Git repository"));

    struct fixture_repo *fixture = fixture_repo_new(test_folder());
    struct git_repo *repo = open_repo(fixture);
    assert_true(git_repo_is_empty(repo));
    struct oid oid;
    assert_false(git_repo_resolve(repo, "release", &oid, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "'release'"));
    struct oid unknown = { { 1 } };
    enum git_kind kind;
    size_t bytes;
    assert_false(git_repo_header(repo, &unknown, &kind, &bytes, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    git_repo_free(repo);
    fixture_repo_free(fixture);
}

static void git_refuses_a_blob_by_its_size_before_reading_it(void **state)
{
    (void)state;
    struct fixture_repo *fixture = fixture_repo_new(test_folder());
    size_t length = 2U * 1024U * 1024U;
    char *bytes = check_calloc(1, length);
    struct oid id = fixture_blob(fixture, bytes, length);
    free(bytes);
    struct git_repo *repo = open_repo(fixture);
    struct arena *arena = arena_new();
    struct error err = { 0 };
    assert_null(git_repo_blob(repo, arena, &id, 1024U * 1024U, &length, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_true(arena_bytes(arena) < 1024);
    arena_free(arena);
    git_repo_free(repo);
    fixture_repo_free(fixture);
}

static void git_tells_a_rewritten_history_from_a_grown_one(void **state)
{
    (void)state;
    struct fixture_repo *fixture = fixture_repo_new(test_folder());
    fixture_put(fixture, "a", "1");
    struct oid first = fixture_commit(fixture, "main", "one");
    fixture_put(fixture, "a", "2");
    struct oid second = fixture_commit(fixture, "main", "two");
    fixture_branch(fixture, "main", &first);
    fixture_put(fixture, "a", "3");
    struct oid other = fixture_commit(fixture, "main", "other");
    struct git_repo *repo = open_repo(fixture);
    struct error err = { 0 };
    bool is_ancestor = false;
    assert_true(git_repo_is_ancestor(repo, &first, &second, &is_ancestor, &err));
    assert_true(is_ancestor);
    assert_true(git_repo_is_ancestor(repo, &second, &second, &is_ancestor, &err));
    assert_true(is_ancestor);
    assert_true(git_repo_is_ancestor(repo, &second, &other, &is_ancestor, &err));
    assert_false(is_ancestor);
    struct oid base;
    assert_true(git_repo_merge_base(repo, &second, &other, &base, &err));
    assert_true(oid_equal(&base, &first));
    git_repo_free(repo);
    fixture_repo_free(fixture);
}

static void git_reads_objects_of_another_repository_in_place(void **state)
{
    (void)state;
    struct fixture_repo *fixture = fixture_repo_new(test_folder());
    fixture_put(fixture, "a", "1");
    struct oid first = fixture_commit(fixture, "main", "one");
    struct git_repo *origin = open_repo(fixture);
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/deep/mirror.git", test_folder());
    struct error err = { 0 };
    for (int round = 0; round < 2; round++) {
        struct git_repo *mirror = git_repo_open_mirror(path, origin, &err);
        if (mirror == NULL)
            fail_msg("%s", err.text);
        assert_true(git_repo_has(mirror, &first));
        assert_true(git_repo_set_ref(mirror, "refs/heads/main", &first, &err));
        // what is added to the origin later is seen as well
        fixture_put(fixture, "a", round == 0 ? "2" : "3");
        struct oid next = fixture_commit(fixture, "main", "next");
        assert_true(git_repo_has(mirror, &next));
        git_repo_free(mirror);
    }
    git_repo_free(origin);
    fixture_repo_free(fixture);
}

static void git_opens_a_mirror_whose_owner_was_killed(void **state)
{
    (void)state;
    static const char *const left[] = { "refs/heads/main.lock", "refs/heads/team/x.lock",
                                        "packed-refs.lock", "HEAD.lock", "config.lock" };
    struct fixture_repo *fixture = fixture_repo_new(test_folder());
    fixture_put(fixture, "a", "1");
    struct oid first = fixture_commit(fixture, "main", "one");
    struct git_repo *origin = open_repo(fixture);
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/killed.git", test_folder());
    struct error err = { 0 };
    struct git_repo *mirror = git_repo_open_mirror(path, origin, &err);
    assert_non_null(mirror);
    assert_true(git_repo_set_ref(mirror, "refs/heads/team/y", &first, &err));
    git_repo_free(mirror);
    for (size_t i = 0; i < COUNT_OF(left); i++) {
        char name[1024];
        (void)snprintf(name, sizeof(name), "%s/%s", path, left[i]);
        int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
        assert_true(fd >= 0);
        (void)close(fd);
    }
    mirror = git_repo_open_mirror(path, origin, &err);
    assert_non_null(mirror);
    static const char *const names[] = { "refs/heads/main", "refs/heads/team/x" };
    struct oid found;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (!git_repo_set_ref(mirror, names[i], &first, &err))
            fail_msg("%s", err.text);
    assert_true(git_repo_ref(mirror, "refs/heads/team/y", &found)); // what was there stays
    git_repo_free(mirror);
    git_repo_free(origin);
    fixture_repo_free(fixture);
}

static void walk_reports_added_changed_and_removed_files(void **state)
{
    (void)state;
    struct fixture_repo *fixture = fixture_repo_new(test_folder());
    fixture_put(fixture, "a.yml", "1");
    fixture_put(fixture, "flows/b.yml", "1");
    fixture_put(fixture, "flows/c.yml", "1");
    fixture_put(fixture, "gone/d.yml", "1");
    fixture_put(fixture, "same/e.yml", "1");
    struct oid first = fixture_commit(fixture, "main", "one");
    fixture_put(fixture, "flows/b.yml", "2");
    fixture_put(fixture, "flows/new/f.yml", "1");
    fixture_put(fixture, "gone/d.yml", NULL);
    fixture_put(fixture, "gone.yml", "1");
    struct oid second = fixture_commit(fixture, "main", "two");

    struct git_repo *repo = open_repo(fixture);
    struct oid before = tree_of(repo, &first);
    struct oid after = tree_of(repo, &second);
    assert_walk(repo, &oid_none, &before,
                "+a.yml\n+flows/b.yml\n+flows/c.yml\n+gone/d.yml\n+same/e.yml\n");
    assert_walk(repo, &before, &after, "~flows/b.yml\n+flows/new/f.yml\n+gone.yml\n-gone/d.yml\n");
    assert_walk(repo, &after, &after, "");
    git_repo_free(repo);
    fixture_repo_free(fixture);
}

static void walk_reads_only_folders_that_changed(void **state)
{
    (void)state;
    struct fixture_repo *fixture = fixture_repo_new(test_folder());
    char path[64];
    for (int i = 0; i < 400; i++) {
        (void)snprintf(path, sizeof(path), "flows/team%d/flow%d.yml", i % 20, i);
        fixture_put(fixture, path, "x");
    }
    struct oid first = fixture_commit(fixture, "main", "one");
    fixture_put(fixture, "flows/team3/flow3.yml", "y");
    struct oid second = fixture_commit(fixture, "main", "two");
    struct git_repo *repo = open_repo(fixture);
    struct oid before = tree_of(repo, &first);
    struct oid after = tree_of(repo, &second);
    struct seen seen = { 0 };
    struct error err = { 0 };
    struct walk walk = { .change = on_change, .context = &seen };
    assert_true(walk_trees(repo, &before, &after, &walk, &err));
    assert_string_equal(buf_text(&seen.lines), "~flows/team3/flow3.yml\n");
    assert_int_equal(walk.trees, 6); // root, flows, team3 of both sides
    buf_free(&seen.lines);
    git_repo_free(repo);
    fixture_repo_free(fixture);
}

static bool enter_flows_only(void *context, const char *path)
{
    (void)context;
    return strncmp(path, "flows", 5) == 0;
}

static void walk_leaves_out_folders_that_nobody_wants(void **state)
{
    (void)state;
    struct fixture_repo *fixture = fixture_repo_new(test_folder());
    fixture_put(fixture, "data/huge.bin", "x");
    fixture_put(fixture, "flows/a.yml", "x");
    struct oid first = fixture_commit(fixture, "main", "one");
    struct git_repo *repo = open_repo(fixture);
    struct oid tree = tree_of(repo, &first);
    struct seen seen = { 0 };
    struct error err = { 0 };
    struct walk walk = { .change = on_change, .enter = enter_flows_only, .context = &seen };
    assert_true(walk_trees(repo, &oid_none, &tree, &walk, &err));
    assert_string_equal(buf_text(&seen.lines), "+flows/a.yml\n");
    buf_free(&seen.lines);
    git_repo_free(repo);
    fixture_repo_free(fixture);
}

static void walk_does_not_follow_what_could_lead_elsewhere(void **state)
{
    (void)state;
    struct fixture_repo *fixture = fixture_repo_new(test_folder());
    struct oid blob = fixture_blob(fixture, "x", 1);
    char inner[256];
    size_t inner_length = fixture_tree_entry(inner, 0, "100644", "config", &blob);
    struct oid folder = fixture_tree_raw(fixture, inner, inner_length);
    static const struct {
        const char *mode;
        const char *name;
    } rows[] = {
        { "40000", ".." },           { "40000", ".GIT" },      { "40000", ".git" },
        { "100644", "A.yml" },       { "160000", "a-module" }, { "100644", "a.yml" },
        { "100644", "back\\slash" }, { "120000", "link.yml" }, { "100644", "new\nline" },
        { "100644", "ok.yml" },      { "20000", "socket" },    { "100644", "\xff\xfe" },
    };
    char bytes[8192];
    size_t length = 0;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        length = fixture_tree_entry(bytes, length, rows[i].mode, rows[i].name,
                                    rows[i].mode[0] == '4' ? &folder : &blob);
    struct oid tree = fixture_tree_raw(fixture, bytes, length);
    struct git_repo *repo = open_repo(fixture);
    assert_walk(repo, &oid_none, &tree,
                "!name ..\n!name .GIT\n!name .git\n+A.yml\n!submodule a-module\n!collision "
                "a.yml\n!name back\\slash\n!symlink link.yml\n!name new\xef\xbf\xbdline\n"
                "+ok.yml\n!mode socket\n!utf8 \xef\xbf\xbd\xef\xbf\xbd\n");
    // a file that becomes a link is not reported as removed
    char linked[256];
    size_t linked_length = fixture_tree_entry(linked, 0, "120000", "A.yml", &blob);
    struct oid with_link = fixture_tree_raw(fixture, linked, linked_length);
    char plain[256];
    size_t plain_length = fixture_tree_entry(plain, 0, "100644", "A.yml", &blob);
    struct oid with_file = fixture_tree_raw(fixture, plain, plain_length);
    assert_walk(repo, &with_file, &with_link, "!symlink A.yml\n");
    git_repo_free(repo);
    fixture_repo_free(fixture);
}

static void walk_refuses_malformed_trees(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
    } rows[] = {
        { "100644 a", 8 },
        { "100644 a\0short", 14 },
        { "x a\0aaaaaaaaaaaaaaaaaaaa", 24 },
        { "100644 b\0aaaaaaaaaaaaaaaaaaaa100644 a\0aaaaaaaaaaaaaaaaaaaa", 58 },
        { "100644 a\0aaaaaaaaaaaaaaaaaaaa100644 a\0aaaaaaaaaaaaaaaaaaaa", 58 },
        { "100644a\0aaaaaaaaaaaaaaaaaaaa", 28 },
    };
    struct fixture_repo *fixture = fixture_repo_new(test_folder());
    struct git_repo *repo = open_repo(fixture);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct oid tree = fixture_tree_raw(fixture, rows[i].bytes, rows[i].length);
        struct seen seen = { 0 };
        struct error err = { 0 };
        struct walk walk = { .change = on_change, .problem = on_problem, .context = &seen };
        assert_false(walk_trees(repo, &oid_none, &tree, &walk, &err));
        assert_int_equal(err.code, ERR_INVALID);
        buf_free(&seen.lines);
    }
    git_repo_free(repo);
    fixture_repo_free(fixture);
}

static bool ignore_change(void *context, const struct walk_change *change, struct error *err)
{
    (void)context;
    (void)change;
    (void)err;
    return true;
}

static void walk_bounds_a_tree_of_millions_of_entries(void **state)
{
    (void)state;
    struct fixture_repo *fixture = fixture_repo_new(test_folder());
    struct oid at = fixture_blob(fixture, "x", 1);
    const char *mode = "100644";
    // a few small objects that unfold to 200^4 files
    for (int level = 0; level < 4; level++) {
        char *bytes = check_malloc(200 * 64);
        size_t length = 0;
        for (int i = 0; i < 200; i++) {
            char name[16];
            (void)snprintf(name, sizeof(name), "n%03d", i);
            length = fixture_tree_entry(bytes, length, mode, name, &at);
        }
        at = fixture_tree_raw(fixture, bytes, length);
        free(bytes);
        mode = "40000";
    }
    struct git_repo *repo = open_repo(fixture);
    struct error err = { 0 };
    struct walk walk = { .change = ignore_change };
    assert_false(walk_trees(repo, &oid_none, &at, &walk, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_non_null(strstr(err.text, "1000000 entries"));
    git_repo_free(repo);
    fixture_repo_free(fixture);
}

static void walk_bounds_the_depth_of_folders(void **state)
{
    (void)state;
    struct fixture_repo *fixture = fixture_repo_new(test_folder());
    struct oid at = fixture_blob(fixture, "x", 1);
    const char *mode = "100644";
    for (int level = 0; level < 2000; level++) {
        char bytes[256];
        size_t length = fixture_tree_entry(bytes, 0, mode, "d", &at);
        at = fixture_tree_raw(fixture, bytes, length);
        mode = "40000";
    }
    struct git_repo *repo = open_repo(fixture);
    struct seen seen = { 0 };
    struct error err = { 0 };
    struct walk walk = { .change = on_change, .problem = on_problem, .context = &seen };
    assert_true(walk_trees(repo, &oid_none, &at, &walk, &err));
    assert_memory_equal(buf_text(&seen.lines), "!deep d/d/", 10);
    assert_int_equal(walk.trees, WALK_DEPTH_MAX);
    buf_free(&seen.lines);
    git_repo_free(repo);
    fixture_repo_free(fixture);
}

static void walk_says_that_a_missing_tree_is_unreadable(void **state)
{
    (void)state;
    struct fixture_repo *fixture = fixture_repo_new(test_folder());
    struct oid nowhere = { { 7 } };
    char bytes[256];
    size_t length = fixture_tree_entry(bytes, 0, "40000", "flows", &nowhere);
    struct oid tree = fixture_tree_raw(fixture, bytes, length);
    struct git_repo *repo = open_repo(fixture);
    struct error err = { 0 };
    struct walk walk = { .change = ignore_change };
    assert_false(walk_trees(repo, &oid_none, &tree, &walk, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "folder 'flows/'"));
    git_repo_free(repo);
    fixture_repo_free(fixture);
}

static void oid_texts_round_trip(void **state)
{
    (void)state;
    struct oid oid;
    char text[OID_TEXT];
    assert_true(oid_parse("0123456789abcdefABCDEF0123456789abcdef01", 40, &oid));
    assert_string_equal(oid_format(&oid, text), "0123456789abcdefabcdef0123456789abcdef01");
    assert_false(oid_parse("0123456789abcdefabcdef0123456789abcdef0", 39, &oid));
    assert_false(oid_parse("0123456789abcdefabcdef0123456789abcdef0g", 40, &oid));
    assert_true(oid_is_none(&oid_none));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(git_reads_commits_and_blobs_by_id),
    cmocka_unit_test(git_names_what_is_missing),
    cmocka_unit_test(git_refuses_a_blob_by_its_size_before_reading_it),
    cmocka_unit_test(git_tells_a_rewritten_history_from_a_grown_one),
    cmocka_unit_test(git_reads_objects_of_another_repository_in_place),
    cmocka_unit_test(git_opens_a_mirror_whose_owner_was_killed),
    cmocka_unit_test(walk_reports_added_changed_and_removed_files),
    cmocka_unit_test(walk_reads_only_folders_that_changed),
    cmocka_unit_test(walk_leaves_out_folders_that_nobody_wants),
    cmocka_unit_test(walk_does_not_follow_what_could_lead_elsewhere),
    cmocka_unit_test(walk_refuses_malformed_trees),
    cmocka_unit_test(walk_bounds_a_tree_of_millions_of_entries),
    cmocka_unit_test(walk_bounds_the_depth_of_folders),
    cmocka_unit_test(walk_says_that_a_missing_tree_is_unreadable),
    cmocka_unit_test(oid_texts_round_trip),
};
TEST_GROUP(git, tests)
