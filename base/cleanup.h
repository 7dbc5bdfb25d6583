/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cleanup attributes for what needs more than arena memory.
 *
 * AUTO(fn) runs fn(&variable) when the variable leaves its scope.
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define AUTO(fn)  __attribute__((cleanup(fn)))
#define AUTO_FD   AUTO(fd_closep)
#define AUTO_FREE AUTO(mem_freep)
#define AUTO_FILE AUTO(file_closep)

static inline void fd_closep(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

/* Moves a descriptor out of a variable, so that its cleanup finds nothing. */
static inline int fd_steal(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

/* The variable is a pointer from malloc. */
static inline void mem_freep(void *variable)
{
    free(*(void **)variable);
}

static inline void file_closep(FILE **file)
{
    if (*file != NULL)
        (void)fclose(*file);
}

#endif
