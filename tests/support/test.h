/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every C test needs: cmocka, and registration of groups.
 *
 * A test file holds `static void module_behaves_so(void **state)` functions and closes with
 *
 *     static const struct CMUnitTest tests[] = { cmocka_unit_test(module_behaves_so), … };
 *     TEST_GROUP(module, tests)
 *
 * All files of a folder become one program; its argument selects groups or tests by prefix,
 * or leaves out groups: "-expr".
 */
#ifndef TESTS_SUPPORT_TEST_H
#define TESTS_SUPPORT_TEST_H

/* cmocka.h needs the others before it. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
// clang-format on

#include "base/clock.h"

struct test_group {
    const char *name;
    const struct CMUnitTest *tests;
    size_t count;
    struct test_group *next;
};

void test_register(struct test_group *group);

#define TEST_GROUP(group_name, group_tests)                                                        \
    __attribute__((constructor)) static void register_##group_name(void)                           \
    {                                                                                              \
        static struct test_group group = {                                                         \
            .name = #group_name,                                                                   \
            .tests = (group_tests),                                                                \
            .count = sizeof(group_tests) / sizeof((group_tests)[0]),                               \
        };                                                                                         \
        test_register(&group);                                                                     \
    }

/* A new folder below TMPDIR, removed when the program ends. Static storage per call: heap text. */
char *test_folder(void);

/* Microseconds of an ISO instant such as "2025-03-29T12:00:00Z"; fails the test when malformed. */
usec_t test_time(const char *iso);

/* Skips the running test with a reason on standard error. */
#define TEST_SKIP(reason)                                                                          \
    do {                                                                                           \
        print_message("  skipped: %s\n", (reason));                                                \
        skip();                                                                                    \
    } while (0)

#endif
