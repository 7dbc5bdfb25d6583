/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/multipart.h"
#include "tests/support/test.h"

static bool note_begin(void *context, const struct multipart_head *head, struct error *err)
{
    (void)err;
    buf_printf(context, "[%s|%s|%s]", head->name, head->file_name == NULL ? "-" : head->file_name,
               head->type == NULL ? "-" : head->type);
    return true;
}

static bool note_data(void *context, const char *bytes, size_t length, struct error *err)
{
    (void)err;
    buf_add(context, bytes, length);
    return true;
}

static bool note_end(void *context, struct error *err)
{
    (void)err;
    buf_puts(context, ";");
    return true;
}

static const struct multipart_ops ops = { note_begin, note_data, note_end };

/* Parses in pieces of `step` bytes; NULL when it was refused. */
static const char *parsed(
    struct arena *arena, const char *body, size_t length, size_t step, struct error *err)
{
    struct buf notes = { 0 };
    struct multipart *multipart = multipart_new(arena, "b", &ops, &notes);
    bool is_fine = true;
    for (size_t at = 0; at < length && is_fine; at += step) {
        size_t piece = length - at < step ? length - at : step;
        is_fine = multipart_feed(multipart, body + at, piece, err);
    }
    is_fine = is_fine && multipart_end(multipart, err);
    multipart_free(multipart);
    const char *result = is_fine ? buf_dup(&notes, arena) : NULL;
    buf_free(&notes);
    return result;
}

#define FORM "Content-Disposition: form-data; name="

static void multipart_reads_forms_whatever_the_pieces(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *expected;
    } rows[] = {
        { "--b\r\n" FORM "\"a\"\r\n\r\n1\r\n--b--\r\n", "[a|-|-]1;" },
        { "--b\r\n" FORM "\"a\"\r\n\r\n1\r\n--b--", "[a|-|-]1;" },
        { "--b\r\n" FORM "a\r\n\r\n\r\n--b\r\n" FORM "c\r\n\r\n2\r\n--b--\r\n",
          "[a|-|-];[c|-|-]2;" },
        { "preamble\r\n--b \t\r\n" FORM "\"a\"\r\n\r\n1\r\n--b--\r\nepilogue --b\r\n",
          "[a|-|-]1;" },
        { "--b\r\n" FORM "\"a\"\r\n\r\nx\r\n\r\ny\r\n\r\n--b--\r\n", "[a|-|-]x\r\n\r\ny\r\n;" },
        { "--b\r\n" FORM "\"a\"\r\n\r\nx\r\n--bx\r\n--b-\r\n--\r\n--b--\r\n",
          "[a|-|-]x\r\n--bx\r\n--b-\r\n--;" },
        { "--b\r\ncontent-TYPE: text/x; q=1\r\nContent-Disposition: form-data; filename=\"a "
          "\\\"b\\\" "
          "\\\\ c:\\d.txt\"; name=f\r\n\r\n1\r\n--b--\r\n",
          "[f|a \"b\" \\ c:\\d.txt|text/x; q=1]1;" },
        { "--b\r\n" FORM "\"a\"; filename=\"na\xc3\xafve.txt\"\r\n\r\n1\r\n--b--\r\n",
          "[a|na\xc3\xafve.txt|-]1;" },
        { "--b\r\n" FORM "\"a\"; filename=x; filename*=UTF-8''na%C3%AFve.txt\r\n\r\n1\r\n--b--\r\n",
          "[a|na\xc3\xafve.txt|-]1;" },
        { "--b\n" FORM "a\nX-Other: y\n\n1\r\n--b--\r\n", "[a|-|-]1;" },
        { "--b\r\n\r\n1\r\n--b--\r\n", "[|-|-]1;" },
        { "--b\r\n" FORM "\"a\"\r\n\r\n--b--\r\n", "[a|-|-];" },
        { "--b\r\nContent-Disposition: form-data;\r\n name=\"a\"\r\n\r\n1\r\n--b--\r\n",
          "[a|-|-]1;" },
        { "--b--\r\n", "" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t length = strlen(rows[i].body);
        for (size_t step = 1; step <= length; step++) {
            struct arena *arena = arena_new();
            struct error err = { 0 };
            const char *notes = parsed(arena, rows[i].body, length, step, &err);
            if (notes == NULL || strcmp(notes, rows[i].expected) != 0)
                fail_msg("row %zu, pieces of %zu: %s", i, step, notes == NULL ? err.text : notes);
            arena_free(arena);
        }
    }
}

static void multipart_refuses_what_is_malformed(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    static const char *const bodies[] = {
        "", "nothing", "--b\r\n" FORM "a\r\n\r\n1\r\n", "--b\r\n" FORM "a\r\n", "--b", "--b\r\n",
    };
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct error err = { 0 };
        assert_null(parsed(arena, bodies[i], strlen(bodies[i]), 100, &err));
        assert_int_equal(err.code, ERR_INVALID);
    }
    struct buf text = { 0 };
    buf_puts(&text, "--b\r\n");
    for (int i = 0; i < 3000; i++)
        buf_puts(&text, "X: y\r\n");
    struct error err = { 0 };
    assert_null(parsed(arena, text.bytes, text.length, 1000, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    buf_free(&text);
    arena_free(arena);
}

static void multipart_finds_the_boundary_of_a_content_type(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    assert_string_equal(multipart_boundary(arena, "multipart/form-data; boundary=abc"), "abc");
    assert_string_equal(
        multipart_boundary(arena, "Multipart/Form-Data;charset=utf-8; Boundary=\"a b\""), "a b");
    assert_null(multipart_boundary(arena, "multipart/form-data"));
    assert_null(multipart_boundary(arena, "multipart/mixed; boundary=abc"));
    assert_null(multipart_boundary(arena, "multipart/form-data; boundary="));
    assert_null(multipart_boundary(arena, NULL));
    arena_free(arena);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(multipart_reads_forms_whatever_the_pieces),
    cmocka_unit_test(multipart_refuses_what_is_malformed),
    cmocka_unit_test(multipart_finds_the_boundary_of_a_content_type),
};
TEST_GROUP(multipart, tests)
