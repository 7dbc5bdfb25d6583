/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One suite for every storage back end.
 *
 * Local disk always; S3 against versitygw, when that program is found in PATH or in
 * $PARTS_HOME/bin, or against the server named by WEIR_TEST_S3 (keys test / testsecret).
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/http.h"
#include "base/str.h"
#include "runtime/storage/storage.h"
#include "tests/support/test.h"

#define ASSERT_OK(call)                                                                            \
    do {                                                                                           \
        struct error failure = { 0 };                                                              \
        if (!(call))                                                                               \
            fail_msg("%s: %s", #call, failure.text);                                               \
    } while (0)

static struct storage *storage; /* of the running group */
static char *scratch;

static void put_text(const char *path, const char *text)
{
    ASSERT_OK(storage->ops->put_bytes(storage, path, text, strlen(text), 0, &failure));
}

static void assert_text(const char *path, const char *expected)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    const char *bytes = NULL;
    size_t length = 0;
    ASSERT_OK(storage->ops->get_bytes(storage, arena, path, 1 << 20, &bytes, &length, &failure));
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(bytes, expected, length);
}

static void assert_absent(const char *path)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct storage_stat info;
    struct error err = { 0 };
    assert_false(storage->ops->stat(storage, arena, path, &info, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
}

static char *local_file(const char *name, const char *text)
{
    char *path = NULL;
    CHECK(asprintf(&path, "%s/%s", scratch, name) > 0);
    struct error err = { 0 };
    CHECK(fs_write_atomic(path, text, strlen(text), 0600, &err));
    return path;
}

static void bytes_come_back_as_they_were_put(void **state)
{
    (void)state;
    put_text("back/a.txt", "hello");
    assert_text("back/a.txt", "hello");
    put_text("back/a.txt", "");
    assert_text("back/a.txt", "");
    put_text("back/a.txt", "longer than before");
    assert_text("back/a.txt", "longer than before");
}

static void names_with_unusual_characters_work(void **state)
{
    (void)state;
    static const char *const names[] = {
        "odd/a b.txt", "odd/ä.txt", "odd/50%.txt", "odd/a+b=c&d?e#f", "odd/日本/x", "odd/~x_(1)'!*",
    };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        put_text(names[i], names[i]);
        assert_text(names[i], names[i]);
    }
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct storage_stat *all = NULL;
    size_t count = 0;
    ASSERT_OK(storage->ops->list(storage, arena, "odd", &all, &count, &failure));
    assert_int_equal(count, COUNT_OF(names));
    for (size_t i = 1; i < count; i++)
        assert_true(strcmp(all[i - 1].name, all[i].name) < 0);
}

static void a_file_is_stored_and_kept_or_consumed(void **state)
{
    (void)state;
    AUTO_FREE char *kept = local_file("kept", "one");
    AUTO_FREE char *consumed = local_file("consumed", "two");
    ASSERT_OK(storage->ops->put_file(storage, "file/kept", kept, 0, &failure));
    ASSERT_OK(
        storage->ops->put_file(storage, "file/consumed", consumed, STORAGE_CONSUME, &failure));
    assert_int_equal(access(kept, F_OK), 0);
    assert_int_equal(access(consumed, F_OK), -1);
    assert_text("file/kept", "one");
    assert_text("file/consumed", "two");

    // What is stored does not follow later changes of the local file.
    AUTO_FREE char *changed = local_file("kept", "changed");
    assert_text("file/kept", "one");
}

static void an_open_file_without_a_name_is_stored_from_its_start(void **state)
{
    (void)state;
    AUTO_FREE char *path = local_file("nameless", "whole content");
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(lseek(fd, 6, SEEK_SET), 6);
    ASSERT_OK(storage->ops->put_open(storage, "file/nameless", fd, 0, &failure));
    assert_text("file/nameless", "whole content");
}

static void a_consumed_file_with_a_second_name_is_copied(void **state)
{
    (void)state;
    AUTO_FREE char *first = local_file("first", "one");
    AUTO_FREE char *second = NULL;
    CHECK(asprintf(&second, "%s/second", scratch) > 0);
    assert_int_equal(link(first, second), 0);
    ASSERT_OK(storage->ops->put_file(storage, "file/linked", first, STORAGE_CONSUME, &failure));
    AUTO_FD int fd = open(second, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_int_equal(write(fd, "XXXXX", 5), 5);
    assert_text("file/linked", "one");
}

static void what_is_put_for_later_is_readable_and_can_be_made_durable(void **state)
{
    (void)state;
    const char *paths[40];
    char names[40][16];
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        (void)snprintf(names[i], sizeof(names[i]), "later/%zu", i);
        paths[i] = names[i];
        ASSERT_OK(storage->ops->put_bytes(storage, paths[i], names[i], 3, STORAGE_LATER, &failure));
    }
    ASSERT_OK(storage->ops->sync(storage, paths, 3, &failure));
    ASSERT_OK(storage->ops->sync(storage, paths, COUNT_OF(paths), &failure));
    assert_text("later/7", "lat");
}

static void a_file_is_read_through_a_descriptor(void **state)
{
    (void)state;
    put_text("open/x", "0123456789");
    struct error err = { 0 };
    AUTO_FD int fd = storage->ops->open(storage, "open/x", &err);
    assert_true(fd >= 0);
    char text[16] = "";
    assert_int_equal(read(fd, text, sizeof(text)), 10);
    assert_int_equal(lseek(fd, 4, SEEK_SET), 4);
    assert_int_equal(read(fd, text, sizeof(text)), 6);
    assert_memory_equal(text, "456789", 6);

    assert_int_equal(storage->ops->open(storage, "open/missing", &err), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_int_equal(storage->ops->open(storage, "open", &err), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
}

static void a_file_is_copied_to_a_local_one(void **state)
{
    (void)state;
    put_text("get/x", "content");
    AUTO_FREE char *target = local_file("target", "something longer than the content");
    ASSERT_OK(storage->ops->get_file(storage, "get/x", target, &failure));
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct error err = { 0 };
    assert_string_equal(fs_read(arena, target, 100, NULL, &err), "content");
    assert_false(storage->ops->get_file(storage, "get/none", target, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
}

static void a_read_into_memory_is_bounded(void **state)
{
    (void)state;
    put_text("bound/x", "0123456789");
    AUTO(arena_freep) struct arena *arena = arena_new();
    const char *bytes = NULL;
    size_t length = 0;
    struct error err = { 0 };
    ASSERT_OK(storage->ops->get_bytes(storage, arena, "bound/x", 10, &bytes, &length, &failure));
    assert_false(storage->ops->get_bytes(storage, arena, "bound/x", 9, &bytes, &length, &err));
    assert_int_equal(err.code, ERR_LIMIT);
}

static void a_large_file_is_stored_whole(void **state)
{
    (void)state;
    size_t size = 9 * 1024 * 1024 + 17;
    AUTO_FREE char *bytes = check_malloc(size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 2654435761U >> 13);
    ASSERT_OK(storage->ops->put_bytes(storage, "large/x", bytes, size, 0, &failure));
    AUTO(arena_freep) struct arena *arena = arena_new();
    const char *back = NULL;
    size_t length = 0;
    ASSERT_OK(storage->ops->get_bytes(storage, arena, "large/x", size, &back, &length, &failure));
    assert_int_equal(length, size);
    assert_memory_equal(back, bytes, size);

    AUTO_FREE char *path = NULL;
    CHECK(asprintf(&path, "%s/large", scratch) > 0);
    ASSERT_OK(storage->ops->get_file(storage, "large/x", path, &failure));
    ASSERT_OK(storage->ops->put_file(storage, "large/y", path, STORAGE_CONSUME, &failure));
    struct storage_stat info;
    ASSERT_OK(storage->ops->stat(storage, arena, "large/y", &info, &failure));
    assert_int_equal(info.bytes, size);
}

static void stat_tells_files_from_folders(void **state)
{
    (void)state;
    put_text("stat/folder/x", "123");
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct storage_stat info = { 0 };
    ASSERT_OK(storage->ops->stat(storage, arena, "stat/folder/x", &info, &failure));
    assert_false(info.is_folder);
    assert_string_equal(info.name, "x");
    assert_int_equal(info.bytes, 3);
    assert_true(info.modified_at > test_time("2020-01-01T00:00:00Z"));
    ASSERT_OK(storage->ops->stat(storage, arena, "stat/folder", &info, &failure));
    assert_true(info.is_folder);
    assert_string_equal(info.name, "folder");
    assert_int_equal(info.bytes, 0);
    ASSERT_OK(storage->ops->stat(storage, arena, "", &info, &failure));
    assert_true(info.is_folder);
    assert_absent("stat/none");
    assert_absent("stat/folder/x/y");
    assert_absent("stat/fold");
}

static void list_gives_direct_children_sorted(void **state)
{
    (void)state;
    put_text("list/b", "1");
    put_text("list/a/deep/x", "1");
    put_text("list/c", "333");
    put_text("list/a.txt", "22");
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct storage_stat *all = NULL;
    size_t count = 0;
    ASSERT_OK(storage->ops->list(storage, arena, "list", &all, &count, &failure));
    assert_int_equal(count, 4);
    assert_string_equal(all[0].name, "a");
    assert_true(all[0].is_folder);
    assert_string_equal(all[1].name, "a.txt");
    assert_int_equal(all[1].bytes, 2);
    assert_string_equal(all[2].name, "b");
    assert_string_equal(all[3].name, "c");
    assert_false(all[3].is_folder);

    struct error err = { 0 };
    assert_false(storage->ops->list(storage, arena, "list/none", &all, &count, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
}

static void list_has_no_limit_of_a_thousand(void **state)
{
    (void)state;
    char name[32];
    for (int i = 0; i < 1100; i++) {
        (void)snprintf(name, sizeof(name), "many/%04d", i);
        ASSERT_OK(storage->ops->put_bytes(storage, name, "x", 1, STORAGE_LATER, &failure));
    }
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct storage_stat *all = NULL;
    size_t count = 0;
    ASSERT_OK(storage->ops->list(storage, arena, "many", &all, &count, &failure));
    assert_int_equal(count, 1100);
    bool existed = false;
    ASSERT_OK(storage->ops->remove(storage, "many", &existed, &failure));
    assert_true(existed);
    assert_absent("many/0000");
    assert_absent("many/1099");
}

static void an_empty_folder_exists(void **state)
{
    (void)state;
    ASSERT_OK(storage->ops->make_folder(storage, "made/empty", &failure));
    ASSERT_OK(storage->ops->make_folder(storage, "made/empty", &failure));
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct storage_stat *all = NULL;
    size_t count = 1;
    ASSERT_OK(storage->ops->list(storage, arena, "made/empty", &all, &count, &failure));
    assert_int_equal(count, 0);
    ASSERT_OK(storage->ops->list(storage, arena, "made", &all, &count, &failure));
    assert_int_equal(count, 1);
    assert_true(all[0].is_folder);
    bool existed = false;
    ASSERT_OK(storage->ops->remove(storage, "made/empty", &existed, &failure));
    assert_true(existed);
    assert_absent("made/empty");
}

static void files_and_folders_move(void **state)
{
    (void)state;
    put_text("move/a", "1");
    put_text("move/folder/x", "2");
    put_text("move/folder/deep/y", "3");
    ASSERT_OK(storage->ops->move(storage, "move/a", "move/new/b", &failure));
    assert_absent("move/a");
    assert_text("move/new/b", "1");
    ASSERT_OK(storage->ops->move(storage, "move/folder", "move/other", &failure));
    assert_absent("move/folder");
    assert_text("move/other/x", "2");
    assert_text("move/other/deep/y", "3");
    put_text("move/target", "old");
    ASSERT_OK(storage->ops->move(storage, "move/new/b", "move/target", &failure));
    assert_text("move/target", "1");

    struct error err = { 0 };
    assert_false(storage->ops->move(storage, "move/none", "move/x", &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_false(storage->ops->move(storage, "move/other", "move/other/inside", &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_text("move/other/x", "2");
}

static void remove_takes_files_and_whole_folders(void **state)
{
    (void)state;
    put_text("gone/a", "1");
    put_text("gone/b/c/d", "2");
    put_text("gone/bb", "3");
    bool existed = false;
    ASSERT_OK(storage->ops->remove(storage, "gone/a", &existed, &failure));
    assert_true(existed);
    assert_absent("gone/a");
    ASSERT_OK(storage->ops->remove(storage, "gone/b", &existed, &failure));
    assert_true(existed);
    assert_absent("gone/b/c/d");
    assert_absent("gone/b");
    assert_text("gone/bb", "3");
    ASSERT_OK(storage->ops->remove(storage, "gone/a", &existed, &failure));
    assert_false(existed);
    ASSERT_OK(storage->ops->remove(storage, "gone/none/deep", &existed, &failure));
    assert_false(existed);
}

static void paths_that_leave_the_root_are_refused(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "../x", "a/../../x", "/etc/passwd", "a//b", "a/./b", "", "a/..", ".", "..", "a/b/",
    };
    AUTO_FREE char *file = local_file("refused", "x");
    put_text("refuse/a", "1");
    AUTO(arena_freep) struct arena *arena = arena_new();
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        const char *path = paths[i];
        const struct storage_ops *ops = storage->ops;
        const char *bytes = NULL;
        size_t length = 0;
        bool existed = false;
        struct storage_stat *all = NULL;
#define REFUSED(call)                                                                              \
    do {                                                                                           \
        struct error failure = { 0 };                                                              \
        if (call)                                                                                  \
            fail_msg("'%s' was taken by %s", path, #call);                                         \
        assert_int_equal(failure.code, ERR_INVALID);                                               \
    } while (0)
        REFUSED(ops->put_bytes(storage, path, "x", 1, 0, &failure));
        REFUSED(ops->put_file(storage, path, file, 0, &failure));
        REFUSED(ops->put_open(storage, path, STDIN_FILENO, 0, &failure));
        REFUSED(ops->get_bytes(storage, arena, path, 10, &bytes, &length, &failure));
        REFUSED(ops->get_file(storage, path, file, &failure));
        REFUSED(ops->open(storage, path, &failure) >= 0);
        REFUSED(ops->make_folder(storage, path, &failure));
        REFUSED(ops->remove(storage, path, &existed, &failure));
        REFUSED(ops->move(storage, path, "b", &failure));
        REFUSED(ops->move(storage, "refuse/a", path, &failure));
        if (*path != '\0')
            REFUSED(ops->list(storage, arena, path, &all, &length, &failure));
#undef REFUSED
    }
    assert_int_equal(access(file, F_OK), 0);
}

#define WRITERS 4
#define ROUNDS  50

static void *write_rounds(void *context)
{
    const char *letter = context;
    char bytes[4096];
    memset(bytes, *letter, sizeof(bytes));
    for (int i = 0; i < ROUNDS; i++)
        if (!storage->ops->put_bytes(storage, "race/x", bytes, sizeof(bytes), STORAGE_LATER, NULL))
            return context;
    return NULL;
}

static void a_reader_sees_one_writer_or_another_never_a_mix(void **state)
{
    (void)state;
    put_text("race/x", "start");
    static char letters[WRITERS] = { 'a', 'b', 'c', 'd' };
    pthread_t threads[WRITERS];
    for (size_t i = 0; i < WRITERS; i++)
        CHECK(pthread_create(&threads[i], NULL, write_rounds, &letters[i]) == 0);
    for (int i = 0; i < ROUNDS; i++) {
        AUTO(arena_freep) struct arena *arena = arena_new();
        const char *bytes = NULL;
        size_t length = 0;
        ASSERT_OK(
            storage->ops->get_bytes(storage, arena, "race/x", 1 << 20, &bytes, &length, &failure));
        if (length == strlen("start"))
            continue;
        assert_int_equal(length, 4096);
        for (size_t k = 1; k < length; k++)
            assert_int_equal(bytes[k], bytes[0]);
    }
    for (size_t i = 0; i < WRITERS; i++) {
        void *failed = NULL;
        CHECK(pthread_join(threads[i], &failed) == 0);
        assert_null(failed);
    }
}

static const struct CMUnitTest suite[] = {
    cmocka_unit_test(bytes_come_back_as_they_were_put),
    cmocka_unit_test(names_with_unusual_characters_work),
    cmocka_unit_test(a_file_is_stored_and_kept_or_consumed),
    cmocka_unit_test(an_open_file_without_a_name_is_stored_from_its_start),
    cmocka_unit_test(a_consumed_file_with_a_second_name_is_copied),
    cmocka_unit_test(what_is_put_for_later_is_readable_and_can_be_made_durable),
    cmocka_unit_test(a_file_is_read_through_a_descriptor),
    cmocka_unit_test(a_file_is_copied_to_a_local_one),
    cmocka_unit_test(a_read_into_memory_is_bounded),
    cmocka_unit_test(a_large_file_is_stored_whole),
    cmocka_unit_test(stat_tells_files_from_folders),
    cmocka_unit_test(list_gives_direct_children_sorted),
    cmocka_unit_test(list_has_no_limit_of_a_thousand),
    cmocka_unit_test(an_empty_folder_exists),
    cmocka_unit_test(files_and_folders_move),
    cmocka_unit_test(remove_takes_files_and_whole_folders),
    cmocka_unit_test(paths_that_leave_the_root_are_refused),
    cmocka_unit_test(a_reader_sees_one_writer_or_another_never_a_mix),
};

/* ---- local ---- */

static char *local_root;

static int open_local(void **state)
{
    (void)state;
    struct error err = { 0 };
    scratch = test_folder();
    local_root = test_folder();
    storage = storage_local_new(local_root, &err);
    return storage == NULL ? -1 : 0;
}

static int close_storage(void **state)
{
    (void)state;
    storage_free(storage);
    storage = NULL;
    return 0;
}

static void local_storage_does_not_follow_planted_links(void **state)
{
    (void)state;
    AUTO_FREE char *outside = local_file("outside", "secret");
    AUTO_FREE char *link_path = NULL;
    AUTO_FREE char *folder_path = NULL;
    put_text("links/x", "1");
    CHECK(asprintf(&link_path, "%s/links/file", local_root) > 0);
    CHECK(asprintf(&folder_path, "%s/links/folder", local_root) > 0);
    assert_int_equal(symlink(outside, link_path), 0);
    assert_int_equal(symlink(scratch, folder_path), 0);

    struct error err = { 0 };
    assert_int_equal(storage->ops->open(storage, "links/file", &err), -1);
    assert_int_equal(storage->ops->open(storage, "links/folder/outside", &err), -1);
    assert_false(storage->ops->put_bytes(storage, "links/folder/new", "x", 1, 0, &err));
    bool existed = false;
    ASSERT_OK(storage->ops->remove(storage, "links", &existed, &failure));
    assert_int_equal(access(outside, F_OK), 0);
}

static void local_storage_forgets_half_written_files_at_start(void **state)
{
    (void)state;
    AUTO_FREE char *left = NULL;
    CHECK(asprintf(&left, "%s/.incoming/7", local_root) > 0);
    struct error err = { 0 };
    CHECK(fs_write_atomic(left, "half", 4, 0600, &err));
    storage_free(storage);
    storage = storage_local_new(local_root, &err);
    assert_non_null(storage);
    assert_int_equal(access(left, F_OK), -1);
    put_text("again", "works");
    assert_text("again", "works");
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct storage_stat *all = NULL;
    size_t count = 0;
    ASSERT_OK(storage->ops->list(storage, arena, "", &all, &count, &failure));
    for (size_t i = 0; i < count; i++)
        assert_string_not_equal(all[i].name, ".incoming");
}

/* ---- the suite as one test per back end: cmocka has no parameters for groups ---- */

static void run_suite(void)
{
    void *state = NULL;
    for (size_t i = 0; i < COUNT_OF(suite); i++) {
        print_message("  %s: %s\n", storage->ops->name, suite[i].name);
        suite[i].test_func(&state);
    }
}

static void local_storage_keeps_the_contract(void **state)
{
    (void)state;
    run_suite();
}

/* ---- S3 ---- */

static pid_t server = -1;
static char endpoint[128];

static const char *find_program(struct arena *arena)
{
    const char *parts = getenv("PARTS_HOME");
    const char *home = getenv("HOME");
    const char *path = parts != NULL ? arena_printf(arena, "%s/bin/versitygw", parts)
                                     : arena_printf(arena, "%s/.cache/weir-parts/bin/versitygw",
                                                    home == NULL ? "" : home);
    if (access(path, X_OK) == 0)
        return path;
    const char *folders = getenv("PATH");
    while (folders != NULL && *folders != '\0') {
        size_t length = strcspn(folders, ":");
        path = arena_printf(arena, "%.*s/versitygw", (int)length, folders);
        if (access(path, X_OK) == 0)
            return path;
        folders += length + (folders[length] == ':');
    }
    return NULL;
}

static int free_port(void)
{
    AUTO_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof(address);
    CHECK(bind(fd, (struct sockaddr *)&address, length) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &length) == 0);
    return ntohs(address.sin_port);
}

static void stop_server(void)
{
    if (server > 0) {
        (void)kill(server, SIGKILL);
        (void)waitpid(server, NULL, 0);
        server = -1;
    }
}

/* Waits until something answers, whatever it says. */
static bool wait_for_server(void)
{
    for (int i = 0; i < 300; i++) {
        AUTO(arena_freep) struct arena *arena = arena_new();
        struct http_request request = { .url = endpoint };
        struct http_response response;
        if (http_call(arena, &request, &response, NULL, NULL))
            return true;
        (void)usleep(50000); // between two tries of a connection, nothing tells when it listens
    }
    return false;
}

static bool start_server(void)
{
    const char *given = getenv("WEIR_TEST_S3");
    if (given != NULL) {
        (void)snprintf(endpoint, sizeof(endpoint), "%s", given);
        return true;
    }
    AUTO(arena_freep) struct arena *arena = arena_new();
    const char *program = find_program(arena);
    if (program == NULL)
        return false;
    int port = free_port();
    const char *folder = test_folder();
    CHECK(mkdir(arena_printf(arena, "%s/s3", folder), 0700) == 0);
    CHECK(mkdir(arena_printf(arena, "%s/meta", folder), 0700) == 0);
    char *argv[] = { arena_strdup(arena, program),
                     arena_strdup(arena, "--quiet"),
                     arena_strdup(arena, "--port"),
                     arena_printf(arena, "127.0.0.1:%d", port),
                     arena_strdup(arena, "--region"),
                     arena_strdup(arena, "us-east-1"),
                     arena_strdup(arena, "posix"),
                     arena_strdup(arena, "--sidecar"),
                     arena_printf(arena, "%s/meta", folder),
                     arena_printf(arena, "%s/s3", folder),
                     NULL };
    char *env[] = { arena_strdup(arena, "ROOT_ACCESS_KEY=test"),
                    arena_strdup(arena, "ROOT_SECRET_KEY=testsecret"), NULL };
    posix_spawn_file_actions_t actions;
    CHECK(posix_spawn_file_actions_init(&actions) == 0);
    CHECK(posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0) == 0);
    int failed = posix_spawn(&server, program, &actions, NULL, argv, env);
    (void)posix_spawn_file_actions_destroy(&actions);
    if (failed != 0)
        return false;
    (void)atexit(stop_server);
    (void)snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%d", port);
    return wait_for_server();
}

static struct storage_s3_options s3_options(void)
{
    return (struct storage_s3_options){
        .endpoint = endpoint,
        .region = "us-east-1",
        .bucket = "weir-test",
        .prefix = "some/prefix",
        .access_key = "test",
        .secret_key = "testsecret",
        .path_style = true,
    };
}

static void s3_storage_keeps_the_contract(void **state)
{
    (void)state;
    if (!start_server())
        TEST_SKIP("no S3 server: install versitygw or set WEIR_TEST_S3");
    scratch = test_folder();
    struct storage_s3_options options = s3_options();
    struct error err = { 0 };
    ASSERT_OK(storage_s3_make_bucket(&options, &failure));
    storage = storage_s3_new(&options, &err);
    if (storage == NULL)
        fail_msg("%s", err.text);
    run_suite();

    // Wrong keys are told apart from a missing file, and do not show.
    options.secret_key = "not-the-secret";
    struct storage *other = storage_s3_new(&options, &err);
    assert_null(other);
    assert_int_equal(err.code, ERR_DENIED);
    assert_null(strstr(err.text, "not-the-secret"));
    stop_server();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(local_storage_keeps_the_contract, open_local, close_storage),
    cmocka_unit_test_setup_teardown(
        local_storage_does_not_follow_planted_links, open_local, close_storage),
    cmocka_unit_test_setup_teardown(
        local_storage_forgets_half_written_files_at_start, open_local, close_storage),
    cmocka_unit_test_teardown(s3_storage_keeps_the_contract, close_storage),
};
TEST_GROUP(storage, tests)
