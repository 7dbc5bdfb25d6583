/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small set of types with the properties of the specification, for tests of core/ that must not
 * depend on what runtime/ has built in.
 */
#ifndef TESTS_SUPPORT_TEST_PLUGINS_H
#define TESTS_SUPPORT_TEST_PLUGINS_H

struct plugin_set;

/* Made on first use, lives as long as the program. */
const struct plugin_set *test_plugins(void);

#endif
