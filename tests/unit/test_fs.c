/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/fs.h"
#include "tests/support/test.h"

struct fixture {
    struct arena *arena;
    const char *folder;
    struct error err;
};

static struct fixture f;

static int set_up(void **state)
{
    (void)state;
    f = (struct fixture){ .arena = arena_new(), .folder = test_folder() };
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(f.arena);
    return 0;
}

static const char *in_folder(const char *name)
{
    return arena_printf(f.arena, "%s/%s", f.folder, name);
}

static void write_text(const char *path, const char *text)
{
    if (!fs_write_atomic(path, text, strlen(text), 0644, &f.err))
        fail_msg("%s", f.err.text);
}

static void fs_reads_what_it_wrote(void **state)
{
    (void)state;
    const char *path = in_folder("file");
    size_t length = 0;
    assert_true(fs_write_atomic(path, "a\0b", 3, 0640, &f.err));
    char *bytes = fs_read(f.arena, path, 100, &length, &f.err);
    assert_non_null(bytes);
    assert_int_equal(length, 3);
    assert_memory_equal(bytes, "a\0b", 4);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
    assert_true(fs_write_atomic(path, "", 0, 0644, &f.err));
    assert_string_equal(fs_read(f.arena, path, 0, &length, &f.err), "");
    assert_int_equal(length, 0);
    assert_null(fs_read(f.arena, "/proc/self/environ", 3, NULL, &f.err)); // has no size of its own
    assert_int_equal(f.err.code, ERR_LIMIT);
}

static void fs_read_refuses_by_name(void **state)
{
    (void)state;
    write_text(in_folder("file"), "12345");
    static const struct {
        const char *name;
        enum error_code code;
    } rows[] = {
        { "missing", ERR_NOT_FOUND },  { "file", ERR_LIMIT },   { ".", ERR_INVALID },
        { "file/below", ERR_INVALID }, { "pipe", ERR_INVALID },
    };
    assert_int_equal(mkfifo(in_folder("pipe"), 0600), 0);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        f.err = (struct error){ 0 };
        assert_null(fs_read(f.arena, in_folder(rows[i].name), 4, NULL, &f.err));
        if (f.err.code != rows[i].code || strstr(f.err.text, in_folder(rows[i].name)) == NULL)
            fail_msg("%s: %s", rows[i].name, f.err.text);
    }
}

static void fs_says_what_to_do_about_a_full_disk(void **state)
{
    (void)state;
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_false(fs_write_fd(fd, "x", 1, "/data/x", &f.err));
    (void)close(fd);
    assert_int_equal(f.err.code, ERR_LIMIT);
    assert_non_null(strstr(f.err.text, "/data/x"));
    assert_non_null(strstr(f.err.text, "free some space"));
}

static void fs_makes_and_removes_trees(void **state)
{
    (void)state;
    const char *tree = in_folder("tree");
    assert_true(fs_mkdirs(in_folder("tree/a/b/c"), 0755, &f.err));
    assert_true(fs_mkdirs(in_folder("tree/a/b/c/"), 0755, &f.err));
    write_text(in_folder("tree/a/x"), "1");
    write_text(in_folder("outside"), "stays");
    assert_int_equal(symlink(f.folder, in_folder("tree/a/link")), 0);
    assert_int_equal(symlink("/nowhere", in_folder("tree/dangling")), 0);
    assert_int_equal(chmod(in_folder("tree/a/b"), 0), 0);
    assert_false(fs_mkdirs(in_folder("outside/x"), 0755, &f.err));
    assert_int_equal(f.err.code, ERR_INVALID);

    if (!fs_remove_tree(tree, &f.err))
        fail_msg("%s", f.err.text);
    assert_int_equal(access(tree, F_OK), -1);
    assert_int_equal(access(in_folder("outside"), F_OK), 0);
    assert_true(fs_remove_tree(tree, &f.err));
    assert_true(fs_remove_tree(in_folder("outside"), &f.err));
}

static void fs_bounds_the_depth_of_trees(void **state)
{
    (void)state;
    int at = fs_open_folder(f.folder, &f.err);
    assert_int_equal(mkdirat(at, "deep", 0700), 0);
    for (int i = 0; i < FS_DEPTH_MAX + 50; i++) {
        int below = openat(at, "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(mkdirat(below, "deep", 0700), 0);
        (void)close(at);
        at = below;
    }
    (void)close(at);
    assert_false(fs_remove_tree(in_folder("deep"), &f.err));
    assert_int_equal(f.err.code, ERR_LIMIT);
}

static bool note_entry(void *context, const struct fs_entry *entry, struct error *err)
{
    (void)err;
    const char *kind = S_ISDIR(entry->info->st_mode)   ? "/"
                       : S_ISLNK(entry->info->st_mode) ? "@"
                                                       : "";
    buf_printf(context, "%s%s ", entry->path, kind);
    struct stat again;
    assert_int_equal(fstatat(entry->dirfd, entry->name, &again, AT_SYMLINK_NOFOLLOW), 0);
    return true;
}

static void fs_write_atomic_leaves_no_trace_of_a_failure(void **state)
{
    (void)state;
    const char *target = in_folder("target");
    assert_true(fs_mkdirs(target, 0700, &f.err)); // a folder cannot be replaced by a file
    write_text(in_folder("target/x"), "");
    assert_false(fs_write_atomic(target, "x", 1, 0644, &f.err));
    assert_null(strstr(f.err.text, "XXXXXX"));
    struct buf notes = { 0 };
    assert_true(fs_walk(f.folder, note_entry, &notes, &f.err));
    assert_string_equal(buf_text(&notes), "target/ target/x ");
    buf_free(&notes);
    assert_false(fs_write_atomic(in_folder("no/such/folder"), "x", 1, 0644, &f.err));
    assert_int_equal(f.err.code, ERR_NOT_FOUND);
}

static bool refuse_entry(void *context, const struct fs_entry *entry, struct error *err)
{
    (void)context;
    return error_set(err, ERR_LIMIT, "stop at '%s'", entry->path);
}

static void fs_walks_in_order_and_does_not_follow_links(void **state)
{
    (void)state;
    assert_true(fs_mkdirs(in_folder("b/c"), 0755, &f.err));
    write_text(in_folder("b/c/d"), "");
    write_text(in_folder("b/a"), "");
    write_text(in_folder("z"), "");
    assert_int_equal(symlink("b", in_folder("a")), 0);
    struct buf notes = { 0 };
    assert_true(fs_walk(f.folder, note_entry, &notes, &f.err));
    assert_string_equal(buf_text(&notes), "a@ b/ b/a b/c/ b/c/d z ");
    buf_free(&notes);
    assert_false(fs_walk(f.folder, refuse_entry, NULL, &f.err));
    assert_string_equal(f.err.text, "stop at 'a'");
    assert_false(fs_walk(in_folder("none"), note_entry, &notes, &f.err));
    assert_int_equal(f.err.code, ERR_NOT_FOUND);
}

static void fs_knows_paths_that_leave(void **state)
{
    (void)state;
    static const char *const fine[] = { "a", "a/b", ".a", "..a", "a..", "a/...", "a b/c" };
    static const char *const wrong[] = { "",       "/", "/a",    "..",   "a/..", "../a",
                                         "a/../b", ".", "a/./b", "a//b", "a/" };
    for (size_t i = 0; i < COUNT_OF(fine); i++)
        assert_true(fs_path_is_beneath(fine[i]));
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        assert_false(fs_path_is_beneath(wrong[i]));
    assert_false(fs_path_is_beneath(NULL));
}

static void fs_opens_only_beneath_its_folder(void **state)
{
    (void)state;
    assert_true(fs_mkdirs(in_folder("root/a"), 0755, &f.err));
    write_text(in_folder("secret"), "x");
    write_text(in_folder("root/a/file"), "x");
    assert_int_equal(symlink("../secret", in_folder("root/out")), 0);
    assert_int_equal(symlink("/etc", in_folder("root/etc")), 0);
    assert_int_equal(symlink("a/file", in_folder("root/inside")), 0);
    int root = fs_open_folder(in_folder("root"), &f.err);
    assert_true(root >= 0);
    static const struct {
        const char *path;
        unsigned options;
        enum error_code code;
    } rows[] = {
        { "a/file", 0, ERR_NONE },
        { "inside", 0, ERR_NONE },
        { "inside", FS_NO_LINKS, ERR_INVALID },
        { "out", 0, ERR_INVALID },
        { "etc/passwd", 0, ERR_INVALID },
        { "../secret", 0, ERR_INVALID },
        { "a/../../secret", 0, ERR_INVALID },
        { "/etc/passwd", 0, ERR_INVALID },
        { "missing", 0, ERR_NOT_FOUND },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        f.err = (struct error){ 0 };
        int fd = fs_open_beneath(root, rows[i].path, O_RDONLY, 0, rows[i].options, &f.err);
        if (f.err.code != rows[i].code || (fd >= 0) != (rows[i].code == ERR_NONE))
            fail_msg("%s: %s", rows[i].path, f.err.text);
        if (fd >= 0)
            (void)close(fd);
    }

    int fd = fs_open_beneath(root, "new/deep/file", O_WRONLY | O_CREAT | O_EXCL, 0640,
                             FS_NO_LINKS | FS_MAKE_PARENTS, &f.err);
    if (fd < 0)
        fail_msg("%s", f.err.text);
    (void)close(fd);
    assert_false(fs_mkdirs_beneath(root, "etc/x", 0755, &f.err));
    assert_int_equal(f.err.code, ERR_INVALID);
    assert_true(fs_mkdirs_beneath(root, "new/deep/er", 0755, &f.err));
    (void)close(root);
}

static void fs_copies_between_all_kinds(void **state)
{
    (void)state;
    int from = fs_temp(f.folder, &f.err);
    int to = fs_temp(NULL, &f.err);
    assert_true(from >= 0 && to >= 0);
    static char bytes[300000];
    memset(bytes, 'x', sizeof(bytes));
    assert_true(fs_write_fd(from, bytes, sizeof(bytes), "temp", &f.err));
    assert_int_equal(lseek(from, 0, SEEK_SET), 0);
    size_t count = 0;
    assert_true(fs_copy(from, to, "temp", SIZE_MAX, &count, &f.err));
    assert_int_equal(count, sizeof(bytes));
    assert_int_equal(lseek(to, 0, SEEK_END), sizeof(bytes));

    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], "piped", 5), 5);
    (void)close(ends[1]);
    assert_true(fs_copy(ends[0], to, "pipe", SIZE_MAX, &count, &f.err));
    assert_int_equal(count, 5);
    (void)close(ends[0]);

    assert_int_equal(lseek(from, 0, SEEK_SET), 0);
    assert_false(fs_copy(from, to, "temp", 1000, &count, &f.err));
    assert_int_equal(f.err.code, ERR_LIMIT);
    (void)close(from);
    (void)close(to);

    const char *made = fs_temp_folder(f.arena, f.folder, "work-", &f.err);
    assert_non_null(made);
    assert_true(fs_remove_tree(made, &f.err));
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    WITH(fs_reads_what_it_wrote),
    WITH(fs_read_refuses_by_name),
    WITH(fs_write_atomic_leaves_no_trace_of_a_failure),
    WITH(fs_says_what_to_do_about_a_full_disk),
    WITH(fs_makes_and_removes_trees),
    WITH(fs_bounds_the_depth_of_trees),
    WITH(fs_walks_in_order_and_does_not_follow_links),
    WITH(fs_knows_paths_that_leave),
    WITH(fs_opens_only_beneath_its_folder),
    WITH(fs_copies_between_all_kinds),
};
TEST_GROUP(fs, tests)
