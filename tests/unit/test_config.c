/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "core/config.h"
#include "core/diag.h"
#include "core/value.h"
#include "tests/support/test.h"

static const struct config *load(struct arena *arena,
                                 const char *text,
                                 char *const *environment,
                                 const struct config_override *override,
                                 struct diag_list *findings)
{
    struct config_sources sources = {
        .file = text == NULL ? NULL : "weir.conf.yaml",
        .text = text,
        .length = text == NULL ? 0 : strlen(text),
        .environment = environment,
        .overrides = override,
        .overrides_count = override == NULL ? 0 : 1,
    };
    return config_load(arena, &sources, findings);
}

static void later_sources_win_and_say_where_they_are(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct diag_list findings = diag_list_new(arena, "weir.conf.yaml");
    char variable[] = "WEIR_STORAGE_S3_ACCESS_KEY=from-environment";
    char *environment[] = { variable, NULL };
    struct config_override override = { "listen", "0.0.0.0:9000" };
    const struct config *config = load(arena,
                                       "listen: 127.0.0.1:1\n"
                                       "storage:\n"
                                       "  s3:\n"
                                       "    accessKey: from-file\n"
                                       "    bucket: flows\n"
                                       "source: { interval: PT1M }\n",
                                       environment, &override, &findings);
    assert_non_null(config);
    assert_string_equal(config_text(config, "listen"), "0.0.0.0:9000");
    assert_string_equal(config_origin(config, "listen"), "--listen");
    assert_string_equal(config_text(config, "storage.s3.accessKey"), "from-environment");
    assert_string_equal(config_origin(config, "storage.s3.accessKey"),
                        "WEIR_STORAGE_S3_ACCESS_KEY");
    assert_string_equal(config_origin(config, "storage.s3.bucket"), "weir.conf.yaml:5");
    assert_true(config_duration(config, "source.interval") == USEC_MIN);
    assert_string_equal(config_origin(config, "data"), "default");
    assert_null(config_text(config, "auth.user"));
    arena_free(arena);
}

static void every_mistake_is_reported_without_the_value(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct diag_list findings = diag_list_new(arena, "weir.conf.yaml");
    assert_null(load(arena,
                     "lisen: x\n"
                     "encryption:\n"
                     "  key: [hunter2]\n"
                     "workers: { threads: 0 }\n",
                     NULL, NULL, &findings));
    assert_int_equal(findings.errors, 3);
    assert_string_equal(findings.all.items[0].advice, "did you mean 'listen'?");
    assert_int_equal(findings.all.items[0].line, 1);
    for (size_t i = 0; i < findings.all.count; i++)
        assert_null(strstr(findings.all.items[i].message, "hunter2"));
    arena_free(arena);
}

static void secrets_are_shown_as_set_or_not(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct diag_list findings = diag_list_new(arena, NULL);
    char variable[] = "WEIR_ENCRYPTION_KEY=hunter2";
    char *environment[] = { variable, NULL };
    const struct config *config = load(arena, NULL, environment, NULL, &findings);
    assert_non_null(config);
    char *text = value_to_json(arena, config_to_value(config, arena));
    assert_null(strstr(text, "hunter2"));
    assert_non_null(strstr(text, "\"name\":\"encryption.key\",\"value\":\"set\""));
    assert_non_null(strstr(text, "\"name\":\"auth.password\",\"value\":\"not set\""));
    arena_free(arena);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(later_sources_win_and_say_where_they_are),
    cmocka_unit_test(every_mistake_is_reported_without_the_value),
    cmocka_unit_test(secrets_are_shown_as_set_or_not),
};
TEST_GROUP(config, tests)
