/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/redact.h"
#include "tests/support/test.h"

struct fixture {
    struct arena *arena;
    int fd;
};

static int set_up(void **state)
{
    static struct fixture f;
    struct error err = { 0 };
    f = (struct fixture){ .arena = arena_new(), .fd = fs_temp(NULL, &err) };
    *state = &f;
    return f.fd < 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    struct log_options options = { .level = LOG_INFO, .fd = STDERR_FILENO };
    log_open(&options);
    (void)close(f->fd);
    arena_free(f->arena);
    return 0;
}

static void open_log(struct fixture *f, enum log_level level, enum log_format format)
{
    struct log_options options = { .level = level, .format = format, .fd = f->fd };
    log_open(&options);
}

/* The only line written, with its time replaced by T; the file is empty again. */
static const char *line(struct fixture *f)
{
    struct error err = { 0 };
    (void)lseek(f->fd, 0, SEEK_SET);
    char *text = fs_read_fd(f->arena, f->fd, "log", 100000, NULL, &err);
    assert_non_null(text);
    assert_int_equal(ftruncate(f->fd, 0), 0);
    (void)lseek(f->fd, 0, SEEK_SET);
    char *time = strstr(text, "20");
    if (time == NULL)
        return text;
    assert_int_equal(time[23], 'Z'); // 2026-07-01T09:30:00.123Z
    memmove(time + 1, time + 24, strlen(time + 24) + 1);
    *time = 'T';
    return text;
}

static void log_writes_message_and_fields(void **state)
{
    struct fixture *f = *state;
    open_log(f, LOG_DEBUG, LOG_FORMAT_TEXT);
    log_info("flow deployed", LOG_STR("flow", "company.team/orders"), LOG_INT("revision", 8),
             LOG_STR("absent", NULL), LOG_STR("note", "two words"), LOG_STR("empty", ""),
             LOG_BOOL("first", false), LOG_DOUBLE("ratio", 0.5), LOG_SPAN("took", 1250000),
             LOG_TIME("at", 1782898200123456));
    assert_string_equal(line(f), "T INFO  flow deployed  flow=company.team/orders revision=8 "
                                 "note=\"two words\" empty=\"\" first=false ratio=0.5 took=1.25s "
                                 "at=2026-07-01T09:30:00.123Z\n");
    log_warn("no fields");
    assert_string_equal(line(f), "T WARN  no fields\n");
    struct error err = { .code = ERR_TIMEOUT, .text = "too late" };
    log_error("poll failed", LOG_ERR(&err));
    assert_string_equal(line(f), "T ERROR poll failed  code=timeout error=\"too late\"\n");
}

static void log_writes_json(void **state)
{
    struct fixture *f = *state;
    open_log(f, LOG_INFO, LOG_FORMAT_JSON);
    log_info("say \"hi\"", LOG_STR("path", "C:\\x\n"), LOG_INT("n", -1), LOG_SPAN("took", 2000000));
    assert_string_equal(line(f),
                        "{\"time\":\"T\",\"level\":\"INFO\",\"message\":\"say \\\"hi\\\"\","
                        "\"path\":\"C:\\\\x\\n\",\"n\":-1,\"took\":2}\n");
}

static void log_leaves_out_what_is_below_its_level(void **state)
{
    struct fixture *f = *state;
    open_log(f, LOG_WARN, LOG_FORMAT_TEXT);
    log_info("quiet");
    assert_string_equal(line(f), "");
    assert_false(log_enabled(LOG_INFO));
    assert_true(log_enabled(LOG_ERROR));
    open_log(f, LOG_NONE, LOG_FORMAT_TEXT);
    log_error("silence");
    assert_string_equal(line(f), "");
    enum log_level level;
    assert_true(log_level_parse("warning", &level));
    assert_int_equal(level, LOG_WARN);
    assert_true(log_level_parse("Debug", &level));
    assert_int_equal(level, LOG_DEBUG);
    assert_false(log_level_parse("loud", &level));
}

static void log_does_not_let_a_field_forge_a_line(void **state)
{
    struct fixture *f = *state;
    open_log(f, LOG_INFO, LOG_FORMAT_TEXT);
    log_info("got", LOG_STR("x", "a\nb\033[31m\xff\xc2\x85 \xc3\xa9"));
    assert_string_equal(line(f),
                        "T INFO  got  x=\"a\\nb\\u001b[31m\xef\xbf\xbd\\u0085 \xc3\xa9\"\n");
    char *text = arena_alloc(f->arena, 100001);
    memset(text, 'x', 100000);
    log_info("long", LOG_STR("x", text));
    assert_true(strlen(line(f)) < 9000);
}

static void log_masks_secrets_of_the_process(void **state)
{
    struct fixture *f = *state;
    open_log(f, LOG_INFO, LOG_FORMAT_TEXT);
    assert_true(redact_add(redact_process(), "hunter2-of-the-log-test"));
    log_info("login with hunter2-of-the-log-test", LOG_STR("password", "hunter2-of-the-log-test"));
    assert_string_equal(line(f), "T INFO  login with ******  password=******\n");
}

static void log_colours_only_when_told(void **state)
{
    struct fixture *f = *state;
    struct log_options options = { .level = LOG_INFO, .colour = LOG_COLOUR_ALWAYS, .fd = f->fd };
    log_open(&options);
    log_info("bright", LOG_INT("n", 1));
    assert_non_null(strstr(line(f), "\033[32mINFO \033[0m bright"));
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    WITH(log_writes_message_and_fields),          WITH(log_writes_json),
    WITH(log_leaves_out_what_is_below_its_level), WITH(log_does_not_let_a_field_forge_a_line),
    WITH(log_masks_secrets_of_the_process),       WITH(log_colours_only_when_told),
};
TEST_GROUP(log, tests)
