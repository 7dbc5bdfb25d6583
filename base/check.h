/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CHECK(cond): what must hold in every build, one condition at a time.
 *
 * For our own mistakes only; a user's mistake is a struct error. A failed check prints file, line
 * and condition to standard error and aborts: the store makes a restart safe.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stddef.h>

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (__builtin_expect(!(cond), 0))                                                          \
            check_failed(__FILE__, __LINE__, #cond);                                               \
    } while (0)

/* Number of elements of a real array. */
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define BIT(n) (1U << (n))

/* Prints the failed condition and aborts. */
_Noreturn void check_failed(const char *file, int line, const char *cond);

/* malloc family that ends the process when memory is exhausted. */
void *check_malloc(size_t size);
void *check_calloc(size_t count, size_t size);
void *check_realloc(void *old, size_t size);
char *check_strdup(const char *text);

#endif
