/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void check_failed(const char *file, int line, const char *cond)
{
    (void)fprintf(stderr, "weir: internal check failed at %s:%d: %s\n", file, line, cond);
    abort();
}

static void *must(void *memory)
{
    if (memory == NULL) {
        (void)fputs("weir: out of memory\n", stderr);
        abort();
    }
    return memory;
}

void *check_malloc(size_t size)
{
    return must(malloc(size == 0 ? 1 : size));
}

void *check_calloc(size_t count, size_t size)
{
    return must(calloc(count == 0 ? 1 : count, size == 0 ? 1 : size));
}

void *check_realloc(void *old, size_t size)
{
    return must(realloc(old, size == 0 ? 1 : size));
}

char *check_strdup(const char *text)
{
    return must(strdup(text));
}
