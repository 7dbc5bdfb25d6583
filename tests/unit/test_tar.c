/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/proc.h"
#include "base/tar.h"
#include "tests/support/test.h"

static struct arena *arena;

static int set_up(void **state)
{
    (void)state;
    arena = arena_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static const char *path_of(const char *folder, const char *name)
{
    return arena_printf(arena, "%s/%s", folder, name);
}

static void put(const char *folder, const char *name, const char *text)
{
    struct error err = { 0 };
    char *path = arena_strdup(arena, path_of(folder, name));
    *strrchr(path, '/') = '\0';
    CHECK(fs_mkdirs(path, 0700, &err));
    CHECK(fs_write_atomic(path_of(folder, name), text, strlen(text), 0640, &err));
}

static void assert_text(const char *folder, const char *name, const char *expected)
{
    struct error err = { 0 };
    const char *text = fs_read(arena, path_of(folder, name), 1 << 20, NULL, &err);
    if (text == NULL)
        fail_msg("%s", err.text);
    assert_string_equal(text, expected);
}

static const char *long_name(void)
{
    struct buf name = { 0 };
    for (int i = 0; i < 12; i++)
        buf_printf(&name, "%sa-rather-long-folder-name-%02d", i == 0 ? "" : "/", i);
    buf_puts(&name, "/file.txt");
    const char *text = buf_dup(&name, arena);
    buf_free(&name);
    return text;
}

static void fill(const char *folder)
{
    put(folder, "a.txt", "content of a");
    put(folder, "empty", "");
    put(folder, "deep/er/b", "b");
    put(folder, "odd ä name", "odd");
    put(folder, long_name(), "far away");
    struct buf big = { 0 };
    for (int i = 0; i < 30000; i++)
        buf_printf(&big, "%d\n", i);
    put(folder, "big", big.bytes);
    buf_free(&big);
    assert_int_equal(chmod(path_of(folder, "deep/er/b"), 0755), 0);
    assert_int_equal(symlink("a.txt", path_of(folder, "link")), 0);
}

static void assert_filled(const char *folder)
{
    struct stat info;
    assert_text(folder, "a.txt", "content of a");
    assert_text(folder, "empty", "");
    assert_text(folder, "deep/er/b", "b");
    assert_text(folder, "odd ä name", "odd");
    assert_text(folder, long_name(), "far away");
    assert_int_equal(stat(path_of(folder, "big"), &info), 0);
    assert_int_equal(info.st_size, 168890);
    assert_int_equal(stat(path_of(folder, "deep/er/b"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0755);
    assert_int_equal(lstat(path_of(folder, "link"), &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_text(folder, "link", "content of a");
}

static int new_file(void)
{
    struct error err = { 0 };
    int fd = fs_temp(NULL, &err);
    CHECK(fd >= 0);
    return fd;
}

static void a_folder_comes_back_as_it_was(void **state)
{
    (void)state;
    struct error err = { 0 };
    const char *from = test_folder();
    const char *to = test_folder();
    fill(from);
    put(to, "a.txt", "something older and longer");
    put(to, "kept", "kept");
    AUTO_FD int fd = new_file();
    assert_true(tar_write_folder(fd, from, "tmp/work", 0, &err));
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    if (!tar_read_folder(fd, to, 2, &err))
        fail_msg("%s", err.text);
    assert_filled(to);
    assert_text(to, "kept", "kept");
}

static bool run(const char *const *argv)
{
    struct error err = { 0 };
    struct proc_spec spec = { .argv = argv };
    struct proc_result result;
    return proc_run(arena, &spec, 10000, &result, &err) && result.exit.end == PROC_EXITED &&
           result.exit.status == 0;
}

static void the_program_tar_understands_it_and_is_understood(void **state)
{
    (void)state;
    struct error err = { 0 };
    const char *version[] = { "tar", "--version", NULL };
    if (!run(version))
        TEST_SKIP("tar is not installed");
    const char *from = test_folder();
    const char *to = test_folder();
    const char *archive = path_of(test_folder(), "x.tar");
    fill(from);
    AUTO_FD int fd = open(archive, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(tar_write_folder(fd, from, "pre/fix", 0, &err));
    const char *extract[] = { "tar", "-xf", archive, "-C", to, NULL };
    assert_true(run(extract));
    assert_filled(path_of(to, "pre/fix"));

    static const char *const formats[] = { "--format=gnu", "--format=pax", "--format=ustar" };
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        const char *out = test_folder();
        // ustar has no room for such a name.
        const char *exclude = i == 2 ? "--exclude=a-rather*" : "--exclude=none";
        const char *create[] = {
            "tar", formats[i], exclude, "-cf", archive, "-C", from, ".", NULL
        };
        assert_true(run(create));
        AUTO_FD int in = open(archive, O_RDONLY | O_CLOEXEC);
        if (!tar_read_folder(in, out, 0, &err))
            fail_msg("%s: %s", formats[i], err.text);
        if (i == 2)
            put(out, long_name(), "far away");
        assert_filled(out);
    }
}

static void names_that_leave_the_folder_are_refused(void **state)
{
    (void)state;
    const char *version[] = { "tar", "--version", NULL };
    if (!run(version))
        TEST_SKIP("tar is not installed");
    const char *from = test_folder();
    const char *archive = path_of(test_folder(), "x.tar");
    put(from, "victim", "evil");
    static const char *const transforms[] = { "s,victim,../victim,", "s,victim,/tmp/weir-victim,",
                                              "s,victim,a/../../victim," };
    for (size_t i = 0; i < COUNT_OF(transforms); i++) {
        struct error err = { 0 };
        const char *to = test_folder();
        const char *create[] = { "tar",   "-P", "--transform", transforms[i], "-cf",
                                 archive, "-C", from,          "victim",      NULL };
        assert_true(run(create));
        AUTO_FD int in = open(archive, O_RDONLY | O_CLOEXEC);
        assert_false(tar_read_folder(in, to, 0, &err));
        assert_int_equal(err.code, ERR_INVALID);
    }
}

static void links_are_not_written_through(void **state)
{
    (void)state;
    struct error err = { 0 };
    const char *from = test_folder();
    const char *to = test_folder();
    const char *outside = test_folder();
    put(outside, "x", "outside");
    put(from, "file", "new");
    put(from, "dir/x", "new");
    assert_int_equal(symlink(path_of(outside, "x"), path_of(to, "file")), 0);
    assert_int_equal(symlink(outside, path_of(to, "dir")), 0);
    AUTO_FD int fd = new_file();
    assert_true(tar_write_folder(fd, from, "", 0, &err));
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    (void)tar_read_folder(fd, to, 0, &err); // may refuse, must not follow
    assert_text(outside, "x", "outside");
}

static void damaged_archives_are_refused(void **state)
{
    (void)state;
    struct error err = { 0 };
    const char *from = test_folder();
    const char *to = test_folder();
    put(from, "a", "some text");
    AUTO_FD int fd = new_file();
    assert_true(tar_write_folder(fd, from, "", 0, &err));
    off_t size = lseek(fd, 0, SEEK_END);
    for (off_t cut = 1; cut < size - 1024; cut += 97) {
        AUTO_FD int part = new_file();
        size_t bytes = 0;
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        assert_true(fs_copy(fd, part, "x", SIZE_MAX, &bytes, &err));
        assert_int_equal(ftruncate(part, cut), 0);
        assert_int_equal(lseek(part, 0, SEEK_SET), 0);
        assert_false(tar_read_folder(part, to, 0, &err));
    }
    assert_int_equal(pwrite(fd, "garbage", 7, 3), 7);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_false(tar_read_folder(fd, to, 0, &err));
    assert_int_equal(err.code, ERR_INVALID);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    TEST(a_folder_comes_back_as_it_was),
    TEST(the_program_tar_understands_it_and_is_understood),
    TEST(names_that_leave_the_folder_are_refused),
    TEST(links_are_not_written_through),
    TEST(damaged_archives_are_refused),
};
TEST_GROUP(tar, tests)
