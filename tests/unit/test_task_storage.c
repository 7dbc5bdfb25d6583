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
#include "base/clock.h"
#include "base/fs.h"
#include "base/timefmt.h"
#include "core/plugin.h"
#include "runtime/storage/storage.h"
#include "runtime/worker/files.h"
#include "tests/support/fake_task.h"
#include "tests/support/test.h"

extern const struct plugin task_namespace_delete;
extern const struct plugin task_namespace_download;
extern const struct plugin task_namespace_purge;
extern const struct plugin task_namespace_upload;
extern const struct plugin task_storage_concat;
extern const struct plugin task_storage_deduplicate;
extern const struct plugin task_storage_delete;
extern const struct plugin task_storage_filter;
extern const struct plugin task_storage_local_files;
extern const struct plugin task_storage_purge;
extern const struct plugin task_storage_purge_execution;
extern const struct plugin task_storage_reverse;
extern const struct plugin task_storage_size;
extern const struct plugin task_storage_split;
extern const struct plugin task_storage_write;

static int set_up(void **state)
{
    *state = fake_task_new();
    return 0;
}

static int tear_down(void **state)
{
    fake_task_free(*state);
    return 0;
}

static const char *yaml(struct fake_task *fake, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static const char *yaml(struct fake_task *fake, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(fake->arena, format, args);
    va_end(args);
    return text;
}

/* Contents of a list of URIs, joined by '|'. */
static const char *read_all(struct fake_task *fake, const char *path)
{
    struct buf text = { 0 };
    const struct value *list = value_path(fake->outputs, path);
    for (size_t i = 0; i < value_count(list); i++) {
        if (i > 0)
            buf_putc(&text, '|');
        buf_puts(&text, fake_read(fake, value_cstr(value_item(list, i))));
    }
    const char *joined = buf_dup(&text, fake->arena);
    buf_free(&text);
    return joined;
}

static void write_stores_a_text(void **state)
{
    struct fake_task *fake = *state;
    ASSERT_RUNS(fake, &task_storage_write, "content: \"hello {{ flow.id }}\"\nextension: .txt");
    assert_string_equal(fake_output(fake, "uri"),
                        "kestra:///company/team/my-flow/executions/exec1/tasks/my-task/run1/"
                        "content.txt");
    assert_string_equal(fake_read(fake, fake_output(fake, "uri")), "hello my_flow");
    ASSERT_RUNS(fake, &task_storage_write, "content: x\nextension: csv");
    assert_non_null(strstr(fake_output(fake, "uri"), "/content.csv"));
}

static void concat_adds_the_separator_after_each_file(void **state)
{
    struct fake_task *fake = *state;
    const char *a = fake_store(fake, "a", "1\n");
    const char *b = fake_store(fake, "b", "2\n");
    ASSERT_RUNS(fake, &task_storage_concat,
                yaml(fake, "files: [\"%s\", \"%s\"]\nseparator: \"\\n\"\nextension: .yml", a, b));
    assert_string_equal(fake_read(fake, fake_output(fake, "uri")), "1\n\n2\n\n");
    assert_non_null(strstr(fake_output(fake, "uri"), ".yml"));
    ASSERT_RUNS(fake, &task_storage_concat, yaml(fake, "files: '[\"%s\", \"%s\"]'", b, a));
    assert_string_equal(fake_read(fake, fake_output(fake, "uri")), "2\n1\n");
    assert_non_null(strstr(fake_output(fake, "uri"), ".tmp"));
    ASSERT_FAILS(fake, &task_storage_concat, "files: [\"kestra:///company/none\"]", "none");
    ASSERT_FAILS(fake, &task_storage_concat, "files: [\"/etc/passwd\"]", "not the URI");
}

static void size_tells_bytes(void **state)
{
    struct fake_task *fake = *state;
    const char *a = fake_store(fake, "a", "12345");
    ASSERT_RUNS(fake, &task_storage_size, yaml(fake, "uri: \"%s\"", a));
    assert_string_equal(fake_output(fake, "size"), "5");
}

static void delete_tells_whether_there_was_a_file(void **state)
{
    struct fake_task *fake = *state;
    const char *a = fake_store(fake, "a", "12345");
    ASSERT_RUNS(fake, &task_storage_delete, yaml(fake, "uri: \"%s\"", a));
    assert_string_equal(fake_output(fake, "deleted"), "true");
    ASSERT_RUNS(fake, &task_storage_delete, yaml(fake, "uri: \"%s\"", a));
    assert_string_equal(fake_output(fake, "deleted"), "false");
    ASSERT_FAILS(fake, &task_storage_delete, yaml(fake, "uri: \"%s\"\nerrorOnMissing: true", a),
                 "Unable to find file");
    ASSERT_FAILS(fake, &task_storage_delete, "uri: kestra:///../x", "not a URI");
}

static void reverse_puts_rows_in_reverse_order(void **state)
{
    struct fake_task *fake = *state;
    static const struct {
        const char *text;
        const char *reversed;
    } cases[] = {
        { "1\n2\n3\n", "3\n2\n1\n" }, { "1\n2\n3", "3\n2\n1\n" }, { "", "" }, { "\n", "\n" },
        { "one", "one\n" },           { "a\n\nb\n", "b\n\na\n" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *a = fake_store(fake, "a.csv", cases[i].text);
        ASSERT_RUNS(fake, &task_storage_reverse, yaml(fake, "from: \"%s\"", a));
        assert_string_equal(fake_read(fake, fake_output(fake, "uri")), cases[i].reversed);
        assert_non_null(strstr(fake_output(fake, "uri"), ".csv"));
    }
    const char *b = fake_store(fake, "b", "x;;y;;z");
    ASSERT_RUNS(fake, &task_storage_reverse, yaml(fake, "from: \"%s\"\nseparator: \";;\"", b));
    assert_string_equal(fake_read(fake, fake_output(fake, "uri")), "z;;y;;x;;");
}

static void reverse_of_a_large_file_is_its_own_inverse(void **state)
{
    struct fake_task *fake = *state;
    struct buf text = { 0 };
    for (int i = 0; i < 300000; i++)
        buf_printf(&text, "%d-%.*s\n", i, i % 37, "....................................");
    assert_true(text.length > 3 * 1024 * 1024);
    const char *a = fake_store(fake, "a", text.bytes);
    ASSERT_RUNS(fake, &task_storage_reverse, yaml(fake, "from: \"%s\"", a));
    const char *reversed = fake_output(fake, "uri");
    assert_int_equal(strncmp(fake_read(fake, reversed), "299999-", 7), 0);
    ASSERT_RUNS(fake, &task_storage_reverse, yaml(fake, "from: \"%s\"", reversed));
    assert_string_equal(fake_read(fake, fake_output(fake, "uri")), text.bytes);
    buf_free(&text);
}

static void split_cuts_by_rows_bytes_partitions_and_groups(void **state)
{
    struct fake_task *fake = *state;
    const char *a = fake_store(fake, "a.csv", "r1 x\nr2 y\nr3 x\nr4\nr5 y\n");
    ASSERT_RUNS(fake, &task_storage_split, yaml(fake, "from: \"%s\"\nrows: 2", a));
    assert_string_equal(read_all(fake, "uris"), "r1 x\nr2 y\n|r3 x\nr4\n|r5 y\n");
    assert_non_null(strstr(fake_output(fake, "uris"), "/0.csv"));
    ASSERT_RUNS(fake, &task_storage_split, yaml(fake, "from: \"%s\"\nbytes: 7", a));
    assert_string_equal(read_all(fake, "uris"), "r1 x\nr2 y\n|r3 x\nr4\n|r5 y\n");
    ASSERT_RUNS(fake, &task_storage_split, yaml(fake, "from: \"%s\"\npartitions: 2", a));
    assert_string_equal(read_all(fake, "uris"), "r1 x\nr3 x\nr5 y\n|r2 y\nr4\n");
    ASSERT_RUNS(fake, &task_storage_split,
                yaml(fake, "from: \"%s\"\nrows: 1\nregexPattern: \"r. (.)\"", a));
    assert_string_equal(read_all(fake, "uris"), "r1 x\nr3 x\n|r2 y\nr5 y\n");
    ASSERT_RUNS(fake, &task_storage_split,
                yaml(fake, "from: \"%s\"\nrows: 1\nseparator: \" \"", a));
    assert_string_equal(read_all(fake, "uris"), "r1 |x\nr2 |y\nr3 |x\nr4\nr5 |y\n ");
    ASSERT_FAILS(fake, &task_storage_split, yaml(fake, "from: \"%s\"", a), "is needed");
    ASSERT_FAILS(fake, &task_storage_split, yaml(fake, "from: \"%s\"\nregexPattern: \"r.\"", a),
                 "needs a group");
}

static void split_of_an_empty_file_gives_nothing(void **state)
{
    struct fake_task *fake = *state;
    const char *a = fake_store(fake, "a", "");
    ASSERT_RUNS(fake, &task_storage_split, yaml(fake, "from: \"%s\"\nrows: 2", a));
    assert_string_equal(fake_output(fake, "uris"), "[]");
}

static void split_of_a_large_file_loses_nothing(void **state)
{
    struct fake_task *fake = *state;
    struct buf text = { 0 };
    for (int i = 0; i < 200000; i++)
        buf_printf(&text, "%020d\n", i);
    const char *a = fake_store(fake, "a", text.bytes);
    ASSERT_RUNS(fake, &task_storage_split, yaml(fake, "from: \"%s\"\nbytes: 1MB", a));
    struct buf joined = { 0 };
    const struct value *uris = value_get(fake->outputs, "uris");
    for (size_t i = 0; i < value_count(uris); i++)
        buf_puts(&joined, fake_read(fake, value_cstr(value_item(uris, i))));
    assert_int_equal(value_count(uris), 5);
    assert_string_equal(joined.bytes, text.bytes);
    ASSERT_RUNS(fake, &task_storage_split, yaml(fake, "from: \"%s\"\npartitions: 3", a));
    size_t total = 0;
    uris = value_get(fake->outputs, "uris");
    assert_int_equal(value_count(uris), 3);
    for (size_t i = 0; i < value_count(uris); i++)
        total += strlen(fake_read(fake, value_cstr(value_item(uris, i))));
    assert_int_equal(total, text.length);
    buf_free(&joined);
    buf_free(&text);
}

static const char rows[] = "{key:\"k1\",v:1}\n"
                           "{key:\"k2\",v:\"text\"}\n"
                           "{\"key\":\"k3\",\"v\":3}\n"
                           "{key:\"k1\",v:4}\n";

static void filter_keeps_or_drops_rows(void **state)
{
    struct fake_task *fake = *state;
    const char *a = fake_store(fake, "a.ion", "{k:1}\n{k:2}\n{k:3}\n");
    ASSERT_RUNS(fake, &task_storage_filter,
                yaml(fake, "from: \"%s\"\nfilterCondition: \" {{ k %% 2 == 0 }} \"", a));
    assert_string_equal(fake_read(fake, fake_output(fake, "uri")), "{k:2}\n");
    assert_string_equal(fake_output(fake, "processedItemsTotal"), "3");
    assert_string_equal(fake_output(fake, "droppedItemsTotal"), "2");
    ASSERT_RUNS(
        fake, &task_storage_filter,
        yaml(fake, "from: \"%s\"\nfilterCondition: \"{{ k %% 2 == 0 }}\"\nfilterType: EXCLUDE", a));
    assert_string_equal(fake_read(fake, fake_output(fake, "uri")), "{k:1}\n{k:3}\n");
    ASSERT_RUNS(
        fake, &task_storage_filter,
        yaml(fake, "from: \"%s\"\nfilterCondition: \"{{ flow.id == 'my_flow' and k > 1 }}\"", a));
    assert_string_equal(fake_output(fake, "droppedItemsTotal"), "1");
    ASSERT_RUNS(fake, &task_storage_filter,
                yaml(fake, "from: \"%s\"\nfilterCondition: \"{{ k > 1 }}\"",
                     fake_store(fake, "blank.ion", "{k:1}\n\n{k:2}\n \r\n")));
    assert_string_equal(fake_read(fake, fake_output(fake, "uri")), "{k:2}\n");
    assert_string_equal(fake_output(fake, "processedItemsTotal"), "2");
}

static void filter_of_a_row_that_cannot_be_decided_does_as_told(void **state)
{
    struct fake_task *fake = *state;
    const char *a = fake_store(fake, "a.ion", rows);
    const char *condition = "filterCondition: \"{{ v % 2 == 0 }}\"";
    ASSERT_FAILS(fake, &task_storage_filter, yaml(fake, "from: \"%s\"\n%s", a, condition), "row 2");
    ASSERT_RUNS(fake, &task_storage_filter,
                yaml(fake, "from: \"%s\"\n%s\nerrorOrNullBehavior: EXCLUDE", a, condition));
    assert_string_equal(fake_read(fake, fake_output(fake, "uri")), "{key:\"k1\",v:4}\n");
    ASSERT_RUNS(fake, &task_storage_filter,
                yaml(fake, "from: \"%s\"\n%s\nerrorOrNullBehavior: INCLUDE", a, condition));
    assert_string_equal(fake_read(fake, fake_output(fake, "uri")),
                        "{key:\"k2\",v:\"text\"}\n{key:\"k1\",v:4}\n");
    ASSERT_FAILS(fake, &task_storage_filter,
                 yaml(fake, "from: \"%s\"\nfilterCondition: \"{{ null }}\"", a), "gives nothing");
}

static void deduplicate_keeps_the_last_row_of_each_key(void **state)
{
    struct fake_task *fake = *state;
    const char *a = fake_store(fake, "a.ion", rows);
    ASSERT_RUNS(fake, &task_storage_deduplicate,
                yaml(fake, "from: \"%s\"\nexpr: \"{{ key }}\"", a));
    assert_string_equal(fake_read(fake, fake_output(fake, "uri")),
                        "{key:\"k2\",v:\"text\"}\n{\"key\":\"k3\",\"v\":3}\n{key:\"k1\",v:4}\n");
    assert_string_equal(fake_output(fake, "numKeys"), "3");
    assert_string_equal(fake_output(fake, "processedItemsTotal"), "4");
    assert_string_equal(fake_output(fake, "droppedItemsTotal"), "1");
    ASSERT_FAILS(fake, &task_storage_deduplicate,
                 yaml(fake, "from: \"%s\"\nexpr: \"{{ absent }}\"", a), "row 1");
    ASSERT_RUNS(fake, &task_storage_deduplicate,
                yaml(fake, "from: \"%s\"\nexpr: \"{{ k }}\"",
                     fake_store(fake, "blank.ion", "\n{k:1,v:1}\n\n{k:2}\n{k:1,v:2}\n\n")));
    assert_string_equal(fake_read(fake, fake_output(fake, "uri")), "{k:2}\n{k:1,v:2}\n");
    assert_string_equal(fake_output(fake, "processedItemsTotal"), "3");
}

static void local_files_writes_and_stores_files(void **state)
{
    struct fake_task *fake = *state;
    const char *a = fake_store(fake, "a", "from storage");
    fake_file(fake, "company.team", "dir/n.txt", "from namespace");
    ASSERT_RUNS(fake, &task_storage_local_files,
                yaml(fake,
                     "inputs:\n  out/a.txt: \"%s\"\n  b.txt: \"{{ flow.id }}\"\n"
                     "  c: nsfile:///dir/n.txt\n  deep/d.csv: x\n"
                     "outputs: [\"out/*\", \"c\", none.txt, \"**.csv\"]",
                     a));
    assert_string_equal(
        fake_read(fake, value_get_text(value_get(fake->outputs, "uris"), "out/a.txt", NULL)),
        "from storage");
    assert_string_equal(
        fake_read(fake, value_get_text(value_get(fake->outputs, "uris"), "c", NULL)),
        "from namespace");
    assert_int_equal(value_count(value_get(fake->outputs, "uris")), 3);
    ASSERT_RUNS(fake, &task_storage_local_files, "outputs: [none.txt]");
    assert_string_equal(fake_output(fake, "uris"), "{}");
    ASSERT_FAILS(fake, &task_storage_local_files, "inputs: {\"../x\": 1}", "not inside");
    ASSERT_FAILS(fake, &task_storage_local_files, "outputs: [\"../x\"]", "not inside");
}

static void files_do_not_follow_links_out_of_the_directory(void **state)
{
    struct fake_task *fake = *state;
    struct error err = { 0 };
    const char *folder = task_working_dir(&fake->job.ctx, &err);
    const char *outside = yaml(fake, "%s/outside", fake->folder);
    assert_true(fs_write_atomic(outside, "secret", 6, 0600, &err));
    assert_int_equal(symlink(outside, yaml(fake, "%s/out.txt", folder)), 0);
    assert_int_equal(symlink(fake->folder, yaml(fake, "%s/dir", folder)), 0);
    ASSERT_RUNS(fake, &task_storage_local_files, "outputs: [\"*.txt\", \"out.txt\", \"dir/**\"]");
    assert_string_equal(fake_output(fake, "uris"), "{}");
    ASSERT_FAILS(fake, &task_storage_local_files, "inputs: {\"dir/new\": x}", "dir/new");
    assert_int_equal(access(yaml(fake, "%s/new", fake->folder), F_OK), -1);
    // A link that stays inside is a file like any other.
    assert_true(fs_write_atomic(yaml(fake, "%s/real", folder), "inside", 6, 0600, &err));
    assert_int_equal(symlink("real", yaml(fake, "%s/in.lnk", folder)), 0);
    ASSERT_RUNS(fake, &task_storage_local_files, "outputs: [\"*.lnk\"]");
    assert_string_equal(
        fake_read(fake, value_get_text(value_get(fake->outputs, "uris"), "in.lnk", NULL)),
        "inside");
}

static void local_files_are_read_only_where_it_is_allowed(void **state)
{
    struct fake_task *fake = *state;
    struct error err = { 0 };
    const char *root = yaml(fake, "%s/allowed", fake->folder);
    assert_true(fs_mkdirs(root, 0700, &err));
    assert_true(fs_write_atomic(yaml(fake, "%s/x", root), "text", 4, 0600, &err));
    const char *size = yaml(fake, "uri: \"file://%s/x\"", root);
    ASSERT_FAILS(fake, &task_storage_size, size, "not below an allowed folder");
    const char *roots[] = { root, NULL };
    fake->services.allow_local_files = true;
    fake->services.local_roots = roots;
    ASSERT_RUNS(fake, &task_storage_size, size);
    ASSERT_FAILS(fake, &task_storage_size, "uri: file:///etc/passwd", "not below");
    ASSERT_FAILS(fake, &task_storage_size, yaml(fake, "uri: \"file://%s/../outside\"", root),
                 "not the URI");
}

static void namespace_files_are_uploaded_listed_and_deleted(void **state)
{
    struct fake_task *fake = *state;
    const char *a = fake_store(fake, "a", "first");
    const char *map = yaml(fake,
                           "namespace: \"{{ flow.namespace }}\"\ndestination: /folder\n"
                           "conflict: ERROR\nfilesMap:\n  /path/file.txt: \"%s\"",
                           a);
    ASSERT_RUNS(fake, &task_namespace_upload, map);
    assert_string_equal(fake_file_get(fake, "company.team", "folder/path/file.txt"), "first");
    assert_string_equal(fake_output(fake, "files"),
                        "{\"/folder/path/file.txt\":"
                        "\"kestra:///company/team/_files/folder/path/file.txt\"}");
    ASSERT_FAILS(fake, &task_namespace_upload, map, "conflict");
    ASSERT_RUNS(fake, &task_namespace_upload,
                yaml(fake,
                     "namespace: company.team\nconflict: SKIP\ndestination: folder/path\n"
                     "filesMap: {file.txt: \"%s\"}",
                     fake_store(fake, "b", "second")));
    assert_string_equal(fake_file_get(fake, "company.team", "folder/path/file.txt"), "first");
    ASSERT_RUNS(fake, &task_storage_local_files,
                "inputs: {v/3: x}\noutputs: [v/3, v/, nothing]"); // folders are no files
    assert_int_equal(value_count(value_get(fake->outputs, "uris")), 1);
    ASSERT_RUNS(fake, &task_storage_local_files, "inputs: {w/1.sql: one, w/2.sql: two, w/3: x}");
    ASSERT_RUNS(fake, &task_namespace_upload, "namespace: company.team\nfiles: [\"w/*.sql\"]");
    assert_string_equal(fake_file_get(fake, "company.team", "w/2.sql"), "two");
    assert_null(fake_file_get(fake, "company.team", "w/3"));
    ASSERT_RUNS(
        fake, &task_namespace_upload,
        "namespace: company.team\ndestination: n\nfiles: [\"glob:**1.sql\", \"regex:./3\"]");
    assert_string_equal(fake_file_get(fake, "company.team", "n/w/1.sql"), "one");
    assert_string_equal(fake_file_get(fake, "company.team", "n/w/3"), "x");
    assert_null(fake_file_get(fake, "company.team", "n/w/2.sql"));
    ASSERT_RUNS(fake, &task_namespace_delete, "namespace: company.team\nfiles: [\"regex:n/.*\"]");
    assert_string_equal(fake_output(fake, "deleted"), "2");
    ASSERT_FAILS(fake, &task_namespace_upload, "namespace: company.team", "is needed");
    ASSERT_FAILS(fake, &task_namespace_upload,
                 yaml(fake, "namespace: a\nfilesMap: {../../x: \"%s\"}", a), "not a path");

    ASSERT_RUNS(fake, &task_namespace_download, "namespace: company.team\nfiles: \"**file.txt\"");
    assert_string_equal(fake_read(fake, value_get_text(value_get(fake->outputs, "files"),
                                                       "/folder/path/file.txt", NULL)),
                        "first");
    assert_int_equal(value_count(value_get(fake->outputs, "files")), 1);
    ASSERT_RUNS(fake, &task_namespace_download, "namespace: company.team\nfiles: [\"*.sql\"]");
    assert_int_equal(value_count(value_get(fake->outputs, "files")), 2);

    ASSERT_RUNS(fake, &task_namespace_delete, "namespace: company.team\nfiles: [\"w/**\"]");
    assert_string_equal(fake_output(fake, "deleted"), "2");
    assert_null(fake_file_get(fake, "company.team", "w/1.sql"));
    assert_non_null(fake_file_get(fake, "company.team", "folder/path/file.txt"));
}

static void namespace_files_are_written_as_asked(void **state)
{
    struct fake_task *fake = *state;
    struct task_ctx *ctx = &fake->job.ctx;
    struct error err = { 0 };
    fake_file(fake, "company.team", "a.sql", "team a");
    fake_file(fake, "company.team", "sub/b.py", "team b");
    fake_file(fake, "company", "a.sql", "company a");
    ctx->props = value_with(fake->arena, NULL, "namespaceFiles", &value_empty_map);
    struct files_namespace all = { .enabled = true };
    assert_true(files_load_namespace(ctx, &all, &err));
    const char *folder = ctx->working_dir;
    assert_string_equal(fs_read(fake->arena, yaml(fake, "%s/a.sql", folder), 100, NULL, &err),
                        "team a");
    assert_string_equal(fs_read(fake->arena, yaml(fake, "%s/sub/b.py", folder), 100, NULL, &err),
                        "team b");
    assert_non_null(strstr(buf_text(&fake->log), "Loaded 2 namespace files from 'company.team'"));

    const struct value *names[] = { value_string(fake->arena, "company.team"),
                                    value_string(fake->arena, "company") };
    const struct value *pattern[] = { value_string(fake->arena, "*.sql") };
    struct files_namespace some = {
        .enabled = true,
        .namespaces = value_list(fake->arena, names, 2),
        .include = value_list(fake->arena, pattern, 1),
    };
    assert_true(files_load_namespace(ctx, &some, &err));
    assert_string_equal(fs_read(fake->arena, yaml(fake, "%s/a.sql", folder), 100, NULL, &err),
                        "company a");
    some.if_exists = FILES_FAIL;
    assert_false(files_load_namespace(ctx, &some, &err));
    assert_int_equal(err.code, ERR_CONFLICT);
    some.if_exists = FILES_IGNORE;
    some.folder_per_namespace = true;
    assert_true(files_load_namespace(ctx, &some, &err));
    assert_string_equal(
        fs_read(fake->arena, yaml(fake, "%s/company/a.sql", folder), 100, NULL, &err), "company a");

    // Without the property nothing is written.
    ctx->props = &value_empty_map;
    buf_clear(&fake->log);
    assert_true(files_load_namespace(ctx, &all, &err));
    assert_string_equal(buf_text(&fake->log), "");
}

static void uris_in_commands_become_local_paths(void **state)
{
    struct fake_task *fake = *state;
    struct error err = { 0 };
    const char *a = fake_store(fake, "a b.csv", "content");
    const char *text = files_localize(&fake->job.ctx, yaml(fake, "cat '%s' && cat %s", a, a), &err);
    assert_non_null(text);
    assert_null(strstr(text, "kestra://"));
    const char *path = arena_strndup(fake->arena, text + 5, strcspn(text + 5, "'"));
    assert_string_equal(fs_read(fake->arena, path, 100, NULL, &err), "content");
    // What follows is not of the URI, whatever the name of the file is.
    const char *odd = fake_store(fake, "a;b,c:d@e.csv", "odd");
    text = files_localize(&fake->job.ctx, yaml(fake, "cat %s; cat %s,%s:x (%s)", odd, odd, a, a),
                          &err);
    if (text == NULL)
        fail_msg("%s", err.text);
    assert_null(strstr(text, "kestra://"));
    assert_non_null(strstr(text, "e.csv; cat "));
    assert_non_null(strstr(text, ".csv:x ("));
    path = arena_strndup(fake->arena, text + 4, strcspn(text + 4, ";"));
    assert_string_equal(fs_read(fake->arena, path, 100, NULL, &err), "odd");
    assert_string_equal(files_localize(&fake->job.ctx, "see https://x.y/z", &err),
                        "see https://x.y/z");
    assert_string_equal(files_localize(&fake->job.ctx, "cat file:///etc/passwd", &err),
                        "cat file:///etc/passwd");
    assert_null(files_localize(&fake->job.ctx, "cat kestra:///company/none", &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
}

static void purge_of_the_execution_lists_and_removes_its_files(void **state)
{
    struct fake_task *fake = *state;
    const char *a = fake_store(fake, "a", "1");
    const char *b = fake_store(fake, "dir/b", "1");
    ASSERT_RUNS(fake, &task_storage_purge_execution, "");
    assert_non_null(strstr(fake_output(fake, "uris"), a));
    assert_non_null(strstr(fake_output(fake, "uris"), b));
    ASSERT_FAILS(fake, &task_storage_size, yaml(fake, "uri: \"%s\"", a), "");
    ASSERT_RUNS(fake, &task_storage_purge_execution, "");
    assert_string_equal(fake_output(fake, "uris"), "[]");
}

/* Makes a file of the storage two hours older than it is. */
static void age(struct fake_task *fake, const char *path)
{
    struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { 0 } };
    times[1].tv_sec = (time_t)(clock_now() / USEC_SEC) - 7200;
    const char *local = arena_printf(fake->arena, "%s/storage/%s", fake->folder, path);
    assert_int_equal(utimensat(AT_FDCWD, local, times, 0), 0);
}

static void purge_of_the_storage_removes_what_no_execution_owns(void **state)
{
    struct fake_task *fake = *state;
    struct storage *storage = fake->services.storage;
    static const char *const paths[] = {
        "company/team/my-flow/executions/known/x",
        "company/team/my-flow/executions/orphan/x",
        "company/executions/executions/orphan2/x",
        "company/team/_files/executions/keep",
    };
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        assert_true(storage->ops->put_bytes(storage, paths[i], "x", 1, 0, &fake->error));
    static char answer[] = "{\"existing\": [\"known\"]}";
    (void)map_put(&fake->operation_answers, "execution.exists", answer);
    ASSERT_RUNS(fake, &task_storage_purge, "endDate: \"2100-01-01T00:00:00Z\"");
    assert_string_equal(fake_output(fake, "count"), "2");
    struct storage_stat info;
    assert_true(storage->ops->stat(storage, fake->arena, paths[1], &info, &fake->error));
    ASSERT_RUNS(fake, &task_storage_purge, "endDate: \"2100-01-01T00:00:00Z\"\ndryRun: false");
    assert_false(storage->ops->stat(storage, fake->arena, paths[1], &info, &fake->error));
    assert_false(storage->ops->stat(storage, fake->arena, paths[2], &info, &fake->error));
    assert_true(storage->ops->stat(storage, fake->arena, paths[0], &info, &fake->error));
    assert_true(storage->ops->stat(storage, fake->arena, paths[3], &info, &fake->error));
    // The age is that of the youngest file, however deep it lies.
    const char *old = "company/team/my-flow/executions/aged/tasks/t/old";
    const char *young = "company/team/my-flow/executions/aged/tasks/t/young";
    assert_true(storage->ops->put_bytes(storage, old, "x", 1, 0, &fake->error));
    assert_true(storage->ops->put_bytes(storage, young, "x", 1, 0, &fake->error));
    for (const char *at = old + strlen("company/team/my-flow/executions/aged"); at != NULL;
         at = *at == '\0' ? NULL : strchr(at + 1, '/'))
        age(fake, arena_strndup(fake->arena, old, (size_t)(at - old)));
    age(fake, old);
    const char *before = arena_printf(fake->arena, "endDate: \"%s\"\ndryRun: false",
                                      time_format_instant(fake->arena, clock_now() - USEC_HOUR));
    ASSERT_RUNS(fake, &task_storage_purge, before);
    assert_string_equal(fake_output(fake, "count"), "0");
    age(fake, young);
    ASSERT_RUNS(fake, &task_storage_purge, before);
    assert_string_equal(fake_output(fake, "count"), "1");
    ASSERT_RUNS(fake, &task_storage_purge, "endDate: \"2001-01-01T00:00:00Z\"\ndryRun: false");
    assert_string_equal(fake_output(fake, "count"), "0");
    ASSERT_FAILS(fake, &task_storage_purge, "endDate: \"2100-01-01T00:00:00Z\"\nflowId: x",
                 "needs 'namespace'");
}

static void purge_of_namespace_files_frees_what_no_revision_names(void **state)
{
    struct fake_task *fake = *state;
    struct storage *storage = fake->services.storage;
    static const char *const paths[] = {
        "company/team/_content/named",  "company/team/_content/old",
        "company/team/_content/young",  "company/other/_content/old",
        "company/team/_files/unharmed",
    };
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        assert_true(storage->ops->put_bytes(storage, paths[i], "x", 1, 0, &fake->error));
        if (i != 2)
            age(fake, paths[i]);
    }
    static char purged[] = "{\"count\": 2, \"namespaces\": [\"company.team\", \"company.empty\"]}";
    static char contents[] = "{\"contents\": [\"company/team/_content/named\"]}";
    (void)map_put(&fake->operation_answers, "file.purge", purged);
    (void)map_put(&fake->operation_answers, "file.contents", contents);
    ASSERT_RUNS(fake, &task_namespace_purge,
                "namespaces: [company]\nbehavior: {type: version, keepAmount: 1}");
    assert_string_equal(fake_output(fake, "size"), "2");
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        struct storage_stat info;
        bool is_there = storage->ops->stat(storage, fake->arena, paths[i], &info, &fake->error);
        assert_int_equal(is_there, i != 1);
    }
}

static void storage_uris_and_paths_are_inverse(void **state)
{
    struct fake_task *fake = *state;
    static const char *const paths[] = { "a/b", "a b/ä.txt", "100%/x?y#z", "a+b=c,d:e;f@g" };
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        assert_string_equal(storage_uri_path(fake->arena, storage_path_uri(fake->arena, paths[i])),
                            paths[i]);
    assert_null(storage_uri_path(fake->arena, "kestra:///a/../b"));
    assert_null(storage_uri_path(fake->arena, "kestra:///a/%2e%2e/b"));
    assert_null(storage_uri_path(fake->arena, "kestra:///a%00b"));
    assert_null(storage_uri_path(fake->arena, "kestra://host/a"));
    assert_null(storage_uri_path(fake->arena, "file:///a"));
    assert_string_equal(storage_slug(fake->arena, "My_Flow--v1.2_"), "my-flow-v12");
    assert_string_equal(storage_slug(fake->arena, "..."), "...");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    TEST(write_stores_a_text),
    TEST(concat_adds_the_separator_after_each_file),
    TEST(size_tells_bytes),
    TEST(delete_tells_whether_there_was_a_file),
    TEST(reverse_puts_rows_in_reverse_order),
    TEST(reverse_of_a_large_file_is_its_own_inverse),
    TEST(split_cuts_by_rows_bytes_partitions_and_groups),
    TEST(split_of_an_empty_file_gives_nothing),
    TEST(split_of_a_large_file_loses_nothing),
    TEST(filter_keeps_or_drops_rows),
    TEST(filter_of_a_row_that_cannot_be_decided_does_as_told),
    TEST(deduplicate_keeps_the_last_row_of_each_key),
    TEST(local_files_writes_and_stores_files),
    TEST(files_do_not_follow_links_out_of_the_directory),
    TEST(local_files_are_read_only_where_it_is_allowed),
    TEST(namespace_files_are_uploaded_listed_and_deleted),
    TEST(namespace_files_are_written_as_asked),
    TEST(uris_in_commands_become_local_paths),
    TEST(purge_of_the_execution_lists_and_removes_its_files),
    TEST(purge_of_the_storage_removes_what_no_execution_owns),
    TEST(purge_of_namespace_files_frees_what_no_revision_names),
    TEST(storage_uris_and_paths_are_inverse),
};
TEST_GROUP(task_storage, tests)
