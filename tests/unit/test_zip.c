/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/zip.h"
#include "tests/support/test.h"

static const struct zip_limits limits = {
    .entries_max = 3,
    .entry_bytes_max = 1000,
    .total_bytes_max = 1500,
};

static void make(struct buf *out, const size_t *lengths, size_t count)
{
    static char bytes[2000];
    memset(bytes, 'x', sizeof(bytes));
    struct error err = { 0 };
    struct zip_writer *writer = zip_writer_new();
    for (size_t i = 0; i < count; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "folder/f%zu.yml", i);
        assert_true(zip_writer_add(writer, name, bytes, lengths[i], USEC_SEC, &err));
    }
    assert_true(zip_writer_finish(writer, out, &err));
}

static bool note(void *data, const char *name, const char *bytes, size_t length, struct error *err)
{
    (void)err;
    buf_printf(data, "%s=%zu%c ", name, length, length > 0 ? bytes[0] : '-');
    return true;
}

static void zip_files_come_back_as_written(void **state)
{
    (void)state;
    struct buf archive = { 0 };
    struct buf seen = { 0 };
    struct error err = { 0 };
    make(&archive, (const size_t[]){ 3, 0, 1000 }, 3);
    assert_true(zip_read(archive.bytes, archive.length, &limits, note, &seen, &err));
    assert_string_equal(buf_text(&seen), "folder/f0.yml=3x folder/f1.yml=0- folder/f2.yml=1000x ");
    buf_free(&archive);
    buf_free(&seen);
}

static void zip_names_are_utf8_in_any_locale(void **state)
{
    (void)state;
    struct buf archive = { 0 };
    struct buf seen = { 0 };
    struct error err = { 0 };
    struct zip_writer *writer = zip_writer_new();
    assert_true(zip_writer_add(writer, "d/\xc3\xa9.txt", "x", 1, USEC_SEC, &err));
    assert_true(zip_writer_finish(writer, &archive, &err));
    assert_int_equal(0x08, archive.bytes[7] & 0x08); // says that its names are UTF-8
    assert_true(zip_read(archive.bytes, archive.length, &limits, note, &seen, &err));
    assert_string_equal(buf_text(&seen), "d/\xc3\xa9.txt=1x ");
    buf_free(&archive);
    buf_free(&seen);
}

static void zip_reading_is_bounded(void **state)
{
    (void)state;
    static const size_t lengths[][4] = { { 1, 1, 1, 1 }, { 1001, 0, 0, 0 }, { 900, 900, 0, 0 } };
    static const size_t counts[] = { 4, 1, 2 };
    for (size_t i = 0; i < 3; i++) {
        struct buf archive = { 0 };
        struct buf seen = { 0 };
        struct error err = { 0 };
        make(&archive, lengths[i], counts[i]);
        assert_false(zip_read(archive.bytes, archive.length, &limits, note, &seen, &err));
        assert_int_equal(err.code, ERR_LIMIT);
        buf_free(&archive);
        buf_free(&seen);
    }
}

static void zip_what_is_no_archive_is_refused(void **state)
{
    (void)state;
    struct buf seen = { 0 };
    struct error err = { 0 };
    assert_false(zip_read("id: x\n", 6, &limits, note, &seen, &err));
    assert_int_equal(err.code, ERR_INVALID);
    buf_free(&seen);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(zip_files_come_back_as_written),
    cmocka_unit_test(zip_names_are_utf8_in_any_locale),
    cmocka_unit_test(zip_reading_is_bounded),
    cmocka_unit_test(zip_what_is_no_archive_is_refused),
};
TEST_GROUP(zip, tests)
