/* SPDX-License-Identifier: Apache-2.0 */
/* Planted bugs, and how they get in; see bugs.c. */
#ifndef TESTS_SIM_BUGS_H
#define TESTS_SIM_BUGS_H

enum bug {
    BUG_NONE,
    BUG_FINALLY_BEFORE_ERRORS,
    BUG_ENDS_EARLY,
    BUG_HIDES_WARNINGS,
    BUG_IGNORES_LIMITS,
    BUG_TAKES_ANY_ANSWER,
    BUG_FORGETS_TO_STORE,
    BUG_KEEPS_ERRORS_OF_A_RETRY,
    BUG_KILLED_TOO_EARLY,
    BUG_LOSES_TIMERS_IN_A_CRASH,
    BUG_ANNOUNCES_TWICE,
    BUG_FORGETS_AN_ITEM,
    BUG_LEAVES_CHILDREN_OPEN,
    BUG_LOSES_A_QUESTION,
    BUG_RETRIES_FOR_EVER,
    BUG_LATE_NEWS_REVIVE,
    BUG_KNOWS_NO_ALLOW_FAILURE,
    BUG_KNOWS_NO_ALLOW_WARNING,
    BUG_SKIPS_ERRORS,
    BUG_SKIPS_FINALLY,
    BUG_RETRIES_ONCE_MORE,
    BUG_RETRIES_ONCE_LESS,
    BUG_AFTER_BEFORE_THE_END,
    BUG_HIDES_FAILED_CHILDREN,
    BUG_LEAKS_A_SLOT,    /* of the driver */
    BUG_ADMITS_TOO_MANY, /* of the driver */
    BUG_COUNT,
};

/* The one that BUG names. */
enum bug bug_active(void);

/* The names that the linker gives; declared for -Wmissing-prototypes. */
#define WRAPPED(type, name, ...)                                                                   \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

#endif
